// From the command line, the environment and a file to what relay and agent are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "cli/agent_settings.h"
#include "cli/arguments.h"
#include "cli/relay_settings.h"
#include "cli/reload.h"
#include "config/environment.h"
#include "support/temp_dir.h"

namespace leat::cli {
namespace {

using test::Variable;
using testing::HasSubstr;

Result<Arguments> parse(std::vector<std::string> words) {
  std::vector<const char*> argv = {"leat"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return parse_arguments(static_cast<int>(argv.size()), argv.data());
}

Result<relay::Options> relay(std::vector<std::string> words) {
  words.insert(words.begin(), "relay");
  return parse(std::move(words)).and_then([](const Arguments& arguments) {
    return relay_options(std::get<RelayArguments>(arguments));
  });
}

Result<agent::Options> agent(std::vector<std::string> words) {
  return parse(std::move(words)).and_then([](const Arguments& arguments) {
    return agent_options(std::get<AgentArguments>(arguments));
  });
}

class Settings : public testing::Test {
 protected:
  std::string file(const char* name, const std::string& text) {
    std::string path = directory_ / name;
    EXPECT_TRUE(write_file(path, text, 0600, Code::CONFIG_FILE));
    return path;
  }
  test::TempDir directory_;
};

TEST_F(Settings, FlagBeforeEnvironmentBeforeFileBeforeDefault) {
  const std::string path = file("relay.yaml",
                                "listen: 127.0.0.1:1\n"
                                "domain: file.example\n"
                                "tcp_ports: 1-2\n");
  const Variable listen("LEAT_LISTEN", "127.0.0.1:2"), domain("LEAT_DOMAIN", "env.example");
  const auto options = relay({"--config", path, "--listen", "127.0.0.1:3", "--state-dir", "/s"});
  ASSERT_TRUE(options) << options.error().text();
  EXPECT_EQ(options->listen.text(), "127.0.0.1:3");
  EXPECT_EQ(options->domain, "env.example");
  EXPECT_EQ(options->tcp_ports.high, 2);
  EXPECT_EQ(options->state_dir, "/s");
  EXPECT_EQ(relay({})->listen.text(), "127.0.0.1:2");
}

TEST_F(Settings, WhatIsOfNoUseAloneIsRefused) {
  const std::string key = file("admin.key", "an-admin-key-of-mine\n");
  const std::string plans = file("plans.yaml", "default: a\nplans:\n  - name: a\n");
  const auto keyed = relay({"--admin-key-file", key});
  ASSERT_FALSE(keyed);
  EXPECT_EQ(keyed.error().code, Code::USAGE);
  EXPECT_THAT(keyed.error().detail, HasSubstr("needs --admin-listen"));
  EXPECT_TRUE(relay({"--admin-key-file", key, "--admin-listen", "127.0.0.1:0"}));
  const auto open = relay({"--public-registration"});
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, Code::USAGE);
  EXPECT_THAT(open.error().detail, HasSubstr("needs --plans"));
  EXPECT_TRUE(relay({"--public-registration", "--plans", plans}));
}

TEST_F(Settings, RelayDefaults) {
  const Variable listen("LEAT_LISTEN", nullptr);
  const auto options = relay({});
  ASSERT_TRUE(options);
  EXPECT_THAT(options->listen.text(), testing::AnyOf("[::]:443", "0.0.0.0:443"));
  EXPECT_EQ(relay({"--listen", ":8443"})->listen.port, 8443);
  EXPECT_FALSE(options->plain_listen || options->admin_listen);
  EXPECT_EQ(options->memory, limits::kRelayBudget);
  EXPECT_EQ(relay({"--memory", "256MiB"})->memory, 256u << 20);
  EXPECT_FALSE(options->tcp_ports.contains(80));
}

TEST_F(Settings, WhatIsWrongIsSaidWithItsPlace) {
  const auto flag = relay({"--listen", "nowhere"});
  ASSERT_FALSE(flag);
  EXPECT_EQ(flag.error().code, Code::USAGE);
  EXPECT_THAT(flag.error().text(), HasSubstr("--listen: expected"));

  const auto pair = relay({"--cert", "c.pem"});
  ASSERT_FALSE(pair);
  EXPECT_THAT(pair.error().text(), HasSubstr("--cert: needs --key"));

  const auto in_file = relay({"--config", file("r.yaml", "\ntcp_ports: many\n")});
  ASSERT_FALSE(in_file);
  EXPECT_EQ(in_file.error().code, Code::CONFIG);
  EXPECT_THAT(in_file.error().text(), HasSubstr("r.yaml:2: tcp_ports: expected"));

  EXPECT_EQ(relay({"--config", "/nowhere/x.yaml"}).error().code, Code::CONFIG_FILE);

  const Variable ports("LEAT_TCP_PORTS", "9-8");
  const auto variable = relay({});
  ASSERT_FALSE(variable);
  EXPECT_EQ(variable.error().code, Code::USAGE);
  EXPECT_THAT(variable.error().text(), HasSubstr("LEAT_TCP_PORTS: expected"));
}

TEST_F(Settings, HttpServiceFromFlags) {
  const Variable token("LEAT_TOKEN", "leat_x");
  const auto options = agent({"http", "https://10.0.0.7", "--insecure", "--id", "llm", "--public",
                              "--relay", "relay.example", "--host-header", "preserve", "--origin",
                              "remove", "--pin", "sha256:" + std::string(64, 'a')});
  ASSERT_TRUE(options) << options.error().text();
  EXPECT_EQ(options->relay.text(), "relay.example:443");
  EXPECT_EQ(options->trust.pin, std::string(32, '\xaa'));
  EXPECT_FALSE(options->trust.ca_file);
  EXPECT_EQ(options->token.reveal(), "leat_x");
  ASSERT_EQ(options->services.size(), 1u);
  const agent::Service& service = options->services[0];
  EXPECT_EQ(service.kind, control::TunnelKind::http);
  EXPECT_EQ(service.target.text(), "10.0.0.7:443");
  EXPECT_TRUE(service.target_tls && service.insecure && service.is_public);
  EXPECT_EQ(service.id, "llm");
  EXPECT_EQ(service.host_header.kind, agent::FieldPolicy::Kind::preserve);
  EXPECT_EQ(service.origin.kind, agent::FieldPolicy::Kind::remove);
}

TEST_F(Settings, TcpServiceFromFlagsAndTokenFromAFile) {
  const Variable token("LEAT_TOKEN", "of the environment");
  const auto options = agent({"tcp", "22", "--relay", "127.0.0.1:7000", "--remote-port", "2222",
                              "--ca", "ca.pem", "--token-file", file("token", " leat_y\n")});
  ASSERT_TRUE(options) << options.error().text();
  EXPECT_EQ(options->token.reveal(), "leat_y");
  EXPECT_EQ(options->trust.ca_file, "ca.pem");
  EXPECT_EQ(options->services.at(0).kind, control::TunnelKind::tcp);
  EXPECT_EQ(options->services[0].target.text(), "127.0.0.1:22");
  EXPECT_EQ(options->services[0].remote_port, 2222);
}

TEST_F(Settings, SingleServicesHaveDirectoriesOfTheirOwn) {
  const Variable token("LEAT_TOKEN", "x"), relay_address("LEAT_RELAY", "r");
  const auto http = agent({"http", "8080"}), tcp = agent({"tcp", "8080"}),
             other = agent({"http", "81"});
  ASSERT_TRUE(http && tcp && other);
  EXPECT_NE(http->state_dir, tcp->state_dir);
  EXPECT_NE(http->state_dir, other->state_dir);
  EXPECT_EQ(agent({"http", "8080"})->state_dir, http->state_dir);
  EXPECT_EQ(agent({"http", "8080", "--state-dir", "/s"})->state_dir, "/s");
}

TEST_F(Settings, AgentFromAFile) {
  const auto options = agent({"agent", "--config",
                              file("agent.yaml",
                                   "relay: relay.example:8443\n"
                                   "token: leat_z\n"
                                   "services:\n"
                                   "  - target: 8080\n"
                                   "  - target: tcp://127.0.0.1:22\n"
                                   "    remote_port: 2222\n")});
  ASSERT_TRUE(options) << options.error().text();
  EXPECT_EQ(options->relay.text(), "relay.example:8443");
  EXPECT_EQ(options->token.reveal(), "leat_z");
  ASSERT_EQ(options->services.size(), 2u);
  EXPECT_EQ(options->services[1].kind, control::TunnelKind::tcp);
}

struct Wrong {
  std::vector<std::string> words;
  Code code;
  const char* says;
};

TEST_F(Settings, WhatAnAgentCannotDoWithout) {
  const std::string no_services = file("none.yaml", "relay: r\ntoken: x\n");
  const std::string no_carrier =
      file("ftp.yaml", "relay_server: ftp://r\ntoken: x\nservices:\n  - target: 80\n");
  const Wrong cases[] = {
      {{"http", "80"}, Code::USAGE, "--relay"},
      {{"http", "80", "--relay", "r"}, Code::NO_TOKEN, "LEAT_TOKEN"},
      {{"http", "nowhere", "--relay", "r"}, Code::USAGE, "TARGET: expected"},
      {{"http", "tcp://h:1", "--relay", "r"}, Code::USAGE, "TARGET: kind"},
      {{"http", "80", "--relay", "r", "--pin", "x", "--ca", "y"}, Code::USAGE, "--"},
      {{"http", "80", "--relay", "r", "--pin", "x"}, Code::USAGE, "--pin: expected"},
      {{"http", "80", "--relay", "r", "--id", "No"}, Code::USAGE, "--id: expected"},
      {{"http", "80", "--relay", "r", "--log-level", "loud"}, Code::USAGE, "--log-level: expected"},
      {{"tcp", "22", "--relay", "r", "--remote-port", "65536"}, Code::USAGE, "--remote-port"},
      {{"tcp", "http://h", "--relay", "r"}, Code::USAGE, "TARGET: kind"},
      {{"agent", "--config", no_services}, Code::CONFIG, "services"},
      {{"http", "80", "--relay", "r", "--proxy", "ftp://p"}, Code::USAGE, "--proxy: expected"},
      {{"agent", "--config", no_carrier}, Code::CONFIG, "relay"},
  };
  for (const Wrong& wrong : cases) {
    const auto options = agent(wrong.words);
    ASSERT_FALSE(options) << testing::PrintToString(wrong.words);
    EXPECT_EQ(options.error().code, wrong.code) << options.error().text();
    EXPECT_THAT(options.error().text(), HasSubstr(wrong.says));
  }
}

// Every key of an agent's changes at a HUP, or is said to wait.
TEST_F(Settings, WhatWaitsForANewStartIsNamed) {
  const Variable proxy("HTTPS_PROXY", nullptr), token("LEAT_TOKEN", nullptr);
  const std::string services = "services:\n  - target: 80\n", credential = "token: leat_x\n";
  const auto read = [&](const std::string& text) {
    const auto options = agent({"agent", "--config", file("agent.yaml", text)});
    EXPECT_TRUE(options) << options.error().text();
    return options.value();
  };
  const agent::Options started = read("relay: r\n" + credential + services);
  EXPECT_TRUE(needs_restart(started, read("relay: r\n" + credential + services)).empty());
  const struct {
    std::string key, value, said;
  } kCases[] = {
      {"relay", "other", "relay"},
      {"relay", "wss://r", "relay"},
      {"pin", "sha256:" + std::string(64, 'a'), "pin"},
      {"ca", "ca.pem", "ca"},
      {"token", "leat_y", "token"},
      {"token_file", file("token", "leat_z"), "token"},
      {"state_dir", "/elsewhere", "state_dir"},
      {"proxy", "http://proxy.test:3128", "proxy"},
      {"direct", "127.0.0.1:4000", "direct"},
      {"padding", "true", "padding"},
      {"metrics_listen", "127.0.0.1:9101", "metrics_listen"},
      {"send_governor", "off", "send_governor"},
  };
  std::set<std::string> keys = {"services", "log_level", "log_format"};  // change at once
  for (const auto& [key, value, said] : kCases) {
    keys.insert(key);
    std::string text = services + key + ": " + value + "\n";
    if (key != "relay") text += "relay: r\n";
    if (said != "token") text += credential;
    EXPECT_THAT(needs_restart(started, read(text)), testing::ElementsAre(said)) << text;
  }
  const std::string page = read_file(LEAT_CONFIGURATION_PAGE, Code::CONFIG_FILE).value();
  const std::size_t begin = page.find("| key |", page.find("## An agent\n"));
  std::istringstream table(page.substr(begin, page.find("\n\n", begin) - begin));
  std::size_t named = 0;
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line.substr(0, line.find('|', 1)));
    for (std::string word; words >> word;) {
      if (!word.starts_with('`')) continue;
      EXPECT_EQ(keys.count(word.substr(1, word.find('`', 1) - 1)), 1u) << word;
      ++named;
    }
  }
  EXPECT_EQ(named, keys.size());
}

TEST_F(Settings, TheCarrierIsTheSchemeAndTheProxyTheVariable) {
  const Variable token("LEAT_TOKEN", "leat_x"), proxy("HTTPS_PROXY", "http://p.test:3128");
  const Variable exempt("NO_PROXY", "near.test");
  EXPECT_EQ(agent({"http", "80", "--relay", "r"})->carrier, agent::Carrier::tls);
  EXPECT_EQ(agent({"http", "80", "--relay", "wss://r"})->carrier, agent::Carrier::websocket);
  EXPECT_EQ(agent({"http", "80", "--relay", "ws://r"})->carrier, agent::Carrier::plain_websocket);
  EXPECT_EQ(agent({"http", "80", "--relay", "r"})->proxy->address.text(), "p.test:3128");
  EXPECT_FALSE(agent({"http", "80", "--relay", "near.test"})->proxy);
  EXPECT_FALSE(agent({"http", "80", "--relay", "r", "--proxy", "none"})->proxy);
}

}  // namespace
}  // namespace leat::cli
