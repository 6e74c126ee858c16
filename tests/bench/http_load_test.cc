// The load generator's HTTP: answers however they are framed and cut, events whose every byte
// counts, and calls that follow each other through a real service.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include "load/body.h"
#include "load/calls.h"
#include "load/http.h"
#include "load/socket.h"

namespace leat::bench {
namespace {

struct Outcome {
  bool good = true;
  bool complete = false;
  std::string body;
};

// `text` in pieces of `size`.
Outcome read(const std::string& text, std::size_t size) {
  AnswerReader reader;
  Outcome out;
  for (std::size_t at = 0; at < text.size() && out.good; at += size) {
    out.good =
        reader.feed(as_bytes(text).subspan(at, std::min(size, text.size() - at)), [&](Bytes part) {
          out.body.append(part.begin(), part.end());
          return true;
        });
  }
  out.complete = reader.complete();
  return out;
}

TEST(AnswerReader, FramingsHoweverTheyAreCut) {
  const std::string sized = "HTTP/1.1 200 OK\r\ncontent-length:  5\r\nX: y\r\n\r\nhello";
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nT: "
      "1\r\n\r\n";
  for (const std::string& text : {sized, chunked}) {
    for (std::size_t size = 1; size <= text.size(); ++size) {
      const Outcome out = read(text, size);
      EXPECT_TRUE(out.good && out.complete) << size;
      EXPECT_EQ(out.body, "hello") << size;
    }
    EXPECT_FALSE(read(text.substr(0, text.size() - 1), 7).complete);
    EXPECT_FALSE(read(text + "x", 1).good);
  }
}

TEST(AnswerReader, WhatIsNoAnswer) {
  for (const char* text :
       {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    EXPECT_FALSE(read(text, 1).good) << text;
  }
}

// A listener whose connections are served, and whatever the test adds, on one loop.
class HttpLoad : public ::testing::Test {
 protected:
  HttpLoad() : listener_(listen_on({"127.0.0.1", 0})) {}
  ~HttpLoad() override { ::close(listener_); }

  template <typename Done>
  void run_until(Done done) {
    for (int i = 0; i < 5000 && !done(); ++i) {
      if (const int fd = ::accept(listener_, nullptr, nullptr); fd >= 0) {
        prepare(fd);
        loop_.add(std::make_unique<HttpService>(fd, ""));
      }
      loop_.run(now_ns() + 1'000'000);
    }
    ASSERT_TRUE(done());
  }

  std::shared_ptr<CallLog> call(const std::string& request, bool keep) {
    auto log = std::make_shared<CallLog>();
    auto plan = std::make_shared<CallPlan>(
        CallPlan{.to = bound_address(listener_), .request = request, .http = true, .keep = keep});
    Caller::begin(loop_, plan, log);
    return log;
  }

  int listener_;
  Loop loop_;
};

TEST_F(HttpLoad, CallsFollowEachOther) {
  const auto kept = call("GET /answer HTTP/1.1\r\nHost: x\r\n\r\n", true);
  const auto anew = call("GET /answer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false);
  run_until([&] { return kept->seen.size() >= 5 && anew->seen.size() >= 5; });
  EXPECT_EQ(kept->error + anew->error, "");
  EXPECT_GT(kept->seen[0].received_ns, kept->seen[0].sent_ns);
}

TEST_F(HttpLoad, AServiceThatClosesIsAnError) {
  const auto log = call("GET /answer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true);
  run_until([&] { return !log->error.empty(); });
  EXPECT_EQ(log->seen.size(), 1u);
}

TEST_F(HttpLoad, EventsArriveOneByOne) {
  const Request request{.kind = Kind::tokens, .seed = 7, .token_bytes = 100, .every_us = 1000};
  const int fd = connect_to(bound_address(listener_));
  ASSERT_TRUE(send_small(fd, as_bytes(events_request("/tunnel/x/", request))));
  const auto log = std::make_shared<TokenLog>();
  loop_.add(std::make_unique<EventReceiver>(fd, request, log));
  run_until([&] { return log->seen.size() >= 10; });
  EXPECT_FALSE(log->broken || log->ended);
  for (std::size_t i = 0; i < log->seen.size(); ++i) {
    EXPECT_EQ(log->seen[i].sequence, i);
    EXPECT_GE(log->seen[i].received_ns, log->seen[i].sent_ns);
  }
}

TEST_F(HttpLoad, BulkGoesInBodiesBothWays) {
  Request request{.seed = 7};
  std::array<int, 2> fds{};
  for (const Kind kind : {Kind::download, Kind::upload}) {
    request.kind = kind;
    int& fd = fds[kind == Kind::upload ? 1 : 0] = connect_to(bound_address(listener_));
    std::atomic<int> begun = -1;
    std::thread visitor([&] { begun = begin_bulk(fd, "/tunnel/x/", request) ? 1 : 0; });
    run_until([&] { return begun >= 0; });
    visitor.join();
    ASSERT_EQ(begun, 1);
  }
  const auto down = std::make_shared<Progress>(), up = std::make_shared<Progress>();
  loop_.add(std::make_unique<BulkReceiver>(fds[0], request, down, false));
  loop_.add(std::make_unique<BulkSender>(fds[1], request, up));
  run_until([&] { return down->bytes > 100'000 && up->bytes > 100'000; });
  EXPECT_FALSE(down->broken || down->ended || up->broken || up->ended);
}

TEST_F(HttpLoad, BulkOfAnotherSeedIsAFault) {
  Request request{.kind = Kind::download, .seed = 7};
  const int fd = connect_to(bound_address(listener_));
  std::atomic<bool> begun = false;
  std::thread visitor([&] { begun = begin_bulk(fd, "/", request); });
  run_until([&] { return begun.load(); });
  visitor.join();
  request.seed = 8;
  const auto down = std::make_shared<Progress>();
  loop_.add(std::make_unique<BulkReceiver>(fd, request, down, false));
  run_until([&] { return down->ended.load(); });
  EXPECT_TRUE(down->broken);
}

TEST(Events, AWrongByteIsAFault) {
  const Request request{.kind = Kind::tokens, .seed = 7, .token_bytes = 100, .every_us = 1000};
  // Everywhere but in the time, which nobody can know; the last place is beyond the event.
  for (const std::size_t wrong : {0, 6, 7, 20, 50, 97, 98, 99, 100}) {
    std::string event = event_text(request, {.sequence = 0, .sent_ns = 12345});
    ASSERT_EQ(event.size(), request.token_bytes);
    if (wrong < event.size()) event[wrong] ^= 1;
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    Loop loop;
    const auto log = std::make_shared<TokenLog>();
    loop.add(std::make_unique<EventReceiver>(ends[0], request, log));
    ASSERT_TRUE(send_small(
        ends[1],
        as_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + event + "\r\n")));
    loop.run(now_ns() + 5'000'000);
    EXPECT_EQ(log->broken, wrong < event.size()) << wrong;
    EXPECT_EQ(log->seen.size(), wrong < event.size() ? 0u : 1u) << wrong;
    ::close(ends[1]);
  }
}

}  // namespace
}  // namespace leat::bench
