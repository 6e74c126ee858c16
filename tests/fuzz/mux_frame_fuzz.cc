// The reader of frames: the twelve bytes of a header by themselves, and a stream of frames that
// comes in pieces. The first byte of the input says how long the pieces are, the rest is what a
// peer sends. Judged by a second reading of docs/protocol.md §1.1 that shares nothing with src/mux.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "mux/frame.h"
#include "mux/session.h"

namespace {

using namespace leat;

void require(bool ok) {
  if (!ok) std::abort();
}

// --- the second reading ---

constexpr std::size_t kHeader = 12;

struct Reading {
  const char* fault = nullptr;  // what refuses it
  unsigned type = 0, flags = 0;
  std::uint64_t id = 0, length = 0;
};

std::uint64_t number(const std::uint8_t* bytes, int n) {
  std::uint64_t value = 0;
  for (int i = 0; i < n; ++i) value = value * 256 + bytes[i];
  return value;
}

Reading read(const std::uint8_t* bytes) {
  Reading r;
  r.type = bytes[1];
  r.flags = static_cast<unsigned>(number(bytes + 2, 2));
  r.id = number(bytes + 4, 4);
  r.length = number(bytes + 8, 4);
  const bool syn = r.flags % 2 == 1, ack = r.flags / 2 % 2 == 1;
  const bool ping = r.type == 2, go_away = r.type == 3;
  if (bytes[0] != 0) {
    r.fault = "bad_version";
  } else if (r.type > 3) {
    r.fault = "bad_type";
  } else if (r.flags > 15 || (syn && ack) || (ping && (r.flags > 2 || r.flags == 0)) ||
             (go_away && r.flags != 0)) {
    r.fault = "bad_flags";
  } else if ((ping || go_away) == (r.id != 0)) {
    r.fault = "bad_stream_id";
  }
  return r;
}

// --- what is checked ---

// Every twelve bytes there are, whatever stands before them.
void headers(Bytes in) {
  for (std::size_t at = 0; at + kHeader <= in.size(); ++at) {
    const std::uint8_t* const raw = in.data() + at;
    const Reading expected = read(raw);
    const mux::Header untouched{mux::Type::ping, 77, 78, 79};
    mux::Header header = untouched;
    const mux::Fatal fault = mux::decode(raw, header);
    if (expected.fault != nullptr) {
      require(std::strcmp(mux::name(fault), expected.fault) == 0 && header == untouched);
      continue;
    }
    require(fault == mux::Fatal::none && static_cast<unsigned>(header.type) == expected.type &&
            header.flags == expected.flags && header.id == expected.id &&
            header.length == expected.length);
    std::uint8_t again[kHeader];
    mux::encode(header, again);
    require(std::memcmp(again, raw, kHeader) == 0);
  }
}

struct Nobody final : mux::Events {
  void on_open(mux::StreamHandle) override {}
  void on_go_away() override {}
  void on_want_pull() override {}
};

struct Outcome {
  mux::Fatal fault = mux::Fatal::none;
  std::uint64_t frames = 0, data = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// In pieces of so many bytes, one more each time; 0: all at once.
Outcome feed(Bytes in, std::size_t piece) {
  mux::Config config = mux::Config::native(mux::Role::server);
  config.max_streams = 1 << 20;
  config.guard = {{1 << 30, 1}, {1 << 30, 1}, {1 << 30, 1}, {1 << 30, 1}};
  Nobody nobody;
  mux::Session session(config, nobody, Time{});
  Outcome outcome;
  do {
    const std::size_t n = piece == 0 ? in.size() : std::min(piece++, in.size());
    outcome.fault = session.feed(in.first(n), Time{});
    in = in.subspan(n);
  } while (!in.empty() && outcome.fault == mux::Fatal::none);
  outcome.frames = session.stats().frames_in;
  outcome.data = session.stats().data_in;
  return outcome;
}

void stream(Bytes in, std::size_t piece) {
  const Outcome whole = feed(in, 0);
  require(whole == feed(in, piece));

  // As far as the session went, it has found the frames that are there.
  std::uint64_t frames = 0;
  const char* fault = nullptr;
  for (Bytes rest = in; rest.size() >= kHeader && frames < whole.frames + 1;) {
    const Reading header = read(rest.data());
    fault = header.fault;
    if (fault != nullptr) break;
    ++frames;
    rest = rest.subspan(kHeader);
    if (header.type == 0) rest = rest.subspan(std::min<std::uint64_t>(header.length, rest.size()));
  }
  require(whole.frames <= frames);
  switch (whole.fault) {
    case mux::Fatal::none:
      require(whole.frames == frames && fault == nullptr);
      break;
    case mux::Fatal::bad_version:
    case mux::Fatal::bad_type:
    case mux::Fatal::bad_flags:
      require(whole.frames == frames && fault != nullptr &&
              std::strcmp(mux::name(whole.fault), fault) == 0);
      break;
    default:  // the last frame it took is one that its rules refuse, or its header is
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes in(data + 1, size - 1);
  headers(in);
  stream(in, 1 + data[0] % 32);
  return 0;
}
