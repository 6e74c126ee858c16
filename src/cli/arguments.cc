#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <utility>

#include "cli/version.h"

namespace leat::cli {
namespace {

// --tcp-ports is also LEAT_TCP_PORTS; so for every flag.
CLI::Option* with_environment(CLI::Option* option) {
  std::string name = "LEAT_";
  for (const char c : option->get_lnames().front()) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return option->envname(name);
}

template <typename T>
CLI::Option* add(CLI::App* command, const char* flag, T& value, const char* value_name,
                 const char* help) {
  return with_environment(command->add_option(flag, value, help)->type_name(value_name));
}

void add_log(CLI::App* command, LogArguments& log) {
  add(command, "--log-level", log.level, "LEVEL", "debug, info, warn, error or off [info]")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}));
  add(command, "--log-format", log.format, "FORMAT", "text or json [text]")
      ->check(CLI::IsMember({"text", "json"}));
}

// Every command with its flags, bound to the structs they fill.
struct Parser {
  CLI::App app{
      "leat: a reverse tunnel. A relay in public, an agent at home, one connection between.",
      "leat"};
  RelayArguments relay;
  AgentArguments http, tcp, agent;
  TokenArguments token;
  ConfigArguments config;
  SampleArguments sample;
  DemoArguments demo;
  std::string shell;

  Parser();
  Arguments parsed();

 private:
  CLI::App* command(const char* name, const char* help, const char* footer = "") {
    return app.add_subcommand(name, help)->footer(footer);
  }
  void add_relay();
  void add_agent(CLI::App* command, AgentArguments& into);
  void add_service(CLI::App* command, AgentArguments& into);
  void add_token();
  void add_sample();
  void add_demo();
};

Parser::Parser() {
  app.set_version_flag("--version,-V", version_line(), "print the version");
  app.require_subcommand(1);
  app.footer("Every flag is also an environment variable: --state-dir is LEAT_STATE_DIR.");
  add_relay();
  http.kind = AgentArguments::Kind::http;
  auto* http_command = command("http", "publish a local HTTP service",
                               "Example: LEAT_TOKEN=… leat http 11434 --relay relay.example.com "
                               "--pin sha256:…");
  add_service(http_command, http);
  add(http_command, "--host-header", http.host_header, "HOST",
      "Host sent to the service [its own address]");
  add(http_command, "--origin", http.origin, "ORIGIN",
      "Origin sent to the service in place of the visitor's");
  tcp.kind = AgentArguments::Kind::tcp;
  auto* tcp_command = command("tcp", "publish a local TCP service on a port of the relay",
                              "Example: leat tcp 22 --id shell --public --remote-port 2222 "
                              "--relay relay.example.com --pin sha256:…");
  add_service(tcp_command, tcp);
  add(tcp_command, "--remote-port", tcp.remote_port, "PORT", "port of the relay [it chooses]");
  auto* agent_command = command("agent", "publish the services of a configuration file");
  add_agent(agent_command, agent);
  add_token();
  auto* config_command = command("config", "look at configuration files");
  config_command->require_subcommand(1);
  config_command->add_subcommand("check", "say whether a file is valid, and if not, where")
      ->add_option("FILE", config.file, "configuration of a relay or an agent")
      ->required()
      ->type_name("");
  add_demo();
  add_sample();
  command("completion", "print a completion script for your shell",
          "Example: source <(leat completion bash)")
      ->add_option("SHELL", shell, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command("version", "print the version");
}

void Parser::add_relay() {
  auto* c = command("relay", "run a relay: the public end",
                    "Example: leat relay --domain relay.example.com --tcp-ports 20000-20100");
  add(c, "--listen", relay.listen, "ADDR", "TLS for agents and visitors [0.0.0.0:443]");
  add(c, "--plain-listen", relay.plain_listen, "ADDR",
      "HTTP for visitors, behind a reverse proxy that ends TLS");
  add(c, "--admin-listen", relay.admin_listen, "ADDR", "health, for this machine's own use");
  add(c, "--domain", relay.domain, "NAME", "the relay's name in URLs and its certificate");
  add(c, "--public-url", relay.public_url, "URL",
      "how visitors reach it, if not at domain and port");
  add(c, "--tcp-ports", relay.tcp_ports, "LO-HI", "ports lent to tcp tunnels [none]");
  add(c, "--state-dir", relay.state_dir, "DIR", "database, certificate, relay.json");
  auto* cert = add(c, "--cert", relay.cert, "FILE", "certificate chain, PEM [self-signed]");
  auto* key = add(c, "--key", relay.key, "FILE", "its key, PEM, mode 0600");
  cert->needs(key);
  key->needs(cert);
  add(c, "--config", relay.config, "FILE", "YAML file with any of these");
  add_log(c, relay.log);
}

void Parser::add_agent(CLI::App* c, AgentArguments& into) {
  add(c, "--relay", into.relay, "HOST:PORT", "the relay to connect to");
  auto* pin = add(c, "--pin", into.pin, "FINGERPRINT",
                  "trust the relay with this key: sha256:… as it prints at start");
  auto* ca =
      add(c, "--ca", into.ca, "FILE", "trust the relay by this authority, PEM [the system's]");
  pin->excludes(ca);
  add(c, "--token-file", into.token_file, "FILE", "the credential [LEAT_TOKEN]");
  add(c, "--state-dir", into.state_dir, "DIR", "identity, agent.json");
  auto* config_file = add(c, "--config", into.config, "FILE", "YAML file with any of these");
  if (into.kind == AgentArguments::Kind::file) config_file->required();
  add_log(c, into.log);
}

void Parser::add_service(CLI::App* c, AgentArguments& into) {
  const bool urls = into.kind == AgentArguments::Kind::http;
  c->add_option("TARGET", into.target, urls ? "PORT, HOST:PORT or URL" : "PORT or HOST:PORT")
      ->required()
      ->type_name("");
  add(c, "--id,--tunnel-id", into.id, "ID", "a name of your choice [a secret one is made]");
  with_environment(c->add_flag_function(
      "--public", [&into](std::int64_t count) { into.is_public = count > 0; },
      "everybody may use the service: what a name of your choice needs"));
  add_agent(c, into);
}

void Parser::add_token() {
  auto* tokens = command("token", "the credentials of a relay's agents");
  tokens->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, TokenArguments::Verb value) {
    auto* c = tokens->add_subcommand(name, help);
    c->callback([this, value] { token.verb = value; });
    add(c, "--state-dir", token.state_dir, "DIR", "the relay's");
    if (value == TokenArguments::Verb::list) return;
    add(c, "--name", token.name, "NAME", "what it is called in lists and logs")->required();
  };
  verb("create", "make one and print it, once", TokenArguments::Verb::create);
  verb("list", "names, and when they were made and revoked", TokenArguments::Verb::list);
  verb("revoke", "refuse it from now on", TokenArguments::Verb::revoke);
}

void Parser::add_sample() {
  auto* c = command("sample", "run an OpenAI-compatible sample server, without a model");
  add(c, "--listen", sample.listen, "ADDR", "where [127.0.0.1:0]");
  add(c, "--state-dir", sample.state_dir, "DIR", "writes sample.json there");
  add(c, "--tokens-per-second", sample.tokens_per_second, "RATE", "pace of an answer [20]")
      ->check(CLI::Range(0.01, 100000.0));
  add(c, "--tokens", sample.tokens, "N", "length of an answer [its text once]")
      ->check(CLI::Range(1u, 1'000'000u));
  add_log(c, sample.log);
}

void Parser::add_demo() {
  auto* c =
      command("demo", "relay, agent and a service on this machine, and a request through them");
  with_environment(c->add_flag("--once", demo.once, "end after the request"));
  add(c, "--target", demo.target, "URL", "a real server: Ollama, vLLM, … [the sample server]");
  add(c, "--tokens", demo.tokens, "N", "length of the answer")->check(CLI::Range(1u, 1'000'000u));
}

void collect_words(const CLI::App* app, const std::string& path, std::vector<CommandWords>& out) {
  CommandWords words{path, {}};
  for (const CLI::App* sub : app->get_subcommands(nullptr)) words.words.push_back(sub->get_name());
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) words.words.push_back("--" + name);
  }
  if (path == "completion") words.words.insert(words.words.end(), {"bash", "zsh", "fish"});
  out.push_back(std::move(words));
  for (const CLI::App* sub : app->get_subcommands(nullptr)) {
    collect_words(sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
  }
}

Arguments Parser::parsed() {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "relay") return relay;
  if (name == "http") return http;
  if (name == "tcp") return tcp;
  if (name == "agent") return agent;
  if (name == "token") return token;
  if (name == "config") return config;
  if (name == "sample") return sample;
  if (name == "demo") return demo;
  if (name == "version") return PrintArguments{version_line() + "\n"};
  std::vector<CommandWords> commands;
  collect_words(&app, "", commands);
  return PrintArguments{completion_script(shell, commands)};
}

}  // namespace

Result<Arguments> parse_arguments(int argc, const char* const* argv) {
  Parser parser;
  try {
    parser.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return PrintArguments{parser.app.help()};
  } catch (const CLI::CallForVersion&) {
    return PrintArguments{version_line() + "\n"};
  } catch (const CLI::RequiredError& error) {
    // A misspelt command is found missing before it is found surplus.
    const std::vector<std::string> unknown = parser.app.remaining(true);
    return fail(Code::USAGE, unknown.empty() ? error.what() : "not known here: " + unknown.front());
  } catch (const CLI::ParseError& error) {
    return fail(Code::USAGE, error.what());
  }
  return parser.parsed();
}

}  // namespace leat::cli
