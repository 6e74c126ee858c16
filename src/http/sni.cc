#include "http/sni.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "http/chars.h"
#include "http/head.h"

namespace leat::http {
namespace {

constexpr std::uint8_t kHandshake = 22;    // RFC 8446 §5.1
constexpr std::uint8_t kClientHello = 1;   // §4
constexpr std::size_t kMessageHeader = 4;  // type and 24-bit length
constexpr std::uint16_t kServerName = 0, kAlpn = 16;

// Reads forward through bytes; once something is missing, every further read is empty and ok()
// false.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

  Bytes take(std::size_t n) {
    if (n > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const Bytes out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  std::size_t number(std::size_t width) {
    std::size_t value = 0;
    for (const std::uint8_t byte : take(width)) value = value << 8 | byte;
    return value;
  }
  // A vector<…> of the TLS presentation language: its length in `width` bytes, then itself.
  Bytes vector(std::size_t width) { return take(number(width)); }

 private:
  Bytes rest_;
  bool ok_ = true;
};

// RFC 6066 §3: exactly one name, of type host_name, without port or final dot.
const char* read_server_name(Bytes extension, std::string& out) {
  Cursor outer(extension);
  Cursor list(outer.vector(2));
  const std::size_t type = list.number(1);
  const std::string_view name = as_chars(list.vector(2));
  if (!outer.ok() || !outer.empty() || !list.ok() || !list.empty() || type != 0) {
    return "malformed server_name";
  }
  if (!valid_host(name) || name.find_first_of(":[") != std::string_view::npos ||
      name.back() == '.') {
    return "server_name is not a host name";
  }
  out = host_name(name);
  return nullptr;
}

// RFC 7301 §3.1: at least one protocol, none empty.
const char* read_alpn(Bytes extension, std::vector<std::string>& out) {
  Cursor outer(extension);
  Cursor list(outer.vector(2));
  if (list.empty()) return "malformed ALPN";
  while (!list.empty()) {
    const std::string_view protocol = as_chars(list.vector(1));
    if (protocol.empty()) return "malformed ALPN";
    out.emplace_back(protocol);
  }
  return outer.ok() && outer.empty() && list.ok() ? nullptr : "malformed ALPN";
}

const char* read_extensions(Bytes extensions, ClientHello& out) {
  Cursor cursor(extensions);
  std::vector<std::uint16_t> seen;
  while (!cursor.empty()) {
    const auto type = static_cast<std::uint16_t>(cursor.number(2));
    const Bytes extension = cursor.vector(2);
    if (!cursor.ok()) return "extension runs past its end";
    seen.push_back(type);
    const char* why = nullptr;
    if (type == kServerName) why = read_server_name(extension, out.server_name);
    if (type == kAlpn) why = read_alpn(extension, out.alpn);
    if (why != nullptr) return why;
  }
  std::sort(seen.begin(), seen.end());
  // RFC 8446 §4.2.
  return std::adjacent_find(seen.begin(), seen.end()) == seen.end() ? nullptr
                                                                    : "extension sent twice";
}

// RFC 8446 §4.1.2, the same in every version since 1.0.
const char* read_hello(Bytes body, ClientHello& out) {
  Cursor cursor(body);
  const std::size_t version = cursor.number(2);
  cursor.take(32);  // random
  const Bytes session_id = cursor.vector(1);
  const Bytes suites = cursor.vector(2);
  const Bytes compression = cursor.vector(1);
  const bool has_extensions = !cursor.empty();
  const Bytes extensions = has_extensions ? cursor.vector(2) : Bytes{};
  if (!cursor.ok() || !cursor.empty()) return "ClientHello of a wrong length";
  if (version >> 8 != 3 || session_id.size() > 32 || suites.empty() || suites.size() % 2 != 0 ||
      compression.empty()) {
    return "malformed ClientHello";
  }
  return read_extensions(extensions, out);
}

}  // namespace

bool ClientHello::offers(std::string_view protocol) const {
  return std::find(alpn.begin(), alpn.end(), protocol) != alpn.end();
}

ClientHelloReader::State ClientHelloReader::fail(const char* why) {
  why_ = why;
  message_ = {};
  return state_ = State::error;
}

std::size_t ClientHelloReader::missing() const {
  const std::size_t header = record_left_ > 0 ? 0 : sizeof header_ - header_n_;
  if (message_.size() < kMessageHeader) return header + kMessageHeader - message_.size();
  Cursor length(as_bytes(message_).subspan(1));
  return header + kMessageHeader + length.number(3) - message_.size();
}

ClientHelloReader::State ClientHelloReader::feed(Bytes in) {
  while (!in.empty() && state_ == State::more) {
    if (record_left_ > 0) {
      const std::size_t n = std::min(record_left_, in.size());
      record_left_ -= n;
      take_fragment(in.first(n));
      in = in.subspan(n);
      continue;
    }
    header_[header_n_++] = in.front();
    in = in.subspan(1);
    const bool first_record = message_.empty();
    if ((header_n_ == 1 && header_[0] != kHandshake) || (header_n_ == 2 && header_[1] != 3)) {
      if (first_record) return state_ = State::not_tls;
      return fail("ClientHello interrupted by another record");
    }
    if (header_n_ < sizeof header_) continue;
    header_n_ = 0;
    record_left_ = load_be16(header_ + 3);
    // RFC 8446 §5.1.
    if (record_left_ == 0) return fail("empty record");
    if (record_left_ > limits::kTlsRecord) return fail("record too large");
  }
  return state_;
}

ClientHelloReader::State ClientHelloReader::take_fragment(Bytes fragment) {
  // What follows the message in its record is not ours to look at.
  const auto message_end = [this] {
    Cursor header(as_bytes(message_).subspan(1));
    return kMessageHeader + header.number(3);
  };
  const std::size_t to_header =
      std::min(fragment.size(), kMessageHeader - std::min(message_.size(), kMessageHeader));
  message_.append(as_chars(fragment.first(to_header)));
  fragment = fragment.subspan(to_header);
  if (message_.empty()) return state_;
  if (message_[0] != kClientHello) return fail("first message is not a ClientHello");
  if (message_.size() < kMessageHeader) return state_;
  const std::size_t end = message_end();
  if (end > limits::kClientHello) return fail("ClientHello too large");
  message_.append(as_chars(fragment.first(std::min(fragment.size(), end - message_.size()))));
  if (message_.size() < end) return state_;

  if (const char* why = read_hello(as_bytes(message_).subspan(kMessageHeader), hello_)) {
    return fail(why);
  }
  message_ = {};
  return state_ = State::done;
}

}  // namespace leat::http
