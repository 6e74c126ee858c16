#include "sealed/sealed_transport.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

namespace leat::sealed {

using net::IoResult;
using net::IoStatus;

namespace {

// They cost their sender little, and whoever opens them two passes of a cipher and no end of the
// batch.
constexpr int kIdleRekeys = 16;

// Each costs a pass of a cipher, however little is in it: after so many others have their turn.
constexpr int kTurn = 256;

// Content and padding together: so a token, a rekey and an end look alike.
constexpr std::size_t kLeastPadded = 256;
static_assert(crypto::kEndContent <= kLeastPadded);

}  // namespace

SealedTransport::SealedTransport(net::Shard& shard, std::unique_ptr<net::Transport> pipe,
                                 crypto::Channel channel, Bytes surplus, Padding padding)
    : shard_(shard), pipe_(std::move(pipe)), channel_(std::move(channel)), padding_(padding) {
  assert(surplus.size() <= kSurplus);
  std::ranges::copy(surplus, buffer_.begin());
  end_ = surplus.size();
  pipe_->set_owner(this);
}

// --- received ---

IoResult SealedTransport::read(MutableBytes into) {
  std::size_t total = 0;
  IoStatus status = IoStatus::ok;
  while (total < into.size()) {
    if (content_.empty() && (status = open_next()) != IoStatus::ok) break;
    const std::size_t n = std::min(into.size() - total, content_.size());
    std::memcpy(into.data() + total, content_.data(), n);
    content_ = content_.subspan(n);
    total += n;
  }
  // What was authentic is handed over first; the next call tells of the end or the failure.
  if (total > 0) return {IoStatus::ok, total};
  return {status == IoStatus::ok ? IoStatus::would_block : status};
}

// Until there is content.
IoStatus SealedTransport::open_next() {
  for (;; ++opened_now_) {
    if (failed_) return IoStatus::failed;
    if (opened_now_ >= kTurn) {
      shard_.defer(*this);
      return IoStatus::would_block;
    }
    const crypto::Opened opened =
        channel_.open(MutableBytes(buffer_).subspan(begin_, end_ - begin_));
    begin_ += opened.used;
    switch (opened.event) {
      case crypto::Opened::Event::data:
        content_ = opened.content;
        idle_rekeys_ = 0;
        if (opened_ && !take_opened()) return IoStatus::failed;
        if (content_.empty()) continue;
        ++opened_now_;
        return IoStatus::ok;
      case crypto::Opened::Event::rekey:
        if (++idle_rekeys_ <= kIdleRekeys) continue;
        fail(Error{Code::PROTOCOL, peer() + ": keys that nothing is sealed with"});
        return IoStatus::failed;
      case crypto::Opened::Event::end:
        ended_ = true;
        continue;
      case crypto::Opened::Event::failed:
        fail(channel_.fault());
        return IoStatus::failed;
      case crypto::Opened::Event::more:
        break;
    }
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    const IoResult got = pipe_->read(MutableBytes(buffer_).subspan(end_));
    end_ += got.n;
    if (got.status == IoStatus::ok) continue;
    // Behind the sealed end the pipe may break as it likes.
    if (ended_) return IoStatus::end;
    if (got.status == IoStatus::would_block) return IoStatus::would_block;
    fail(got.status == IoStatus::failed
             ? pipe_->error()
             : Error{Code::CARRIER_CUT, peer() + ": cut short, without a sealed end"});
    return IoStatus::failed;
  }
}

void SealedTransport::expect_opened(std::function<void()> done) {
  opened_.emplace();
  on_opened_ = std::move(done);
}

bool SealedTransport::take_opened() {
  std::size_t used = 0;
  const auto state = opened_->feed(content_, used);
  content_ = content_.subspan(used);
  if (state == OpenedReader::State::error) return fail(opened_->error()), false;
  if (state == OpenedReader::State::opened) {
    opened_.reset();
    std::exchange(on_opened_, nullptr)();
  }
  return true;
}

// --- sent ---

IoResult SealedTransport::write(Bytes from) {
  std::size_t total = 0;
  while (total < from.size() && !failed_ && !finishing_ && send_rest()) {
    if (pipe_->write_room() < limits::kMaxFrameNative && !pipe_->make_room()) {
      if (pipe_->write({}).status == IoStatus::failed) fail(pipe_->error());
      break;
    }
    const Bytes piece = from.subspan(total, std::min(from.size() - total, best_write()));
    if (!seal(piece)) break;
    total += piece.size();
  }
  if (total > 0) return {IoStatus::ok, total};
  if (!failed_ && from.empty() && pipe_->write({}).status == IoStatus::failed) {
    fail(pipe_->error());
  }
  return {failed_ ? IoStatus::failed : IoStatus::would_block};
}

void SealedTransport::write_first(Bytes content) {
  if (!failed_) seal(content);
}

// False: failed.
bool SealedTransport::seal(Bytes content) {
  static thread_local std::array<std::uint8_t, 2 * crypto::kMaxRecord> records;
  const Time now = shard_.now();
  std::size_t size = 0;
  if (channel_.rekey_due(now)) {
    const auto rekey = channel_.rekey(records, now, padding(0));
    if (!rekey) return fail(rekey.error()), false;
    size = *rekey;
  }
  const auto sealed =
      channel_.seal(content, MutableBytes(records).subspan(size), now, padding(content.size()));
  if (!sealed) return fail(sealed.error()), false;
  put(Bytes(records).first(size + *sealed));
  return !failed_;
}

std::size_t SealedTransport::padding(std::size_t content) const {
  if (padding_ == Padding::none) return 0;
  const std::size_t size = std::max(std::bit_ceil(content), kLeastPadded);
  return std::max(content, std::min(size, best_write())) - content;
}

void SealedTransport::put(Bytes records) {
  std::size_t taken = 0;
  if (rest_.empty()) {
    const IoResult sent = pipe_->write(records);
    if (sent.status == IoStatus::failed) return fail(pipe_->error());
    taken = sent.n;
  }
  rest_ += as_chars(records.subspan(taken));
}

// False: something still waits.
bool SealedTransport::send_rest() {
  while (!rest_.empty()) {
    const IoResult sent = pipe_->write(as_bytes(rest_));
    if (sent.status == IoStatus::failed) {
      rest_.clear();
      fail(pipe_->error());
      return true;
    }
    if (sent.status != IoStatus::ok) return false;
    rest_.erase(0, sent.n);
  }
  return true;
}

bool SealedTransport::flush() {
  const bool sent = send_rest();
  const bool drained = pipe_->flush() && sent;
  if (finishing_ && sent && !std::exchange(shut_, true)) pipe_->finish();
  return drained;
}

void SealedTransport::finish() {
  if (std::exchange(finishing_, true) || failed_) return;
  std::array<std::uint8_t, crypto::kRecordOverhead + kLeastPadded> record;
  const auto size = channel_.end(record, padding(crypto::kEndContent));
  if (size) put(Bytes(record).first(*size));
  flush();
}

void SealedTransport::abort() {
  fail({Code::CARRIER_CUT, peer() + ": given up"});
  rest_.clear();
  pipe_->abort();
}

// --- both ---

void SealedTransport::on_transport() {
  opened_now_ = 0;
  flush();
  if (owner_ != nullptr) owner_->on_transport();
}

void SealedTransport::on_deferred() {
  opened_now_ = 0;
  if (owner_ != nullptr) owner_->on_transport();
}

void SealedTransport::on_room() {
  if (send_rest() && owner_ != nullptr) owner_->on_room();
}

void SealedTransport::fail(crypto::Fault fault) {
  fail({Code::TAMPERED, peer() + ": " + std::string(crypto::name(fault))});
}

void SealedTransport::fail(Error why) {
  if (std::exchange(failed_, true)) return;
  error_ = std::move(why);
  content_ = {};
}

}  // namespace leat::sealed
