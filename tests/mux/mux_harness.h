// Two sessions face to face in memory, and small Sources and Sinks to hang on their streams. Bytes
// move only when a test says so, in virtual time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "mux/frame.h"
#include "mux/session.h"

namespace leat::mux::test {

using namespace std::chrono_literals;

// Sends what it was given, then the end if asked to.
struct TextSource final : Source {
  std::string text;
  std::size_t sent = 0;
  bool ends = false;
  bool broken = false;
  int asked = 0;

  Produced produce(MutableBytes out) override {
    ++asked;
    if (broken) return Produced::error();
    const std::size_t n = std::min(out.size(), text.size() - sent);
    if (n == 0) return ends ? Produced::end() : Produced::not_ready();
    std::copy_n(text.data() + sent, n, out.data());
    sent += n;
    return Produced::bytes(n);
  }
};

// An endless one.
struct BulkSource final : Source {
  std::uint64_t sent = 0;

  Produced produce(MutableBytes out) override {
    std::fill(out.begin(), out.end(), std::uint8_t{'b'});
    sent += out.size();
    return Produced::bytes(out.size());
  }
};

// Keeps what it takes, up to `room`.
struct TextSink final : Sink {
  std::string text;
  std::size_t room = SIZE_MAX;
  bool ended = false;
  std::optional<ResetReason> reset_by;
  std::function<void()> on_deliver = [] {}, on_reset = [] {};

  std::size_t deliver(Bytes data) override {
    const std::size_t n = std::min(room, data.size());
    text += as_chars(data.first(n));
    room -= room == SIZE_MAX ? 0 : n;
    on_deliver();
    return n;
  }
  void end() override { ended = true; }
  void reset(ResetReason reason) override {
    reset_by = reason;
    on_reset();
  }
};

struct Peer final : Events {
  explicit Peer(const Config& config) : session(config, *this, Time{}) {}

  void on_open(StreamHandle stream) override {
    opened.push_back(stream);
    if (accept) accept(stream);
  }
  void on_go_away() override { ++go_aways; }
  void on_want_pull() override { ++wants; }
  void on_want_feed() override { ++feeds_wanted; }

  // Everything there is to send.
  std::string take(std::size_t record = 16381, Time now = Time{}) {
    std::string out, buffer(record, '\0');
    while (const std::size_t n =
               session.pull({reinterpret_cast<std::uint8_t*>(buffer.data()), record}, now)) {
      out.append(buffer, 0, n);
    }
    return out;
  }

  std::vector<StreamHandle> opened;
  std::function<void(StreamHandle)> accept;
  int go_aways = 0, wants = 0, feeds_wanted = 0;
  Session session;
};

// A frame as it would stand on the wire.
inline std::string frame(Type type, std::uint16_t flags, std::uint32_t id, std::uint32_t length,
                         std::string_view payload = {}) {
  std::string out(kHeaderSize, '\0');
  encode({type, flags, id, length}, reinterpret_cast<std::uint8_t*>(out.data()));
  return out.append(payload);
}
inline std::string data(std::uint32_t id, std::string_view payload, std::uint16_t flags = 0) {
  return frame(Type::data, flags, id, static_cast<std::uint32_t>(payload.size()), payload);
}
inline std::string window(std::uint32_t id, std::uint32_t credit, std::uint16_t flags = 0) {
  return frame(Type::window_update, flags, id, credit);
}

// The headers on a wire, payloads left out. Empty at the first that is malformed or cut.
inline std::vector<Header> headers(std::string_view wire) {
  std::vector<Header> out;
  while (!wire.empty()) {
    Header header;
    if (wire.size() < kHeaderSize || decode(as_bytes(wire).data(), header) != Fatal::none)
      return {};
    const std::size_t n = kHeaderSize + (header.type == Type::data ? header.length : 0);
    if (wire.size() < n) return {};
    out.push_back(header);
    wire.remove_prefix(n);
  }
  return out;
}

struct Pair {
  explicit Pair(Config a = Config::native(Role::client), Config b = Config::native(Role::server))
      : client(a), server(b) {}

  // Moves bytes both ways until neither has any. Bounded, so that a livelock fails rather than
  // hangs.
  Fatal settle(int rounds = 10000) {
    for (int i = 0; i < rounds; ++i) {
      const std::string there = client.take(16381, now), back = server.take(16381, now);
      if (there.empty() && back.empty()) return Fatal::none;
      if (const Fatal f = server.session.feed(as_bytes(there), now); f != Fatal::none) return f;
      if (const Fatal f = client.session.feed(as_bytes(back), now); f != Fatal::none) return f;
    }
    return Fatal::flood;
  }

  Time now{};
  Peer client, server;
};

}  // namespace leat::mux::test
