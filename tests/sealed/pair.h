// Two ends of a sealed channel, made by a real handshake, for tests that run something over it.
#pragma once

#include <array>
#include <utility>

#include "crypto/handshake.h"

namespace leat::sealed {

inline std::pair<crypto::Channel, crypto::Channel> channels(
    crypto::Suite suite = crypto::Suite::aesgcm, Time now = std::chrono::steady_clock::now()) {
  using crypto::Handshake;
  const crypto::KeyPair device = crypto::KeyPair::generate(), agent = crypto::KeyPair::generate();
  const std::string prologue = crypto::sealed_prologue(agent.public_key());
  Handshake client =
      Handshake::initiator(crypto::Pattern::ik, as_bytes(prologue), device, agent.public_key());
  Handshake server = Handshake::responder(crypto::Pattern::ik, as_bytes(prologue), agent);
  std::array<std::uint8_t, 256> message, payload;
  const auto pass = [&](Handshake& from, Handshake& to) {
    const std::size_t n = from.write({}, message).value();
    to.read(Bytes(message).first(n), payload).value();
  };
  pass(client, server);
  pass(server, client);
  return {std::move(client).finish(suite, now).value(),
          std::move(server).finish(suite, now).value()};
}

}  // namespace leat::sealed
