// What a hop changes in a head (docs/protocol.md §5).
#include "http/proxy.h"

#include <gtest/gtest.h>

#include "reading.h"

namespace leat::http {
namespace {

using testing::read_request;
using testing::read_response;

std::string forwarded(std::string_view request) {
  auto r = read_request(request);
  EXPECT_TRUE(r.ok()) << r.why;
  forward(*r.request);
  std::string out;
  serialise(*r.request, out);
  return out;
}

std::string forwarded_response(std::string_view response, std::string_view method = "GET") {
  auto r = read_response(response, method);
  EXPECT_TRUE(r.ok()) << r.why;
  forward(*r.response);
  std::string out;
  serialise(*r.response, out);
  return out;
}

TEST(Forward, Request) {
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
                      "Content-Length: 007\r\nX-End: 2\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\nX-End: 2\r\nContent-Length: 7\r\n\r\n");
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length, host\r\n"
                      "Content-Length: 5\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(forwarded("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
}

TEST(Forward, Upgrade) {
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\n\r\n");
  // An offer of HTTP/2 in the clear, body or not, is an ordinary request.
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(forwarded_response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nX: y\r\n\r\n"),
            "HTTP/1.1 101 Switching Protocols\r\nX: y\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\n\r\n");
  EXPECT_EQ(forwarded_response("HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade\r\n"
                               "Content-Length: 1\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
}

TEST(Forward, Te) {
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers, gzip\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  // Forwarding a second time changes nothing.
  const std::string once = forwarded(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, upgrade\r\nUpgrade: x\r\nTE: trailers\r\n\r\n");
  EXPECT_EQ(once,
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nUpgrade: x\r\n"
            "Connection: Upgrade, TE\r\n\r\n");
  EXPECT_EQ(forwarded(once), once);
}

TEST(Forward, ResponseWithoutBody) {
  EXPECT_EQ(forwarded_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(forwarded_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"),
            "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(forwarded_response("HTTP/1.1 304 x\r\nContent-Length: 5\r\nETag: a\r\n\r\n"),
            "HTTP/1.1 304 x\r\nContent-Length: 5\r\nETag: a\r\n\r\n");
  EXPECT_EQ(forwarded_response("HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 204 x\r\n\r\n");
  EXPECT_EQ(forwarded_response("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"),
            "HTTP/1.1 204 x\r\n\r\n");
}

TEST(Forward, ResponseOfAnOldServer) {
  EXPECT_EQ(forwarded_response("HTTP/1.0 200 OK\r\nConnection: close\r\nServer: old\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nServer: old\r\n\r\n");
}

TEST(Forward, ClaimsAboutTheClientAreRemoved) {
  auto r = read_request(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: https\r\n"
      "X_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Host: b\r\nForwarded: for=1\r\nX-Real-IP: 1\r\n"
      "X-Original-URL: /admin\r\nX-Forwarder: x\r\nX-Request-Id: 7\r\n\r\n");
  ASSERT_TRUE(r.ok()) << r.why;
  remove_forwarded(r.request->fields);
  std::string out;
  serialise(*r.request, out);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarder: x\r\nX-Request-Id: 7\r\n\r\n");
}

}  // namespace
}  // namespace leat::http
