#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <initializer_list>

namespace leat::cli {
namespace {

using testing::HasSubstr;

Result<Arguments> parse(std::initializer_list<const char*> words) {
  std::vector<const char*> argv = {"leat"};
  argv.insert(argv.end(), words);
  return parse_arguments(static_cast<int>(argv.size()), argv.data());
}

template <typename T>
T parsed(std::initializer_list<const char*> words) {
  auto result = parse(words);
  if (!result) ADD_FAILURE() << result.error().text();
  if (!result || !std::holds_alternative<T>(*result)) return {};
  return std::get<T>(*result);
}

// Sets a variable for the length of a test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

TEST(Arguments, RelayTakesEveryFlagOfTheContract) {
  const auto relay = parsed<RelayArguments>(
      {"relay",          "--listen",     "127.0.0.1:0",    "--state-dir", "/s",
       "--plain-listen", "127.0.0.1:1",  "--admin-listen", "127.0.0.1:2", "--domain",
       "example.com",    "--tcp-ports",  "2000-2100",      "--cert",      "c.pem",
       "--key",          "k.pem",        "--public-url",   "https://e",   "--log-level",
       "debug",          "--log-format", "json",           "--config",    "f.yaml"});
  EXPECT_EQ(relay.listen, "127.0.0.1:0");
  EXPECT_EQ(relay.state_dir, "/s");
  EXPECT_EQ(relay.plain_listen, "127.0.0.1:1");
  EXPECT_EQ(relay.admin_listen, "127.0.0.1:2");
  EXPECT_EQ(relay.domain, "example.com");
  EXPECT_EQ(relay.tcp_ports, "2000-2100");
  EXPECT_EQ(relay.cert, "c.pem");
  EXPECT_EQ(relay.key, "k.pem");
  EXPECT_EQ(relay.public_url, "https://e");
  EXPECT_EQ(relay.log.level, "debug");
  EXPECT_EQ(relay.log.format, "json");
  EXPECT_EQ(relay.config, "f.yaml");
}

TEST(Arguments, WhatIsNotSaidStaysUnset) {
  const auto relay = parsed<RelayArguments>({"relay"});
  EXPECT_FALSE(relay.listen || relay.domain || relay.log.level || relay.config);
  const auto http = parsed<AgentArguments>({"http", "8080"});
  EXPECT_FALSE(http.id || http.is_public || http.relay || http.remote_port);
}

TEST(Arguments, HttpTakesATargetAndFlagsInAnyOrder) {
  const auto http = parsed<AgentArguments>(
      {"http", "--id", "llm", "http://127.0.0.1:11434", "--public", "--relay", "r:443", "--pin",
       "sha256:00", "--token-file", "t", "--host-header", "preserve", "--origin", "remove"});
  EXPECT_EQ(http.kind, AgentArguments::Kind::http);
  EXPECT_EQ(http.target, "http://127.0.0.1:11434");
  EXPECT_EQ(http.id, "llm");
  EXPECT_EQ(http.is_public, true);
  EXPECT_EQ(http.relay, "r:443");
  EXPECT_EQ(http.pin, "sha256:00");
  EXPECT_EQ(http.token_file, "t");
  EXPECT_EQ(http.host_header, "preserve");
  EXPECT_EQ(http.origin, "remove");
}

TEST(Arguments, TunnelIdIsId) {
  EXPECT_EQ(parsed<AgentArguments>({"http", "80", "--tunnel-id", "x"}).id, "x");
}

TEST(Arguments, TcpTakesARemotePort) {
  const auto tcp = parsed<AgentArguments>({"tcp", "22", "--remote-port", "2222"});
  EXPECT_EQ(tcp.kind, AgentArguments::Kind::tcp);
  EXPECT_EQ(tcp.remote_port, 2222);
}

TEST(Arguments, EveryFlagIsAnEnvironmentVariable) {
  const Environment state("LEAT_STATE_DIR", "/from/environment");
  const Environment ports("LEAT_TCP_PORTS", "1-2");
  const auto relay = parsed<RelayArguments>({"relay", "--state-dir", "/from/flag"});
  EXPECT_EQ(relay.state_dir, "/from/flag") << "a flag goes before the environment";
  EXPECT_EQ(relay.tcp_ports, "1-2");

  const Environment is_public("LEAT_PUBLIC", "true");
  const Environment port("LEAT_REMOTE_PORT", "70");
  const auto tcp = parsed<AgentArguments>({"tcp", "22"});
  EXPECT_EQ(tcp.is_public, true);
  EXPECT_EQ(tcp.remote_port, 70);
}

TEST(Arguments, TokenVerbs) {
  const auto create =
      parsed<TokenArguments>({"token", "create", "--state-dir", "/s", "--name", "n"});
  EXPECT_EQ(create.verb, TokenArguments::Verb::create);
  EXPECT_EQ(create.state_dir, "/s");
  EXPECT_EQ(create.name, "n");
  EXPECT_EQ(parsed<TokenArguments>({"token", "revoke", "--name", "n"}).verb,
            TokenArguments::Verb::revoke);
  EXPECT_EQ(parsed<TokenArguments>({"token", "list"}).verb, TokenArguments::Verb::list);
}

TEST(Arguments, DemoAndSample) {
  const auto demo =
      parsed<DemoArguments>({"demo", "--once", "--target", "http://h:1", "--tokens", "5"});
  EXPECT_TRUE(demo.once);
  EXPECT_EQ(demo.target, "http://h:1");
  EXPECT_EQ(demo.tokens, 5u);
  const auto sample = parsed<SampleArguments>({"sample", "--tokens-per-second", "2.5"});
  EXPECT_EQ(sample.tokens_per_second, 2.5);
  EXPECT_EQ(sample.listen, "127.0.0.1:0");
}

struct Wrong {
  std::vector<const char*> words;
  const char* says;
};

TEST(Arguments, WhatIsWrongIsUsageAndNamesTheArgument) {
  const Wrong cases[] = {
      {{}, "subcommand"},
      {{"nonsense"}, "nonsense"},
      {{"relay", "--nonsense"}, "--nonsense"},
      {{"relay", "--listen"}, "--listen"},
      {{"relay", "--cert", "c.pem"}, "--key"},
      {{"relay", "--log-level", "loud"}, "--log-level"},
      {{"relay", "surplus"}, "surplus"},
      {{"http"}, "TARGET"},
      {{"http", "80", "--pin", "x", "--ca", "y"}, "--ca"},
      {{"http", "80", "--remote-port", "1"}, "--remote-port"},
      {{"tcp", "22", "--remote-port", "65536"}, "--remote-port"},
      {{"tcp", "22", "--host-header", "x"}, "--host-header"},
      {{"agent"}, "--config"},
      {{"token"}, "subcommand"},
      {{"token", "create", "--state-dir", "/s"}, "--name"},
      {{"config", "check"}, "FILE"},
      {{"sample", "--tokens-per-second", "0"}, "--tokens-per-second"},
      {{"sample", "--tokens", "0"}, "--tokens"},
      {{"completion", "tcsh"}, "tcsh"},
  };
  for (const Wrong& wrong : cases) {
    std::vector<const char*> argv = {"leat"};
    argv.insert(argv.end(), wrong.words.begin(), wrong.words.end());
    const auto result = parse_arguments(static_cast<int>(argv.size()), argv.data());
    ASSERT_FALSE(result) << testing::PrintToString(wrong.words);
    EXPECT_EQ(result.error().code, Code::USAGE);
    EXPECT_THAT(result.error().text(), HasSubstr(wrong.says));
  }
}

TEST(Arguments, HelpIsThatOfTheCommand) {
  EXPECT_THAT(parsed<PrintArguments>({"--help"}).text, HasSubstr("relay"));
  EXPECT_THAT(parsed<PrintArguments>({"relay", "--help"}).text, HasSubstr("--plain-listen"));
  EXPECT_THAT(parsed<PrintArguments>({"token", "create", "--help"}).text, HasSubstr("--name"));
}

TEST(Arguments, Version) {
  EXPECT_THAT(parsed<PrintArguments>({"version"}).text, testing::StartsWith("leat "));
  EXPECT_EQ(parsed<PrintArguments>({"--version"}).text, parsed<PrintArguments>({"version"}).text);
}

TEST(Arguments, CompletionKnowsEveryCommandAndFlag) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = parsed<PrintArguments>({"completion", shell}).text;
    for (const char* word : {"relay", "completion", "create", "--tcp-ports", "--tunnel-id"}) {
      EXPECT_THAT(script, HasSubstr(word)) << shell;
    }
  }
}

}  // namespace
}  // namespace leat::cli
