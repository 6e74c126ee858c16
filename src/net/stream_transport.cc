#include "net/stream_transport.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/address.h"
#include "base/limits.h"
#include "mux/endpoint.h"

namespace leat::net {
namespace {

class StreamTransport final : public Transport, private mux::Source, private mux::Sink {
 public:
  StreamTransport(mux::Session& session, mux::StreamHandle stream, std::string prefix,
                  std::string peer)
      : session_(session), stream_(stream), waiting_(std::move(prefix)), peer_(std::move(peer)) {
    dead_ = !session_.attach(stream_, this, this);
  }
  ~StreamTransport() override {
    owner_ = nullptr;
    if (dead_) return;
    // With both ends told the session may still owe the peer our FIN.
    if (source_ended_ && in_ended_) {
      session_.detach(stream_);
    } else {
      session_.reset(stream_);
    }
  }

  bool established() const override { return true; }
  IoResult read(MutableBytes into) override;
  bool readable() const override { return in_ended_ || dead_ || session_.buffered(stream_) > 0; }

  IoResult write(Bytes from) override;
  std::size_t best_write() const override { return limits::kMaxFrameNative; }
  std::size_t write_room() const override {
    return asked_ && !dead_ && waiting_.empty() && filled_ == 0 ? best_write() : 0;
  }
  bool make_room() override {
    if (!asked_ && !dead_) session_.wake(stream_);
    return write_room() > 0;
  }
  bool flush() override { return dead_ || waiting_.empty(); }

  void finish() override {
    finishing_ = true;
    if (!dead_) session_.wake(stream_);
  }
  void abort() override {
    if (!dead_) session_.reset(stream_);
    die("given up");
  }

  bool broken() const override { return dead_; }
  int fd() const override { return -1; }
  std::string peer() const override { return peer_; }
  std::string peer_host() const override {
    const auto address = parse_host_port(peer_, true);
    return address ? address->host : peer_;
  }
  Error error() const override { return error_; }

 private:
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override { return deliver_pieces({&data, 1}); }
  std::size_t deliver_pieces(std::span<const Bytes> pieces) override;
  std::size_t take_offered(MutableBytes into);
  void end() override;
  void reset(mux::ResetReason reason) override;

  std::size_t take(Bytes from);
  void notify() {
    if (owner_ != nullptr) owner_->on_transport();
  }
  void die(std::string_view why) {
    if (std::exchange(dead_, true)) return;
    waiting_.clear();
    error_.detail = peer_ + ": " + std::string(why);
  }

  mux::Session& session_;
  const mux::StreamHandle stream_;

  // --- out ---
  std::string waiting_;  // written, and no frame has taken it yet; one record at most
  MutableBytes frame_;   // while asked_: where the frame goes …
  std::size_t filled_ = 0;
  bool asked_ = false;
  bool finishing_ = false;
  bool source_ended_ = false;

  // --- in ---
  std::span<const Bytes> offered_;  // while offering_: what the reader has not taken, …
  std::size_t begun_ = 0;           // … but for so much of the first
  std::size_t taken_ = 0;
  bool offering_ = false;
  MutableBytes wanted_;  // while wanting_: where the reader wants it
  std::size_t got_ = 0;
  bool wanting_ = false;
  bool in_ended_ = false;

  bool dead_ = false;  // the stream is gone
  const std::string peer_;
  Error error_{Code::CARRIER_CUT, {}};
};

// --- received ---

std::size_t StreamTransport::deliver_pieces(std::span<const Bytes> pieces) {
  offered_ = pieces;
  begun_ = taken_ = 0;
  if (wanting_) {
    got_ += take_offered(wanted_.subspan(got_));
  } else {
    offering_ = true;
    notify();
    offering_ = false;
  }
  offered_ = {};
  return taken_;
}

std::size_t StreamTransport::take_offered(MutableBytes into) {
  std::size_t total = 0;
  while (total < into.size() && !offered_.empty()) {
    const Bytes piece = offered_.front().subspan(begun_);
    const std::size_t n = std::min(piece.size(), into.size() - total);
    std::memcpy(into.data() + total, piece.data(), n);
    total += n;
    begun_ += n;
    if (n == piece.size()) {
      offered_ = offered_.subspan(1);
      begun_ = 0;
    }
  }
  taken_ += total;
  return total;
}

IoResult StreamTransport::read(MutableBytes into) {
  if (offering_) {
    const std::size_t n = take_offered(into);
    if (n == 0) return {dead_ ? IoStatus::failed : IoStatus::would_block};
    return {IoStatus::ok, n};
  }
  if (!dead_ && !in_ended_ && !into.empty()) {
    wanted_ = into;
    got_ = 0;
    wanting_ = true;
    session_.resume(stream_);
    wanting_ = false;
    if (got_ > 0) return {IoStatus::ok, got_};
  }
  // An end that was told stays one: a reset behind it concerns what we send.
  if (in_ended_) return {IoStatus::end};
  return {dead_ ? IoStatus::failed : IoStatus::would_block};
}

void StreamTransport::end() {
  in_ended_ = true;
  if (!wanting_) notify();
}

void StreamTransport::reset(mux::ResetReason) {
  die("the stream was cut");
  if (!wanting_) notify();
}

// --- sent ---

mux::Produced StreamTransport::produce(MutableBytes out) {
  frame_ = out;
  filled_ = 0;
  asked_ = true;
  waiting_.erase(0, take(as_bytes(waiting_)));
  if (filled_ == 0 && owner_ != nullptr) owner_->on_room();
  asked_ = false;
  frame_ = {};
  if (dead_) return mux::Produced::error();
  if (filled_ > 0) return mux::Produced::bytes(filled_);
  if (!finishing_) return mux::Produced::not_ready();
  source_ended_ = true;
  return mux::Produced::end();
}

std::size_t StreamTransport::take(Bytes from) {
  const std::size_t n = std::min(from.size(), frame_.size() - filled_);
  if (n > 0) std::memcpy(frame_.data() + filled_, from.data(), n);
  filled_ += n;
  return n;
}

IoResult StreamTransport::write(Bytes from) {
  if (dead_) return {IoStatus::failed};
  // Who asks write_room() first finds nothing waiting; only the first words of a session do not.
  if (from.empty() || waiting_.size() >= best_write() || finishing_) {
    return {IoStatus::would_block};
  }
  const std::size_t taken = asked_ && waiting_.empty() ? take(from) : 0;
  if (taken < from.size()) {
    waiting_ += as_chars(from.subspan(taken));
    if (!asked_) session_.wake(stream_);
  }
  return {IoStatus::ok, from.size()};
}

}  // namespace

std::unique_ptr<Transport> make_stream_transport(mux::Session& session, mux::StreamHandle stream,
                                                 std::string prefix, std::string peer) {
  return std::make_unique<StreamTransport>(session, stream, std::move(prefix), std::move(peer));
}

}  // namespace leat::net
