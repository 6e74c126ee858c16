// What the kernel says of a connection whose peer acknowledges at the same moment.
#include "net/tcp_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "net/tls_fixture.h"

namespace leat::net {
namespace {

TEST(TcpPath, AnAcknowledgementBetweenTwoQuestionsIsCountedOnce) {
  const TcpPair pair = tcp_pair();
  for (const Fd* fd : {&pair.client, &pair.server}) ::fcntl(fd->get(), F_SETFL, 0);  // they wait

  // Answers each byte, so that an acknowledgement comes with the answer, from another processor.
  const Fd& ours = pair.client;
  std::thread peer([&theirs = pair.server] {
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
