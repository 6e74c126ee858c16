// From the first byte to the session: hello, reply, and the first record. See sealed_peer.h.
#include <algorithm>
#include <array>
#include <utility>

#include "agent/sealed_gate.h"
#include "agent/sealed_peer.h"
#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/convert.h"
#include "proto/sealed.pb.h"

namespace leat::agent {
namespace {

// How long a refusal has to leave.
constexpr auto kLastWords = std::chrono::seconds(2);

}  // namespace

void SealedPeer::read_hello() {
  std::array<std::uint8_t, crypto::kMaxUnit> buffer;
  while (state_ == State::hello && !ending_) {
    const auto room = std::min(buffer.size(), crypto::kMaxUnit - held_.size());
    const net::IoResult got = pipe_->read(MutableBytes(buffer).first(room));
    if (got.status == net::IoStatus::would_block) return;
    if (got.status != net::IoStatus::ok) return give_up({Code::CARRIER_CUT, "no hello"});
    held_ += as_chars(Bytes(buffer).first(got.n));
    const crypto::Unit unit = crypto::read_unit(as_bytes(held_), crypto::Role::initiator);
    switch (unit.state) {
      case crypto::Unit::State::more:
        continue;
      case crypto::Unit::State::bad:
        return give_up({Code::PROTOCOL, "not a hello"});
      case crypto::Unit::State::whole:
        answer(unit);
    }
  }
}

void SealedPeer::answer(const crypto::Unit& unit) {
  const crypto::KeyPair& key = gate_.key();
  const std::string prologue = crypto::sealed_prologue(key.public_key());
  auto handshake = crypto::Handshake::responder(unit.pattern(), as_bytes(prologue), key);
  std::array<std::uint8_t, crypto::kMaxPayload> payload;
  const auto size = handshake.read(unit.body, payload);
  // Made for another key than ours, or changed on the way: which, nobody can tell.
  if (!size) return refuse(Code::KEY_CHANGED);
  proto::SealedHello hello;
  if (!hello.ParseFromArray(payload.data(), static_cast<int>(*size))) return refuse(Code::PROTOCOL);
  meant_ = hello.tunnel();
  ephemeral_ = as_chars(unit.body.first(crypto::kKeySize));
  // The relay has sent it to another tunnel than it came for.
  if (!direct() && meant_ != tunnel_) return refuse(Code::TAMPERED);
  if (const auto code = choose(handshake, hello, unit.pattern())) return refuse(*code);
  std::string offered;
  for (const int suite : hello.suites()) {
    if (suite > 0 && suite < 256) offered += static_cast<char>(suite);
  }
  const auto suite = crypto::choose_suite(as_bytes(offered));
  if (!suite) return refuse(Code::VERSION_MISMATCH);
  reply(std::move(handshake), *suite, as_bytes(held_).subspan(unit.size));
}

// Who says to be calling, and whether it is to go on; nothing is believed yet.
std::optional<Code> SealedPeer::choose(crypto::Handshake& handshake,
                                       const proto::SealedHello& hello, crypto::Pattern pattern) {
  name_ = control::printable(hello.device(), 64);
  if (pattern == crypto::Pattern::ik) {
    const auto device = gate_.admit(handshake.claimed_peer());
    if (!device) return device.error().code;
    scope_ = (*device)->scope;
    return std::nullopt;
  }
  const auto pairing = gate_.pairing(hello.pairing());
  if (!pairing) return pairing.error().code;
  pairing_ = hello.pairing();
  scope_ = (*pairing)->scope;
  handshake.set_psk(crypto::Key((*pairing)->code.hash));
  return std::nullopt;
}

void SealedPeer::reply(crypto::Handshake handshake, crypto::Suite suite, Bytes surplus) {
  std::array<std::uint8_t, crypto::kMaxUnit> unit;
  const std::string payload = reply_payload(suite);
  const auto body =
      handshake.write(as_bytes(payload), MutableBytes(unit).subspan(crypto::kUnitHeader));
  if (!body) return refuse(Code::PROTOCOL);
  const std::size_t size = crypto::write_unit_header(unit, crypto::UnitKind::reply, *body);
  const net::IoResult sent = pipe_->write(Bytes(unit).first(size));
  // The first bytes on a connection: whoever has no room for them is not to be waited for.
  if (sent.n != size) return give_up({Code::CARRIER_CUT, "no room for the reply"});
  pipe_->flush();
  auto channel = std::move(handshake).finish(suite, gate_.shard().now());
  if (!channel) return give_up({Code::INTERNAL, "the handshake did not finish"});
  using Padding = sealed::SealedTransport::Padding;
  carrier_ = std::make_unique<sealed::SealedTransport>(
      gate_.shard(), std::move(pipe_), std::move(*channel), surplus,
      gate_.padding() ? Padding::power_of_two : Padding::none);
  carrier_->set_owner(this);
  state_ = State::confirming;
  std::string().swap(held_);
}

std::string SealedPeer::reply_payload(crypto::Suite suite) const {
  proto::SealedReply reply;
  reply.set_suite(static_cast<proto::SealedSuite>(suite));
  reply.set_software("leat/" LEAT_VERSION);
  for (const HostPort& address : gate_.addresses()) {
    reply.add_direct(address.text());
    if (reply.ByteSizeLong() > crypto::kMaxPayload / 2) {
      reply.mutable_direct()->RemoveLast();
      break;
    }
  }
  auto services = gate_.services();
  // There may not be room for all: the one that is meant goes before the others.
  std::stable_partition(services.begin(), services.end(),
                        [&](const auto& each) { return each->id == meant_; });
  for (const auto& egress : services) {
    const bool http = egress->service.kind == control::TunnelKind::http;
    if (!scope_.allows_service(egress->id, http)) continue;
    proto::SealedService& service = *reply.add_services();
    service.set_id(egress->id);
    service.set_kind(control::to_wire(egress->service.kind));
    if (reply.ByteSizeLong() > crypto::kMaxPayload) {
      reply.mutable_services()->RemoveLast();
      break;
    }
  }
  return reply.SerializeAsString();
}

void SealedPeer::refuse(Code code) {
  log::write(log::Level::info, "sealed.refused", Error{code, {}},
             {{"peer", peer_}, {"tunnel", tunnel_}});
  say_no(code);
  ending_ = true;
  deadline_.arm_in(kLastWords);
}

void SealedPeer::say_no(Code code) {
  const std::string unit = crypto::refused_unit(info(code).name);
  pipe_->write(as_bytes(unit));
  pipe_->flush();
  pipe_->finish();
}

// --- the first record ---

void SealedPeer::read_opening() {
  std::array<std::uint8_t, 4096> buffer;
  while (state_ == State::confirming && !ending_) {
    const net::IoResult got = carrier_->read(buffer);
    if (carrier_->channel().confirmed() && !device_) {
      if (auto done = confirm(); !done) {
        carrier_->write_first(as_bytes(sealed::close_chunk(done.error())));
        carrier_->finish();
        ending_ = true;
        return deadline_.arm_in(kLastWords);
      }
    }
    if (got.status == net::IoStatus::would_block) return;
    if (got.status == net::IoStatus::end) return give_up({Code::CARRIER_CUT, "no session"});
    if (got.status == net::IoStatus::failed) return give_up(carrier_->error());
    std::size_t used = 0;
    const Bytes received = Bytes(buffer).first(got.n);
    Error why{Code::SESSION_LOST, "the session is not known"};
    switch (opening_.feed(received, used)) {
      case sealed::OpenReader::State::more:
        continue;
      case sealed::OpenReader::State::fresh: {
        net::SessionId session;
        random_bytes(session);
        carrier_->write_first(as_bytes(sealed::opened_chunk(session)));
        return begin_session(received.subspan(used));
      }
      case sealed::OpenReader::State::error:
        why = opening_.error();
        break;
      case sealed::OpenReader::State::resume:
        break;
    }
    carrier_->write_first(as_bytes(sealed::close_chunk(why)));
    carrier_->finish();
    ending_ = true;
    return deadline_.arm_in(kLastWords);
  }
}

// The client has made a record of this very handshake: it is there, and it is who it says.
Result<void> SealedPeer::confirm() {
  const crypto::X25519Key key = *carrier_->channel().peer();
  if (!pairing_.empty()) {
    auto name = gate_.enrol(pairing_, name_, key);
    if (!name) {
      pairing_.clear();  // not a try: the secret was right
      return tl::unexpected(name.error());
    }
  }
  const auto device = gate_.admit(key);
  if (!device) return tl::unexpected(device.error());
  if (gate_.crowded_by(key)) return fail(Code::AGENT_BUSY, "too many sessions of this device");
  device_ = key;
  scope_ = (*device)->scope;
  log::info("sealed.session", {{"device", (*device)->name},
                               {"peer", peer_},
                               {"way", tunnel_.empty() ? "direct" : "relay"},
                               {"session", hex(Bytes(carrier_->channel().binding()).first(8))}});
  return {};
}

}  // namespace leat::agent
