#include "config/preset.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/limits.h"

namespace leat::config {
namespace {

using namespace std::chrono_literals;

ServiceConfig http(std::optional<Preset> preset) {
  ServiceConfig service;
  service.target = parse_target("11434").value();
  service.preset = preset;
  return service;
}

std::string shown(const ServiceConfig& service, std::string_view key) {
  for (const Effect& effect : effects(service)) {
    if (effect.key == key) return effect.value + " (" + effect.from + ")";
  }
  return "";
}

TEST(Preset, OllamaIsShownNoForeignNameAndMayTakeItsTime) {
  const ServiceConfig service = resolve(http(Preset::ollama));
  EXPECT_EQ(service.host_header, "rewrite");
  EXPECT_EQ(service.origin, "remove");
  EXPECT_EQ(service.health, (HealthCheck{"/api/version"}));
  EXPECT_EQ(service.health_interval, Duration(limits::kHealthInterval));
  EXPECT_GT(service.first_byte_timeout, Duration(limits::kFirstByte));
}

TEST(Preset, EachHasAHealthOfItsOwn) {
  EXPECT_EQ(resolve(http(Preset::vllm)).health->path, "/health");
  EXPECT_EQ(resolve(http(Preset::openai)).health->path, "/v1/models");
  EXPECT_EQ(resolve(http(Preset::y_websocket)).health, (HealthCheck{"", true}));
  EXPECT_EQ(resolve(http(Preset::y_websocket)).origin, "preserve");
}

TEST(Preset, NoneSetsATimeThatDoesNotRunForAWebSocket) {
  const ServiceConfig service = http(Preset::y_websocket);
  EXPECT_FALSE(resolve(service).first_byte_timeout);
  EXPECT_FALSE(resolve(service).idle_timeout);
  EXPECT_EQ(shown(service, "idle_timeout"), "10m (default)");
}

TEST(Preset, WhatWasSaidStays) {
  ServiceConfig service = http(Preset::ollama);
  service.origin = "preserve";
  service.health = HealthCheck{"", false};
  service.first_byte_timeout = 1s;
  const ServiceConfig resolved = resolve(service);
  EXPECT_EQ(resolved.origin, "preserve");
  EXPECT_EQ(resolved.health, (HealthCheck{}));
  EXPECT_FALSE(resolved.health_interval);
  EXPECT_EQ(resolved.first_byte_timeout, 1s);
  EXPECT_EQ(shown(service, "origin"), "preserve (as written)");
}

TEST(Preset, NoneIsWhatTheAgentDoesAnyway) {
  const ServiceConfig service = resolve(http(std::nullopt));
  EXPECT_EQ(service.host_header, "rewrite");
  EXPECT_EQ(service.origin, "rewrite");
  EXPECT_EQ(service.health, (HealthCheck{"", true}));
  EXPECT_FALSE(service.health_interval) << "asked until it is there, and then left alone";
  EXPECT_FALSE(service.first_byte_timeout) << "the relay's";
  ServiceConfig tcp;
  tcp.kind = Kind::tcp;
  EXPECT_FALSE(resolve(tcp).host_header);
}

TEST(Preset, ItsWholeEffectIsShown) {
  const ServiceConfig service = http(Preset::ollama);
  EXPECT_EQ(shown(service, "preset"), "ollama (as written)");
  EXPECT_EQ(shown(service, "host_header"), "rewrite (preset)");
  EXPECT_EQ(shown(service, "origin"), "remove (preset)");
  EXPECT_EQ(shown(service, "health"), "/api/version (preset)");
  EXPECT_EQ(shown(service, "health_interval"), "10s (default)");
  EXPECT_EQ(shown(service, "first_byte_timeout"), "15m (preset)");
  EXPECT_EQ(shown(service, "idle_timeout"), "10m (default)");
  EXPECT_EQ(shown(service, "cors"), "none (default)");
  EXPECT_EQ(shown(service, "sse_comments"), "off (default)");
}

}  // namespace
}  // namespace leat::config
