#include "http/websocket.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace leat::http::ws {
namespace {

constexpr std::uint8_t kFin = 0x80, kReserved = 0x70, kOpcodeBits = 0x0f;
constexpr std::uint8_t kMasked = 0x80, kLengthBits = 0x7f;
constexpr std::uint8_t kLength16 = 126, kLength64 = 127;

bool is_control(Opcode opcode) { return (static_cast<std::uint8_t>(opcode) & 8) != 0; }

bool known(std::uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

}  // namespace

bool valid_close_code(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

void mask(MutableBytes data, const MaskKey& key, std::uint64_t offset) {
  std::array<std::uint8_t, 8> wide;
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = key[(offset + i) % 4];
  std::uint64_t pattern;
  std::memcpy(&pattern, wide.data(), sizeof pattern);
  std::size_t i = 0;
  for (; data.size() - i >= sizeof pattern; i += sizeof pattern) {
    std::uint64_t word;
    std::memcpy(&word, data.data() + i, sizeof word);
    word ^= pattern;
    std::memcpy(data.data() + i, &word, sizeof word);
  }
  for (; i < data.size(); ++i) data[i] ^= wide[i % 8];
}

// RFC 3629 §4: only the first continuation byte's range depends on the lead byte.
bool Utf8::feed(Bytes bytes) {
  for (const std::uint8_t c : bytes) {
    if (more_ > 0) {
      if (c < low_ || c > high_) return false;
      --more_;
      low_ = 0x80;
      high_ = 0xbf;
    } else if (c >= 0x80) {
      if (c < 0xc2 || c > 0xf4) return false;
      more_ = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
      if (c == 0xe0) low_ = 0xa0;   // shorter forms exist
      if (c == 0xed) high_ = 0x9f;  // surrogates
      if (c == 0xf0) low_ = 0x90;
      if (c == 0xf4) high_ = 0x8f;  // beyond U+10FFFF
    }
  }
  return true;
}

// --- reading ---

// header -> data    -> header …   a piece of it is an event of its own
//        -> control -> header …   collected; close -> closed
// anything wrong -> failed
Event FrameReader::fail(std::uint16_t code) {
  at_ = At::failed;
  code_ = code;
  return {.kind = Event::Kind::error, .code = code};
}

std::size_t FrameReader::header_size() const {
  const std::uint8_t length = header_[1] & kLengthBits;
  return 2 +
         (length == kLength16   ? 2
          : length == kLength64 ? 8
                                : 0) +
         ((header_[1] & kMasked) != 0 ? 4 : 0);
}

Event FrameReader::feed(MutableBytes in, std::size_t& used) {
  used = 0;
  if (at_ == At::failed) return fail(code_);
  if (at_ == At::closed) used = in.size();
  while (used < in.size()) {
    Event event;
    if (at_ == At::header) {
      header_[header_n_++] = in[used++];
      if (header_n_ == 2) event = check_start();
      if (at_ == At::header && header_n_ >= 2 && header_n_ == header_size()) event = begin_frame();
    } else {
      const std::size_t n = std::min<std::uint64_t>(left_, in.size() - used);
      const MutableBytes payload = in.subspan(used, n);
      if (masked_) mask(payload, key_, offset_);
      used += n;
      offset_ += n;
      left_ -= n;
      event = at_ == At::data ? take_data(payload) : take_control(payload);
    }
    if (event.kind != Event::Kind::none) return event;
  }
  return {};
}

Event FrameReader::check_start() {
  const std::uint8_t opcode = header_[0] & kOpcodeBits;
  const std::uint8_t length = header_[1] & kLengthBits;
  fin_ = (header_[0] & kFin) != 0;
  masked_ = (header_[1] & kMasked) != 0;
  if ((header_[0] & kReserved) != 0 || !known(opcode)) return fail(kProtocolError);
  if (masked_ != (role_ == Role::server)) return fail(kProtocolError);
  frame_ = static_cast<Opcode>(opcode);
  if (is_control(frame_)) {
    if (!fin_ || length > kMaxControl) return fail(kProtocolError);
  } else if ((frame_ == Opcode::continuation) != in_message_) {
    return fail(kProtocolError);
  }
  return {};
}

Event FrameReader::begin_frame() {
  const std::uint8_t* p = header_.data() + 2;
  left_ = header_[1] & kLengthBits;
  if (left_ == kLength16) {
    left_ = load_be16(p);
    p += 2;
    if (left_ < kLength16) return fail(kProtocolError);  // §5.2: the shortest form
  } else if (left_ == kLength64) {
    left_ = load_be64(p);
    p += 8;
    if (left_ <= 0xffff || left_ >> 63 != 0) return fail(kProtocolError);
  }
  if (masked_) std::copy_n(p, key_.size(), key_.begin());
  header_n_ = 0;
  offset_ = 0;

  if (is_control(frame_)) {
    at_ = At::control;
    return left_ == 0 ? end_control() : Event{};
  }
  if (frame_ != Opcode::continuation) {
    message_ = frame_;
    message_size_ = 0;
    utf8_ = {};
  }
  if (left_ > max_message_ - message_size_) return fail(kTooBig);
  message_size_ += left_;
  in_message_ = true;
  at_ = At::data;
  return left_ == 0 ? take_data({}) : Event{};
}

Event FrameReader::take_data(MutableBytes payload) {
  const bool end = left_ == 0 && fin_;
  if (message_ == Opcode::text && (!utf8_.feed(payload) || (end && !utf8_.complete()))) {
    return fail(kBadData);
  }
  if (left_ == 0) at_ = At::header;
  if (end) in_message_ = false;
  if (payload.empty() && !end) return {};
  return {.kind = Event::Kind::data, .opcode = message_, .end = end, .payload = payload};
}

Event FrameReader::take_control(MutableBytes payload) {
  std::copy(payload.begin(), payload.end(), control_.begin() + (offset_ - payload.size()));
  return left_ == 0 ? end_control() : Event{};
}

Event FrameReader::end_control() {
  at_ = At::header;
  if (frame_ == Opcode::close) return end_close();
  return {.kind = frame_ == Opcode::ping ? Event::Kind::ping : Event::Kind::pong,
          .payload = Bytes(control_).first(offset_)};
}

Event FrameReader::end_close() {
  const Bytes body = Bytes(control_).first(offset_);
  std::uint16_t code = kNoStatus;
  if (!body.empty()) {
    if (body.size() < 2) return fail(kProtocolError);
    code = load_be16(body.data());
    if (!valid_close_code(code)) return fail(kProtocolError);
  }
  const Bytes reason = body.subspan(std::min<std::size_t>(body.size(), 2));
  Utf8 utf8;
  if (!utf8.feed(reason) || !utf8.complete()) return fail(kBadData);
  at_ = At::closed;
  return {.kind = Event::Kind::close, .code = code, .payload = reason};
}

// --- writing ---

std::size_t write_header(std::span<std::uint8_t, kMaxHeader> out, Opcode opcode, bool fin,
                         std::uint64_t length, const MaskKey* key) {
  assert(!is_control(opcode) || (fin && length <= kMaxControl));
  const std::uint8_t masked = key != nullptr ? kMasked : 0;
  out[0] = static_cast<std::uint8_t>((fin ? kFin : 0) | static_cast<std::uint8_t>(opcode));
  std::size_t n = 2;
  if (length < kLength16) {
    out[1] = static_cast<std::uint8_t>(masked | length);
  } else if (length <= 0xffff) {
    out[1] = masked | kLength16;
    store_be16(out.data() + n, static_cast<std::uint16_t>(length));
    n += 2;
  } else {
    out[1] = masked | kLength64;
    store_be64(out.data() + n, length);
    n += 8;
  }
  if (key != nullptr) {
    std::copy(key->begin(), key->end(), out.begin() + static_cast<std::ptrdiff_t>(n));
    n += key->size();
  }
  return n;
}

void append_frame(std::string& out, Opcode opcode, Bytes payload, const MaskKey* key, bool fin) {
  std::array<std::uint8_t, kMaxHeader> header;
  const std::size_t n = write_header(header, opcode, fin, payload.size(), key);
  out.append(as_chars(Bytes(header).first(n)));
  const std::size_t begin = out.size();
  out.append(as_chars(payload));
  if (key != nullptr) {
    mask({reinterpret_cast<std::uint8_t*>(out.data()) + begin, payload.size()}, *key);
  }
}

void append_close(std::string& out, std::uint16_t code, std::string_view reason,
                  const MaskKey* key) {
  if (code == kNoStatus) return append_frame(out, Opcode::close, {}, key);
  assert(valid_close_code(code));
  std::size_t n = std::min(reason.size(), kMaxControl - 2);
  // Not in the middle of a character: back over its continuation bytes.
  while (n > 0 && n < reason.size() && (static_cast<std::uint8_t>(reason[n]) & 0xc0) == 0x80) --n;
  std::array<std::uint8_t, kMaxControl> body;
  store_be16(body.data(), code);
  std::copy_n(reason.begin(), n, body.begin() + 2);
  append_frame(out, Opcode::close, Bytes(body).first(n + 2), key);
}

}  // namespace leat::http::ws
