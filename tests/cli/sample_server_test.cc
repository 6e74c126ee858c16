// The sample server over loopback, spoken to by a plain blocking socket.
#include "cli/sample_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>
#include <utility>

#include "cli/sample_api.h"

namespace leat::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Client {
 public:
  // `window`: of the socket's receive buffer, bytes; 0: the system's.
  explicit Client(std::uint16_t port, int window = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (window > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    const timeval patience{20,
                           0};  // a server that says nothing fails the test, and does not hang it
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { ::close(fd_); }

  void send(std::string_view text) {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Until `mark` has been seen (included), or the end of the connection.
  std::string read_until(std::string_view mark) {
    std::size_t found;
    while ((found = held_.find(mark)) == std::string::npos) {
      char buffer[4096];
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        error_ = n < 0;
        return std::exchange(held_, {});
      }
      held_.append(buffer, static_cast<std::size_t>(n));
    }
    std::string out = held_.substr(0, found + mark.size());
    held_.erase(0, out.size());
    return out;
  }
  std::string read_to_end() { return read_until(std::string_view("\0never\0", 7)); }
  bool error() const { return error_; }

 private:
  int fd_;
  std::string held_;
  bool error_ = false;
};

std::string post(const std::string& body, const std::string& path = "/v1/chat/completions") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

constexpr char kStream[] =
    R"({"model":"leat-sample","stream":true,"messages":[{"role":"user","content":"x"}]})";
constexpr char kWhole[] = R"({"model":"leat-sample","messages":[{"role":"user","content":"x"}]})";

// The server on a thread of its own.
class SampleServerTest : public testing::Test {
 protected:
  void serve(double tokens_per_second, unsigned tokens) {
    auto started = SampleServer::start(shard_, {{"127.0.0.1", 0}, tokens_per_second, tokens});
    ASSERT_TRUE(started) << started.error().text();
    server_ = std::move(*started);
    port_ = server_->address().port;
    thread_ = std::thread([this] { shard_.run(); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    shard_.stop();
    thread_.join();
    server_.reset();
  }
  // Runs on the server's thread and waits.
  template <typename F>
  auto on_shard(F work) {
    std::promise<decltype(work())> result;
    shard_.post([&] { result.set_value(work()); });
    return result.get_future().get();
  }
  // Asks the server's thread until it says yes, for 20 s at most.
  template <typename F>
  bool eventually(F work) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!on_shard(work)) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  net::Shard shard_;
  std::unique_ptr<SampleServer> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(SampleServerTest, ConnectionsAreKeptAlive) {
  serve(1000, 2);
  Client client(port_);
  for (int i = 0; i < 3; ++i) {
    client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.read_until("ok\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    client.send(post(kStream));
    const std::string answer = client.read_until("\r\n0\r\n\r\n");
    EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(answer, HasSubstr("data: [DONE]\n\n"));
  }
}

TEST_F(SampleServerTest, PipelinedRequestsAreAnsweredInOrder) {
  serve(1000, 2);
  Client client(port_);
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + post(kStream) +
              "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("ok\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.read_until("\r\n0\r\n\r\n"), HasSubstr("[DONE]"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 404"));
}

TEST_F(SampleServerTest, TokensComeOneByOneAtTheirPace) {
  serve(50, 4);
  Client client(port_);
  client.send(post(kStream));
  client.read_until("\r\n\r\n");
  const auto first = client.read_until("\n\n");
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_THAT(first, HasSubstr(sample_token(0)));
  EXPECT_EQ(on_shard([this] { return server_->generating(); }), 1u) << "the rest is yet unsent";
  client.read_until("0\r\n\r\n");
  // Three intervals of 20 ms after the first; the first may have reached us late.
  EXPECT_GT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(30));
}

TEST_F(SampleServerTest, NotStreamedHasALength) {
  serve(1000, 3);
  Client client(port_);
  client.send(post(kWhole));
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("Content-Length: "));
  EXPECT_THAT(client.read_until("\n"), HasSubstr("chat.completion"));
}

TEST_F(SampleServerTest, ChunkedRequestBodies) {
  serve(1000, 1);
  Client client(port_);
  const std::string body = kWhole;
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("5\r\n" + body.substr(0, 5) + "\r\n3d\r\n" + body.substr(5, 61) + "\r\n0\r\n\r\n");
  ASSERT_EQ(body.size(), 66u);
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(SampleServerTest, OldClientsGetTheStreamUntilClose) {
  serve(1000, 2);
  Client client(port_);
  std::string request = post(kStream);
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  client.send(request);
  const std::string answer = client.read_to_end();
  EXPECT_FALSE(client.error());
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("data: [DONE]\n\n"));
}

TEST_F(SampleServerTest, HeadHasNoBody) {
  serve(1000, 1);
  Client client(port_);
  client.send(
      "HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("Content-Length: "));
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(SampleServerTest, WhatIsNotHttpIsRefusedAndClosed) {
  serve(1000, 1);
  for (const char* bad :
       {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", "NONSENSE\r\n\r\n",
        "POST /api/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    Client client(port_);
    client.send(bad);
    EXPECT_THAT(client.read_to_end(), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << bad;
    EXPECT_FALSE(client.error()) << bad;
  }
}

TEST_F(SampleServerTest, LargeBodiesAreRefused) {
  serve(1000, 1);
  Client client(port_);
  client.send("POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  client.send(std::string(kSampleBody + 1, ' '));
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 413"));
}

TEST_F(SampleServerTest, AClientThatLeavesStopsTheGeneration) {
  serve(20, 1'000'000);
  {
    Client client(port_);
    client.send(post(kStream));
    client.read_until(sample_token(1));
    EXPECT_EQ(on_shard([this] { return server_->generating(); }), 1u);
  }
  EXPECT_TRUE(
      eventually([this] { return server_->generating() == 0 && server_->connections() == 0; }));
}

TEST_F(SampleServerTest, ASlowReaderHoldsTheGenerationBack) {
  constexpr unsigned kTokens = 20'000;  // some 6 MB, more than the kernel holds for a small window
  serve(100'000, kTokens);
  Client client(port_, 4096);
  client.send(post(kStream));
  ASSERT_TRUE(eventually([this] { return server_->waiting() == 1; }));
  const std::string all = client.read_until("\r\n0\r\n\r\n");
  unsigned tokens = 0;
  for (std::size_t at = 0; (at = all.find("leat_sent_us", at)) != all.npos; ++at) ++tokens;
  EXPECT_EQ(tokens, kTokens);
}

TEST_F(SampleServerTest, DrainLetsAnswersEnd) {
  serve(50, 5);
  std::promise<void> drained;
  {
    Client busy(port_), idle(port_);
    busy.send(post(kStream));
    busy.read_until(sample_token(0));
    shard_.post([&] { server_->drain([&] { drained.set_value(); }); });
    EXPECT_EQ(idle.read_to_end(), "");
    EXPECT_FALSE(idle.error());
    EXPECT_THAT(busy.read_to_end(), testing::EndsWith("0\r\n\r\n"));
    EXPECT_FALSE(busy.error());
  }
  drained.get_future().get();
}

}  // namespace
}  // namespace leat::cli
