// Body framing, RFC 9112 §6 and §7.1.
#include "http/body.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "reading.h"

namespace leat::http {
namespace {

using testing::BodyResult;
using testing::read_body;
using testing::single_bytes;
using testing::split_at;
using State = BodyScanner::State;

// The same result whole, byte by byte and cut in two anywhere.
BodyResult chunked(std::string_view text) {
  const BodyResult whole = read_body({text}, BodyKind::chunked);
  EXPECT_EQ(read_body(single_bytes(text), BodyKind::chunked), whole);
  for (std::size_t at = 1; at < text.size(); ++at) {
    EXPECT_EQ(read_body(split_at(text, at), BodyKind::chunked), whole) << "cut at " << at;
  }
  return whole;
}

TEST(Body, None) {
  BodyScanner scanner;
  std::size_t used = 9, forward = 9;
  EXPECT_TRUE(scanner.done());
  EXPECT_EQ(scanner.feed(as_bytes("next"), used, forward), State::done);
  EXPECT_EQ(used, 0u);
  EXPECT_EQ(forward, 0u);
  EXPECT_TRUE(scanner.complete_at_close());
}

TEST(Body, Length) {
  EXPECT_TRUE(BodyScanner(BodyKind::length, 0).done());
  const BodyResult whole = read_body({"hello world"}, BodyKind::length, 5);
  EXPECT_EQ(whole, (BodyResult{State::done, 5, "hello", true}));
  EXPECT_EQ(read_body(single_bytes("hello world"), BodyKind::length, 5), whole);
  EXPECT_EQ(read_body({"hell"}, BodyKind::length, 5), (BodyResult{State::more, 4, "hell", false}));
}

TEST(Body, UntilClose) {
  EXPECT_EQ(read_body({"a", "b"}, BodyKind::until_close), (BodyResult{State::more, 2, "ab", true}));
}

TEST(Body, Chunked) {
  EXPECT_EQ(chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext"),
            (BodyResult{State::done, 26, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", true}));
  EXPECT_EQ(chunked("000A\r\n0123456789\r\n00\r\n\r\n").state, State::done);
  EXPECT_EQ(chunked("a\r\n\r\n0\r\n\r\n123\r\n0\r\n\r\n").forwarded,
            "a\r\n\r\n0\r\n\r\n123\r\n0\r\n\r\n");
  EXPECT_EQ(chunked("5\r\nhel").complete_at_close, false);
}

TEST(Body, ChunkedLargest) {
  // 16 digits are the widest line; 56 bits of size are a valid, if hopeless, promise.
  EXPECT_EQ(chunked("00ffffffffffffff\r\nx").state, State::more);
  for (const char* size :
       {"0100000000000000", "0fffffffffffffff", "1000000000000000", "7fffffffffffffff",
        "8000000000000000", "fffffffffffffffa", "ffffffffffffffff"}) {
    EXPECT_EQ(chunked(size + std::string("\r\nx")).state, State::error) << size;
  }
  EXPECT_EQ(chunked("0000000000000001\r\nx\r\n0\r\n\r\n").state, State::done);
  EXPECT_EQ(chunked("00000000000000001\r\nx\r\n0\r\n\r\n").state, State::error);
  EXPECT_EQ(chunked("10000000000000000\r\n").state, State::error);
}

TEST(Body, ChunkedHostile) {
  const std::string_view broken[] = {"\r\n",
                                     "\n",
                                     ";",
                                     " 5\r\nhello\r\n",
                                     "5 \r\nhello\r\n",
                                     "5\t\r\nhello\r\n",
                                     "5;a=b\r\nhello\r\n",
                                     "5;\r\nhello\r\n",
                                     "5\nhello\r\n",
                                     "5\rhello\r\n",
                                     "5\r\r\nhello",
                                     "0x5\r\nhello\r\n",
                                     "+5\r\nhello\r\n",
                                     "-5\r\nhello\r\n",
                                     "5,5\r\nhello\r\n",
                                     "g\r\n",
                                     "5\r\nhelloX\n",
                                     "5\r\nhello\n",
                                     "5\r\nhello\r0",
                                     "5\r\nhello\rX",
                                     "5\r\nhello!\r\n",
                                     "5\r\nhello\r\n\r\n",
                                     "5\r\nhello\r\n0\n\r\n",
                                     "5\r\nhello\r\n0;x\r\n\r\n",
                                     "0\r\n\n",
                                     "0\r\n\rX",
                                     "0\r\n X: y\r\n\r\n",
                                     "0\r\n: y\r\n\r\n",
                                     "0\r\nX : y\r\n\r\n",
                                     "0\r\nX: y\n\r\n",
                                     "0\r\nX: y\r\n z\r\n\r\n",
                                     "0\r\nX\r\n\r\n",
                                     "0\r\nX: \x01\r\n\r\n",
                                     "0\r\nX: \x7f\r\n\r\n",
                                     "0\r\n(: y\r\n\r\n"};
  for (const std::string_view text : broken) {
    EXPECT_EQ(chunked(text).state, State::error) << text;
    EXPECT_FALSE(chunked(text).complete_at_close) << text;
  }
  EXPECT_EQ(chunked(std::string_view("0\r\nX: \0\r\n\r\n", 11)).state, State::error);
  EXPECT_EQ(chunked(std::string_view("\0\r\n", 3)).state, State::error);
}

TEST(Body, ErrorStays) {
  BodyScanner scanner(BodyKind::chunked, 0);
  std::size_t used = 0, forward = 0;
  EXPECT_EQ(scanner.feed(as_bytes("5\r\nhi;"), used, forward), State::more);
  EXPECT_EQ(scanner.feed(as_bytes("xxx\r\n0\r\n\r\n"), used, forward), State::error);
  EXPECT_EQ(scanner.feed(as_bytes("0\r\n\r\n"), used, forward), State::error);
  EXPECT_EQ(used, 0u);
}

TEST(Trailers, AreFiltered) {
  const BodyResult r = chunked(
      "0\r\nETag: \"1\"\r\ncontent-length: 5\r\nHOST: evil\r\nTransfer-Encoding: chunked\r\n"
      "Server-Timing: a\r\nAuthorization: x\r\nX-Forwarded-For: 1.2.3.4\r\nset-cookie: a=b\r\n"
      "If-Match: x\r\nTrailer: x\r\nConnection: x\r\nGrpc-Status:0\r\n\r\nrest");
  EXPECT_EQ(r.state, State::done);
  EXPECT_EQ(r.forwarded, "0\r\nETag: \"1\"\r\nServer-Timing: a\r\nGrpc-Status:0\r\n\r\n");
}

TEST(Trailers, AreBounded) {
  const auto trailer = [](std::size_t size) {
    return "0\r\nX: " + std::string(size - 7, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(read_body({trailer(limits::kTrailers)}, BodyKind::chunked).state, State::done);
  EXPECT_EQ(read_body({trailer(limits::kTrailers + 1)}, BodyKind::chunked).state, State::error);

  std::string many = "0\r\n";
  for (std::size_t i = 0; i < limits::kHeaderFields; ++i) many += "X: 1\r\n";
  EXPECT_EQ(read_body({many + "\r\n"}, BodyKind::chunked).state, State::done);
  EXPECT_EQ(read_body({many + "X: 1\r\n\r\n"}, BodyKind::chunked).state, State::error);
}

}  // namespace
}  // namespace leat::http
