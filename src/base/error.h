// Errors at the edges: a stable LEAT_… code that can be searched for, what failed and why, and what
// to do next. The sans-I/O cores return small enums of their own instead; whoever speaks to a
// person or to a peer turns those into one of these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace leat {

enum class Code : std::uint8_t {
#define LEAT_ERROR(name, status, meaning, next) name,
#include "base/error_codes.inc"
#undef LEAT_ERROR
};

struct CodeInfo {
  std::string_view name;     // "LEAT_AGENT_OFFLINE"
  int http_status;           // 0: never an HTTP answer
  std::string_view meaning;  // one clause, no full stop
  std::string_view next;     // what to do
};

const CodeInfo& info(Code code);
// The code of that name ("LEAT_…"), as a peer sent it; nullopt for one this version does not know.
std::optional<Code> code_from_name(std::string_view name);

struct Error {
  Code code;
  std::string detail;  // what exactly, e.g. "leat.yaml:3: services[0].target: expected HOST:PORT"

  // "LEAT_LISTEN: the address could not be bound: 127.0.0.1:443: permission denied. Choose …"
  std::string text() const;
  // {"error":{"code":…,"message":…,"next":…}} and a newline. `detail` is left out: it may say more
  // about the inside of the relay or home network than a stranger should read.
  static std::string json(Code code, std::string_view request_id = {});
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::string detail = {}) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace leat
