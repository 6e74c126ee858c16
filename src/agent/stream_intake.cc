#include "agent/stream_intake.h"

#include <utility>

#include "agent/egress.h"
#include "agent/http_exchange.h"
#include "agent/pipe.h"
#include "agent/refusal.h"
#include "agent/sealed_stream.h"
#include "base/limits.h"
#include "base/log.h"
#include "proto/control.pb.h"

namespace leat::agent {
namespace {

bool same_kind(proto::Kind asked, control::TunnelKind kind) {
  switch (kind) {
    case control::TunnelKind::http:
      return asked == proto::KIND_HTTP;
    case control::TunnelKind::tcp:
      return asked == proto::KIND_TCP;
    case control::TunnelKind::ws:
      return asked == proto::KIND_WS;
    case control::TunnelKind::tls:
      return asked == proto::KIND_TLS;
    case control::TunnelKind::sealed:
      return asked == proto::KIND_SEALED;
  }
  return false;
}

}  // namespace

StreamIntake::StreamIntake(StreamHost& host, mux::StreamHandle handle)
    : Stream(host, handle), reader_(limits::kOpenStreamMessage) {}

StreamIntake::~StreamIntake() {
  if (state_ == State::reading) mux().reset(handle_);
}

void StreamIntake::start() {
  if (host_.sealed()) {
    deadline_.emplace(shard(), [this] {
      if (state_ == State::reading) give_up();
    });
    deadline_->arm_in(limits::kHeadTimeout);
  }
  if (!mux().attach(handle_, nullptr, this)) reset(mux::ResetReason::peer);
}

std::size_t StreamIntake::deliver(Bytes data) {
  std::size_t used = 0;
  switch (reader_.feed(data, used)) {
    case control::MessageReader::State::more:
      break;
    case control::MessageReader::State::error:
      give_up();
      break;
    case control::MessageReader::State::done:
      // What follows belongs to the next owner, who attaches once this call has returned.
      state_ = State::complete;
      mux().detach(handle_);
      shard().defer(*this);
      break;
  }
  return used;
}

void StreamIntake::end() { give_up(); }

void StreamIntake::reset(mux::ResetReason) {
  state_ = State::over;
  shard().defer(*this);
}

void StreamIntake::give_up() {
  mux().reset(handle_);
  state_ = State::over;
  shard().defer(*this);
}

void StreamIntake::on_deferred() {
  if (state_ == State::complete && mux().alive(handle_)) {
    hand_on();
  } else {
    host_.retire(*this);
  }
}

void StreamIntake::hand_on() {
  proto::OpenStream open;
  if (!reader_.parse(open)) {
    mux().reset(handle_);
    return host_.retire(*this);
  }
  const std::shared_ptr<Egress> egress = host_.find(open.tunnel());
  log::debug("stream.open", {{"tunnel", open.tunnel()},
                             {"request_id", open.request_id()},
                             {"visitor", open.visitor()},
                             {"known", egress != nullptr}});
  std::unique_ptr<Stream> next;
  // What a device says of where it comes from is its own word.
  const std::string visitor = host_.sealed() ? host_.visitor() : open.visitor();
  // The relay gets to a sealed service by a sealed session only, whatever it asks for.
  const bool pipe = egress != nullptr && egress->service.sealed && !host_.sealed();
  const auto kind = pipe     ? control::TunnelKind::sealed
                    : egress ? egress->service.kind
                             : control::TunnelKind::http;
  if (egress == nullptr || !same_kind(open.kind(), kind) || (pipe && host_.gate() == nullptr)) {
    const Error why{Code::NO_SUCH_SERVICE,
                    egress ? "the tunnel is of another kind" : "no such tunnel"};
    next = std::make_unique<Refusal>(host_, handle_, why);
  } else if (pipe) {
    next = std::make_unique<SealedStream>(host_, handle_, *host_.gate(), open.tunnel(), visitor);
  } else if (kind == control::TunnelKind::http || kind == control::TunnelKind::ws) {
    next = std::make_unique<HttpExchange>(host_, handle_, *egress,
                                          host_.sealed() ? "" : open.visitor_host(),
                                          open.request_id(), visitor);
  } else {
    next = std::make_unique<Pipe>(host_, handle_, *egress, open.request_id(), visitor);
  }
  if (egress) {
    ++egress->metrics->of(host_.sealed() ? control::TunnelKind::sealed : kind).streams;
  }
  next->keep(egress);
  host_.replace(*this, std::move(next));
}

}  // namespace leat::agent
