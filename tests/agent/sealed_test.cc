// What a relay may ask of an agent with a sealed service: the pipe of a sealed session, and nothing
// else (docs/threat_model.md).
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "agent/devices.h"
#include "agent/world.h"
#include "base/crypto_util.h"
#include "crypto/unit.h"

namespace leat::agent {
namespace {

using control::TunnelKind;

class SealedIntakeTest : public World {
 protected:
  void SetUp() override {
    Origin& behind = origin(on_head([this](OriginConnection& connection, const std::string&) {
      ++served;
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }));
    Service sealed = service("den", TunnelKind::http, behind.address());
    sealed.sealed = true;
    online({sealed, service("web", TunnelKind::http, behind.address())});
  }
  int served = 0;
};

TEST_F(SealedIntakeTest, ATunnelOfItsOwnKindIsAskedFor) {
  ASSERT_EQ(relay.binds.size(), 2u);
  EXPECT_EQ(relay.binds[0].kind, TunnelKind::sealed);
  EXPECT_EQ(relay.binds[1].kind, TunnelKind::http);
}

TEST_F(SealedIntakeTest, PlainStreamsToASealedServiceAreRefusedAndTheOtherWayRound) {
  Visit& plain = relay.open("den", TunnelKind::http).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Visit& raw = relay.open("den", TunnelKind::tcp).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Visit& other = relay.open("web", TunnelKind::sealed);
  ASSERT_TRUE(until([&] { return plain.over() && raw.over() && other.over(); }));
  for (const Visit* refused : {&plain, &raw, &other}) {
    EXPECT_EQ(refused->failure(), "LEAT_NO_SUCH_SERVICE");
  }
  EXPECT_EQ(served, 0);
}

TEST_F(SealedIntakeTest, WhatIsNoHelloIsCutAndAHelloForAnotherKeyRefused) {
  Visit& nonsense = relay.open("den", TunnelKind::sealed).send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(until([&] { return nonsense.over(); }));
  EXPECT_TRUE(nonsense.was_reset());
  const crypto::KeyPair device = crypto::KeyPair::generate(),
                        elsewhere = crypto::KeyPair::generate();
  auto handshake = crypto::Handshake::initiator(
      crypto::Pattern::ik, as_bytes(crypto::sealed_prologue(elsewhere.public_key())), device,
      elsewhere.public_key());
  std::array<std::uint8_t, crypto::kMaxUnit> unit;
  const std::size_t body =
      handshake.write({}, MutableBytes(unit).subspan(crypto::kUnitHeader)).value();
  const std::size_t size = crypto::write_unit_header(unit, crypto::UnitKind::hello, body);
  Visit& stranger =
      relay.open("den", TunnelKind::sealed).send(as_chars(Bytes(unit).first(size))).finish();
  ASSERT_TRUE(until([&] { return stranger.over(); }));
  EXPECT_EQ(stranger.text(), crypto::refused_unit("LEAT_KEY_CHANGED"));
}

// Eight handshakes of one network: who says nothing goes for who comes, the longest silent first.
TEST_F(SealedIntakeTest, OfTooManyHandshakesTheOldestGoes) {
  std::vector<Visit*> guests;
  for (int i = 0; i < 10; ++i) guests.push_back(&relay.open("den", TunnelKind::sealed));
  ASSERT_TRUE(until([&] { return guests[0]->over() && guests[1]->over(); }));
  for (std::size_t i = 2; i < guests.size(); ++i) EXPECT_FALSE(guests[i]->over()) << i;
  // Who has an IPv6 address has a /64 of them.
  std::vector<Visit*> neighbours;
  for (int i = 1; i < 10; ++i) {
    neighbours.push_back(&relay.open("den", TunnelKind::sealed, "app.relay.test",
                                     "[2001:db8::" + std::to_string(i) + "]:5000"));
  }
  ASSERT_TRUE(until([&] { return neighbours[0]->over(); }));
  EXPECT_FALSE(neighbours[1]->over());
  EXPECT_FALSE(guests[2]->over());
}

}  // namespace
}  // namespace leat::agent
