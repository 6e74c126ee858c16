#include "agent/refusal.h"

#include <algorithm>
#include <cstring>

#include "control/wire.h"
#include "proto/control.pb.h"

namespace leat::agent {

std::string open_reply(const Error* failure) {
  proto::OpenReply reply;
  if (failure != nullptr) {
    reply.mutable_failure()->set_code(std::string(info(failure->code).name));
    // The detail names the target. The relay shows visitors the code alone.
    reply.mutable_failure()->set_text(failure->detail.substr(0, 512));
  }
  std::string out;
  control::append_message(reply, out);
  return out;
}

Refusal::Refusal(StreamHost& host, mux::StreamHandle handle, const Error& why, bool ended)
    : Stream(host, handle), reply_(open_reply(&why)), ended_(ended) {}

Refusal::~Refusal() {
  if (!over_) mux().reset(handle_);
}

void Refusal::start() {
  if (mux().attach(handle_, this, this)) return;
  over_ = true;
  shard().defer(*this);
}

mux::Produced Refusal::produce(MutableBytes out) {
  if (sent_ == reply_.size()) {
    answered_ = true;
    finish_if_done();
    return mux::Produced::end();
  }
  const std::size_t n = std::min(out.size(), reply_.size() - sent_);
  std::memcpy(out.data(), reply_.data() + sent_, n);
  sent_ += n;
  return mux::Produced::bytes(n);
}

void Refusal::end() {
  ended_ = true;
  finish_if_done();
}

void Refusal::reset(mux::ResetReason) {
  over_ = true;
  shard().defer(*this);
}

void Refusal::finish_if_done() {
  if (!answered_ || !ended_) return;
  over_ = true;
  shard().defer(*this);
}

}  // namespace leat::agent
