// How the session inside begins (docs/protocol.md §8.2): the client's open and the agent's answer,
// as contents of sealed data records. The identities are proved already, so there is no challenge
// and no signature. Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "net/link.h"

namespace leat::sealed {

// Client: the chunk that asks for a new session.
std::string open_chunk();

// Agent: what a client asks for.
class OpenReader {
 public:
  enum class State : std::uint8_t { more, fresh, resume, error };
  // `used`: bytes of `in` that were the chunk's; the rest are the link's.
  State feed(Bytes in, std::size_t& used);
  const Error& error() const { return error_; }  // VERSION_MISMATCH, PROTOCOL

 private:
  State judge();
  State fail(Code code, std::string_view text);

  std::string held_;
  Error error_{Code::PROTOCOL, {}};
};

// Agent: the answers.
std::string opened_chunk(const net::SessionId& session);
std::string close_chunk(const Error& why);

// Client: the agent's answer.
class OpenedReader {
 public:
  enum class State : std::uint8_t { more, opened, error };
  State feed(Bytes in, std::size_t& used);
  const Error& error() const { return error_; }  // what the agent closed with, or PROTOCOL

 private:
  State fail(Code code, std::string text);

  std::string held_;
  Error error_{Code::PROTOCOL, {}};
};

}  // namespace leat::sealed
