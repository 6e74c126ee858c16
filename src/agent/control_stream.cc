#include "agent/control_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace leat::agent {

ControlStream::ControlStream(control::Client client, Owner& owner)
    : client_(std::move(client)), owner_(owner) {}

void ControlStream::start(mux::Session& session, Time now) {
  session_ = &session;
  stream_ = session.open(now).value_or(mux::StreamHandle{});
  session.attach(stream_, this, this);
}

void ControlStream::bind(std::size_t index, const control::TunnelRequest& tunnel) {
  client_.bind(index, tunnel);
  session_->wake(stream_);
}

void ControlStream::unbind(const std::string& tunnel) {
  client_.unbind(tunnel);
  session_->wake(stream_);
}

void ControlStream::report_health(const std::string& tunnel, const Error* failure) {
  client_.health(tunnel, failure);
  session_->wake(stream_);
}

void ControlStream::leave() {
  client_.leave();
  session_->wake(stream_);
}

mux::Produced ControlStream::produce(MutableBytes out) {
  if (out_.empty()) out_ = client_.take_output();
  if (out_.empty()) return mux::Produced::not_ready();
  const std::size_t n = std::min(out.size(), out_.size() - sent_);
  std::memcpy(out.data(), out_.data() + sent_, n);
  sent_ += n;
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  }
  return mux::Produced::bytes(n);
}

std::size_t ControlStream::deliver(Bytes data) {
  if (failed_) return data.size();
  const Result<void> result = client_.feed(data);
  if (!result) fail(result.error());
  if (client_.has_output()) session_->wake(stream_);
  return data.size();
}

void ControlStream::end() { fail({Code::CARRIER_CUT, "the relay ended the control stream"}); }

void ControlStream::reset(mux::ResetReason reason) {
  // With the session's end its owner hears from the driver.
  if (reason != mux::ResetReason::session_end) {
    fail({Code::PROTOCOL, "the relay reset the control stream"});
  }
}

void ControlStream::fail(const Error& why) {
  if (!std::exchange(failed_, true)) owner_.on_control_failed(why);
}

}  // namespace leat::agent
