// What the kernel says of a connection whose peer acknowledges at the same moment.
#include "net/tcp_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <fstream>
#include <string>
#include <string_view>
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

std::string_view congestion_control(const Fd& fd, std::array<char, 16>& name) {
  auto size = static_cast<socklen_t>(name.size());
  EXPECT_EQ(::getsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
  return name.data();
}

// Whether the kernel lends it to anybody; more may be lent to root.
bool allowed(std::string_view name) {
  std::ifstream file("/proc/sys/net/ipv4/tcp_allowed_congestion_control");
  for (std::string word; file >> word;) {
    if (word == name) return true;
  }
  return false;
}

TEST(TcpPath, AsksForACongestionControl) {
  const TcpPair pair = tcp_pair();
  const int fd = pair.client.get();
  std::array<char, 16> name{};
  const std::string system(congestion_control(pair.client, name));
  const bool bbr = use_bbr(fd);
  EXPECT_TRUE(bbr || !allowed("bbr"));
  EXPECT_EQ(congestion_control(pair.client, name), bbr ? "bbr" : system);
  const bool window = use_window_control(fd);
  const std::string_view now = congestion_control(pair.client, name);
  EXPECT_TRUE(!window || now == "cubic" || (now == "reno" && !allowed("cubic"))) << now;
  EXPECT_FALSE(use_bbr(-1));
}

TEST(TcpPath, RestartsCubicAndNothingElse) {
  const TcpPair pair = tcp_pair();
  const int fd = pair.client.get();
  std::array<char, 16> name{};
  for (const std::string_view control : {"reno", "cubic"}) {
    if (::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control.data(),
                     static_cast<socklen_t>(control.size())) != 0) {
      continue;  // the kernel has it not
    }
    EXPECT_EQ(restart_window_control(fd), control == "cubic");
    EXPECT_EQ(congestion_control(pair.client, name), control);
  }
  EXPECT_FALSE(restart_window_control(-1));
}

}  // namespace
}  // namespace leat::net
