#include "agent/pipe.h"

#include <utility>

#include "agent/refusal.h"
#include "base/log.h"

namespace leat::agent {

Pipe::Pipe(StreamHost& host, mux::StreamHandle handle, Egress& egress, std::string request_id,
           std::string visitor)
    : Stream(host, handle),
      egress_(egress),
      request_id_(std::move(request_id)),
      visitor_(std::move(visitor)),
      meter_(
          egress.metrics->of(host.sealed() ? control::TunnelKind::sealed : egress.service.kind)) {}

Pipe::~Pipe() {
  if (dial_) mux().reset(handle_);
}

void Pipe::start() {
  dial_ =
      std::make_unique<ServiceDial>(shard(), egress_.service, egress_.tls, visitor_,
                                    [this](auto transport) { on_dialled(std::move(transport)); });
}

void Pipe::on_dialled(Result<std::unique_ptr<net::Transport>> transport) {
  shard().dispose(std::move(dial_));
  if (!transport) {
    const Error& why = transport.error();
    log::warn("service.failed", {{"tunnel", egress_.id},
                                 {"request_id", request_id_},
                                 {"code", info(why.code).name},
                                 {"why", why.detail}});
    egress_.note_failure(why);
    return host_.replace(*this, std::make_unique<Refusal>(host_, handle_, why));
  }
  egress_.note_reached();
  if (!mux().alive(handle_)) {
    shard().dispose(std::move(*transport));
    return host_.retire(*this);
  }
  net::Splice::Owner& owner = *this;
  splice_ = std::make_unique<net::Splice>(host_.driver(), handle_, std::move(*transport),
                                          open_reply(nullptr), owner);
  splice_->set_meter(&meter_);
  splice_->start();
}

void Pipe::on_splice_end(net::Splice& splice, bool clean) {
  log::debug("stream.end", {{"tunnel", egress_.id},
                            {"request_id", request_id_},
                            {"clean", clean},
                            {"bytes_in", splice.bytes_received()},
                            {"bytes_out", splice.bytes_sent()}});
  if (!clean) {
    egress_.metrics->cut(splice.reset_reason() ? cut_of(*splice.reset_reason()) : Cut::service);
  }
  host_.retire(*this);
}

}  // namespace leat::agent
