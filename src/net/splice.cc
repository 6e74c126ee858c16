#include "net/splice.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/limits.h"

namespace leat::net {

Splice::Splice(SessionDriver& driver, mux::StreamHandle stream,
               std::unique_ptr<Transport> transport, std::string prefix, Owner& owner)
    : driver_(driver),
      stream_(stream),
      transport_(std::move(transport)),
      prefix_(std::move(prefix)),
      owner_(owner),
      grace_(driver.shard(), [this] { fail(); }) {
  transport_->set_owner(this);
}

Splice::~Splice() {
  transport_->set_owner(nullptr);
  if (!over_) driver_.mux().reset(stream_);
}

void Splice::start() { driver_.mux().attach(stream_, this, this); }

void Splice::start_sending(mux::Sink& receiver) { driver_.mux().attach(stream_, this, &receiver); }

void Splice::cancel() {
  if (over_) return;
  over_ = true;
  driver_.mux().reset(stream_);
  transport_->abort();
}

void Splice::on_transport() {
  if (over_) return;
  // A reset is met by reading or writing; with an end received and nothing to send, by neither.
  if (transport_->broken()) on_broken();
  // Sending first: what the ring holds is older than what resume() brings.
  if (transport_->flush()) driver_.mux().resume(stream_);
  if (!over_ && !source_ended_) driver_.mux().wake(stream_);
  finish_if_done();
}

mux::Produced Splice::produce(MutableBytes out) {
  if (prefix_sent_ < prefix_.size()) {
    const std::size_t n = std::min(out.size(), prefix_.size() - prefix_sent_);
    std::memcpy(out.data(), prefix_.data() + prefix_sent_, n);
    prefix_sent_ += n;
    return mux::Produced::bytes(n);
  }
  if (meter_ != nullptr) {
    out = out.first(meter_->allow(out.size()));
    if (out.empty()) return mux::Produced::not_ready();
  }
  const IoResult result = transport_->read(out);
  if (meter_ != nullptr) meter_->moved(Meter::Direction::in, result.n);
  switch (result.status) {
    case IoStatus::ok:
      sent_ += result.n;
      if (broken_) grace_.arm_in(limits::kStalled);  // the grace is for one that takes nothing
      return mux::Produced::bytes(result.n);
    case IoStatus::would_block:
      return mux::Produced::not_ready();
    case IoStatus::end:
      source_ended_ = true;
      finish_if_done();
      return mux::Produced::end();
    case IoStatus::failed:
      break;
  }
  fail();
  return mux::Produced::error();
}

std::size_t Splice::deliver_pieces(std::span<const Bytes> pieces) {
  std::size_t size = 0;
  for (const Bytes piece : pieces) size += piece.size();
  if (broken_) return size;
  Bytes allowed = pieces.front();
  if (meter_ != nullptr && meter_->allow(size) < size) {  // what is scarce goes piece by piece
    allowed = allowed.first(meter_->allow(allowed.size()));
    pieces = {&allowed, 1};
  }
  if (allowed.empty()) return 0;
  const IoResult result = transport_->write_pieces(pieces);
  if (meter_ != nullptr) meter_->moved(Meter::Direction::out, result.n);
  if (result.status == IoStatus::failed) {
    on_broken();
    driver_.mux().wake(stream_);
    return size;
  }
  if (result.n > 0) {
    received_ += result.n;
    driver_.shard().defer(*this);  // one flush for all the frames of this batch
  }
  return result.n;
}

void Splice::end() {
  sink_ended_ = true;
  transport_->finish();
  finish_if_done();
}

void Splice::reset(mux::ResetReason reason) {
  if (over_) return;
  reset_reason_ = reason;
  over_ = true;
  clean_ = false;
  transport_->abort();
  driver_.shard().defer(*this);
}

void Splice::on_broken() {
  if (std::exchange(broken_, true)) return;
  grace_.arm_in(limits::kStalled);
}

void Splice::fail() {
  if (over_) return;
  over_ = true;
  clean_ = false;
  driver_.mux().reset(stream_);
  transport_->abort();
  driver_.shard().defer(*this);
}

void Splice::finish_if_done() {
  if (over_ || !source_ended_ || !sink_ended_ || !transport_->flush()) return;
  over_ = true;
  clean_ = !broken_;
  driver_.shard().defer(*this);
}

void Splice::on_deferred() {
  if (over_) return owner_.on_splice_end(*this, clean_);
  if (transport_->flush()) driver_.mux().resume(stream_);
  finish_if_done();
}

}  // namespace leat::net
