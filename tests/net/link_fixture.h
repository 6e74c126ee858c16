// What the tests of the link share: an upper layer that sends and collects text, chunks built by
// hand from docs/protocol.md §2.1, and a reader that takes output apart again.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "net/link.h"

namespace leat::net::test {

using namespace std::chrono_literals;

inline constexpr Time kStart{1000s};

class TestUpper final : public LinkUpper {
 public:
  bool on_link_data(Bytes data) override {
    got += as_chars(data);
    return wants_more;
  }
  std::size_t produce_link_data(MutableBytes out) override {
    const std::size_t n = std::min({out.size(), to_send.size(), at_once});
    std::copy_n(to_send.begin(), n, out.begin());
    to_send.erase(0, n);
    return n;
  }

  std::string to_send, got;
  std::size_t at_once = SIZE_MAX;
  bool wants_more = true;
};

inline std::string be(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// Kinds by number, so that the tests do not agree with the code by naming its constants.
inline std::string chunk(int kind, std::string_view body) {
  return be(body.size(), 2) + static_cast<char>(kind) + std::string(body);
}
inline std::string data_chunk(std::string_view body) { return chunk(4, body); }
inline std::string ack(std::uint64_t value) { return chunk(5, be(value, 8)); }
inline std::string ping(std::uint64_t value) { return chunk(6, be(value, 8)); }
inline std::string pong(std::uint64_t value) { return chunk(7, be(value, 8)); }
inline std::string close(std::string_view code, std::string_view text) {
  return chunk(8, static_cast<char>(code.size()) + std::string(code) + std::string(text));
}

struct Chunk {
  int kind;
  std::string body;
  std::uint64_t number() const { return load_be64(as_bytes(body).data()); }
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

// Whole chunks only; the test has a mistake or found one if bytes are left over.
inline std::vector<Chunk> chunks(std::string_view bytes) {
  std::vector<Chunk> out;
  while (bytes.size() >= 3) {
    const std::size_t length = load_be16(as_bytes(bytes).data());
    if (bytes.size() < 3 + length) break;
    out.push_back({bytes[2], std::string(bytes.substr(3, length))});
    bytes.remove_prefix(3 + length);
  }
  if (!bytes.empty()) out.push_back({-1, std::string(bytes)});
  return out;
}

inline std::string pull(Link& link, Time now, std::size_t max = limits::kTlsRecord) {
  return std::string(as_chars(link.pull(max, now)));
}

inline std::string pull_all(Link& link, Time now, std::size_t max = limits::kTlsRecord) {
  std::string out;
  while (true) {
    const Bytes record = link.pull(max, now);
    if (record.empty()) return out;
    out += as_chars(record);
  }
}

inline LinkFault feed(Link& link, std::string_view bytes, Time now) {
  return link.feed(as_bytes(bytes), now);
}

// A stretch of bytes in which every offset differs from its neighbours.
inline std::string pattern(std::size_t size, std::uint64_t from = 0) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t at = from + i;
    out[i] = static_cast<char>((at * 131) ^ (at >> 8) ^ (at >> 16));
  }
  return out;
}

}  // namespace leat::net::test
