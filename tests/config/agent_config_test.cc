#include "config/agent_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/crypto_util.h"
#include "base/file.h"
#include "config/environment.h"
#include "config/files.h"
#include "support/temp_dir.h"

namespace leat::config {
namespace {

using test::Variable;
using Carrier = RelayAddress::Carrier;

const std::string kPin = "sha256:" + std::string(64, 'a');

struct Case {
  std::string key, value;
  std::function<bool(const AgentConfig&)> arrived;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"relay", "relay.example.com:8443",
       [](const auto& c) {
         return c.relay == RelayAddress{{"relay.example.com", 8443}, Carrier::tls};
       }},
      {"relay_server", "wss://relay.example.com",
       [](const auto& c) {
         return c.relay == RelayAddress{{"relay.example.com", 443}, Carrier::websocket};
       }},
      {"pin", kPin, [](const auto& c) { return c.pin == std::string(32, '\xaa'); }},
      {"ca", "ca.pem", [](const auto& c) { return c.ca == "ca.pem"; }},
      {"token", "leat_one",
       [](const auto& c) { return c.token && c.token->reveal() == "leat_one"; }},
      {"relay_token", "leat_two",
       [](const auto& c) { return c.token && c.token->reveal() == "leat_two"; }},
      {"token_file", "token", [](const auto& c) { return c.token_file == "token"; }},
      {"state_dir", "/var/lib/leat", [](const auto& c) { return c.state_dir == "/var/lib/leat"; }},
      {"proxy", "http://proxy.test:3128",
       [](const auto& c) {
         return c.proxy && c.proxy->address == HostPort{"proxy.test", 3128};
       }},
      {"direct", "10.0.0.1:4443, [::1]:1",
       [](const auto& c) {
         return c.direct == std::vector<HostPort>{{"10.0.0.1", 4443}, {"::1", 1}};
       }},
      {"send_governor", "off", [](const auto& c) { return c.send_governor == false; }},
      {"padding", "true", [](const auto& c) { return c.padding == true; }},
      {"metrics_listen", "127.0.0.1:9100",
       [](const auto& c) {
         return c.metrics_listen == HostPort{"127.0.0.1", 9100};
       }},
      {"local_agent_url", "http://127.0.0.1:11434/v1",
       [](const auto& c) {
         return c.services.size() == 1 && c.services[0].kind == Kind::http &&
                c.services[0].target->address == HostPort{"127.0.0.1", 11434} &&
                !c.services[0].id && !c.services[0].is_public;
       }},
      {"log_level", "debug", [](const auto& c) { return c.log_level == log::Level::debug; }},
      {"log_format", "text", [](const auto& c) { return c.log_format == log::Format::text; }},
  };
  return all;
}

std::string variable(std::string_view key) {
  std::string name = "LEAT_";
  for (const char c : key) name += static_cast<char>(std::toupper(c));
  return name;
}

Result<void> set(AgentConfig& config, std::vector<Setting> settings) {
  return apply(config, settings, Code::USAGE);
}

Result<ServiceConfig> service(std::vector<Setting> settings) {
  ServiceConfig out;
  if (const auto done = apply(out, settings, Code::USAGE); !done) {
    return tl::unexpected(done.error());
  }
  if (const auto done = check(out, "service", Code::USAGE); !done) {
    return tl::unexpected(done.error());
  }
  return out;
}

TEST(AgentConfig, EveryKeyAloneFromAFileAndFromTheEnvironment) {
  const test::TempDir dir;
  for (const Case& each : cases()) {
    const std::string text = each.key + ": " + each.value + "\n";
    ASSERT_TRUE(write_file(dir / "leat.yaml", text, 0600, Code::CONFIG_FILE));
    const auto file = read_agent_file(dir / "leat.yaml");
    ASSERT_TRUE(file) << file.error().detail;
    EXPECT_TRUE(each.arrived(*file)) << each.key;

    const std::string name = variable(each.key);
    const Variable set_one(name.c_str(), each.value.c_str());
    const auto settings = agent_environment();
    ASSERT_EQ(settings.size(), 1u) << each.key;
    EXPECT_EQ(settings.front().where, name);
    AgentConfig config;
    ASSERT_TRUE(apply(config, settings, Code::USAGE));
    for (const Case& other : cases()) {
      EXPECT_EQ(other.arrived(config), &other == &each) << each.key << " set " << other.key;
    }
  }
}

TEST(AgentConfig, KnowsItsKeys) {
  for (const Case& each : cases()) EXPECT_TRUE(is_agent_key(each.key)) << each.key;
  EXPECT_TRUE(is_agent_key("services"));
  for (const char* other : {"", "listen", "id", "Relay"}) EXPECT_FALSE(is_agent_key(other));
  AgentConfig config;
  const std::string detail = set(config, {{"nothing", "", "x"}}).error().detail;
  EXPECT_EQ(std::count(detail.begin(), detail.end(), ','), static_cast<long>(cases().size()) + 1)
      << "those of the table, and services";
}

TEST(AgentConfig, WhatIsAppliedLaterWins) {
  AgentConfig config;
  ASSERT_TRUE(set(config, {{"relay_server", "wss://one", ""}, {"state_dir", "/one", ""}}));
  ASSERT_TRUE(set(config, {{"relay", "two:8443", ""}}));
  EXPECT_EQ(config.relay, (RelayAddress{{"two", 8443}, Carrier::tls}));
  EXPECT_EQ(config.state_dir, "/one");
}

// Another way to trust the relay, or to give the token, replaces the one of a weaker source.
TEST(AgentConfig, AlternativesReplaceEachOther) {
  AgentConfig config;
  ASSERT_TRUE(set(config, {{"pin", kPin, ""}, {"token", "leat_one", ""}}));
  ASSERT_TRUE(set(config, {{"ca", "ca.pem", ""}, {"token_file", "file", ""}}));
  EXPECT_FALSE(config.pin);
  EXPECT_FALSE(config.token);
  EXPECT_EQ(config.ca, "ca.pem");
  EXPECT_EQ(config.token_file, "file");
  ASSERT_TRUE(set(config, {{"pin", kPin, ""}, {"relay_token", "leat_two", ""}}));
  EXPECT_TRUE(config.pin);
  EXPECT_FALSE(config.ca);
  EXPECT_FALSE(config.token_file);
  EXPECT_EQ(config.token->reveal(), "leat_two");
}

TEST(AgentConfig, OneSourceGivesOneOfThem) {
  const std::pair<Setting, Setting> kPairs[] = {
      {{"pin", kPin, "a"}, {"ca", "ca.pem", "b"}},
      {{"token", "x", "a"}, {"token_file", "y", "b"}},
      {{"relay_token", "x", "a"}, {"token", "x", "b"}},
      {{"relay", "h", "a"}, {"relay_server", "wss://h", "b"}},
  };
  for (const auto& [first, second] : kPairs) {
    AgentConfig config;
    const auto refused = set(config, {first, second});
    ASSERT_FALSE(refused) << first.key;
    EXPECT_EQ(refused.error().detail, "b: cannot be given together with " + first.key);
  }
  AgentConfig config;
  EXPECT_EQ(set(config, {{"ca", "x", "a"}, {"ca", "x", "b"}}).error().detail, "b: is given twice");
}

TEST(AgentConfig, ErrorsDoNotShowTokens) {
  AgentConfig config;
  const auto refused =
      set(config, {{"token", "leat_sentinel", "a"}, {"relay_token", "leat_sentinel", "b"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text().find("sentinel"), std::string::npos);
  EXPECT_FALSE(set(config, {{"token", "", "a"}}));
}

// --- services ---

TEST(ServiceConfig, EveryKey) {
  const auto http = service({{"id", "notes", ""},
                             {"target", "https://nas.local", ""},
                             {"public", "true", ""},
                             {"host_header", "preserve", ""},
                             {"origin", "https://nas.local", ""},
                             {"insecure", "true", ""},
                             {"host", "Notes.example.com, n.example.com", ""},
                             {"first_byte_timeout", "30s", ""},
                             {"idle_timeout", "1h", ""},
                             {"proxy_protocol", "v2", ""},
                             {"preset", "y-websocket", ""},
                             {"health", "/up?x", ""},
                             {"health_interval", "1m", ""},
                             {"cors", "https://a.test, http://b.test:81", ""},
                             {"sse_comments", "20s", ""},
                             {"visitor_tokens", "tokens", ""},
                             {"visitor_users", "users", ""},
                             {"visitor_jwt_keys", "keys", ""},
                             {"visitor_jwt_audience", "us", ""},
                             {"visitor_jwt_issuer", "them", ""},
                             {"allow", "192.0.2.0/24, ::1", ""}});
  ASSERT_TRUE(http) << http.error().detail;
  EXPECT_EQ(http->id, "notes");
  EXPECT_EQ(http->effective_kind(), Kind::http);
  EXPECT_EQ(http->target, (Target{{"nas.local", 443}, Kind::http, true}));
  EXPECT_TRUE(http->is_public);
  EXPECT_EQ(http->host_header, "preserve");
  EXPECT_EQ(http->origin, "https://nas.local");
  EXPECT_TRUE(http->insecure);
  EXPECT_EQ(http->host, (std::vector<std::string>{"notes.example.com", "n.example.com"}));
  EXPECT_EQ(http->first_byte_timeout, std::chrono::seconds(30));
  EXPECT_EQ(http->idle_timeout, std::chrono::hours(1));
  EXPECT_EQ(http->proxy_protocol, 2);
  EXPECT_EQ(http->preset, Preset::y_websocket);
  EXPECT_EQ(http->health, (HealthCheck{"/up?x", false}));
  EXPECT_EQ(http->health_interval, std::chrono::minutes(1));
  EXPECT_EQ(http->cors, (std::vector<std::string>{"https://a.test", "http://b.test:81"}));
  EXPECT_EQ(http->sse_comments, std::chrono::seconds(20));
  EXPECT_EQ(http->visitor_tokens, "tokens");
  EXPECT_EQ(http->visitor_users, "users");
  EXPECT_EQ(http->visitor_jwt_keys, "keys");
  EXPECT_EQ(http->visitor_jwt_audience, "us");
  EXPECT_EQ(http->visitor_jwt_issuer, "them");
  EXPECT_EQ(http->allow, (std::vector<std::string>{"192.0.2.0/24", "::1"}));

  const auto tcp =
      service({{"kind", "tcp", ""}, {"target", "22", ""}, {"remote_port", "2222", ""}});
  ASSERT_TRUE(tcp) << tcp.error().detail;
  EXPECT_EQ(tcp->effective_kind(), Kind::tcp);
  EXPECT_EQ(tcp->remote_port, 2222);
  EXPECT_FALSE(tcp->is_public);

  const auto tls = service({{"target", "tls://nas", ""}, {"host", "nas.example.com", ""}});
  ASSERT_TRUE(tls) << tls.error().detail;
  EXPECT_EQ(tls->effective_kind(), Kind::tls);
  EXPECT_EQ(tls->target->address, (HostPort{"nas", 443}));

  EXPECT_EQ(service({{"target", "8080", ""}})->effective_kind(), Kind::http);
  EXPECT_EQ(service({{"target", "tcp://nas:22", ""}})->effective_kind(), Kind::tcp);
  EXPECT_EQ(service({{"target", "8080", ""}, {"kind", "ws", ""}})->effective_kind(), Kind::ws);
  const auto room = service({{"target", "1234", ""}, {"room", "notes", ""}});
  EXPECT_EQ(room->effective_kind(), Kind::ws);
  EXPECT_EQ(room->id, "notes");
}

TEST(ServiceConfig, RefusesWhatIsNone) {
  const std::pair<const char*, const char*> kCases[] = {
      {"preset", "llama"},
      {"preset", ""},
      {"health", "health"},
      {"health", ""},
      {"health", "/a b"},
      {"health_interval", "10ms"},
      {"cors", ""},
      {"cors", "a.test"},
      {"cors", "https://a.test/"},
      {"cors", "https://a.test,"},
      {"cors", "https://a@b.test"},
      {"sse_comments", "10ms"},
      {"sse_comments", "on"},
  };
  for (const auto& [key, value] : kCases) {
    const auto refused = service({{"target", "80", ""}, {key, value, "here"}});
    ASSERT_FALSE(refused) << key << " " << value;
    EXPECT_NE(refused.error().detail.find("here: expected "), std::string::npos);
  }
  for (const auto& [key, value] : std::vector<std::pair<const char*, const char*>>{
           {"preset", "vllm"}, {"health", "/up"}, {"cors", "*"}, {"sse_comments", "5s"}}) {
    EXPECT_FALSE(service({{"target", "tcp://nas:22", ""}, {key, value, ""}})) << key;
  }
  // What the relay would have to enforce it cannot see: better refused than not enforced.
  for (const auto& [key, value] : std::vector<std::pair<const char*, const char*>>{
           {"allow", "192.0.2.0/24"}, {"visitor_tokens", "f"}, {"visitor_users", "f"}}) {
    EXPECT_FALSE(service({{"target", "80", ""}, {"sealed", "true", ""}, {key, value, ""}})) << key;
  }
  EXPECT_TRUE(service({{"target", "tcp://nas:22", ""}, {"health", "none", ""}}));
}

TEST(ServiceConfig, KeysMustAgree) {
  const struct {
    std::vector<Setting> settings;
    const char* want;
  } kCases[] = {
      {{{"id", "notes", "x"}}, "service: target is missing"},
      {{{"target", "tcp://a:1", "x"}, {"host", "a.example", "y"}},
       "service: host is for kinds http and tls"},
      {{{"target", "ws://a", "x"}, {"host", "a.example", "y"}},
       "service: host is for kinds http and tls"},
      {{{"target", "tls://a", "x"}, {"idle_timeout", "1m", "y"}},
       "service: first_byte_timeout and idle_timeout are for kind http"},
      {{{"target", "1", "x"}, {"host", "a.example,,b.example", "y"}},
       "y: expected a DNS name such as chat.example.com, found nothing"},
      {{{"target", "1", "x"}, {"idle_timeout", "8d", "y"}},
       "y: expected a time from 1s to 168h, found \"8d\""},
      {{{"target", "1", "x"}, {"proxy_protocol", "v3", "y"}},
       "y: expected none, v1 or v2, found \"v3\""},
      {{{"kind", "tcp", "x"}, {"target", "http://a", "y"}}, "y: kind http contradicts kind tcp"},
      {{{"target", "http://a", "x"}, {"kind", "tcp", "y"}}, "y: kind tcp contradicts kind http"},
      {{{"target", "80", "x"}, {"remote_port", "1", "y"}}, "service: remote_port is for kind tcp"},
      {{{"target", "tcp://a:1", "x"}, {"host_header", "a", "y"}},
       "service: host_header is for kinds http and ws"},
      {{{"target", "tcp://a:1", "x"}, {"origin", "a", "y"}},
       "service: origin is for kinds http and ws"},
      {{{"target", "http://a", "x"}, {"room", "a", "y"}}, "y: kind ws contradicts kind http"},
      {{{"id", "a", "x"}, {"room", "a", "y"}}, "y: cannot be given together with id"},
      {{{"target", "tcp://a:1", "x"}, {"visitor_tokens", "f", "y"}},
       "service: credentials of visitors are for kinds http and ws; use allow"},
      {{{"target", "http://a", "x"}, {"insecure", "true", "y"}},
       "service: insecure is for https targets"},
      {{{"target", "ws://a", "x"}, {"sealed", "true", "y"}},
       "service: sealed is for kinds http and tcp"},
      {{{"target", "tcp://a:1", "x"}, {"sealed", "true", "y"}, {"remote_port", "1", "z"}},
       "service: a sealed service has no remote_port"},
      {{{"target", "80", "x"}, {"sealed", "true", "y"}, {"public", "true", "z"}},
       "service: a sealed service is for paired devices: it has no host and is not public"},
      {{{"target", "80", "x"}, {"sealed", "true", "y"}, {"host", "a.example", "z"}},
       "service: a sealed service is for paired devices: it has no host and is not public"},
  };
  for (const auto& each : kCases) {
    const auto refused = service(each.settings);
    ASSERT_FALSE(refused) << each.want;
    EXPECT_EQ(refused.error().detail, each.want);
    EXPECT_EQ(refused.error().code, Code::USAGE);
  }
}

TEST(LocalAgentUrl, StandsForOneService) {
  const struct {
    const char* url;
    Kind kind;
    HostPort address;
  } kCases[] = {
      {"http://localhost:11434", Kind::http, {"localhost", 11434}},
      {"ws://localhost:1234/socket?x=1", Kind::ws, {"localhost", 1234}},
      {"localhost:8080", Kind::http, {"localhost", 8080}},
      {"tcp://localhost:22", Kind::tcp, {"localhost", 22}},
  };
  for (const auto& each : kCases) {
    AgentConfig config;
    ASSERT_TRUE(set(config, {{"local_agent_url", each.url, ""}})) << each.url;
    ASSERT_EQ(config.services.size(), 1u);
    EXPECT_EQ(config.services[0].effective_kind(), each.kind) << each.url;
    EXPECT_EQ(config.services[0].target->address, each.address) << each.url;
    EXPECT_TRUE(check(config.services[0], "", Code::USAGE));
  }
  AgentConfig config;
  EXPECT_FALSE(set(config, {{"local_agent_url", "ftp://x:1", ""}}));
}

// --- the variables of another gateway ---

class GatewayVariables : public testing::Test {
  const Variable url_{"GATEWAY_URL", nullptr}, room_{"ROOM_ID", nullptr},
      port_{"LOCAL_PORT", nullptr};
};

TEST_F(GatewayVariables, NoneChangesNothing) {
  AgentConfig config;
  ASSERT_TRUE(apply_gateway_variables(config));
  EXPECT_FALSE(config.relay);
  EXPECT_TRUE(config.services.empty());
}

TEST_F(GatewayVariables, MakeARelayAndAWebSocketService) {
  const Variable url("GATEWAY_URL", "ws://host:3000/ws"), room("ROOM_ID", "notes"),
      port("LOCAL_PORT", "1234");
  AgentConfig config;
  ASSERT_TRUE(apply_gateway_variables(config));
  EXPECT_EQ(config.relay, (RelayAddress{{"host", 3000}, Carrier::plain_websocket}));
  ASSERT_EQ(config.services.size(), 1u);
  EXPECT_EQ(config.services[0].id, "notes");
  EXPECT_EQ(config.services[0].kind, Kind::ws);
  EXPECT_EQ(config.services[0].target, (Target{{"127.0.0.1", 1234}, {}, false}));
  EXPECT_TRUE(check(config.services[0], "", Code::USAGE));
}

TEST_F(GatewayVariables, OnlyFillInWhatIsMissing) {
  const Variable url("GATEWAY_URL", "ws://host:3000/ws"), room("ROOM_ID", "notes"),
      port("LOCAL_PORT", "1234");
  AgentConfig config;
  ASSERT_TRUE(set(config, {{"relay", "mine", ""}, {"local_agent_url", "8080", ""}}));
  ASSERT_TRUE(apply_gateway_variables(config));
  EXPECT_EQ(config.relay->address.host, "mine");
  ASSERT_EQ(config.services.size(), 1u);
  EXPECT_EQ(config.services[0].target->address.port, 8080);
}

TEST_F(GatewayVariables, ErrorsNameTheVariable) {
  const auto error_with = [](const char* name, const char* value) {
    const Variable port("LOCAL_PORT", "1234");
    const Variable wrong(name, value);
    AgentConfig config;
    const auto done = apply_gateway_variables(config);
    return done ? std::string() : done.error().detail;
  };
  EXPECT_TRUE(error_with("GATEWAY_URL", "http://x").starts_with("GATEWAY_URL: expected "));
  EXPECT_TRUE(error_with("ROOM_ID", "a room").starts_with("ROOM_ID: expected "));
  EXPECT_TRUE(error_with("LOCAL_PORT", "x").starts_with("LOCAL_PORT: expected "));
}

// --- the token ---

TEST(ReadToken, FromItsFileWithoutTheSpaceAround) {
  const test::TempDir dir;
  AgentConfig config;
  config.token_file = dir / "token";
  for (const char* text : {"leat_x", "leat_x\n", " \tleat_x\r\n\n"}) {
    ASSERT_TRUE(write_file(dir / "token", text, 0600, Code::CONFIG_FILE));
    const auto token = read_token(config);
    ASSERT_TRUE(token) << token.error().detail;
    EXPECT_EQ(token->reveal(), "leat_x");
  }
  for (const char* text : {"", "\n", " \t\r\n"}) {
    ASSERT_TRUE(write_file(dir / "token", text, 0600, Code::CONFIG_FILE));
    EXPECT_EQ(read_token(config).error().code, Code::NO_TOKEN);
  }
}

TEST(ReadToken, FailsClosed) {
  const test::TempDir dir;
  AgentConfig config;
  EXPECT_EQ(read_token(config).error().code, Code::NO_TOKEN);
  config.token_file = dir / "none";
  EXPECT_EQ(read_token(config).error().code, Code::NO_TOKEN);
  ASSERT_TRUE(write_file(dir / "token", "leat_x", 0644, Code::CONFIG_FILE));
  config.token_file = dir / "token";
  EXPECT_EQ(read_token(config).error().code, Code::NO_TOKEN);
  config.token = Secret(std::string("leat_y"));
  EXPECT_EQ(read_token(config)->reveal(), "leat_y");
}

}  // namespace
}  // namespace leat::config
