// Bodies on their way out: what comes in several pieces leaves together, and is the same bytes
// wherever the pieces are cut and however little the transport takes of them.
#include "net/http_io.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace leat::net {
namespace {

using Random = std::mt19937_64;

// Takes what it has room for, by one call or another.
struct Wire final : Transport {
  bool established() const override { return true; }
  IoResult read(MutableBytes) override { return {IoStatus::would_block}; }
  bool readable() const override { return false; }
  IoResult write(Bytes from) override { return write_pieces({&from, 1}); }
  IoResult write_pieces(std::span<const Bytes> pieces) override {
    ++writes;
    std::size_t total = 0;
    for (const Bytes piece : pieces) {
      const std::size_t n = std::min(room, piece.size());
      text += as_chars(piece.first(n));
      room -= n;
      total += n;
      if (n < piece.size()) break;
    }
    return total > 0 ? IoResult{IoStatus::ok, total} : IoResult{IoStatus::would_block};
  }
  std::size_t write_room() const override { return room; }
  bool flush() override { return true; }
  void finish() override {}
  void abort() override {}
  bool broken() const override { return false; }
  int fd() const override { return -1; }
  std::string peer() const override { return "test"; }
  std::string peer_host() const override { return "test"; }
  Error error() const override { return {Code::CARRIER_CUT, {}}; }

  std::size_t room = 1 << 20;
  std::size_t writes = 0;
  std::string text;
};

// Consecutive pieces of `whole`, as many as a sink is offered at most.
std::vector<Bytes> cut(Bytes whole, std::size_t largest, Random& random) {
  std::vector<Bytes> pieces;
  while (!whole.empty() && pieces.size() < mux::Sink::kMaxPieces) {
    const std::size_t n = std::min<std::size_t>(whole.size(), 1 + random() % largest);
    pieces.push_back(whole.first(n));
    whole = whole.subspan(n);
  }
  return pieces;
}

std::string chunked(std::size_t chunks, Random& random) {
  std::string body;
  for (std::size_t i = 0; i < chunks; ++i) {
    const std::size_t size = 1 + random() % 40;
    std::array<char, 8> line{};
    std::snprintf(line.data(), line.size(), "%zx\r\n", size);
    body += line.data() + std::string(size, static_cast<char>('a' + i % 26)) + "\r\n";
  }
  return body + "0\r\n";
}

// Gives all of `body` to a writer, in pieces and against a transport that is full now and then.
std::string sent(const std::string& body, http::BodyKind kind, std::uint64_t length, Random& random,
                 bool& bad) {
  Wire wire;
  HttpWriter writer;
  writer.begin_body(kind, length);
  Bytes left = as_bytes(body);
  const std::size_t largest = random() % 2 == 0 ? 3 : 60;
  for (int turn = 0; turn < 100'000; ++turn) {
    wire.room = random() % 3 == 0 ? 0 : random() % 80;
    writer.flush(wire);
    const std::size_t n = writer.write_body(wire, cut(left, largest, random));
    left = left.subspan(n);
    bad = writer.bad_framing();
    if (bad || (writer.idle() && (left.empty() || writer.body_done()))) break;
  }
  return wire.text;
}

TEST(HttpWriter, WhatComesTogetherLeavesTogether) {
  Random random(1);
  const std::string body(5 * 1000, 'x');
  const std::array<Bytes, 5> pieces = {as_bytes(body).first(1000), as_bytes(body).first(1000),
                                       as_bytes(body).first(1000), as_bytes(body).first(1000),
                                       as_bytes(body).first(1000)};
  for (const auto kind : {http::BodyKind::length, http::BodyKind::until_close}) {
    Wire wire;
    HttpWriter writer;
    writer.begin_body(kind, body.size());
    EXPECT_EQ(writer.write_body(wire, pieces), body.size());
    EXPECT_EQ(wire.text, body);
    EXPECT_EQ(wire.writes, 1u);
  }
  Wire wire;
  HttpWriter writer;
  EXPECT_EQ(writer.write_raw(wire, pieces), body.size());
  EXPECT_EQ(wire.writes, 1u);
}

TEST(HttpWriter, NothingBehindTheEndOfABody) {
  Wire wire;
  HttpWriter writer;
  writer.begin_body(http::BodyKind::length, 7);
  const std::array<Bytes, 3> pieces = {as_bytes("abcd"), as_bytes("efgh"), as_bytes("ijkl")};
  EXPECT_EQ(writer.write_body(wire, pieces), 7u);
  EXPECT_EQ(wire.text, "abcdefg");
  EXPECT_TRUE(writer.body_done());
  EXPECT_EQ(writer.write_body(wire, pieces), 0u);
}

TEST(HttpWriter, WhatIsGoodInFrontOfBrokenFramingIsSent) {
  Wire wire;
  HttpWriter writer;
  writer.begin_body(http::BodyKind::chunked, 0);
  const std::array<Bytes, 2> pieces = {as_bytes("2\r\nab\r\n"), as_bytes("zz\r\n")};
  EXPECT_EQ(writer.write_body(wire, pieces), 7u);
  EXPECT_FALSE(writer.bad_framing());
  EXPECT_EQ(writer.write_body(wire, std::span(pieces).last(1)), 0u);
  EXPECT_TRUE(writer.bad_framing());
  EXPECT_EQ(wire.text, "2\r\nab\r\n");
}

TEST(HttpWriter, NeitherCutsNorAFullTransportChangeABody) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const std::string body = chunked(1 + random() % 20, random);
    bool bad = false;
    const std::string trailers = random() % 2 == 0 ? "X-Sum: 1\r\n" : "Content-Length: 1\r\n";
    const std::string kept = trailers.starts_with("X") ? trailers : "";
    EXPECT_EQ(sent(body + trailers + "\r\n", http::BodyKind::chunked, 0, random, bad),
              body + kept + "\r\n");
    EXPECT_FALSE(bad);
    EXPECT_EQ(sent(body, http::BodyKind::length, body.size(), random, bad), body);
    EXPECT_FALSE(bad);
    // The last chunk's size is none: what is before it may have left, and nothing else.
    const std::string good = body.substr(0, body.size() - 3);
    EXPECT_TRUE(
        good.starts_with(sent(good + "g\r\n\r\n", http::BodyKind::chunked, 0, random, bad)));
    EXPECT_TRUE(bad);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace leat::net
