#include "net/session_driver.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/limits.h"

namespace leat::net {
namespace {

// How much one session may move in one direction before the shard looks at the others again.
constexpr std::size_t kBatch = 1 * limits::MiB;

// Below this a record is not worth its overhead; the governor's least bound is above it.
constexpr std::size_t kLeastRecord = 2 * limits::KiB;

constexpr auto kCloseTimeout = std::chrono::seconds(2);

// Decrypted bytes on their way through feed(): buffers of the thread, since nothing of them
// outlives the call. Two, because a session inside a stream of another reads while that one is
// being fed.
class ReceiveBuffer {
 public:
  ReceiveBuffer() : bytes_(next()) {}
  ~ReceiveBuffer() { --depth_; }
  ReceiveBuffer(const ReceiveBuffer&) = delete;
  ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;

  MutableBytes bytes() const { return bytes_; }

 private:
  using Buffer = std::array<std::uint8_t, limits::kRing>;
  static Buffer& next() {
    if (depth_ == buffers_.size()) std::abort();  // a session in a session in a session
    return buffers_[depth_++];
  }
  static thread_local std::array<Buffer, 2> buffers_;
  static thread_local std::size_t depth_;
  const MutableBytes bytes_;
};
thread_local std::array<ReceiveBuffer::Buffer, 2> ReceiveBuffer::buffers_;
thread_local std::size_t ReceiveBuffer::depth_ = 0;

}  // namespace

SessionDriver::SessionDriver(Shard& shard, const mux::Config& config, Owner& owner,
                             std::unique_ptr<Transport> carrier, Framing framing, bool govern)
    : shard_(shard),
      owner_(owner),
      carrier_(std::move(carrier)),
      framing_(framing),
      record_(carrier_->best_write()),
      link_(*this, framing, limits::kLinkLog, config.memory),
      mux_(config, *this, shard.now()),
      governor_(govern),
      deadline_(shard, [this] { on_deadline(); }),
      pace_(shard, [this] { shard_.defer(*this); }),
      closing_timer_(shard, [this] { end(close_reason_); }) {
  carrier_->set_owner(this);
  use_window_control(carrier_->fd());
}

SessionDriver::~SessionDriver() { carrier_->set_owner(nullptr); }

void SessionDriver::start(Bytes surplus) {
  link_.attach(0, shard_.now());
  heard_ = shard_.now();
  if (!surplus.empty()) feed(surplus);
  if (ended_) return;
  read_more_ = carrier_->readable();
  shard_.defer(*this);
}

// --- received ---

void SessionDriver::on_transport() {
  if (ended_) return;
  // While nothing is read for want of memory nobody else would meet it.
  if (carrier_->broken() && !mux_.wants_feed()) {
    return end(closing_ ? close_reason_ : Error{Code::CARRIER_CUT, "reset"});
  }
  read();
  if (!ended_) shard_.defer(*this);
}

void SessionDriver::read() {
  read_more_ = false;
  const ReceiveBuffer own;
  const MutableBytes buffer = own.bytes();
  for (std::size_t moved = 0; moved < kBatch && !ended_;) {
    if (!mux_.wants_feed() && !closing_) return;  // on_want_feed() follows
    const IoResult result = carrier_->read(buffer);
    switch (result.status) {
      case IoStatus::ok:
        moved += result.n;
        heard_ = shard_.now();
        feed(buffer.first(result.n));
        break;
      case IoStatus::would_block:
        return;
      case IoStatus::end:
        // An orderly peer says close first; TLS merely ending does not end a session.
        return end(closing_ ? close_reason_
                            : Error{Code::CARRIER_CUT, "the peer closed the connection"});
      case IoStatus::failed:
        return end(closing_ ? close_reason_ : carrier_->error());
    }
  }
  read_more_ = !ended_;
}

void SessionDriver::feed(Bytes received) {
  if (closing_) return;  // what comes now answers nothing
  const LinkFault fault = link_.feed(received, shard_.now());
  if (ended_) return;
  if (fatal_ == mux::Fatal::none) fatal_ = mux_.feed({}, shard_.now());  // what it still gathers
  if (ended_) return;
  mux_.set_rtt(link_.stats().rtt);
  if (fatal_ != mux::Fatal::none) {
    return close(Code::PROTOCOL, mux::name(fatal_));
  }
  switch (fault) {
    case LinkFault::none:
      return;
    case LinkFault::closed: {
      // Empty: asked for, and nothing failed. One of a newer version's is shown as it is (§3.3).
      const std::string name(link_.close_code()), text(link_.close_text());
      if (name.empty()) return end(Error{Code::CARRIER_CUT, "closed by the peer: " + text});
      const auto code = code_from_name(name);
      return end(code ? Error{*code, text} : Error{Code::PROTOCOL, name + ": " + text});
    }
    default:
      return close(Code::PROTOCOL, name(fault));
  }
}

bool SessionDriver::on_link_data(Bytes data) {
  if (ended_ || fatal_ != mux::Fatal::none) return false;
  fatal_ = mux_.feed(data, shard_.now(), true);
  return fatal_ == mux::Fatal::none && !ended_;
}

void SessionDriver::on_open(mux::StreamHandle stream) {
  if (closing_ || ended_) {
    mux_.reset(stream);
    return;
  }
  owner_.on_stream(stream);
}

void SessionDriver::on_go_away() { owner_.on_go_away(); }

void SessionDriver::on_want_feed() {
  link_.paused(shard_.now());
  read_more_ = true;
  shard_.defer(*this);
}

// --- sent ---

void SessionDriver::on_want_pull() { shard_.defer(*this); }

void SessionDriver::on_deferred() {
  if (ended_) return;
  if (read_more_) read();
  if (!ended_) write();
  if (ended_) return;
  if (read_more_) shard_.defer(*this);
  arm();
}

// The carrier is a stream of another session that is being asked for its next frame.
void SessionDriver::on_room() {
  if (ended_) return;
  std::size_t moved = 0;
  while (fill(moved)) {
  }
  if (ended_) return;
  if (closing_) shard_.defer(*this);
  arm();
}

void SessionDriver::write() {
  std::size_t moved = 0;
  while (moved < kBatch && fill(moved)) {
  }
  if (ended_) return;
  const bool drained = carrier_->flush();
  if (closing_ && drained && pending_.empty() && !link_.wants_pull(shard_.now())) {
    // The peer closes when it has read everything; to go first would let the kernel answer what is
    // still coming with RST, which destroys what it has not read. closing_timer_ bounds the wait.
    return carrier_->finish();
  }
  if (moved >= kBatch) shard_.defer(*this);
}

// One record into the carrier. False: nothing to send, or nothing may be sent now.
bool SessionDriver::fill(std::size_t& moved) {
  if (pending_.empty()) {
    // Not before there is room: what has been framed can no longer be overtaken.
    if (carrier_->write_room() < record_ && !carrier_->make_room()) {
      // Nothing may be written behind finish(); while closing, a timer bounds the wait.
      if (!closing_ && carrier_->write({}).status == IoStatus::failed) end(carrier_->error());
      return false;
    }
    const std::size_t room = may_send();
    if (room == 0) return false;
    pending_ = link_.pull(room, shard_.now());
    if (pending_.empty()) {
      held_back_ = false;
      return false;
    }
    since_sample_ += pending_.size();
  }
  const IoResult result = carrier_->write(pending_);
  if (result.status == IoStatus::failed) end(closing_ ? close_reason_ : carrier_->error());
  if (result.status != IoStatus::ok) return false;
  pending_ = pending_.subspan(result.n);
  moved += result.n;
  return true;
}

// The size of the next record, or 0 with a timer set. The kernel is asked when what it said last is
// old or used up, so that at speed one question serves many records.
std::size_t SessionDriver::may_send() {
  if (!governed_) return record_;
  const bool asked = shard_.now() - sampled_ >= governor_.sample_every();
  if (asked) sample_path();
  std::size_t room = governor_.allowance(since_sample_);
  if (room < kLeastRecord && governed_ && !(asked && carrier_->unsent() == 0)) {
    carrier_->flush();  // what the kernel can send at once does not count
    sample_path();
    room = governor_.allowance(since_sample_);
  }
  if (room < kLeastRecord && governed_) {
    if (link_.wants_pull(shard_.now()) || mux_.wants_pull()) {
      pace_.arm_in(governor_.retry_in(kLeastRecord - room));
    }
    return 0;
  }
  return std::min(room, record_);
}

void SessionDriver::sample_path() {
  // Not the batch's time: several questions may fall into one batch.
  const Time now = std::chrono::steady_clock::now();
  const std::optional<PathSample> path = path_.read(carrier_->fd(), carrier_->counters().sent, now);
  governed_ = path.has_value();
  if (!path) return;
  governor_.sample(*path, held_back_);
  if (governor_.take_claim() && !restart_window_control(carrier_->fd())) governor_.refuse_claims();
  if (governor_.wants_bbr() && !asked_bbr_) {
    asked_bbr_ = true;
    if (use_bbr(carrier_->fd())) governor_.under_bbr();
  }
  sampled_ = now;
  since_sample_ = carrier_->unsent();
  held_back_ = true;
}

std::size_t SessionDriver::produce_link_data(MutableBytes out) {
  return mux_.pull(out, shard_.now());
}

// --- deadlines and the end ---

void SessionDriver::arm() { deadline_.arm(std::min(link_.next_deadline(), mux_.next_deadline())); }

void SessionDriver::on_deadline() {
  if (ended_) return;
  // What came while this process slept counts as heard: a suspended machine's carrier may be alive.
  if (mux_.wants_feed()) read();
  if (ended_) return;
  const Time now = shard_.now();
  if (!mux_.wants_feed()) link_.paused(now);  // the mux has a deadline every 100 ms meanwhile
  if (const LinkFault fault = link_.on_deadline(now); fault != LinkFault::none) {
    return end(Error{Code::TIMEOUT, std::string("the carrier is ") + name(fault)});
  }
  if (const mux::Fatal fatal = mux_.on_deadline(now); fatal != mux::Fatal::none) {
    return close(Code::PROTOCOL, mux::name(fatal));
  }
  shard_.defer(*this);
}

void SessionDriver::close(Code code, std::string_view text) {
  if (closing_ || ended_) return;
  closing_ = true;
  close_reason_ = Error{code, std::string(text)};
  if (framing_ == Framing::bare) {
    mux_.go_away(code == Code::PROTOCOL ? mux::GoAway::protocol_error : mux::GoAway::normal);
  }
  link_.close(info(code).name, text);
  closing_timer_.arm_in(kCloseTimeout);
  shard_.defer(*this);
}

void SessionDriver::end(Error why) {
  if (ended_) return;
  ended_ = true;
  deadline_.disarm();
  pace_.disarm();
  closing_timer_.disarm();
  mux_.end_all();
  owner_.on_ended(why);
}

}  // namespace leat::net
