// WebSocket frames (RFC 6455 §5-§7), both roles, sans-I/O. Payload is unmasked where it lies and
// handed out as it comes; nothing is collected but control frames. No extension is ever negotiated,
// so reserved bits are errors (threats 20 and 22). Deciding when to close, and sending nothing
// after, is the owner's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace leat::http::ws {

enum class Role : std::uint8_t {
  client,
  server
};  // ours; a server's peer masks, a client's does not

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

// RFC 6455 §7.4.1.
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupported = 1003;
inline constexpr std::uint16_t kNoStatus = 1005;  // never on the wire
inline constexpr std::uint16_t kBadData = 1007;
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;

// Whether the code may stand in a close frame (§7.4.2 and the registry).
bool valid_close_code(unsigned code);

inline constexpr std::size_t kMaxControl = 125;
inline constexpr std::size_t kMaxHeader = 14;

using MaskKey = std::array<std::uint8_t, 4>;  // unpredictable, fresh for each frame (§5.3)

// Masks or unmasks; `offset` is where in the payload `data` begins.
void mask(MutableBytes data, const MaskKey& key, std::uint64_t offset = 0);

// Validates UTF-8 (RFC 3629) in any chunking, failing at the first byte that cannot be.
class Utf8 {
 public:
  bool feed(Bytes bytes);
  bool complete() const { return more_ == 0; }

 private:
  std::uint8_t more_ = 0;                  // continuation bytes still due
  std::uint8_t low_ = 0x80, high_ = 0xbf;  // what the next of them may be
};

struct Event {
  enum class Kind : std::uint8_t {
    none,  // all input was used; feed more
    data,  // a piece, possibly empty, of a text or binary message
    ping,  // to be answered with a pong of the same payload
    pong,
    close,  // nothing follows; answer with the same code, unless a close was sent already
    error,  // nothing follows; close with `code` and drop the connection
  };
  Kind kind = Kind::none;
  Opcode opcode = Opcode::binary;  // data: of the message
  bool end = false;                // data: the message ends here
  std::uint16_t code = 0;          // close: kNoStatus if the peer gave none
  // data: within the input. Else valid until the next feed; close: the reason.
  Bytes payload = {};
};

class FrameReader {
 public:
  // Messages beyond `max_message` bytes are an error 1009 as soon as a header announces it.
  FrameReader(Role role, std::uint64_t max_message) : role_(role), max_message_(max_message) {}

  // Uses a prefix of `in`, which it may overwrite, and reports at most one event; call again with
  // the rest until it says none. After close input is discarded; an error stays.
  Event feed(MutableBytes in, std::size_t& used);

 private:
  enum class At : std::uint8_t { header, data, control, closed, failed };

  // The header's size once its first two bytes are known.
  std::size_t header_size() const;
  Event check_start();  // the first two bytes
  Event begin_frame();  // the whole header
  Event take_data(MutableBytes payload);
  Event take_control(MutableBytes payload);
  Event end_control();
  Event end_close();
  Event fail(std::uint16_t code);

  Role role_;
  At at_ = At::header;
  bool in_message_ = false;          // a fragmented message is under way
  bool fin_ = false;                 // of this frame
  bool masked_ = false;              // this frame
  Opcode frame_ = Opcode::binary;    // of this frame
  Opcode message_ = Opcode::binary;  // of the message
  std::uint16_t code_ = 0;           // after a failure
  std::uint64_t max_message_;
  std::uint64_t message_size_ = 0;  // announced so far
  std::uint64_t left_ = 0;          // payload bytes of this frame still to come
  std::uint64_t offset_ = 0;        // payload bytes of this frame seen
  MaskKey key_{};
  Utf8 utf8_;
  std::size_t header_n_ = 0;
  std::array<std::uint8_t, kMaxHeader> header_{};
  std::array<std::uint8_t, kMaxControl> control_{};
};

// Writes a frame header and returns its size. A client passes the key it masks the payload with, a
// server none.
std::size_t write_header(std::span<std::uint8_t, kMaxHeader> out, Opcode opcode, bool fin,
                         std::uint64_t length, const MaskKey* key);
// A whole frame.
void append_frame(std::string& out, Opcode opcode, Bytes payload, const MaskKey* key,
                  bool fin = true);
// `code` kNoStatus writes an empty close; a reason of more than 123 bytes is cut at a character.
void append_close(std::string& out, std::uint16_t code, std::string_view reason,
                  const MaskKey* key);

}  // namespace leat::http::ws
