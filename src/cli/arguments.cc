#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>

#include "cli/flags.h"
#include "cli/unknown_word.h"
#include "cli/version.h"

namespace leat::cli {
namespace {

using Settings = std::vector<config::Setting>;
using Kind = AgentArguments::Kind;

const char* kind_word(Kind kind) {
  return kind == Kind::http ? "http" : kind == Kind::tcp ? "tcp" : kind == Kind::tls ? "tls" : "ws";
}

// Another name of the same flag.
std::string with_aliases(std::string_view flag) {
  std::string names(flag);
  if (flag == "--room") names += ",--id";
  if (flag == "--id" || flag == "--room") names += ",--tunnel-id";
  return names;
}

// Flags that a configuration file may hold too.
void add_settings(CLI::App* command, std::span<const Flag> flags, Settings& into) {
  for (const Flag& flag : flags) {
    const auto take = [&into, name = flag.name](const std::string& value) {
      into.push_back({key_of(name), value, name});
    };
    const std::string names = with_aliases(flag.name);
    if (flag.value_name == nullptr) {
      command->add_flag_callback(
          names, [take] { take("true"); }, flag.help);
    } else {
      command->add_option_function<std::string>(names, take, flag.help)->type_name(flag.value_name);
    }
  }
}

// The environment stands in for what was not said. Not by Option::envname(): that reads the
// variables of every command, whichever was chosen.
struct Variable {
  const CLI::App* command;
  CLI::Option* option;
  std::string name;
};

Result<void> read_environment(std::span<const Variable> variables, const CLI::App* command) {
  for (const Variable& variable : variables) {
    if (variable.command != command || variable.option->count() != 0) continue;
    const char* const value = std::getenv(variable.name.c_str());
    if (value == nullptr || *value == '\0') continue;
    try {
      variable.option->add_result(value);
      variable.option->run_callback();
    } catch (const CLI::ParseError& error) {
      return fail(Code::USAGE, variable.name + ": " + error.what());
    }
  }
  return {};
}

// Every command with its flags, each bound to a struct of its own.
struct Parser {
  CLI::App app{
      "leat: a reverse tunnel. A relay in public, an agent at home, one connection between.",
      "leat"};
  RelayArguments relay;
  AgentArguments http, tcp, tls, ws, agent;
  JoinArguments join;
  TokenArguments token_create, token_invite, token_list, token_revoke, token_allow, token_plan;
  StatusArguments status;
  UsageArguments usage;
  PairArguments pair;
  DeviceArguments device_list, device_revoke, device_scope;
  KeyArguments key_show, key_rotate;
  ConnectArguments connect;
  ConfigArguments config;
  DoctorArguments doctor;
  SampleArguments sample;
  DemoArguments demo;
  std::string shell;
  std::vector<Variable> variables;

  Parser();
  Result<Arguments> parsed();
  const CLI::App* chosen() const;
  Result<void> check_commands(std::span<const char* const> words) const;  // USAGE

 private:
  CLI::Option* with_environment(CLI::App* command, CLI::Option* option) {
    variables.push_back({command, option, variable_of(option->get_lnames().front())});
    return option;
  }
  template <typename T>
  CLI::Option* add(CLI::App* command, const char* names, T& value, const char* value_name,
                   const char* help) {
    return with_environment(command,
                            command->add_option(names, value, help)->type_name(value_name));
  }
  CLI::App* command(const char* name, const char* help, const char* footer = "") {
    return app.add_subcommand(name, help)->footer(footer);
  }
  void add_agent(CLI::App* command, AgentArguments& into);
  void add_service(CLI::App* command, AgentArguments& into, Kind kind);
  void add_join();
  void add_token();
  void add_status();
  void add_sealed();
  void add_connect();
  void add_sample();
  void add_demo();
};

std::vector<std::string> subcommands(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands(nullptr)) names.push_back(sub->get_name());
  return names;
}

Result<void> Parser::check_commands(std::span<const char* const> words) const {
  const CLI::App* at = &app;
  for (const std::string word : words) {
    const std::vector<std::string> known = subcommands(*at);
    const auto found = std::ranges::find(known, word);
    if (found == known.end()) return fail(Code::USAGE, describe_unknown({&word, 1}, known));
    at = at->get_subcommands(nullptr)[static_cast<std::size_t>(found - known.begin())];
  }
  return {};
}

Parser::Parser() {
  app.set_version_flag("--version,-V", version_line(), "print the version");
  app.require_subcommand(1);
  app.footer("Every flag is also an environment variable: --state-dir is LEAT_STATE_DIR.");

  auto* relay_command =
      command("relay", "run a relay: the public end",
              "Example: leat relay --domain relay.example.com --tcp-ports 20000-20100");
  add_settings(relay_command, relay_flags(), relay.settings);
  add(relay_command, "--config", relay.config, "FILE",
      "YAML file with any of these (docs/configuration.md)");

  add_service(command("http", "publish a local HTTP service",
                      "Example: LEAT_TOKEN=… leat http 11434 --relay relay.example.com "
                      "--pin sha256:…"),
              http, Kind::http);
  add_service(command("tcp", "publish a local TCP service on a port of the relay",
                      "Example: LEAT_TOKEN=… leat tcp 22 --remote-port 2222 "
                      "--relay relay.example.com --pin sha256:…"),
              tcp, Kind::tcp);
  add_service(command("ws", "publish a local WebSocket server as a room of the relay",
                      "Example: LEAT_TOKEN=… leat ws 1234 --room notes "
                      "--relay relay.example.com --pin sha256:…"),
              ws, Kind::ws);
  add_service(command("tls", "publish a local TLS service by name, unread",
                      "Example: LEAT_TOKEN=… leat tls 8443 --host vault.example.com "
                      "--relay relay.example.com --pin sha256:…"),
              tls, Kind::tls);
  add_agent(command("agent", "publish the services of a configuration file"), agent);
  add_join();
  add_token();
  add_status();
  add_sealed();
  add_connect();
  auto* config_command = command("config", "look at configuration files");
  config_command->require_subcommand(1);
  config_command->add_subcommand("check", "say whether a file is valid, and if not, where")
      ->add_option("FILE", config.file, "configuration of a relay or an agent")
      ->required()
      ->type_name("");
  auto* doctor_command =
      command("doctor", "say what is wrong between this machine, its services and the relay",
              "Example: leat doctor --config leat.yaml");
  add_agent(doctor_command, doctor.agent);
  with_environment(doctor_command, doctor_command->add_flag("--json", doctor.json, "for programs"));
  add_demo();
  add_sample();
  command("completion", "print a completion script for your shell",
          "Example: source <(leat completion bash)")
      ->add_option("SHELL", shell, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command("version", "print the version");
  command("help", "print the help of a command", "Example: leat help token create");
}

void Parser::add_agent(CLI::App* c, AgentArguments& into) {
  add_settings(c, agent_flags(), into.settings);
  add(c, "--config", into.config, "FILE", "YAML file with any of these (docs/configuration.md)");
}

void Parser::add_service(CLI::App* c, AgentArguments& into, Kind kind) {
  into.kind = kind;
  into.service.push_back({"kind", kind_word(kind), "TARGET"});
  c->add_option_function<std::string>(
       "TARGET",
       [&into](const std::string& value) {
         into.service.push_back({"target", value, "TARGET"});
       },
       kind == Kind::http ? "PORT, HOST:PORT or URL"
       : kind == Kind::ws ? "PORT, HOST:PORT or URL [LOCAL_PORT]"
                          : "PORT or HOST:PORT")
      ->required(kind != Kind::ws)
      ->type_name("");
  add_settings(c, service_flags(kind), into.service);
  add_agent(c, into);
}

void Parser::add_join() {
  auto* c = command("join", "connect this machine to a relay, once, by the code it showed",
                    "Example: leat join https://relay.example.com/join#CODE.PIN");
  c->add_option("URL", join.url, "what the relay printed at its start, or 'leat token invite'")
      ->required()
      ->type_name("");
  add(c, "--state-dir", join.state_dir, "DIR",
      "where the credential is kept [~/.local/state/leat/agent; /var/lib/leat/… for root]");
  add(c, "--ca", join.ca, "FILE", "trust the relay by this authority, PEM [the pin in URL]");
}

void Parser::add_token() {
  auto* tokens = command("token", "the credentials of a relay's agents",
                         "To be run where the relay runs, as the user it runs as.");
  tokens->require_subcommand(1);
  using Verb = TokenArguments::Verb;
  const auto verb = [&](const char* name, const char* help, TokenArguments& into, Verb value) {
    auto* c = tokens->add_subcommand(name, help);
    into.verb = value;
    add(c, "--state-dir", into.state_dir, "DIR", kRelayStateDir);
    if (value == Verb::create || value == Verb::list || value == Verb::revoke) {
      // Not by the environment, where it is the relay's: there is the database before it has run.
      c->add_option("--admin-key-file", into.admin_key_file,
                    "ask the relay, not its database; not by the environment")
          ->type_name("FILE");
    }
    if (value == Verb::list) return;
    add(c, "--name,NAME", into.name, "NAME", "what it is called in lists and logs");
    if (value == Verb::revoke || value == Verb::allow) return;
    auto* plan =
        add(c, "--plan", into.plan, "NAME", "what its owner may use, of the relay's --plans");
    if (value == Verb::plan) plan->required();
  };
  verb("create", "make one and print it, once", token_create, Verb::create);
  verb("invite",
       "make a code that lets one machine join, once, within 15 minutes; on a terminal its QR code "
       "too, unless NO_COLOR is set",
       token_invite, Verb::invite);
  verb("list", "names, and when they were made and revoked", token_list, Verb::list);
  verb("revoke", "refuse it from now on", token_revoke, Verb::revoke);
  verb("allow", "take back the revocation of a JWT's subject: jwt:SUBJECT", token_allow,
       Verb::allow);
  verb("plan", "give its owner another plan, from now on", token_plan, Verb::plan);
}

void Parser::add_status() {
  auto* c =
      command("status", "show a relay's agents, and how it sends to them",
              "To be run where the relay runs. Example: leat status --admin-key-file admin.key");
  add(c, "--state-dir", status.state_dir, "DIR", kRelayStateDir);
  add(c, "--admin-key-file", status.admin_key_file, "FILE", "the relay's");
  with_environment(c, c->add_flag("--json", status.json, "for programs"));
  c = command("usage", "show what a relay's owners have used, by day and month",
              "To be run where the relay runs, as the user it runs as, or with its admin key.");
  c->add_option("OWNER", usage.owner, "one of them [all]")->type_name("");
  add(c, "--state-dir", usage.state_dir, "DIR", kRelayStateDir);
  add(c, "--admin-key-file", usage.admin_key_file, "FILE", "ask the relay, not its database");
}

void Parser::add_sealed() {
  constexpr char kStateDir[] = "the agent's [that of the only one with a sealed service]";
  constexpr char kServices[] = "services it may use, with commas [all sealed ones]";
  constexpr char kPaths[] = "paths it may ask for, as /v1,/api [all]";
  auto* c = command("pair", "let one device in: prints a link and its QR code",
                    "To be run where the agent runs, as the user it runs as.");
  add(c, "--state-dir", pair.state_dir, "DIR", kStateDir);
  add(c, "--name", pair.name, "NAME", "what the device is called [what it calls itself]");
  add(c, "--services", pair.services, "IDS", kServices);
  add(c, "--paths", pair.paths, "PATHS", kPaths);
  add(c, "--page", pair.page, "URL", "what stands before the # [leat://pair]");
  add(c, "--minutes", pair.minutes, "N", "how long the link is good for [10]")
      ->check(CLI::Range(1u, 24u * 60));
  with_environment(c, c->add_flag("--no-qr", pair.no_qr, "print the link alone"));

  auto* devices = command("device", "the devices that were paired with an agent");
  devices->require_subcommand(1);
  const auto verb = [&](const char* name, const char* help, DeviceArguments& into,
                        DeviceArguments::Verb value) {
    auto* sub = devices->add_subcommand(name, help);
    into.verb = value;
    add(sub, "--state-dir", into.state_dir, "DIR", kStateDir);
    if (value == DeviceArguments::Verb::list) return;
    sub->add_option("NAME", into.name, "as the list has it")->required()->type_name("");
    if (value == DeviceArguments::Verb::revoke) return;
    add(sub, "--services", into.services, "IDS",
        "with commas; 'all' takes the limit off [as it is]");
    add(sub, "--paths", into.paths, "PATHS", "as /v1,/api; 'all' takes the limit off [as it is]");
  };
  using Verb = DeviceArguments::Verb;
  verb("list", "names, since when, and what they may use", device_list, Verb::list);
  verb("revoke", "refuse it from now on and end its sessions", device_revoke, Verb::revoke);
  verb("scope", "say what it may use; what is not named stays", device_scope, Verb::scope);

  auto* keys = command("key", "the key by which devices know an agent");
  keys->require_subcommand(1);
  const auto key_verb = [&](const char* name, const char* help, KeyArguments& into,
                            KeyArguments::Verb value) {
    into.verb = value;
    add(keys->add_subcommand(name, help), "--state-dir", into.state_dir, "DIR", kStateDir);
  };
  key_verb("show", "print it, and the agent's identity", key_show, KeyArguments::Verb::show);
  key_verb("rotate", "make a new one: every device has to be paired anew", key_rotate,
           KeyArguments::Verb::rotate);
}

void Parser::add_connect() {
  auto* c = command("connect", "reach a sealed service from another machine",
                    "Example: leat connect home --local 11434, or for ssh:\n"
                    "ssh -o ProxyCommand='leat connect home --service ssh' me@home");
  c->add_option("AGENT", connect.agent, "a pairing link, or the name or id of a paired agent")
      ->type_name("");
  add(c, "--link-file", connect.link_file, "FILE", "holds the pairing link; - is standard input");
  add(c, "--local", connect.local, "ADDR", "PORT or HOST:PORT to listen on [stdin and stdout]");
  add(c, "--service", connect.service, "ID", "of the agent's services [the tunnel's, or the only]");
  add(c, "--name", connect.name, "NAME", "what this device calls itself [the machine's name]");
  add(c, "--direct", connect.direct, "ADDR", "an address of the agent, beside those it says");
  add(c, "--way", connect.way, "WAY", "any, relay or direct [any: what answers first]")
      ->check(CLI::IsMember({"any", "relay", "direct"}));
  add(c, "--suite", connect.suite, "SUITE", "aesgcm or nacl [aesgcm]")
      ->check(CLI::IsMember({"aesgcm", "nacl"}));
  with_environment(c, c->add_flag("--padding", connect.padding, "fill records up, to hide sizes"));
  add(c, "--state-dir", connect.state_dir, "DIR", "keys of agents [~/.local/state/leat/connect]");
  add(c, "--log-level", connect.log_level, "LEVEL", "debug, info, warn, error or off [warn]");
  add(c, "--log-format", connect.log_format, "FORMAT", "text or json [text]");
}

void Parser::add_sample() {
  auto* c = command("sample", "run an OpenAI-compatible sample server, without a model");
  add(c, "--listen", sample.listen, "ADDR", "where [127.0.0.1:0]");
  add(c, "--state-dir", sample.state_dir, "DIR", "writes sample.json there");
  add(c, "--tokens-per-second", sample.tokens_per_second, "RATE", "pace of an answer [20]")
      ->check(CLI::Range(0.01, 100000.0));
  add(c, "--tokens", sample.tokens, "N", "length of an answer [its text once]")
      ->check(CLI::Range(1u, 1'000'000u));
  add(c, "--log-level", sample.log_level, "LEVEL", "debug, info, warn, error or off [info]");
  add(c, "--log-format", sample.log_format, "FORMAT", "text or json [text]");
}

void Parser::add_demo() {
  auto* c =
      command("demo", "relay, agent and a service on this machine, and a request through them");
  with_environment(c, c->add_flag("--once", demo.once, "end after the request"));
  add(c, "--target", demo.target, "URL", "a real server: Ollama, vLLM, … [the sample server]");
  add(c, "--tokens", demo.tokens, "N", "length of the answer [24 of the sample server]")
      ->check(CLI::Range(1u, 1'000'000u));
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

const CLI::App* Parser::chosen() const {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return command;
}

Result<Arguments> token_arguments(const TokenArguments& token) {
  using Verb = TokenArguments::Verb;
  if (token.verb != Verb::list && token.verb != Verb::invite && token.name.empty()) {
    return fail(Code::USAGE, "NAME (or --name NAME) is missing");
  }
  return token;
}

Result<Arguments> Parser::parsed() {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "relay") return relay;
  if (name == "http") return http;
  if (name == "tcp") return tcp;
  if (name == "ws") return ws;
  if (name == "tls") return tls;
  if (name == "agent") return agent;
  if (name == "token") {
    const std::string verb = chosen()->get_name();
    return token_arguments(verb == "create"   ? token_create
                           : verb == "invite" ? token_invite
                           : verb == "list"   ? token_list
                           : verb == "allow"  ? token_allow
                           : verb == "plan"   ? token_plan
                                              : token_revoke);
  }
  if (name == "status") return status;
  if (name == "usage") return usage;
  if (name == "join") return join;
  if (name == "pair") return pair;
  if (name == "device") {
    const std::string verb = chosen()->get_name();
    return verb == "list" ? device_list : verb == "revoke" ? device_revoke : device_scope;
  }
  if (name == "key") return chosen()->get_name() == "show" ? key_show : key_rotate;
  if (name == "connect") return connect;
  if (name == "config") return config;
  if (name == "doctor") return doctor;
  if (name == "sample") return sample;
  if (name == "demo") return demo;
  if (name == "version") return PrintArguments{version_line() + "\n"};
  std::vector<CommandWords> commands;
  collect_words(&app, "", commands);
  return PrintArguments{completion_script(shell, commands)};
}

// What the parser did not know, in its own words unless that is a surplus argument.
std::string usage_text(const Parser& parser, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = parser.app.remaining(true);
  if (unknown.empty()) return error.what();
  const CLI::App* const command = parser.chosen();
  std::vector<std::string> known = subcommands(*command);
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  return describe_unknown(unknown, known);
}

}  // namespace

Result<Arguments> parse_arguments(int argc, const char* const* argv) {
  // leat help relay: as if leat relay --help.
  std::vector<const char*> words(argv, argv + argc);
  Parser parser;
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    words.erase(words.begin() + 1);
    if (auto known = parser.check_commands(std::span(words).subspan(1)); !known) {
      return tl::unexpected(known.error());
    }
    words.push_back("--help");
  }
  try {
    parser.app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::CallForHelp&) {
    return PrintArguments{parser.app.help()};
  } catch (const CLI::CallForVersion&) {
    return PrintArguments{version_line() + "\n"};
  } catch (const CLI::ParseError& error) {
    return fail(Code::USAGE, usage_text(parser, error));
  }
  if (auto read = read_environment(parser.variables, parser.chosen()); !read) {
    return tl::unexpected(read.error());
  }
  return parser.parsed();
}

Settings service_environment(Kind kind) {
  Settings settings;
  const auto take = [&](const std::string& key, const std::string& variable) {
    const auto same = [&](const config::Setting& setting) { return setting.key == key; };
    const char* const value = std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0' || std::ranges::any_of(settings, same)) return;
    settings.push_back({key, value, variable});
  };
  for (const Flag& flag : service_flags(kind)) take(key_of(flag.name), variable_of(flag.name));
  if (kind == Kind::ws) {
    take("room", "ROOM_ID");
    take("target", "LOCAL_PORT");
  }
  return settings;
}

}  // namespace leat::cli
