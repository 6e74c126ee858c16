// The command line and the LEAT_… environment, as plain structs. What is not said stays unset, so
// that a configuration file can come between the environment and the defaults: flag > environment >
// file > default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"

namespace leat::cli {

struct LogArguments {
  std::optional<std::string> level;   // debug, info, warn, error, off
  std::optional<std::string> format;  // text, json
};

struct RelayArguments {
  std::optional<std::string> config, listen, plain_listen, admin_listen, domain, public_url,
      tcp_ports, state_dir, cert, key;
  LogArguments log;
};

// `leat http`, `leat tcp`: one service, from flags. `leat agent`: many, from a file.
struct AgentArguments {
  enum class Kind : std::uint8_t { file, http, tcp };
  Kind kind = Kind::file;
  std::string target;  // http, tcp
  std::optional<std::string> config, id, relay, pin, ca, token_file, state_dir, host_header, origin;
  std::optional<bool> is_public;
  std::optional<std::uint16_t> remote_port;
  LogArguments log;
};

struct TokenArguments {
  enum class Verb : std::uint8_t { create, list, revoke };
  Verb verb = Verb::list;
  std::optional<std::string> state_dir;
  std::string name;  // create, revoke
};

struct ConfigArguments {
  std::string file;
};

struct SampleArguments {
  std::string listen = "127.0.0.1:0";
  std::optional<std::string> state_dir;  // unset: writes no sample.json
  double tokens_per_second = 20;
  unsigned tokens = 0;
  LogArguments log;
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

using Arguments = std::variant<RelayArguments, AgentArguments, TokenArguments, ConfigArguments,
                               SampleArguments, DemoArguments, PrintArguments>;

// LEAT_USAGE says which argument is wrong.
Result<Arguments> parse_arguments(int argc, const char* const* argv);

// A shell's view of the commands, for its completion script.
struct CommandWords {
  std::string path;  // "", "relay", "token create"
  std::vector<std::string> words;
};
// `shell`: bash, zsh or fish.
std::string completion_script(const std::string& shell, const std::vector<CommandWords>& commands);

}  // namespace leat::cli
