// What an agent may answer a hello with (docs/protocol.md §7.2), other than what ours does.
#include "connect/attempt.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "crypto/fixed.h"
#include "crypto/unit.h"
#include "net/tls_fixture.h"
#include "proto/sealed.pb.h"

namespace leat::connect {
namespace {

class AttemptTest : public ::testing::Test, private Attempt::Owner {
 protected:
  // Of an attempt on an agent whose message 2 has this payload; none: it has replied.
  std::optional<Error> outcome_of(const std::string& payload) {
    replied_ = false;
    why_.reset();
    std::unique_ptr<net::Talker> agent;
    const auto listener = net::Listener::open(loop_.shard, {"127.0.0.1", 0}, [&](net::Fd fd) {
                            agent = std::make_unique<net::Talker>(
                                loop_, net::make_plain_transport(loop_.shard, fd.release()), 1);
                          }).value();
    const Agent known{.key = parties_.agent.public_key()};
    const Credential credential{.own = parties_.client, .device = "phone"};
    Attempt attempt(loop_.shard, {.address = listener->address()}, known, credential, *this);
    attempt.start();
    const auto hello = [&] {
      if (!agent) return crypto::Unit{};
      return crypto::read_unit(as_bytes(agent->received), crypto::Role::initiator);
    };
    EXPECT_TRUE(loop_.run([&] { return hello().state == crypto::Unit::State::whole; }));
    crypto::Handshake responder = parties_.responder(crypto::Pattern::ik);
    EXPECT_TRUE(crypto::test::read(responder, hello().body));
    std::array<std::uint8_t, crypto::kMaxUnit> unit;
    const auto body =
        responder.write(as_bytes(payload), MutableBytes(unit).subspan(crypto::kUnitHeader));
    const std::size_t size = crypto::write_unit_header(unit, crypto::UnitKind::reply, body.value());
    agent->send(std::string(as_chars(Bytes(unit).first(size))), false);
    EXPECT_TRUE(loop_.run([&] { return replied_ || why_; }));
    EXPECT_NE(replied_, why_.has_value());
    return why_;
  }

 private:
  void on_ready(Attempt& attempt) override { attempt.ask(); }
  void on_replied(Attempt&) override {
    replied_ = true;
    loop_.poke();
  }
  void on_failed(Attempt&, const Error& why) override {
    why_ = why;
    loop_.poke();
  }

  net::Loop loop_;
  crypto::test::Parties parties_;
  bool replied_ = false;
  std::optional<Error> why_;
};

TEST_F(AttemptTest, AFailureInMessageTwoIsTheReason) {
  proto::SealedReply reply;
  reply.set_suite(proto::SEALED_SUITE_AESGCM);
  EXPECT_FALSE(outcome_of(reply.SerializeAsString()));
  reply.mutable_failure()->set_code("LEAT_REVOKED");
  const auto why = outcome_of(reply.SerializeAsString());
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code, Code::REVOKED);
}

TEST_F(AttemptTest, WhatIsNoReplyOrChoosesWhatWasNotOfferedEndsIt) {
  proto::SealedReply reply;
  for (const auto suite : {proto::SEALED_SUITE_UNSPECIFIED, proto::SEALED_SUITE_NACL}) {
    reply.set_suite(suite);
    const auto why = outcome_of(reply.SerializeAsString());
    ASSERT_TRUE(why);
    EXPECT_EQ(why->code, Code::PROTOCOL);
  }
  const auto why = outcome_of("\xff");
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code, Code::PROTOCOL);
}

}  // namespace
}  // namespace leat::connect
