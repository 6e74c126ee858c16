#include "mux/scheduler.h"

#include <algorithm>
#include <cassert>

namespace leat::mux {

using Streams = List<Scheduled, SchedulerTag>;

void Scheduler::wake(Scheduled& stream) {
  if (stream.waiting()) return;
  if (stream.asked_ == pull_) {  // it slept and woke within this pull: once asked is enough
    stream.on_ = On::parked_fresh;
    parked_.push_back(stream);
    return;
  }
  place(stream);
}

// Where a stream stands that comes from outside the lists.
void Scheduler::place(Scheduled& stream) {
  if (stream.round_ != round_) {
    const auto missed =
        static_cast<std::int64_t>(std::min<std::uint64_t>(round_ - stream.round_, 8));
    stream.deficit_ = std::min(quantum_, stream.deficit_ + missed * quantum_);
    stream.round_ = round_;
  }
  if (stream.deficit_ <= 0) return append_old(stream);
  stream.on_ = On::fresh;
  new_.push_back(stream);
}

void Scheduler::append_old(Scheduled& stream) {
  stream.on_ = On::old;
  old_.push_back(stream);
  if (last_of_round_ == nullptr) last_of_round_ = &stream;
}

void Scheduler::suspend(Scheduled& stream) {
  if (!stream.waiting()) return;
  Scheduled* const before = stream.on_ == On::old ? old_.before(stream) : nullptr;
  Streams::unlink(stream);
  stream.on_ = On::none;
  if (&stream != last_of_round_) return;
  if (before != nullptr) {
    last_of_round_ = before;
  } else {
    end_round();
  }
}

Scheduled* Scheduler::next(bool only_new) {
  for (;;) {
    Scheduled* stream = new_.front();
    if (stream == nullptr && !only_new) stream = old_.front();
    if (stream == nullptr) return nullptr;
    if (stream->deficit_ > 0) {
      stream->asked_ = pull_;
      return stream;
    }
    rotate(*stream);
  }
}

// The first of the old list has used up its quantum: a new one, and to the end. Since no frame
// exceeds the quantum, one grant always pays the debt.
void Scheduler::rotate(Scheduled& stream) {
  assert(stream.on_ == On::old);
  Streams::unlink(stream);
  old_.push_back(stream);
  if (&stream == last_of_round_) end_round();
  stream.deficit_ += quantum_;
  stream.round_ = round_;
}

// Whoever stands last now ends the next round.
void Scheduler::end_round() {
  ++round_;
  last_of_round_ = old_.back();
}

void Scheduler::sent(Scheduled& stream, std::size_t bytes) {
  stream.deficit_ -= static_cast<std::int64_t>(bytes);
  if (stream.on_ != On::fresh && stream.on_ != On::old) return;  // it left while it was asked
  Streams::unlink(stream);
  stream.on_ = stream.on_ == On::old ? On::parked_old : On::parked_fresh;
  parked_.push_back(stream);
}

// Those that have sent go back to where they stood, in the same order; a new stream that has used
// up its quantum joins the old ones.
void Scheduler::end_pull() {
  ++pull_;
  while (Scheduled* const stream = parked_.back()) {
    Streams::unlink(*stream);
    if (stream->on_ == On::parked_old) {
      stream->on_ = On::old;
      old_.push_front(*stream);
    } else if (stream->deficit_ > 0) {
      stream->on_ = On::fresh;
      new_.push_front(*stream);
    } else {
      append_old(*stream);
    }
  }
}

}  // namespace leat::mux
