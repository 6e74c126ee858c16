#include "config/relay_config.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/file.h"
#include "config/environment.h"
#include "config/files.h"
#include "support/temp_dir.h"

namespace leat::config {
namespace {

// Every key with a value, and the proof that it arrived.
struct Case {
  const char *key, *value;
  std::function<bool(const RelayConfig&)> arrived;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"listen", "0.0.0.0:0",
       [](const auto& c) {
         return c.listen == HostPort{"0.0.0.0", 0};
       }},
      {"plain_listen", "[::1]:8080",
       [](const auto& c) {
         return c.plain_listen == HostPort{"::1", 8080};
       }},
      {"admin_listen", "8081",
       [](const auto& c) {
         return c.admin_listen == HostPort{"127.0.0.1", 8081};
       }},
      {"domain", "relay.example.com",
       [](const auto& c) { return c.domain == "relay.example.com"; }},
      {"public_url", "https://relay.example.com/",
       [](const auto& c) { return c.public_url == "https://relay.example.com"; }},
      {"tcp_ports", "20000-20100",
       [](const auto& c) {
         return c.tcp_ports == PortRange{20000, 20100};
       }},
      {"open_rooms", "true", [](const auto& c) { return c.open_rooms; }},
      {"agent_origins", "https://a.test, http://b.test:8080",
       [](const auto& c) {
         return c.agent_origins == std::vector<std::string>{"https://a.test", "http://b.test:8080"};
       }},
      {"memory", "2GiB", [](const auto& c) { return c.memory == 2ull << 30; }},
      {"state_dir", "/var/lib/leat", [](const auto& c) { return c.state_dir == "/var/lib/leat"; }},
      {"cert", "cert.pem", [](const auto& c) { return c.cert == "cert.pem"; }},
      {"key", "key.pem", [](const auto& c) { return c.key == "key.pem"; }},
      {"certs", "a.pem:a.key, b.pem:b.key",
       [](const auto& c) {
         return c.certs == std::vector<CertificatePair>{{"a.pem", "a.key"}, {"b.pem", "b.key"}};
       }},
      {"wildcard", "true", [](const auto& c) { return c.wildcard == true; }},
      {"trusted_proxies", "10.0.0.0/8,::1",
       [](const auto& c) {
         return c.trusted_proxies && c.trusted_proxies->size() == 2 &&
                contains(*c.trusted_proxies, "10.1.2.3");
       }},
      {"proxy_protocol", "127.0.0.1",
       [](const auto& c) { return c.proxy_protocol && contains(*c.proxy_protocol, "127.0.0.1"); }},
      {"jwt_keys", "keys.json", [](const auto& c) { return c.jwt_keys == "keys.json"; }},
      {"jwt_audience", "us", [](const auto& c) { return c.jwt_audience == "us"; }},
      {"jwt_issuer", "them", [](const auto& c) { return c.jwt_issuer == "them"; }},
      {"plans", "plans.yaml", [](const auto& c) { return c.plans == "plans.yaml"; }},
      {"admin_key_file", "k", [](const auto& c) { return c.admin_key_file == "k"; }},
      {"connection_days", "30", [](const auto& c) { return c.connection_days == 30u; }},
      {"connection_rows", "0", [](const auto& c) { return c.connection_rows == 0u; }},
      {"connection_paths", "false", [](const auto& c) { return !c.connection_paths; }},
      {"public_registration", "true", [](const auto& c) { return c.public_registration; }},
      {"threads", "3", [](const auto& c) { return c.threads == 3u; }},
      {"send_governor", "off", [](const auto& c) { return !c.send_governor; }},
      {"log_level", "warn", [](const auto& c) { return c.log_level == log::Level::warn; }},
      {"log_format", "json", [](const auto& c) { return c.log_format == log::Format::json; }},
  };
  return all;
}

std::string variable(std::string_view key) {
  std::string name = "LEAT_";
  for (const char c : key) name += static_cast<char>(std::toupper(c));
  return name;
}

TEST(RelayConfig, EveryKeyFromAFile) {
  const test::TempDir dir;
  std::string text;
  for (const Case& each : cases())
    text.append(each.key).append(": \"").append(each.value) += "\"\n";
  ASSERT_TRUE(write_file(dir / "relay.yaml", text, 0644, Code::CONFIG_FILE));
  const auto config = read_relay_file(dir / "relay.yaml");
  ASSERT_TRUE(config) << config.error().detail;
  for (const Case& each : cases()) EXPECT_TRUE(each.arrived(*config)) << each.key;
}

TEST(RelayConfig, EveryKeyAloneFromTheEnvironment) {
  for (const Case& each : cases()) {
    const std::string name = variable(each.key);
    const test::Variable set(name.c_str(), each.value);
    RelayConfig config;
    ASSERT_FALSE(each.arrived(config)) << each.key;
    const auto settings = relay_environment();
    ASSERT_EQ(settings.size(), 1u) << each.key;
    EXPECT_EQ(settings.front().where, name);
    ASSERT_TRUE(apply(config, settings, Code::USAGE));
    EXPECT_TRUE(each.arrived(config)) << each.key;
    for (const Case& other : cases()) {
      EXPECT_EQ(other.arrived(config), &other == &each) << each.key << " set " << other.key;
    }
  }
}

TEST(RelayConfig, KnowsItsKeys) {
  std::set<std::string_view> keys;
  for (const Case& each : cases()) {
    EXPECT_TRUE(is_relay_key(each.key));
    keys.insert(each.key);
  }
  for (const char* other : {"", "relay", "services", "Listen", "tcp-ports"}) {
    EXPECT_FALSE(is_relay_key(other)) << other;
  }
  // The error lists every key, so this table lacks none.
  RelayConfig config;
  const Setting unknown{"nothing", "", "x"};
  const std::string detail = apply(config, std::span(&unknown, 1), Code::USAGE).error().detail;
  EXPECT_EQ(std::count(detail.begin(), detail.end(), ','), static_cast<long>(keys.size()));
}

TEST(RelayConfig, AnEmptyVariableIsNone) {
  const test::Variable set("LEAT_LISTEN", "");
  EXPECT_TRUE(relay_environment().empty());
}

TEST(RelayConfig, WhatIsAppliedLaterWins) {
  const test::TempDir dir;
  ASSERT_TRUE(write_file(dir / "relay.yaml",
                         "listen: 0.0.0.0:1\ndomain: file.example\nstate_dir: /file\n", 0644,
                         Code::CONFIG_FILE));
  const test::Variable listen("LEAT_LISTEN", "0.0.0.0:2");
  const test::Variable domain("LEAT_DOMAIN", "variable.example");
  RelayConfig config = read_relay_file(dir / "relay.yaml").value();
  ASSERT_TRUE(apply(config, relay_environment(), Code::USAGE));
  const Setting flag{"listen", "0.0.0.0:3", "--listen"};
  ASSERT_TRUE(apply(config, std::span(&flag, 1), Code::USAGE));
  EXPECT_EQ(config.listen->port, 3);
  EXPECT_EQ(config.domain, "variable.example");
  EXPECT_EQ(config.state_dir, "/file");
}

TEST(RelayConfig, ErrorsNameTheirSource) {
  RelayConfig config;
  const Setting flag{"tcp_ports", "1-x", "--tcp-ports"};
  const auto refused = apply(config, std::span(&flag, 1), Code::USAGE);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::USAGE);
  EXPECT_EQ(refused.error().detail, "--tcp-ports: expected LO-HI within 1 to 65535, found \"1-x\"");
}

}  // namespace
}  // namespace leat::config
