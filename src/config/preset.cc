#include "config/preset.h"

#include <chrono>
#include <utility>

#include "base/limits.h"

namespace leat::config {
namespace {

using namespace std::chrono_literals;

bool speaks_http(const ServiceConfig& service) {
  return service.effective_kind() == Kind::http || service.effective_kind() == Kind::ws;
}

// Loading a model, or waiting for a place in the queue, comes before the first byte.
constexpr Duration kModelFirstByte = 15min;

void fill(ServiceConfig& into, const ServiceConfig& from) {
  const auto take = [](auto& field, const auto& value) {
    if (!field) field = value;
  };
  take(into.host_header, from.host_header);
  take(into.origin, from.origin);
  take(into.health, from.health);
  take(into.first_byte_timeout, from.first_byte_timeout);
}

ServiceConfig of_preset(Preset preset) {
  ServiceConfig out;
  out.host_header = "rewrite";
  switch (preset) {
    case Preset::ollama:
      // It answers 403 to every Origin but its own machine's, also to those of programs.
      out.origin = "remove";
      out.health = HealthCheck{"/api/version"};
      out.first_byte_timeout = kModelFirstByte;
      break;
    case Preset::vllm:
      out.health = HealthCheck{"/health"};
      out.first_byte_timeout = kModelFirstByte;
      break;
    case Preset::openai:
      out.health = HealthCheck{"/v1/models"};
      out.first_byte_timeout = kModelFirstByte;
      break;
    case Preset::y_websocket:
      // Who may come from where is for the server to say. A document may rest for hours: no timer
      // runs for a WebSocket.
      out.origin = "preserve";
      break;
  }
  return out;
}

ServiceConfig defaults(const ServiceConfig& service) {
  ServiceConfig out;
  if (!speaks_http(service)) return out;
  out.host_header = "rewrite";
  out.origin = "rewrite";
  return out;
}

std::string text_of(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms % 60'000 == 0) return std::to_string(ms / 60'000) + "m";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

std::string text_of(const std::string& text) { return text; }

std::string text_of(const HealthCheck& health) {
  if (health.path.empty()) return health.connects ? "connect" : "none";
  return health.path;
}

// Of one field: as it was written, as the preset has it, or the default.
template <typename T>
void add(std::vector<Effect>& out, const char* key, const std::optional<T>& written,
         const std::optional<T>& preset, const std::optional<T>& otherwise) {
  if (written) {
    out.push_back({key, text_of(*written), "as written"});
  } else if (preset) {
    out.push_back({key, text_of(*preset), "preset"});
  } else if (otherwise) {
    out.push_back({key, text_of(*otherwise), "default"});
  }
}

bool asks_nothing(const ServiceConfig& service) {
  return !service.visitor_tokens && !service.visitor_users && !service.visitor_jwt_keys &&
         service.allow.empty();
}

// Who is let in.
std::string visitors(const ServiceConfig& service) {
  std::string out;
  const auto add_word = [&](bool is, std::string_view word) {
    if (is) out.append(out.empty() ? "" : " or ").append(word);
  };
  add_word(service.visitor_tokens.has_value(), "a token");
  add_word(service.visitor_users.has_value(), "a password");
  add_word(service.visitor_jwt_keys.has_value(), "a JWT");
  if (out.empty()) {
    const bool secret = speaks_http(service) && !service.is_public && !service.host;
    out = service.sealed ? "paired devices" : secret ? "who knows the id" : "everybody";
  }
  for (const std::string& network : service.allow) {
    out.append(&network == &service.allow.front() ? ", from " : " ").append(network);
  }
  return out;
}

}  // namespace

std::string_view name(Preset preset) {
  switch (preset) {
    case Preset::ollama:
      return "ollama";
    case Preset::vllm:
      return "vllm";
    case Preset::openai:
      return "openai";
    case Preset::y_websocket:
      return "y-websocket";
  }
  return {};
}

ServiceConfig resolve(ServiceConfig service) {
  if (service.preset) fill(service, of_preset(*service.preset));
  fill(service, defaults(service));
  if (!service.health) service.health = HealthCheck{"", true};
  if (!service.health_interval && !service.health->path.empty()) {
    service.health_interval = limits::kHealthInterval;
  }
  return service;
}

std::vector<Effect> effects(const ServiceConfig& service) {
  const ServiceConfig preset = service.preset ? of_preset(*service.preset) : ServiceConfig();
  const ServiceConfig resolved = resolve(service);
  std::vector<Effect> out;
  if (service.preset) {
    out.push_back({"preset", std::string(name(*service.preset)), "as written"});
  }
  out.push_back({"visitors", visitors(service), asks_nothing(service) ? "default" : "as written"});
  const bool http = speaks_http(service);
  const auto both = [&](const char* key, auto field) {
    add(out, key, service.*field, preset.*field, resolved.*field);
  };
  if (http) {
    both("host_header", &ServiceConfig::host_header);
    both("origin", &ServiceConfig::origin);
  }
  both("health", &ServiceConfig::health);
  both("health_interval", &ServiceConfig::health_interval);
  if (!http) return out;
  const auto or_else = [&](const char* key, auto field, std::optional<Duration> otherwise) {
    add(out, key, service.*field, preset.*field, otherwise);
  };
  or_else("first_byte_timeout", &ServiceConfig::first_byte_timeout, Duration(limits::kFirstByte));
  or_else("idle_timeout", &ServiceConfig::idle_timeout, Duration(limits::kIdleBody));
  std::string cors;
  for (const std::string& origin : service.cors)
    cors.append(cors.empty() ? "" : ",").append(origin);
  out.push_back({"cors", cors.empty() ? "none" : cors, cors.empty() ? "default" : "as written"});
  if (service.sse_comments && *service.sse_comments > Duration(0)) {
    out.push_back({"sse_comments", text_of(*service.sse_comments), "as written"});
  } else {
    out.push_back({"sse_comments", "off", service.sse_comments ? "as written" : "default"});
  }
  return out;
}

}  // namespace leat::config
