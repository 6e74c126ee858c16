// What a session's owner is told of the peer's close (docs/protocol.md §2.6).
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "net/link_chunk.h"
#include "net/loop.h"
#include "net/session_driver.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::net {
namespace {

struct Owner final : SessionDriver::Owner {
  explicit Owner(Loop& l) : loop(l) {}
  void on_stream(mux::StreamHandle) override {}
  void on_ended(const Error& error) override {
    why = error;
    loop.poke();
  }
  Loop& loop;
  std::optional<Error> why;
};

Error told(const std::string& code, const std::string& text) {
  Loop loop;
  Owner owner(loop);
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const Fd peer(ends[1]);
  SessionDriver driver(loop.shard, mux::Config::native(mux::Role::client), owner,
                       make_plain_transport(loop.shard, ends[0]));
  driver.start({});
  const std::string chunk = close_chunk(code, text);
  EXPECT_EQ(::write(peer.get(), chunk.data(), chunk.size()), static_cast<ssize_t>(chunk.size()));
  EXPECT_TRUE(loop.run([&] { return owner.why.has_value(); }));
  return owner.why.value_or(Error{Code::INTERNAL, {}});
}

TEST(DriverClose, HasTheCodeThePeerNamed) {
  const Error known = told("LEAT_REVOKED", "first");
  EXPECT_EQ(known.code, Code::REVOKED);
  EXPECT_EQ(known.detail, "first");
}

TEST(DriverClose, ThatNamesNoneIsNoFault) { EXPECT_EQ(told("", "enough").code, Code::CARRIER_CUT); }

TEST(DriverClose, OfANewerVersionIsShownAsItIs) {
  const Error newer = told("LEAT_FROM_TOMORROW", "why");
  EXPECT_EQ(newer.code, Code::PROTOCOL);
  EXPECT_EQ(newer.detail, "LEAT_FROM_TOMORROW: why");
}

}  // namespace
}  // namespace leat::net
