#include "config/files.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::config {
namespace {

class Files : public testing::Test {
 protected:
  // The detail of the error, without the folder; "" if the file is right.
  template <typename Read>
  std::string error(Read read, std::string_view text, mode_t mode = 0600,
                    Code want = Code::CONFIG) {
    EXPECT_TRUE(write_file(path_, text, mode, Code::CONFIG_FILE));
    const auto config = read(path_);
    if (config) return "";
    EXPECT_EQ(config.error().code, want) << config.error().detail;
    std::string detail = config.error().detail;
    for (std::size_t at; (at = detail.find(dir_.path() + "/")) != detail.npos;) {
      detail.erase(at, dir_.path().size() + 1);
    }
    return detail;
  }
  std::string relay_error(std::string_view text) { return error(read_relay_file, text); }
  std::string agent_error(std::string_view text) { return error(read_agent_file, text); }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "leat.yaml";
};

TEST_F(Files, AnAgentWithManyServices) {
  constexpr char kText[] = R"(# what is at home
relay: relay.example.com
pin: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
token_file: /etc/leat/token
services:
  - target: 11434
    host_header: rewrite
    origin: remove
  - {id: shell, kind: tcp, target: "127.0.0.1:22", remote_port: 2222, public: true}
  - id: notes
    target: ws://localhost:1234
)";
  ASSERT_TRUE(write_file(path_, kText, 0644, Code::CONFIG_FILE));
  const auto config = read_agent_file(path_);
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config->relay->address, (HostPort{"relay.example.com", 443}));
  EXPECT_EQ(config->token_file, "/etc/leat/token");
  ASSERT_EQ(config->services.size(), 3u);
  EXPECT_EQ(config->services[0].target->address, (HostPort{"127.0.0.1", 11434}));
  EXPECT_EQ(config->services[0].origin, "remove");
  EXPECT_FALSE(config->services[0].id);
  EXPECT_EQ(config->services[1].remote_port, 2222);
  EXPECT_TRUE(config->services[1].is_public);
  EXPECT_EQ(config->services[2].kind, Kind::ws);
}

TEST_F(Files, AnEmptyOneIsAMistake) {
  for (const char* text : {"", "\n\n", "# nothing yet\n", "---\n", "{}\n"}) {
    EXPECT_EQ(relay_error(text), "leat.yaml: holds no settings") << text;
    EXPECT_EQ(agent_error(text), "leat.yaml: holds no settings") << text;
  }
}

TEST_F(Files, ABinaryOneIsNotRepeated) {
  EXPECT_EQ(relay_error(std::string_view("\x7f"
                                         "ELF\0\1",
                                         6)),
            "leat.yaml: is not a text file");
}

TEST_F(Files, AnAliasIsRefusedWhereItStands) {
  EXPECT_EQ(agent_error("services: &s\n  - target: 80\n    x: *s\n"),
            "leat.yaml:3: aliases (*name) are not taken; write it out");
  EXPECT_EQ(agent_error("a: &a\n  - x: 1\nb: &b\n  - x: *a\n    y: *a\nc: *b\n"),
            "leat.yaml:4: aliases (*name) are not taken; write it out");
  EXPECT_EQ(relay_error("state_dir: &here /s\nlisten: *here\n"),
            "leat.yaml:2: aliases (*name) are not taken; write it out");
}

TEST_F(Files, DepthAndSizeAreBounded) {
  std::string deep = "services: ";
  for (int i = 0; i < 100; ++i) deep += "[{a: ";
  EXPECT_EQ(agent_error(deep + "1" +
                        [] {
                          std::string closed;
                          for (int i = 0; i < 100; ++i) closed += "}]";
                          return closed;
                        }()),
            "leat.yaml:1: nested too deeply");
  std::string wide = "services: [";
  for (int i = 0; i < 100'001; ++i) wide += "1,";
  EXPECT_EQ(agent_error(wide + "]"), "leat.yaml:1: too many entries");
}

TEST_F(Files, KeysMayBeWrittenAsTheFlagsAre) {
  ASSERT_TRUE(write_file(path_, "state-dir: /s\ntcp-ports: 1-2\n", 0600, Code::CONFIG_FILE));
  const auto relay = read_relay_file(path_);
  ASSERT_TRUE(relay) << relay.error().detail;
  EXPECT_EQ(relay->state_dir, "/s");
  EXPECT_EQ(relay->tcp_ports, (PortRange{1, 2}));
  // What is secret under one spelling is under the other.
  EXPECT_NE(error(read_agent_file, "relay-token: leat_x\n", 0644, Code::CONFIG_FILE), "");
}

TEST_F(Files, RelayErrorsNameFileLineAndKey) {
  const struct {
    const char *text, *want;
  } kCases[] = {
      {"listen: nowhere\n",
       "leat.yaml:1: listen: expected HOST:PORT with a port from 0 to 65535, found \"nowhere\""},
      {"# a\n\nlisten: 0.0.0.0:443\nplain_listen: x:y\n",
       "leat.yaml:4: plain_listen: expected HOST:PORT with a port from 0 to 65535, found \"x:y\""},
      {"admin_listen: [1, 2]\n",
       "leat.yaml:1: admin_listen[0]: expected keys and their values, found a single value"},
      {"admin_listen: []\n", "leat.yaml:1: admin_listen: expected a single value, found a list"},
      {"admin_listen:\n  - {a: b}\n",
       "leat.yaml:1: admin_listen: expected a single value, found a list"},
      {"domain: {a: b}\n",
       "leat.yaml:1: domain: expected a single value or a list, found a mapping"},
      {"domain: http://x\n",
       "leat.yaml:1: domain: expected a host name or an address, found \"http://x\""},
      {"public_url: relay\n",
       "leat.yaml:1: public_url: expected https://HOST[:PORT] or http://HOST[:PORT], found "
       "\"relay\""},
      {"tcp_ports: 9-8\n",
       "leat.yaml:1: tcp_ports: expected LO-HI within 1 to 65535, found \"9-8\""},
      {"state_dir: ''\n", "leat.yaml:1: state_dir: expected a path, found nothing"},
      {"state_dir:\n", "leat.yaml:1: state_dir: expected a single value or a list, found nothing"},
      {"cert: ~\n", "leat.yaml:1: cert: expected a single value or a list, found nothing"},
      {"threads: 0\n", "leat.yaml:1: threads: expected a number from 1 to 64, found \"0\""},
      {"log_level: loud\n",
       "leat.yaml:1: log_level: expected debug, info, warn, error or off, found \"loud\""},
      {"log_format: xml\n", "leat.yaml:1: log_format: expected text or json, found \"xml\""},
      {"domain: a\ndomain: b\n", "leat.yaml:2: domain: is given twice"},
      {"domain: a\ntcp-port: 1\n",
       "leat.yaml:2: tcp_port: unknown key, expected one of listen, plain_listen, admin_listen, "
       "domain, public_url, tcp_ports, open_rooms, agent_origins, memory, state_dir, cert, key, "
       "certs, wildcard, trusted_proxies, proxy_protocol, jwt_keys, jwt_audience, jwt_issuer, "
       "plans, admin_key_file, connection_days, connection_rows, connection_paths, "
       "public_registration, threads, send_governor, log_level, log_format"},
      {"just words\n", "leat.yaml:1: expected keys and their values, found a single value"},
      {"- a\n- b\n", "leat.yaml:1: expected keys and their values, found a list"},
      {"? [a, b]\n: c\n", "leat.yaml:1: expected a key, found a list"},
      {"domain: a\n---\ndomain: b\n", "leat.yaml:3: expected one document"},
  };
  for (const auto& each : kCases) EXPECT_EQ(relay_error(each.text), each.want) << each.text;
}

TEST_F(Files, AgentErrorsNameFileLineAndKey) {
  const struct {
    const char *text, *want;
  } kCases[] = {
      {"relay: a b\n", "leat.yaml:1: relay: expected HOST:PORT of the relay, found \"a b\""},
      {"relay_server: http://x\n",
       "leat.yaml:1: relay_server: expected HOST:PORT, wss://HOST or ws://HOST, found "
       "\"http://x\""},
      {"relay: a\nrelay_server: wss://b\n",
       "leat.yaml:2: relay_server: cannot be given together with relay"},
      {"pin: sha256:12\n",
       "leat.yaml:1: pin: expected a pin, \"sha256:\" and 64 hex digits, found \"sha256:12\""},
      {"listen: 80\n",
       "leat.yaml:1: listen: unknown key, expected one of relay, relay_server, pin, ca, token, "
       "relay_token, token_file, state_dir, proxy, direct, padding, metrics_listen, "
       "send_governor, services, "
       "local_agent_url, "
       "log_level, "
       "log_format"},
      {"services: 80\n",
       "leat.yaml:1: services: expected a list of services, found a single value"},
      {"services:\n  - 80\n",
       "leat.yaml:2: services[0]: expected keys and their values, found a single value"},
      {"services:\n  target: 80\n",
       "leat.yaml:1: services: expected a single value or a list, found a mapping"},
      {"services:\n  - target: 80\n  - id: x\n    target: nowhere\n",
       "leat.yaml:4: services[1].target: expected PORT, HOST:PORT or a URL such as "
       "http://HOST:PORT, found \"nowhere\""},
      {"services:\n  - target: 80\n    remote_port: 0\n",
       "leat.yaml:3: services[0].remote_port: expected a port from 1 to 65535, found \"0\""},
      {"services:\n  - target: 80\n    public: yes\n",
       "leat.yaml:3: services[0].public: expected true or false, found \"yes\""},
      {"services:\n  - target: 80\n    kind: udp\n",
       "leat.yaml:3: services[0].kind: expected http, tcp, ws or tls, found \"udp\""},
      {"services:\n  - target: 80\n    id: My Notes\n",
       "leat.yaml:3: services[0].id: expected 1 to 63 of a-z, 0-9 and '-', not '-' at the ends, "
       "found \"My Notes\""},
      {"services:\n  - target: 80\n    host_header: \"a\\r\\nb: c\"\n",
       "leat.yaml:3: services[0].host_header: expected rewrite, preserve or a value to send, found "
       "\"a\r\nb: c\""},
      {"services:\n  - target: 80\n    port: 1\n",
       "leat.yaml:3: services[0].port: unknown key, expected one of id, room, kind, target, "
       "public, remote_port, host_header, origin, insecure, host, first_byte_timeout, "
       "idle_timeout, proxy_protocol, preset, health, health_interval, cors, sse_comments, "
       "visitor_tokens, visitor_users, visitor_jwt_keys, visitor_jwt_audience, "
       "visitor_jwt_issuer, allow, sealed"},
      {"services:\n  - target: 80\n    target: 81\n",
       "leat.yaml:3: services[0].target: is given twice"},
      {"services:\n  - target: [80]\n",
       "leat.yaml:2: services[0].target[0]: expected keys and their values, found a single value"},
      {"services:\n  - id: a\n", "leat.yaml:2: services[0]: target is missing"},
      {"services:\n  - {id: a, target: 80}\n  - {id: a, target: 81}\n",
       "leat.yaml:3: services[1]: another service has the id a"},
      {"services: []\nservices: []\n", "leat.yaml:2: services: is given twice"},
      {"local_agent_url: 80\nservices:\n  - target: 81\n",
       "leat.yaml:2: services: cannot be given together with local_agent_url"},
  };
  for (const auto& each : kCases) EXPECT_EQ(agent_error(each.text), each.want) << each.text;
}

TEST_F(Files, BrokenYamlNamesTheLine) {
  for (const char* text :
       {"a: b\nc: [1, 2\n", "a: b\n  c: d\n", "a: 'b\n", "a: b\n\tc: d\n", "a: *unknown\n",
        "a: \"\\q\"\n", "%YAML 3.0\n---\n a: [\n", "{a: b\n", "a: b: c\n", "a: [b]]\n"}) {
    const std::string detail = relay_error(text);
    EXPECT_TRUE(detail.starts_with("leat.yaml:")) << text << " -> " << detail;
  }
}

TEST_F(Files, DeepNestingIsAnError) {
  const std::string deep(100'000, '[');
  EXPECT_NE(relay_error("a: " + deep), "");
  EXPECT_NE(relay_error("a: " + std::string(100'000, '{')), "");
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += std::string(static_cast<std::size_t>(i), ' ') + "- \n";
  EXPECT_NE(relay_error(lines), "");
}

TEST_F(Files, ATokenInAFileThatOthersMayReadIsRefused) {
  constexpr char kText[] = "relay: a\nrelay_token: leat_sentinel\n";
  EXPECT_EQ(agent_error(kText), "");
  const std::string detail = error(read_agent_file, kText, 0644, Code::CONFIG_FILE);
  EXPECT_EQ(
      detail,
      "leat.yaml:2: relay_token: leat.yaml: has mode 0644, expected 0600 because of the token; "
      "or use token_file");
  EXPECT_EQ(error(read_agent_file, "relay: a\n", 0644), "");
}

TEST_F(Files, UnreadableOnesAreNamed) {
  const auto missing = read_relay_file(dir_ / "none.yaml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::CONFIG_FILE);
  EXPECT_EQ(missing.error().detail, dir_ / "none.yaml" + ": No such file or directory");
  EXPECT_EQ(read_agent_file(dir_.path()).error().code, Code::CONFIG_FILE);
}

TEST_F(Files, AnyFileIsTakenForWhatItSays) {
  const auto kind = [this](std::string_view text) {
    EXPECT_TRUE(write_file(path_, text, 0600, Code::CONFIG_FILE));
    const auto config = read_any_file(path_);
    if (!config) return "wrong";
    return std::holds_alternative<AgentConfig>(*config) ? "agent" : "relay";
  };
  EXPECT_STREQ(kind("listen: :80\nstate_dir: /x\n"), "relay");
  EXPECT_STREQ(kind("state_dir: /x\nservices: []\n"), "agent");
  EXPECT_STREQ(kind("state_dir: /x\nrelay: a\n"), "agent");
  EXPECT_STREQ(kind("state_dir: /x\n"), "relay");
  EXPECT_STREQ(kind("listen: 80\nrelay: a\n"), "wrong");
  EXPECT_STREQ(kind("relay: a b\n"), "wrong");
}

}  // namespace
}  // namespace leat::config
