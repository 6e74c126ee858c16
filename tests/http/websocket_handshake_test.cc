// The opening handshake, RFC 6455 §4.
#include "http/websocket_handshake.h"

#include <gtest/gtest.h>

#include "reading.h"

namespace leat::http::ws {
namespace {

using http::testing::read_request;
using http::testing::read_response;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // §1.3
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

Request request(std::string_view fields, std::string_view start = "GET /chat HTTP/1.1") {
  const auto r = read_request(std::string(start) + "\r\nHost: server.example.com\r\n" +
                              std::string(fields) + "\r\n");
  EXPECT_TRUE(r.ok()) << r.why;
  return *r.request;
}

constexpr std::string_view kUpgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
const std::string kGood = std::string(kUpgrade) +
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\n";

TEST(WebSocketHandshake, AcceptValueOfTheRfc) { EXPECT_EQ(accept_value(kKey), kAccept); }

TEST(WebSocketHandshake, Request) {
  EXPECT_EQ(check_request(request(kGood)), Offer::ok);
  EXPECT_EQ(check_request(request("Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Version: 13\r\n")),
            Offer::ok);
  EXPECT_EQ(check_request(request("")), Offer::none);
  EXPECT_EQ(check_request(request("Upgrade: websocket\r\n")), Offer::none);
  EXPECT_EQ(check_request(request("Upgrade: x\r\nConnection: Upgrade\r\n")), Offer::none);
  EXPECT_EQ(check_request(request(kGood, "POST /chat HTTP/1.1")), Offer::bad);
  EXPECT_EQ(check_request(request(kGood, "GET /chat HTTP/1.0")), Offer::bad);
}

TEST(WebSocketHandshake, Versions) {
  const auto with = [](std::string_view version) {
    return check_request(request(std::string(kUpgrade) +
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                                 std::string(version)));
  };
  EXPECT_EQ(with(""), Offer::version);
  EXPECT_EQ(with("Sec-WebSocket-Version: 8\r\n"), Offer::version);
  EXPECT_EQ(with("Sec-WebSocket-Version: 13, 8\r\n"), Offer::version);
  EXPECT_EQ(with("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"), Offer::version);
}

TEST(WebSocketHandshake, Keys) {
  const auto with = [](std::string_view key) {
    return check_request(
        request(std::string(kUpgrade) + "Sec-WebSocket-Version: 13\r\n" + std::string(key)));
  };
  EXPECT_EQ(with(""), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key:\r\n"), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n"), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j====\r\n"), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n"), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key: dGhlIHNhbXBs-SBub25jZQ==\r\n"), Offer::bad);
  EXPECT_EQ(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
            Offer::bad);
}

TEST(WebSocketHandshake, Subprotocols) {
  const Request r = request(kGood +
                            "Sec-WebSocket-Protocol: chat, leat.1\r\n"
                            "Sec-WebSocket-Protocol: other\r\n");
  EXPECT_TRUE(offers(r.fields, "leat.1"));
  EXPECT_TRUE(offers(r.fields, "other"));
  EXPECT_FALSE(offers(r.fields, "LEAT.1"));
  EXPECT_FALSE(offers(r.fields, "leat"));
}

// Both sides over the wire.
Response answer(std::string_view subprotocol, const std::string& key) {
  Request asked = request("");
  offer(asked, key, subprotocol);
  std::string wire;
  serialise(asked, wire);
  const auto seen = read_request(wire);
  EXPECT_TRUE(seen.ok()) << seen.why;
  EXPECT_TRUE(seen.request->upgrade);
  EXPECT_EQ(check_request(*seen.request), Offer::ok);
  wire.clear();
  serialise(accept(*seen.request, subprotocol), wire);
  const auto got = read_response(wire);
  EXPECT_TRUE(got.ok()) << got.why;
  return *got.response;
}

TEST(WebSocketHandshake, BothSides) {
  const std::string key = new_key();
  EXPECT_NE(key, new_key());
  EXPECT_EQ(check_response(answer("leat.1", key), key, "leat.1"), nullptr);
  EXPECT_EQ(check_response(answer("", key), key, ""), nullptr);
}

TEST(WebSocketHandshake, WrongAnswers) {
  const std::string key = new_key();
  const auto refused = [&](auto&& change, std::string_view subprotocol = "leat.1") {
    Response r = answer("leat.1", key);
    change(r);
    return check_response(r, key, subprotocol) != nullptr;
  };
  EXPECT_FALSE(refused([](Response&) {}));
  EXPECT_TRUE(refused([](Response& r) { r.status = 200; }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.remove("Upgrade"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.set("Upgrade", "h2c"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.remove("Connection"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.remove("Sec-WebSocket-Accept"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.set("Sec-WebSocket-Accept", kAccept); }));
  EXPECT_TRUE(
      refused([](Response& r) { r.fields.add("Sec-WebSocket-Extensions", "permessage-deflate"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.remove("Sec-WebSocket-Protocol"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.set("Sec-WebSocket-Protocol", "chat"); }));
  EXPECT_TRUE(refused([](Response& r) { r.fields.add("Sec-WebSocket-Protocol", "leat.1"); }));
  EXPECT_TRUE(refused([](Response&) {}, ""));
}

}  // namespace
}  // namespace leat::http::ws
