#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

#include "config/environment.h"

namespace leat::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

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

// The settings as "key=value", each with the flag it came from.
std::vector<std::string> pairs(const std::vector<config::Setting>& settings) {
  std::vector<std::string> out;
  out.reserve(settings.size());
  for (const config::Setting& setting : settings) {
    out.push_back(setting.where + " " + setting.key + "=" + setting.value);
  }
  return out;
}

TEST(Arguments, RelayTakesEveryFlagOfTheContract) {
  const auto relay = parsed<RelayArguments>({"relay",
                                             "--listen",
                                             "127.0.0.1:0",
                                             "--state-dir",
                                             "/s",
                                             "--plain-listen",
                                             "127.0.0.1:1",
                                             "--admin-listen",
                                             "127.0.0.1:2",
                                             "--domain",
                                             "example.com",
                                             "--tcp-ports",
                                             "2000-2100",
                                             "--cert",
                                             "c.pem",
                                             "--key",
                                             "k.pem",
                                             "--public-url",
                                             "https://e",
                                             "--memory",
                                             "2GiB",
                                             "--open-rooms",
                                             "--agent-origins",
                                             "https://a",
                                             "--log-level",
                                             "debug",
                                             "--log-format",
                                             "json",
                                             "--config",
                                             "f.yaml",
                                             "--certs",
                                             "a:b",
                                             "--wildcard",
                                             "--trusted-proxies",
                                             "10.0.0.0/8",
                                             "--proxy-protocol",
                                             "::1"});
  EXPECT_EQ(relay.config, "f.yaml");
  EXPECT_THAT(
      pairs(relay.settings),
      UnorderedElementsAre(
          "--listen listen=127.0.0.1:0", "--state-dir state_dir=/s",
          "--plain-listen plain_listen=127.0.0.1:1", "--admin-listen admin_listen=127.0.0.1:2",
          "--domain domain=example.com", "--tcp-ports tcp_ports=2000-2100", "--cert cert=c.pem",
          "--key key=k.pem", "--public-url public_url=https://e", "--open-rooms open_rooms=true",
          "--agent-origins agent_origins=https://a", "--log-level log_level=debug",
          "--log-format log_format=json", "--certs certs=a:b", "--wildcard wildcard=true",
          "--trusted-proxies trusted_proxies=10.0.0.0/8", "--proxy-protocol proxy_protocol=::1",
          "--memory memory=2GiB"));
}

TEST(Arguments, WhatIsNotSaidStaysUnset) {
  EXPECT_THAT(parsed<RelayArguments>({"relay"}).settings, IsEmpty());
  const auto http = parsed<AgentArguments>({"http", "8080"});
  EXPECT_THAT(http.settings, IsEmpty());
  EXPECT_THAT(pairs(http.service), UnorderedElementsAre("TARGET kind=http", "TARGET target=8080"));
}

TEST(Arguments, HttpTakesATargetAndFlagsInAnyOrder) {
  const auto http = parsed<AgentArguments>({"http",
                                            "--id",
                                            "llm",
                                            "http://127.0.0.1:11434",
                                            "--public",
                                            "--relay",
                                            "r:443",
                                            "--pin",
                                            "sha256:00",
                                            "--token-file",
                                            "t",
                                            "--host-header",
                                            "preserve",
                                            "--origin",
                                            "remove",
                                            "--insecure",
                                            "--preset",
                                            "ollama",
                                            "--cors",
                                            "*",
                                            "--health",
                                            "/up",
                                            "--health-interval",
                                            "1m",
                                            "--sse-comments",
                                            "20s"});
  EXPECT_EQ(http.kind, AgentArguments::Kind::http);
  EXPECT_THAT(pairs(http.service),
              UnorderedElementsAre(
                  "TARGET kind=http", "TARGET target=http://127.0.0.1:11434", "--id id=llm",
                  "--public public=true", "--host-header host_header=preserve",
                  "--origin origin=remove", "--insecure insecure=true", "--preset preset=ollama",
                  "--cors cors=*", "--health health=/up", "--health-interval health_interval=1m",
                  "--sse-comments sse_comments=20s"));
  EXPECT_THAT(pairs(http.settings),
              UnorderedElementsAre("--relay relay=r:443", "--pin pin=sha256:00",
                                   "--token-file token_file=t"));
}

TEST(Arguments, TunnelIdIsId) {
  EXPECT_THAT(pairs(parsed<AgentArguments>({"http", "80", "--tunnel-id", "x"}).service),
              Contains("--id id=x"));
}

TEST(Arguments, TcpTakesARemotePort) {
  for (const char* flag : {"--room", "--id", "--tunnel-id"}) {
    const auto ws = parsed<AgentArguments>({"ws", "1234", flag, "notes"});
    EXPECT_EQ(ws.kind, AgentArguments::Kind::ws);
    EXPECT_THAT(pairs(ws.service),
                UnorderedElementsAre("TARGET kind=ws", "TARGET target=1234", "--room room=notes"));
  }
  EXPECT_THAT(pairs(parsed<AgentArguments>({"ws"}).service),
              UnorderedElementsAre("TARGET kind=ws"));  // LOCAL_PORT may say the rest
  const auto tcp = parsed<AgentArguments>(
      {"tcp", "22", "--remote-port", "2222", "--health", "none", "--health-interval", "1m"});
  EXPECT_EQ(tcp.kind, AgentArguments::Kind::tcp);
  EXPECT_THAT(
      pairs(tcp.service),
      UnorderedElementsAre("TARGET kind=tcp", "TARGET target=22", "--remote-port remote_port=2222",
                           "--health health=none", "--health-interval health_interval=1m"));
}

// Whatever leads to it, a service takes the same visitors in the same way.
TEST(Arguments, EveryKindSaysWhoMayVisit) {
  for (const char* kind : {"http", "tcp", "tls", "ws"}) {
    EXPECT_THAT(
        pairs(parsed<AgentArguments>({kind, "80", "--public", "--allow", "192.0.2.0/24",
                                      "--proxy-protocol", "v1", "--health", "none"})
                  .service),
        AllOf(Contains("--public public=true"), Contains("--allow allow=192.0.2.0/24"),
              Contains("--proxy-protocol proxy_protocol=v1"), Contains("--health health=none")))
        << kind;
  }
  for (const char* kind : {"http", "ws"}) {
    EXPECT_THAT(
        pairs(parsed<AgentArguments>({kind, "80", "--visitor-tokens", "t", "--visitor-users", "u",
                                      "--visitor-jwt-keys", "k", "--visitor-jwt-audience", "a",
                                      "--visitor-jwt-issuer", "i", "--first-byte-timeout", "1m"})
                  .service),
        AllOf(Contains("--visitor-tokens visitor_tokens=t"),
              Contains("--visitor-users visitor_users=u"),
              Contains("--visitor-jwt-keys visitor_jwt_keys=k"),
              Contains("--visitor-jwt-audience visitor_jwt_audience=a"),
              Contains("--visitor-jwt-issuer visitor_jwt_issuer=i"),
              Contains("--first-byte-timeout first_byte_timeout=1m")))
        << kind;
  }
}

TEST(Arguments, TlsTakesAHost) {
  const auto tls = parsed<AgentArguments>(
      {"tls", "8443", "--host", "vault.example.com", "--proxy-protocol", "v2"});
  EXPECT_EQ(tls.kind, AgentArguments::Kind::tls);
  EXPECT_THAT(pairs(tls.service), UnorderedElementsAre("TARGET kind=tls", "TARGET target=8443",
                                                       "--host host=vault.example.com",
                                                       "--proxy-protocol proxy_protocol=v2"));
}

TEST(Arguments, AgentTakesAFileOrTheEnvironment) {
  EXPECT_EQ(parsed<AgentArguments>({"agent", "--config", "f.yaml"}).config, "f.yaml");
  const test::Variable file("LEAT_CONFIG", "e.yaml");
  EXPECT_EQ(parsed<AgentArguments>({"agent"}).config, "e.yaml");
  EXPECT_EQ(parsed<AgentArguments>({"agent", "--config", "f.yaml"}).config, "f.yaml");
}

TEST(Arguments, ARoomMayComeFromTheVariablesOfAnotherGateway) {
  const test::Variable room("ROOM_ID", "old"), port("LOCAL_PORT", "1234");
  EXPECT_THAT(pairs(service_environment(AgentArguments::Kind::ws)),
              UnorderedElementsAre("ROOM_ID room=old", "LOCAL_PORT target=1234"));
  EXPECT_THAT(service_environment(AgentArguments::Kind::http), IsEmpty());
  const test::Variable ours("LEAT_ROOM", "new");
  EXPECT_THAT(pairs(service_environment(AgentArguments::Kind::ws)),
              UnorderedElementsAre("LEAT_ROOM room=new", "LOCAL_PORT target=1234"));
}

TEST(Arguments, TheServicesFlagsHaveVariables) {
  const test::Variable id("LEAT_ID", "x"), is_public("LEAT_PUBLIC", "true"),
      port("LEAT_REMOTE_PORT", "70"), origin("LEAT_ORIGIN", "");
  EXPECT_THAT(pairs(service_environment(AgentArguments::Kind::tcp)),
              UnorderedElementsAre("LEAT_ID id=x", "LEAT_PUBLIC public=true",
                                   "LEAT_REMOTE_PORT remote_port=70"));
  EXPECT_THAT(pairs(service_environment(AgentArguments::Kind::http)),
              UnorderedElementsAre("LEAT_ID id=x", "LEAT_PUBLIC public=true"));
  EXPECT_THAT(service_environment(AgentArguments::Kind::file), IsEmpty());
}

TEST(Arguments, FlagsOfOtherCommandsHaveVariables) {
  const test::Variable tokens("LEAT_TOKENS", "7"), once("LEAT_ONCE", "true");
  EXPECT_EQ(parsed<SampleArguments>({"sample"}).tokens, 7u);
  EXPECT_EQ(parsed<SampleArguments>({"sample", "--tokens", "8"}).tokens, 8u);
  EXPECT_TRUE(parsed<DemoArguments>({"demo"}).once);
}

TEST(Arguments, AVariableIsReadByTheChosenCommandAlone) {
  const test::Variable tokens("LEAT_TOKENS", "0"), once("LEAT_ONCE", "nah");
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"leat", "version"}, {"leat", "relay"}, {"leat", "token", "list"}, {"leat", "help"}}) {
    EXPECT_TRUE(parse_arguments(static_cast<int>(words.size()), words.data())) << words[1];
  }
  for (const char* command : {"sample", "demo"}) {
    const auto wrong = parse({command});
    ASSERT_FALSE(wrong) << command;
    EXPECT_EQ(wrong.error().code, Code::USAGE);
    EXPECT_THAT(wrong.error().detail, testing::StartsWith("LEAT_")) << "names the variable";
  }
  EXPECT_EQ(parsed<SampleArguments>({"sample", "--tokens", "8"}).tokens, 8u) << "the flag wins";
}

TEST(Arguments, TokenFlagsWinOverVariables) {
  const test::Variable directory("LEAT_STATE_DIR", "/e"), name("LEAT_NAME", "e");
  for (const char* verb : {"create", "revoke"}) {
    const auto said = parsed<TokenArguments>({"token", verb, "--state-dir", "/s", "--name", "n"});
    EXPECT_EQ(said.state_dir, "/s") << verb;
    EXPECT_EQ(said.name, "n") << verb;
    EXPECT_EQ(parsed<TokenArguments>({"token", verb, "n"}).name, "n") << verb;
    const auto unsaid = parsed<TokenArguments>({"token", verb});
    EXPECT_EQ(unsaid.state_dir, "/e") << verb;
    EXPECT_EQ(unsaid.name, "e") << verb;
  }
  EXPECT_EQ(parsed<TokenArguments>({"token", "list", "--state-dir", "/s"}).state_dir, "/s");
  EXPECT_EQ(parsed<TokenArguments>({"token", "list"}).state_dir, "/e");
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
  EXPECT_EQ(parsed<TokenArguments>({"token", "allow", "jwt:x"}).verb, TokenArguments::Verb::allow);
  const auto plan = parsed<TokenArguments>({"token", "plan", "n", "--plan", "pro"});
  EXPECT_EQ(plan.verb, TokenArguments::Verb::plan);
  EXPECT_EQ(plan.name + " " + plan.plan, "n pro");
  const auto invite = parsed<TokenArguments>({"token", "invite"});
  EXPECT_EQ(invite.verb, TokenArguments::Verb::invite);
  EXPECT_EQ(invite.name, "") << "made of the key that joins";
  EXPECT_EQ(parsed<TokenArguments>({"token", "invite", "n"}).name, "n");
}

TEST(Arguments, Join) {
  const auto join = parsed<JoinArguments>({"join", "https://r/join#c", "--state-dir", "/s"});
  EXPECT_EQ(join.url, "https://r/join#c");
  EXPECT_EQ(join.state_dir, "/s");
  EXPECT_FALSE(join.ca);
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

TEST(Arguments, StatusAndUsageOfARelay) {
  const auto status = parsed<StatusArguments>(
      {"status", "--state-dir", "/s", "--admin-key-file", "admin.key", "--json"});
  EXPECT_EQ(status.state_dir, "/s");
  EXPECT_EQ(status.admin_key_file, "admin.key");
  EXPECT_TRUE(status.json);
  EXPECT_FALSE(parsed<StatusArguments>({"status"}).json);
  EXPECT_FALSE(parsed<StatusArguments>({"status"}).admin_key_file);

  const auto usage = parsed<UsageArguments>(
      {"usage", "laptop", "--state-dir", "/s", "--admin-key-file", "admin.key"});
  EXPECT_EQ(usage.owner, "laptop");
  EXPECT_EQ(usage.state_dir, "/s");
  EXPECT_EQ(usage.admin_key_file, "admin.key");
  EXPECT_EQ(parsed<UsageArguments>({"usage"}).owner, "");
}

TEST(Arguments, TheGovernorIsSwitchedAtBothEnds) {
  EXPECT_THAT(pairs(parsed<RelayArguments>({"relay", "--send-governor", "off"}).settings),
              Contains("--send-governor send_governor=off"));
  EXPECT_THAT(pairs(parsed<AgentArguments>({"http", "80", "--send-governor", "off"}).settings),
              Contains("--send-governor send_governor=off"));
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
      {{"relay", "surplus"}, "surplus"},
      {{"http"}, "TARGET"},
      {{"http", "80", "--remote-port", "1"}, "--remote-port"},
      {{"http", "80", "--relay", "a", "--relay", "b"}, "--relay"},
      {{"tcp", "22", "--host-header", "x"}, "--host-header"},
      {{"token"}, "subcommand"},
      {{"token", "create", "--state-dir", "/s"}, "--name"},
      {{"status", "surplus"}, "surplus"},
      {{"usage", "one", "another"}, "another"},
      {{"usage", "--json"}, "--json"},
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

TEST(Arguments, AMisspeltWordIsNamedWithTheOneMeant) {
  const auto said = [](std::initializer_list<const char*> words) {
    const auto result = parse(words);
    return result ? std::string("understood") : result.error().detail;
  };
  EXPECT_EQ(said({"http", "--relya", "x", "1"}), "not known here: --relya; did you mean --relay?");
  EXPECT_EQ(said({"http", "80", "--tokn-file=leat_secret"}),
            "not known here: --tokn-file; did you mean --token-file?");
  EXPECT_EQ(said({"relay", "--tcp", "1-2"}), "not known here: --tcp; did you mean --tcp-ports?");
  EXPECT_EQ(said({"realy"}), "not known here: realy; did you mean relay?");
  EXPECT_EQ(said({"token", "make"}), "not known here: make");
  EXPECT_EQ(said({"help", "realy"}), "not known here: realy; did you mean relay?");
  EXPECT_EQ(said({"help", "token", "bogus"}), "not known here: bogus");
  EXPECT_EQ(said({"relay", "--nonsense"}), "not known here: --nonsense");
  for (const auto& words : {std::initializer_list<const char*>{"http", "80", "--token", "leat_x"},
                            {"http", "80", "--token=leat_x"},
                            {"http", "80", "leat_x"}}) {
    EXPECT_THAT(said(words), testing::Not(HasSubstr("leat_x")));
  }
  EXPECT_THAT(said({"http", "80", "--token", "leat_x"}), HasSubstr("LEAT_TOKEN"));
}

TEST(Arguments, HelpIsThatOfTheCommand) {
  EXPECT_EQ(parsed<PrintArguments>({"help"}).text, parsed<PrintArguments>({"--help"}).text);
  EXPECT_EQ(parsed<PrintArguments>({"help", "token", "create"}).text,
            parsed<PrintArguments>({"token", "create", "--help"}).text);
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
    for (const char* word : {"relay", "completion", "create", "status", "usage", "--tcp-ports",
                             "--tunnel-id", "--admin-key-file", "--json", "--send-governor"}) {
      EXPECT_THAT(script, HasSubstr(word)) << shell;
    }
  }
}

}  // namespace
}  // namespace leat::cli
