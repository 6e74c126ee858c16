// Valid heads: what is read out of them and what is written again.
#include "http/head.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "reading.h"

namespace leat::http {
namespace {

using testing::read_request;
using testing::read_response;

TEST(RequestHead, Plain) {
  const auto r = read_request(
      "GET /where?q=now HTTP/1.1\r\nHost: www.example.com\r\nAccept:text/html "
      "\r\nX-Empty:\r\n\r\n");
  ASSERT_TRUE(r.ok()) << r.why;
  EXPECT_EQ(r.request->method, "GET");
  EXPECT_EQ(r.request->target, "/where?q=now");
  EXPECT_EQ(r.request->minor, 1);
  EXPECT_EQ(r.request->body, BodyKind::none);
  EXPECT_TRUE(r.request->keep_alive);
  EXPECT_FALSE(r.request->upgrade);
  EXPECT_FALSE(r.request->expect_continue);
  EXPECT_EQ(r.serialised,
            "GET /where?q=now HTTP/1.1\r\nHost: www.example.com\r\nAccept: text/html\r\n"
            "X-Empty: \r\n\r\n");
}

TEST(RequestHead, ReadsNoFurtherThanTheBlankLine) {
  const std::string_view text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next";
  const auto r = read_request(text);
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(text.substr(r.used), "GET /next");
}

TEST(RequestHead, TwoHeadsThroughOneReader) {
  HeadReader reader;
  std::size_t used = 0;
  EXPECT_EQ(reader.held(), 0u);
  ASSERT_EQ(reader.feed(as_bytes("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"), used),
            HeadReader::State::done);
  EXPECT_GT(reader.held(), 0u);
  EXPECT_EQ(reader.take_request()->target, "/1");
  EXPECT_EQ(reader.held(), 0u);
  ASSERT_EQ(reader.feed(as_bytes("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"), used),
            HeadReader::State::done);
  EXPECT_EQ(reader.take_request()->target, "/2");
}

TEST(RequestHead, Bodies) {
  const auto body = [](std::string_view fields) {
    const auto r = read_request("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n");
    EXPECT_TRUE(r.ok()) << r.why;
    return std::pair(r.request->body, r.request->length);
  };
  EXPECT_EQ(body(""), std::pair(BodyKind::none, std::uint64_t{0}));
  EXPECT_EQ(body("Content-Length: 0\r\n"), std::pair(BodyKind::length, std::uint64_t{0}));
  EXPECT_EQ(body("content-length:42\r\n"), std::pair(BodyKind::length, std::uint64_t{42}));
  EXPECT_EQ(body("Content-Length: 9223372036854775807\r\n"),
            std::pair(BodyKind::length, std::uint64_t{9223372036854775807u}));
  EXPECT_EQ(body("Transfer-Encoding: chunked\r\n"), std::pair(BodyKind::chunked, std::uint64_t{0}));
  EXPECT_EQ(body("Transfer-Encoding: Chunked\r\n"), std::pair(BodyKind::chunked, std::uint64_t{0}));
}

TEST(RequestHead, Persistence) {  // RFC 9112 §9.3
  const auto keeps = [](std::string_view version, std::string_view connection) {
    const auto r = read_request("GET / " + std::string(version) + "\r\nHost: a\r\n" +
                                std::string(connection) + "\r\n");
    EXPECT_TRUE(r.ok()) << r.why;
    return r.request->keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1", ""));
  EXPECT_TRUE(keeps("HTTP/1.1", "Connection: keep-alive\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: keep-alive, CLOSE\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: x\r\nConnection: close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", ""));
  EXPECT_TRUE(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST(RequestHead, UpgradeAndExpect) {
  const auto read = [](std::string_view fields, std::string_view version = "HTTP/1.1") {
    auto r = read_request("GET / " + std::string(version) + "\r\nHost: a\r\n" +
                          std::string(fields) + "\r\n");
    EXPECT_TRUE(r.ok()) << r.why;
    return *r.request;
  };
  EXPECT_TRUE(read("Connection: Upgrade\r\nUpgrade: websocket\r\n").upgrade);
  EXPECT_TRUE(read("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n").upgrade);
  EXPECT_TRUE(read("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n").upgrade);
  EXPECT_FALSE(read("Upgrade: websocket\r\n").upgrade);
  EXPECT_FALSE(read("Connection: Upgrade\r\n").upgrade);
  EXPECT_FALSE(read("Connection: Upgrade\r\nUpgrade: \r\n").upgrade);
  EXPECT_FALSE(read("Connection: Upgrade\r\nUpgrade: websocket\r\n", "HTTP/1.0").upgrade);
  EXPECT_FALSE(
      read("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n").upgrade);
  EXPECT_TRUE(read("Expect: 100-Continue\r\n").expect_continue);
  EXPECT_FALSE(read("Expect: 100-continue\r\n", "HTTP/1.0").expect_continue);
}

TEST(RequestHead, OldVersionNeedsNoHost) {
  const auto r = read_request("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(r.ok()) << r.why;
  EXPECT_EQ(r.request->minor, 0);
  EXPECT_EQ(r.serialised, "GET / HTTP/1.0\r\n\r\n");
}

TEST(RequestHead, ForeignBytesInValuesPass) {
  const auto r = read_request("GET / HTTP/1.1\r\nHost: a\r\nX: \xff\x80 \t\xc3\xa9\r\n\r\n");
  ASSERT_TRUE(r.ok()) << r.why;
  EXPECT_EQ(*r.request->fields.find("x"), "\xff\x80 \t\xc3\xa9");
}

TEST(RequestHead, Limits) {
  const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\n";
  const auto padded = [&](std::size_t size) {
    return begin + "X: " + std::string(size - begin.size() - 3 - 4, 'x') + "\r\n\r\n";
  };
  EXPECT_TRUE(read_request(padded(limits::kHead)).ok());
  EXPECT_EQ(read_request(padded(limits::kHead + 1)).error, HeadError::too_large);

  std::string many = begin;
  for (std::size_t i = 1; i < limits::kHeaderFields; ++i) many += "X: 1\r\n";
  EXPECT_TRUE(read_request(many + "\r\n").ok());
  EXPECT_EQ(read_request(many + "X: 1\r\n\r\n").error, HeadError::too_large);
}

TEST(ResponseHead, Plain) {
  const auto r = read_response("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n");
  ASSERT_TRUE(r.ok()) << r.why;
  EXPECT_EQ(r.response->status, 404);
  EXPECT_EQ(r.response->reason, "Not Found");
  EXPECT_EQ(r.response->body, BodyKind::length);
  EXPECT_EQ(r.response->length, 9u);
  EXPECT_TRUE(r.response->keep_alive);
  EXPECT_EQ(r.serialised, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n");
}

TEST(ResponseHead, Reasons) {
  EXPECT_EQ(read_response("HTTP/1.1 200 \r\n\r\n").serialised, "HTTP/1.1 200 \r\n\r\n");
  EXPECT_EQ(read_response("HTTP/1.1 200\r\n\r\n").serialised, "HTTP/1.1 200 \r\n\r\n");
  EXPECT_EQ(read_response("HTTP/1.1 200 D\xe9j\xe0\tvu  \r\n\r\n").serialised,
            "HTTP/1.1 200 D\xe9j\xe0\tvu  \r\n\r\n");
}

struct BodyCase {
  const char* method;
  const char* status;
  const char* fields;
  BodyKind body;
  std::uint64_t length;
  bool keep_alive;
};

class ResponseBody : public ::testing::TestWithParam<BodyCase> {};

TEST_P(ResponseBody, FollowsRfc9112Section6_3) {
  const BodyCase& c = GetParam();
  const auto r = read_response(
      "HTTP/1.1 " + std::string(c.status) + " x\r\n" + std::string(c.fields) + "\r\n", c.method);
  ASSERT_TRUE(r.ok()) << r.why;
  EXPECT_EQ(r.response->body, c.body);
  EXPECT_EQ(r.response->length, c.length);
  EXPECT_EQ(r.response->keep_alive, c.keep_alive);
}

constexpr char kUpgraded[] = "Connection: upgrade\r\nUpgrade: websocket\r\n";

INSTANTIATE_TEST_SUITE_P(
    All, ResponseBody,
    ::testing::Values(
        BodyCase{"GET", "200", "", BodyKind::until_close, 0, false},
        BodyCase{"GET", "200", "Connection: keep-alive\r\n", BodyKind::until_close, 0, false},
        BodyCase{"GET", "200", "Content-Length: 0\r\n", BodyKind::length, 0, true},
        BodyCase{"GET", "200", "Content-Length: 5\r\n", BodyKind::length, 5, true},
        BodyCase{"GET", "200", "Content-Length: 5\r\nConnection: close\r\n", BodyKind::length, 5,
                 false},
        BodyCase{"GET", "200", "Transfer-Encoding: chunked\r\n", BodyKind::chunked, 0, true},
        BodyCase{"HEAD", "200", "", BodyKind::none, 0, true},
        BodyCase{"HEAD", "200", "Content-Length: 5\r\n", BodyKind::none, 0, true},
        BodyCase{"HEAD", "200", "Transfer-Encoding: chunked\r\n", BodyKind::none, 0, true},
        BodyCase{"GET", "304", "Content-Length: 5\r\n", BodyKind::none, 0, true},
        BodyCase{"GET", "204", "", BodyKind::none, 0, true},
        BodyCase{"GET", "204", "Content-Length: 0\r\n", BodyKind::none, 0, true},
        BodyCase{"GET", "204", "Content-Length: 5\r\n", BodyKind::none, 0, false},
        BodyCase{"GET", "204", "Transfer-Encoding: chunked\r\n", BodyKind::none, 0, false},
        BodyCase{"GET", "100", "", BodyKind::none, 0, true},
        BodyCase{"GET", "103", "Link: </a>\r\n", BodyKind::none, 0, true},
        BodyCase{"GET", "101", kUpgraded, BodyKind::none, 0, false}));

TEST(ResponseHead, InterimIsNotFinal) {
  EXPECT_TRUE(read_response("HTTP/1.1 100 Continue\r\n\r\n").response->interim());
  EXPECT_TRUE(read_response("HTTP/1.1 103 Early Hints\r\n\r\n").response->interim());
  EXPECT_FALSE(
      read_response(std::string("HTTP/1.1 101 x\r\n") + kUpgraded + "\r\n").response->interim());
  EXPECT_FALSE(read_response("HTTP/1.1 200 OK\r\n\r\n").response->interim());
}

TEST(Fields, NamesCompareWithoutCase) {
  Fields fields;
  fields.add("Accept", "a");
  fields.add("ACCEPT", "b");
  fields.add("Other", "c, D ,,e");
  EXPECT_EQ(*fields.find("accept"), "a");
  EXPECT_EQ(fields.count("aCCept"), 2u);
  EXPECT_EQ(fields.find("accep"), nullptr);
  EXPECT_TRUE(fields.has_token("other", "d"));
  EXPECT_TRUE(fields.has_token("other", "e"));
  EXPECT_FALSE(fields.has_token("other", ""));
  fields.set("accept", "z");
  EXPECT_EQ(fields.count("Accept"), 1u);
  EXPECT_EQ(*fields.find("Accept"), "z");
  fields.remove("OTHER");
  EXPECT_EQ(fields.all().size(), 1u);
}

TEST(Fields, ValidNamesAndValues) {
  for (int c = 0; c < 256; ++c) {
    const std::string text(1, static_cast<char>(c));
    EXPECT_EQ(valid_field_value(text), c == '\t' || (c >= ' ' && c != 0x7f)) << c;
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool mark = c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                    std::string_view::npos;
    EXPECT_EQ(valid_field_name(text), alnum || mark) << c;
  }
  EXPECT_FALSE(valid_field_name(""));
  EXPECT_TRUE(valid_field_value(""));
}

TEST(FieldsDeath, RefuseWhatWouldSplitTheHead) {
  Fields fields;
  EXPECT_DEATH(fields.add("X", "a\r\nY: b"), "valid_field_value");
  EXPECT_DEATH(fields.set("X: y\r\nZ", "a"), "valid_field_name");
}

TEST(Framing, ExactlyOneOrNone) {
  Fields fields;
  fields.add("content-length", "1");
  fields.add("Content-Length", "2");
  fields.add("Transfer-Encoding", "gzip");
  set_framing(fields, BodyKind::length, 18446744073709551615u);
  ASSERT_EQ(fields.all().size(), 1u);
  EXPECT_EQ(*fields.find("Content-Length"), "18446744073709551615");
  set_framing(fields, BodyKind::chunked, 7);
  ASSERT_EQ(fields.all().size(), 1u);
  EXPECT_EQ(*fields.find("Transfer-Encoding"), "chunked");
  set_framing(fields, BodyKind::until_close, 7);
  EXPECT_TRUE(fields.all().empty());
}

TEST(HopByHop, GoesWithWhatConnectionNames) {
  auto r = read_request(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Private , Host\r\nconnection: te\r\n"
      "x-private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: gzip, trailers\r\n"
      "Trailer: X\r\nProxy-Authorization: x\r\nUpgrade: x\r\nHTTP2-Settings: x\r\n"
      "Accept: b\r\n\r\n");
  ASSERT_TRUE(r.ok()) << r.why;
  remove_hop_by_hop(r.request->fields);
  std::string out;
  serialise(*r.request, out);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nAccept: b\r\nTE: trailers\r\n\r\n");
}

}  // namespace
}  // namespace leat::http
