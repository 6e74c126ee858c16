// What a visitor gets when the agent, or the service behind it, answers with something else than
// one well-formed response (threat 18): an error of the relay's or a cut, and nothing of what was
// smuggled in.
#include <gtest/gtest.h>

#include <string>

#include "relay/world.h"

namespace leat::relay {
namespace {

class HostileAnswer : public World {
 protected:
  // What one visitor sees of `answer`, until the connection ends or the answer is whole.
  std::string seen(FakeAgent& agent, const std::string& answer, const std::string& method = "GET") {
    agent.on_served = [&answer](Served& served) {
      if (served.has("\r\n\r\n") && served.unsent() == 0) served.answer(answer);
    };
    const auto guest = visitor();
    guest->send(method + " /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\n\r\n");
    EXPECT_TRUE(until([&] { return guest->over() || guest->has("LEAT_") || guest->has("end."); }))
        << answer;
    // Whatever it was, it is not carried into the next exchange, nor into anybody else's.
    expect_nothing_left(agent);
    return guest->text();
  }

  void expect_nothing_left(FakeAgent& agent) {
    agent.on_served = nullptr;
    answer_all(agent, kHello);
    expect_served();
  }
};

TEST_F(HostileAnswer, HeadsThatAreNoHeadsAre502) {
  const auto agent = online({http()});
  for (const std::string& answer : {
           std::string("HTTP/1.1 200 OK\nContent-Length: 4\n\nevil"),
           std::string("HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nX: a\n evil\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil."),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nevil"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "0\r\n\r\nevil"),
           std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil"),
           std::string("HTTP/2 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
           std::string("HTTP/1.1 20 OK\r\nContent-Length: 4\r\n\r\nevil"),
           std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n"
                       "\r\nevil"),
           std::string("HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nevil"),
           std::string("evil\r\n\r\n"),
           "HTTP/1.1 200 OK\r\nX: " + std::string(limits::kHead, 'x') + "\r\n\r\n",
           std::string("HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 4\r\n\r\nevil", 50),
       }) {
    const std::string text = seen(*agent, answer);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 502 ")) << answer << "\n" << text;
    EXPECT_EQ(text.find("evil"), text.npos) << text;
  }
}

TEST_F(HostileAnswer, BodiesThatBreakOffAreCutNeverEnded) {
  const auto agent = online({http()});
  for (const char* answer : {
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nless",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nless\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nless\r\n0\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nless\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\nless\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\nless\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nless",
       }) {
    agent->on_served = [answer](Served& served) {
      if (served.has("\r\n\r\n") && served.unsent() == 0) served.answer(answer);
    };
    const auto guest = visitor();
    guest->get("/tunnel/web/");
    ASSERT_TRUE(until([&] { return guest->over(); })) << answer;
    EXPECT_TRUE(guest->failed()) << answer << "\n" << guest->text();
    expect_nothing_left(*agent);
  }
}

// Two responses to one request: the second is nobody's.
TEST_F(HostileAnswer, BytesBehindTheAnswerReachNobody) {
  const auto agent = online({http()});
  const std::string second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
  for (const std::string& first :
       {std::string("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nend."),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nend.\r\n0\r\n\r\n"),
        std::string("HTTP/1.1 204 No Content\r\nX: end.\r\n\r\n"),
        std::string("HTTP/1.1 304 Not Modified\r\nX: end.\r\nContent-Length: 4\r\n\r\n")}) {
    const std::string text = seen(*agent, first + second);
    EXPECT_EQ(text.find("evil"), text.npos) << text;
  }
  const std::string head =
      seen(*agent, "HTTP/1.1 200 OK\r\nX: end.\r\nContent-Length: 4\r\n\r\n" + second, "HEAD");
  EXPECT_EQ(head.find("evil"), head.npos) << head;
}

}  // namespace
}  // namespace leat::relay
