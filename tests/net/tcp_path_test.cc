// What the kernel says of a connection whose peer acknowledges at the same moment.
#include "net/tcp_path.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "net/socket.h"

namespace leat::net {
namespace {

TEST(TcpPath, AnAcknowledgementBetweenTwoQuestionsIsCountedOnce) {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), generic, size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &size), 0);
  const Fd ours(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(ours.get(), generic, size), 0);
  const int on = 1;
  ::setsockopt(ours.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

  // Answers each byte, so that an acknowledgement comes with the answer, from another processor.
  std::thread peer([&listener] {
    const Fd theirs(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 256> bytes;
    for (ssize_t n; (n = ::recv(theirs.get(), bytes.data(), bytes.size(), 0)) > 0;) {
      if (::send(theirs.get(), bytes.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) < 0) return;
    }
  });
  std::uint64_t written = 0;
  std::array<char, 256> answer;
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(::send(ours.get(), "x", 1, MSG_NOSIGNAL), 1);
    ++written;
    TcpPath path;
    const auto first = path.read(ours.get(), written, {});
    ASSERT_TRUE(first);
    EXPECT_LE(first->outstanding, 1u) << i;
    ASSERT_GT(::recv(ours.get(), answer.data(), answer.size(), 0), 0);
    const auto second = path.read(ours.get(), written, {});
    ASSERT_TRUE(second);
    EXPECT_LE(second->outstanding, 1u) << i;
    if (HasFailure()) break;
  }
  ::shutdown(ours.get(), SHUT_WR);
  peer.join();
}

}  // namespace
}  // namespace leat::net
