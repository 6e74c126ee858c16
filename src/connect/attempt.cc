#include "connect/attempt.h"

#include <array>
#include <utility>

#include "base/limits.h"
#include "control/convert.h"
#include "crypto/unit.h"
#include "net/websocket_transport.h"
#include "proto/sealed.pb.h"

namespace leat::connect {
namespace {

constexpr char kSubprotocol[] = "leat-sealed.1";

// For the agent to answer a hello, after which another way is tried.
constexpr auto kReply = std::chrono::seconds(5);

}  // namespace

std::string Attempt::Way::text() const {
  return (tunnel.empty() ? "direct " : "relay ") + address.text();
}

Attempt::Attempt(net::Shard& shard, Way way, const Agent& agent, const Credential& credential,
                 Owner& owner)
    : shard_(shard),
      way_(std::move(way)),
      agent_(agent),
      credential_(credential),
      owner_(owner),
      deadline_(shard, [this] { failed(Code::TIMEOUT, way_.text()); }) {}

Attempt::~Attempt() {
  if (transport_) transport_->set_owner(nullptr);
}

// --- to a pipe ---

void Attempt::start() {
  auto done = [this](Result<net::Fd> fd) { on_dialled(std::move(fd)); };
  dial_ = way_.proxy
              ? net::Dial::start_through(shard_, *way_.proxy, way_.address, limits::kDialTimeout,
                                         std::move(done))
              : net::Dial::start(shard_, way_.address, limits::kDialTimeout, std::move(done));
}

void Attempt::on_dialled(Result<net::Fd> fd) {
  shard_.dispose(std::move(dial_));
  if (!fd) {
    const bool by_proxy = fd.error().code == Code::PROXY_REFUSED;
    return failed(by_proxy ? Code::PROXY_REFUSED : Code::RELAY_UNREACHABLE,
                  way_.text() + ": " + fd.error().detail);
  }
  transport_ = way_.tls != nullptr
                   ? net::make_tls_transport(shard_, fd->release(), *way_.tls, way_.address.host)
                   : net::make_plain_transport(shard_, fd->release());
  if (!transport_) return failed(Code::RELAY_UNREACHABLE, "out of descriptors or memory");
  state_ = State::preparing;
  transport_->set_owner(this);
  if (way_.tunnel.empty()) return become_ready();
  deadline_.arm_in(limits::kLinkHandshake);
  on_transport();
}

void Attempt::on_transport() {
  if (state_ == State::preparing) {
    if (transport_->established() && !upgrade_) begin_upgrade();
    send({});
    std::array<std::uint8_t, 4096> buffer;
    while (state_ == State::preparing) {
      const net::IoResult got = transport_->read(buffer);
      if (got.status == net::IoStatus::would_block) return;
      if (got.status == net::IoStatus::failed) {
        return failed(transport_->error().code, way_.text() + ": " + transport_->error().detail);
      }
      if (got.status == net::IoStatus::end) return failed(Code::CARRIER_CUT, way_.text());
      upgrade(Bytes(buffer).first(got.n));
    }
  } else if (state_ == State::ready) {
    if (transport_->broken()) failed(Code::CARRIER_CUT, way_.text());
  } else if (state_ == State::asking) {
    send({});
    if (state_ == State::asking) read_reply();
  }
}

void Attempt::begin_upgrade() {
  upgrade_.emplace(way_.address, way_.tls != nullptr, "/sealed/" + way_.tunnel, kSubprotocol);
  send(upgrade_->request());
}

void Attempt::upgrade(Bytes received) {
  std::size_t used = 0;
  switch (upgrade_->feed(received, used)) {
    case net::ClientUpgrade::State::more:
      return;
    case net::ClientUpgrade::State::failed: {
      const bool offline = upgrade_->why().starts_with("HTTP 503");
      return failed(offline ? Code::AGENT_OFFLINE : Code::UPGRADE_REFUSED,
                    way_.text() + ": " + upgrade_->why());
    }
    case net::ClientUpgrade::State::done:
      break;
  }
  transport_ = net::make_websocket_transport(shard_, std::move(transport_), http::ws::Role::client,
                                             std::string(as_chars(received.subspan(used))));
  transport_->set_owner(this);
  become_ready();
}

void Attempt::become_ready() {
  state_ = State::ready;
  deadline_.disarm();
  owner_.on_ready(*this);
}

void Attempt::send(std::string_view text) {
  out_ += text;
  while (!out_.empty() && state_ != State::failed) {
    const net::IoResult sent = transport_->write(as_bytes(out_));
    if (sent.status == net::IoStatus::failed) {
      return failed(transport_->error().code, way_.text() + ": " + transport_->error().detail);
    }
    if (sent.status != net::IoStatus::ok) break;
    out_.erase(0, sent.n);
  }
  if (state_ != State::failed) transport_->flush();
}

// --- the handshake ---

void Attempt::ask() {
  const auto pattern = credential_.pairing ? crypto::Pattern::ik_psk2 : crypto::Pattern::ik;
  const std::string prologue = crypto::sealed_prologue(agent_.key);
  handshake_.emplace(
      crypto::Handshake::initiator(pattern, as_bytes(prologue), credential_.own, agent_.key));
  if (credential_.pairing) {
    handshake_->set_psk(crypto::pairing_psk(as_bytes(credential_.secret.reveal())));
  }
  proto::SealedHello hello;
  hello.set_device(control::printable(credential_.device, 64));
  if (credential_.pairing) hello.set_pairing(*credential_.pairing);
  hello.add_suites(static_cast<proto::SealedSuite>(credential_.suite));
  hello.set_software("leat/" LEAT_VERSION);
  hello.set_tunnel(agent_.tunnel);
  std::array<std::uint8_t, crypto::kMaxUnit> unit;
  const auto body = handshake_->write(as_bytes(hello.SerializeAsString()),
                                      MutableBytes(unit).subspan(crypto::kUnitHeader));
  // The agent's key is a point of low order: nobody has such a key.
  if (!body) return failed(Code::BAD_LINK, std::string(crypto::name(body.error())));
  const std::size_t size = crypto::write_unit_header(unit, crypto::hello_kind(pattern), *body);
  state_ = State::asking;
  asked_ = true;
  deadline_.arm_in(kReply);
  send(as_chars(Bytes(unit).first(size)));
  if (state_ == State::asking) read_reply();
}

void Attempt::read_reply() {
  std::array<std::uint8_t, crypto::kMaxUnit> buffer;
  while (state_ == State::asking) {
    const auto room = buffer.size() - std::min(buffer.size(), held_.size());
    const net::IoResult got = transport_->read(MutableBytes(buffer).first(room));
    if (got.status == net::IoStatus::would_block) return;
    if (got.status != net::IoStatus::ok) {
      const bool says = got.status == net::IoStatus::end && !way_.tunnel.empty();
      const Code said = says ? transport_->error().code : Code::CARRIER_CUT;
      // Who offers such a tunnel no more is told of it as who never did (docs/protocol.md §8.1).
      return failed(said == Code::NO_SUCH_SERVICE ? Code::AGENT_OFFLINE : said,
                    way_.text() + ": closed before the agent's reply");
    }
    held_ += as_chars(Bytes(buffer).first(got.n));
    const crypto::Unit unit = crypto::read_unit(as_bytes(held_), crypto::Role::responder);
    switch (unit.state) {
      case crypto::Unit::State::more:
        continue;
      case crypto::Unit::State::bad:
        return failed(Code::PROTOCOL, way_.text() + ": not the reply of an agent");
      case crypto::Unit::State::whole:
        break;
    }
    if (unit.kind == crypto::UnitKind::refused) {
      // Said by whom nobody knows: words for a person, and an end.
      const std::string name = control::printable(as_chars(unit.body), 64);
      return failed(code_from_name(name).value_or(Code::PROTOCOL),
                    way_.text() + ": " + name + ", not proven");
    }
    return take_reply(unit.body, as_bytes(held_).subspan(unit.size));
  }
}

void Attempt::take_reply(Bytes message, Bytes surplus) {
  std::array<std::uint8_t, crypto::kMaxPayload> payload;
  const auto size = handshake_->read(message, payload);
  if (!size) return failed(Code::KEY_CHANGED, way_.text());
  reply_ = std::make_unique<proto::SealedReply>();
  if (!reply_->ParseFromArray(payload.data(), static_cast<int>(*size))) {
    return failed(Code::PROTOCOL, "the agent's reply is malformed");
  }
  if (reply_->has_failure()) {
    const Error why = control::from_wire(reply_->failure());
    return failed(why.code, why.detail);
  }
  if (static_cast<int>(reply_->suite()) != static_cast<int>(credential_.suite)) {
    return failed(Code::PROTOCOL, "the agent chose a suite that was not offered");
  }
  auto channel = std::move(*handshake_).finish(credential_.suite, shard_.now());
  if (!channel) return failed(Code::INTERNAL, "the handshake did not finish");
  deadline_.disarm();
  using Padding = sealed::SealedTransport::Padding;
  sealed_ = std::make_unique<sealed::SealedTransport>(
      shard_, std::move(transport_), std::move(*channel), surplus,
      credential_.padding ? Padding::power_of_two : Padding::none);
  state_ = State::replied;
  owner_.on_replied(*this);
}

void Attempt::failed(Code code, std::string detail) {
  if (state_ == State::failed || state_ == State::replied) return;
  state_ = State::failed;
  deadline_.disarm();
  owner_.on_failed(*this, {code, std::move(detail)});
}

}  // namespace leat::connect
