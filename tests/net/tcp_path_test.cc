// What the kernel says of a connection whose peer acknowledges at the same moment.
#include "net/tcp_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

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
  for (const auto& [control, wanted] : {std::pair{Control::bbr, "bbr"},
                                        {Control::slow_start, "reno"},
                                        {Control::window, "cubic"}}) {
    const std::string before(congestion_control(pair.client, name));
    const bool lent = use_control(fd, control);
    const std::string_view now = congestion_control(pair.client, name);
    if (control == Control::window) {
      EXPECT_TRUE(!lent || now == "cubic" || (now == "reno" && !allowed("cubic"))) << now;
    } else {
      EXPECT_TRUE(lent || !allowed(wanted)) << wanted;
      EXPECT_EQ(now, lent ? wanted : before);
    }
  }
  EXPECT_FALSE(use_control(-1, Control::window));
}

TEST(TcpPath, WhichOneItShouldBe) {
  EXPECT_EQ(wanted_control(true, true, false), Control::slow_start);
  EXPECT_EQ(wanted_control(true, false, false), Control::window);
  EXPECT_EQ(wanted_control(false, true, false), Control::window);
  for (const bool governed : {false, true}) {
    for (const bool slow_start : {false, true}) {
      EXPECT_EQ(wanted_control(governed, slow_start, true), Control::bbr);
    }
  }
}

TEST(TcpPath, SlowStartHasNotEndedWhereNothingWasLost) {
  const TcpPair pair = tcp_pair();
  TcpPath path;
  const auto sample = path.read(pair.client.get(), 0, {});
  ASSERT_TRUE(sample);
  EXPECT_TRUE(sample->slow_start);
}

}  // namespace
}  // namespace leat::net
