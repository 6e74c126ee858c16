// The command line as plain structs. What may also come from a file is kept as it was said
// (config::Setting), so that src/config, which knows the keys, has the only parser of their values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "config/settings.h"

namespace leat::cli {

struct RelayArguments {
  std::optional<std::string> config;  // a file
  std::vector<config::Setting> settings;
};

// `leat http`, `leat tcp`, `leat tls`, `leat ws`: one service, from flags. `leat agent`: many, from
// a file.
struct AgentArguments {
  enum class Kind : std::uint8_t { file, http, tcp, tls, ws };
  Kind kind = Kind::file;
  std::optional<std::string> config;
  std::vector<config::Setting> settings;  // of the agent
  std::vector<config::Setting> service;   // of one: kind, target and what else was said
};

struct JoinArguments {
  std::string url;
  std::optional<std::string> state_dir, ca;
};

struct TokenArguments {
  enum class Verb : std::uint8_t { create, invite, list, revoke, allow, plan };
  Verb verb = Verb::list;
  std::optional<std::string> state_dir;
  std::string name;                           // of invite it may be empty
  std::string plan;                           // create, invite
  std::optional<std::string> admin_key_file;  // create, list, revoke; without: of the database
};

// Both beside a relay, in its state directory.
struct StatusArguments {
  std::optional<std::string> state_dir, admin_key_file;
  bool json = false;
};
struct UsageArguments {
  std::optional<std::string> state_dir, admin_key_file;  // without the key: of the database
  std::string owner;                                     // empty: of all
};

// `leat pair`, `leat device …`, `leat key …`: what is done beside an agent, in its state directory.
struct PairArguments {
  std::optional<std::string> state_dir;
  std::string name, services, paths;  // of the device; lists with commas, empty: no limit
  std::string page = "leat://pair";   // before the link's '#'
  unsigned minutes = 10;
  bool no_qr = false;
};

struct DeviceArguments {
  enum class Verb : std::uint8_t { list, revoke, scope };
  Verb verb = Verb::list;
  std::optional<std::string> state_dir;
  std::string name, services, paths;
};

struct KeyArguments {
  enum class Verb : std::uint8_t { show, rotate };
  Verb verb = Verb::show;
  std::optional<std::string> state_dir;
};

struct ConnectArguments {
  std::string agent;                // a link, or the name of an agent it is paired with
  std::string link_file;            // holds the link
  std::string local;                // ADDR to listen on; empty: stdin and stdout
  std::string service, name;        // empty: the agent's only one; the machine's
  std::vector<std::string> direct;  // addresses beside those the agent says
  std::string way = "any";          // relay, direct
  std::string suite = "aesgcm";     // nacl
  bool padding = false;
  std::optional<std::string> state_dir;
  std::string log_level = "warn", log_format = "text";
};

struct ConfigArguments {
  std::string file;
};

// Of an agent, with or without services.
struct DoctorArguments {
  AgentArguments agent;
  bool json = false;
};

struct SampleArguments {
  std::string listen = "127.0.0.1:0";
  std::optional<std::string> state_dir;  // unset: writes no sample.json
  double tokens_per_second = 20;
  unsigned tokens = 0;
  std::string log_level = "info", log_format = "text";
};

struct DemoArguments {
  bool once = false;
  std::string target;  // empty: the sample server
  unsigned tokens = 0;
};

// Something to print and no more: help, version, a shell's completion script.
struct PrintArguments {
  std::string text;
};

using Arguments =
    std::variant<RelayArguments, AgentArguments, JoinArguments, TokenArguments, StatusArguments,
                 UsageArguments, PairArguments, DeviceArguments, KeyArguments, ConnectArguments,
                 ConfigArguments, DoctorArguments, SampleArguments, DemoArguments, PrintArguments>;

// LEAT_USAGE says which argument is wrong. The environment stands in for a flag that is not there,
// but for settings only from service_environment() and its like in src/config.
Result<Arguments> parse_arguments(int argc, const char* const* argv);

// LEAT_ID and so on: what the flags of `kind` that describe the service have in the environment. Of
// a ws service ROOM_ID and LOCAL_PORT too.
std::vector<config::Setting> service_environment(AgentArguments::Kind kind);

// A shell's view of the commands, for its completion script.
struct CommandWords {
  std::string path;  // "", "relay", "token create"
  std::vector<std::string> words;
};
// `shell`: bash, zsh or fish.
std::string completion_script(const std::string& shell, const std::vector<CommandWords>& commands);

}  // namespace leat::cli
