#include "agent/sealed_stream.h"

#include <utility>

#include "agent/refusal.h"
#include "agent/sealed_gate.h"
#include "base/address.h"
#include "net/stream_transport.h"

namespace leat::agent {

SealedStream::SealedStream(StreamHost& host, mux::StreamHandle handle, SealedGate& gate,
                           std::string tunnel, std::string visitor)
    : Stream(host, handle), gate_(gate), tunnel_(std::move(tunnel)), visitor_(std::move(visitor)) {}

void SealedStream::start() {
  if (gate_.full()) {
    const Error why{Code::AGENT_BUSY, "too many sealed sessions"};
    return host_.replace(*this, std::make_unique<Refusal>(host_, handle_, why));
  }
  const auto address = parse_host_port(visitor_, true);
  gate_.make_room(false, address ? address->host : visitor_);
  SealedPeer::Owner& owner = *this;
  peer_ = std::make_unique<SealedPeer>(
      gate_, net::make_stream_transport(mux(), handle_, open_reply(nullptr), visitor_), tunnel_,
      owner);
  peer_->start();
}

}  // namespace leat::agent
