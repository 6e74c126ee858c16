// What the agent does with the streams a relay opens (docs/protocol.md §4, §5).
#include <string>

#include "agent/world.h"

namespace leat::agent {
namespace {

using control::TunnelKind;

using Streams = World;

TEST_F(Streams, TcpIsSplicedBothWaysWithHalfClose) {
  Origin& echo = origin([](OriginConnection& c) {
    c.send(std::exchange(c.received, {}));
    if (c.ended) c.finish();
  });
  online({service("ssh", TunnelKind::tcp, echo.address())});
  Visit& visit = relay.open("ssh", TunnelKind::tcp).send("ping ").send("pong").finish();
  ASSERT_TRUE(until([&] { return visit.over(); }));
  EXPECT_TRUE(visit.replied());
  EXPECT_EQ(visit.failure(), "");
  EXPECT_EQ(visit.text(), "ping pong");
  EXPECT_TRUE(visit.ended());
}

TEST_F(Streams, HttpGet) {
  std::string asked;
  Origin& web = origin(on_head([&](OriginConnection& c, const std::string& head) {
    asked = head;
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
  }));
  online({http(web)});
  Visit& got = visit("GET /a?b HTTP/1.1\r\nHost: app.relay.test\r\nX-A: 1\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.failure(), "");
  EXPECT_EQ(got.text(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(got.ended());
  EXPECT_EQ(asked, "GET /a?b HTTP/1.1\r\nX-A: 1\r\nHost: " + web.address().text() + "\r\n\r\n");
}

}  // namespace
}  // namespace leat::agent
