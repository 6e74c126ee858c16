// What passes a WebSocket's gate, whatever pieces it comes in.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/crypto_util.h"
#include "http/websocket.h"
#include "relay/websocket_pipe.h"

namespace leat::relay {
namespace {

using http::ws::append_frame;
using http::ws::Opcode;

std::string frame(Opcode opcode, std::size_t size, bool fin = true) {
  std::string out;
  append_frame(out, opcode, as_bytes(std::string(size, 'x')), nullptr, fin);
  return out;
}

// In pieces of random sizes; a header that is not whole comes again with what follows.
std::string pass_in_pieces(FrameGate& gate, std::string_view text, std::mt19937_64& random) {
  std::string passed, held;
  for (std::size_t at = 0; at < text.size() && !gate.refused();) {
    const std::size_t n = std::min<std::size_t>(1 + random() % 40, text.size() - at);
    held += text.substr(at, n);
    at += n;
    const std::size_t some = gate.pass(as_bytes(held));
    passed += held.substr(0, some);
    held.erase(0, some);
  }
  return passed;
}

TEST(FrameGate, CountsMessagesInAnyPieces) {
  const std::uint64_t seed = random_u64();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    int messages = 0;
    std::uint64_t largest = 0;
    for (int i = 0; i < 30; ++i) {
      const std::size_t parts = 1 + random() % 3;
      std::uint64_t size = 0;
      for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t n = random() % 300;
        size += n;
        text += frame(part == 0 ? Opcode::binary : Opcode::continuation, n, part + 1 == parts);
        if (random() % 3 == 0) text += frame(Opcode::ping, random() % 126);
      }
      ++messages;
      largest = std::max(largest, size);
    }
    int seen = 0;
    std::uint64_t seen_largest = 0;
    FrameGate gate([&](bool begins, std::uint64_t size) {
      if (begins) ++seen;
      seen_largest = std::max(seen_largest, size);
      return std::optional<Code>();
    });
    EXPECT_EQ(pass_in_pieces(gate, text, random), text);
    EXPECT_EQ(seen, messages);
    EXPECT_EQ(seen_largest, largest);
    EXPECT_TRUE(gate.between_frames());
  }
}

TEST(FrameGate, StopsBeforeTheFrameThatIsTooMuch) {
  std::mt19937_64 random(1);
  const std::string good = frame(Opcode::text, 10) + frame(Opcode::binary, 60, false) +
                           frame(Opcode::ping, 5) + frame(Opcode::continuation, 40, false);
  for (int round = 0; round < 50; ++round) {
    FrameGate gate([](bool, std::uint64_t size) {
      return size > 100 ? std::optional(Code::QUOTA_MESSAGE_SIZE) : std::nullopt;
    });
    EXPECT_EQ(pass_in_pieces(gate, good + frame(Opcode::continuation, 1) + "behind", random), good);
    EXPECT_EQ(gate.refused(), Code::QUOTA_MESSAGE_SIZE);
    EXPECT_TRUE(gate.between_frames());
    EXPECT_EQ(gate.pass(as_bytes(good)), 0u) << "it stays refused";
  }
}

TEST(FrameGate, AStoppedOneLetsTheFrameUnderWayEnd) {
  FrameGate gate([](bool, std::uint64_t) { return std::optional<Code>(); });
  const std::string text = frame(Opcode::text, 100), next = frame(Opcode::text, 1);
  EXPECT_EQ(gate.pass(as_bytes(text).first(50)), 50u);
  gate.stop();
  EXPECT_EQ(gate.pass(as_bytes(text.substr(50) + next)), text.size() - 50);
  EXPECT_TRUE(gate.between_frames());
}

TEST(FrameGate, LengthsThatNoNumberHolds) {
  const std::string endless = std::string("\x82\x7f", 2) + std::string(8, '\xff');
  std::uint64_t most = 0;
  FrameGate gate([&](bool, std::uint64_t size) {
    most = size;
    return std::optional<Code>();
  });
  EXPECT_EQ(gate.pass(as_bytes(endless + std::string(1000, 'x'))), endless.size() + 1000);
  EXPECT_EQ(most, ~std::uint64_t{0});
  EXPECT_FALSE(gate.between_frames());
}

}  // namespace
}  // namespace leat::relay
