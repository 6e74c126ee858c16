// Which stream sends next: deficit round robin with a list of new and a list of old streams (DRR++,
// as RFC 8290 §4.1 and §4.2 use it), for streams whose bytes are not here yet but come from a
// source that is asked at the last moment.
//
// RFC 8290 puts a queue that ran empty at the end of the old list, so that it cannot come back as
// new within the same round. A source that says `not ready` is the common case here, so the same is
// had without keeping sleepers on a list: a stream remembers the round in which it was last granted
// a quantum. If it wakes within that round it stands with the new ones while it has quantum left
// and goes to the end of the old ones when it has not; if it wakes later it is granted a new
// quantum.
//
// Intrusive, no allocation, every call O(1) amortised. The scheduler owns no stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mux/intrusive_list.h"

namespace leat::mux {

struct SchedulerTag;

// What the scheduler keeps in a stream.
class Scheduled : public Linked<SchedulerTag> {
 public:
  bool waiting() const { return linked(); }

 private:
  friend class Scheduler;
  enum class On : std::uint8_t { none, fresh, old, parked_fresh, parked_old };

  std::uint64_t round_ = 0;  // in which the last quantum was granted; 0: none yet
  std::uint64_t asked_ = 0;  // the pull in which it was last asked
  std::int64_t deficit_ = 0;
  On on_ = On::none;
};

class Scheduler {
 public:
  // `quantum`: bytes per stream and round; at least a full frame with its header.
  explicit Scheduler(std::int64_t quantum) : quantum_(quantum) {}

  // The stream has something to send. Nothing happens if it is waiting already.
  void wake(Scheduled& stream);
  // The stream has nothing to send, or may not: it leaves, its deficit stays.
  void suspend(Scheduled& stream);

  bool empty() const { return new_.empty() && old_.empty() && parked_.empty(); }

  // One pull: begin, then next() and sent() or suspend() for the stream it named, then end. No
  // stream is named twice within one pull.
  void begin_pull() { ++pull_; }
  // Whom to ask; stays where it is until sent() or suspend(). nullptr: nobody. With `only_new`,
  // streams of the old list are left for later.
  Scheduled* next(bool only_new);
  // It has sent so many bytes, header included, and may have more.
  void sent(Scheduled& stream, std::size_t bytes);
  void end_pull();

 private:
  using On = Scheduled::On;

  void place(Scheduled& stream);
  void append_old(Scheduled& stream);
  void rotate(Scheduled& stream);
  void end_round();

  const std::int64_t quantum_;
  List<Scheduled, SchedulerTag> new_, old_;
  List<Scheduled, SchedulerTag> parked_;  // have sent in this pull
  Scheduled* last_of_round_ =
      nullptr;  // on the old list or parked from it; its turn ends the round
  std::uint64_t round_ = 1;
  std::uint64_t pull_ = 1;  // a new stream was asked in none
};

}  // namespace leat::mux
