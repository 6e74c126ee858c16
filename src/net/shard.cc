#include "net/shard.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "net/ring.h"
#include "net/socket.h"

namespace leat::net {
namespace {

constexpr int kEvents = 128;  // of one epoll_wait

// Batches in a row, while events come, before the io_context's own work is looked at: its scheduler
// costs a second epoll_wait for each round (docs/adr/0004-reactor.md).
constexpr int kRounds = 8;

constexpr std::uint32_t kTimerSlot = 0xffffffff;

constexpr std::uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t kWriteEvents = EPOLLOUT | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t kHangUpEvents = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

Time read_clock() { return std::chrono::steady_clock::now(); }

// A process that cannot make its first descriptors has nothing to go on with.
Fd demand(int fd, const char* what) {
  if (fd < 0) {
    std::perror(what);
    std::abort();
  }
  return Fd(fd);
}

}  // namespace

struct Shard::Impl {
  struct Slot {
    Watched* watched = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t next_free = 0;
  };
  struct Grave {
    void* object;
    void (*destroy)(void*);
  };
  struct Anchor final : Deferred {  // of a circular list
    void on_deferred() override {}
  };

  explicit Impl(std::size_t ring);

  void request_batch();
  void run_batches();
  int dispatch_events();
  void dispatch(std::uint32_t events, std::uint64_t key);
  void run_deferred();
  void bury_all();
  void await_events();

  // The heap of timers by Timer::queued_, each of which knows its place in it.
  void queue(Timer& timer);
  void unqueue(Timer& timer);
  void place(Timer* timer, std::size_t at);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);
  void fire_timers();
  void program_timer();

  RingPool rings;
  std::vector<Slot> slots;
  std::uint32_t free_slot = kTimerSlot;  // kTimerSlot: none
  Anchor deferred, running;
  std::vector<Grave> graves;
  std::vector<Timer*> heap;
  Time now = read_clock();
  Time programmed = kNever;  // when the timer descriptor goes off
  bool in_batch = false;
  bool posted = false;   // a batch stands in the io_context's queue
  bool waiting = false;  // an async_wait is outstanding

  Fd epoll, timer;
  std::optional<asio::io_context> context;
  std::optional<asio::posix::stream_descriptor> ready;
};

Shard::Impl::Impl(std::size_t ring)
    : rings(ring),
      epoll(demand(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      timer(
          demand(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // each expiry is an edge; nobody reads the descriptor
  event.data.u64 = kTimerSlot;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event);
  deferred.next_ = deferred.prev_ = &deferred;
  running.next_ = running.prev_ = &running;
  context.emplace(1);
  ready.emplace(*context, epoll.get());
  request_batch();
}

Shard::Shard(std::size_t ring) : impl_(std::make_unique<Impl>(ring)) {}

Shard::~Shard() {
  impl_->bury_all();
  impl_->ready->release();
  impl_->ready.reset();
  impl_->context.reset();  // functions posted and never run go, with what they hold
  impl_->bury_all();
  assert(impl_->heap.empty());
  for ([[maybe_unused]] const auto& slot : impl_->slots) assert(slot.watched == nullptr);
}

void Shard::run() {
  impl_->context->run();
  impl_->context->restart();
}

void Shard::stop() { impl_->context->stop(); }

void Shard::post(std::function<void()> work) {
  asio::post(*impl_->context, [impl = impl_.get(), work = std::move(work)] {
    impl->now = read_clock();
    work();
  });
}

Time Shard::now() const { return impl_->now; }
RingPool& Shard::rings() { return impl_->rings; }

// --- batches ---

void Shard::Impl::request_batch() {
  if (in_batch || posted) return;
  posted = true;
  asio::post(*context, [this] {
    posted = false;
    run_batches();
  });
}

void Shard::Impl::run_batches() {
  in_batch = true;
  bool more = true;
  for (int round = 0; more && round < kRounds; ++round) {
    now = read_clock();
    const int events = dispatch_events();
    fire_timers();
    run_deferred();
    bury_all();
    more = events > 0 || deferred.next_ != &deferred;
  }
  in_batch = false;
  program_timer();
  if (more) {
    request_batch();
  } else {
    await_events();
  }
}

// Going back to sleep costs an epoll_ctl, so it is done only after a look that found nothing.
void Shard::Impl::await_events() {
  if (waiting) return;
  waiting = true;
  ready->async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
    waiting = false;
    if (!error && !posted) run_batches();
  });
}

int Shard::Impl::dispatch_events() {
  std::array<epoll_event, kEvents> events;
  const int n = ::epoll_wait(epoll.get(), events.data(), kEvents, 0);
  for (int i = 0; i < n; ++i) dispatch(events[i].events, events[i].data.u64);
  return n;
}

void Shard::Impl::dispatch(std::uint32_t events, std::uint64_t key) {
  const auto slot = static_cast<std::uint32_t>(key);
  if (slot == kTimerSlot) {
    programmed = kNever;
    return;
  }
  Watched* const watched = slots[slot].watched;
  // The object this event was for may have gone earlier in the batch, and its slot be used again.
  if (watched == nullptr || slots[slot].generation != key >> 32) return;
  const bool read = (events & kReadEvents) != 0 && !watched->readable_;
  const bool write = (events & kWriteEvents) != 0 && !watched->writable_;
  const bool hang_up = (events & kHangUpEvents) != 0 && !watched->hung_up_;
  if (read) watched->readable_ = true;
  if (write) watched->writable_ = true;
  const bool breaking = (events & EPOLLERR) != 0 && !watched->broken_;
  if (hang_up) watched->hung_up_ = true;
  if (breaking) watched->broken_ = true;
  if (read || write || hang_up || breaking) watched->on_ready();
}

void Shard::Impl::bury_all() {
  while (!graves.empty()) {
    for (const Grave& grave : std::exchange(graves, {})) grave.destroy(grave.object);
  }
}

void Shard::bury_all() { impl_->bury_all(); }

void Shard::bury(void* object, void (*destroy)(void*)) {
  impl_->graves.push_back({object, destroy});
  impl_->request_batch();
}

// --- descriptors ---

Watched::~Watched() {
  if (shard_ != nullptr) shard_->unwatch(*this);
}

bool Shard::watch(int fd, Watched& watched) {
  assert(watched.shard_ == nullptr);
  std::uint32_t slot = impl_->free_slot;
  if (slot == kTimerSlot) {
    slot = static_cast<std::uint32_t>(impl_->slots.size());
    impl_->slots.emplace_back().next_free = kTimerSlot;
  }
  Impl::Slot& entry = impl_->slots[slot];
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = std::uint64_t{entry.generation} << 32 | slot;
  const bool watching = ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  impl_->free_slot = watching ? entry.next_free : slot;
  if (!watching) return false;
  entry.watched = &watched;
  watched.shard_ = this;
  watched.fd_ = fd;
  watched.slot_ = slot;
  watched.readable_ = watched.writable_ = watched.hung_up_ = watched.broken_ = false;
  return true;
}

void Shard::unwatch(Watched& watched) {
  if (watched.shard_ == nullptr) return;
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, watched.fd_, nullptr);
  Impl::Slot& entry = impl_->slots[watched.slot_];
  entry.watched = nullptr;
  ++entry.generation;
  entry.next_free = std::exchange(impl_->free_slot, watched.slot_);
  watched.shard_ = nullptr;
}

// --- deferred calls ---

void Deferred::unlink() {
  if (next_ == nullptr) return;
  next_->prev_ = prev_;
  prev_->next_ = next_;
  next_ = prev_ = nullptr;
}

Deferred::~Deferred() { unlink(); }

void Shard::defer(Deferred& deferred) {
  if (deferred.next_ != nullptr) return;
  Deferred& anchor = impl_->deferred;
  deferred.next_ = &anchor;
  deferred.prev_ = std::exchange(anchor.prev_, &deferred);
  deferred.prev_->next_ = &deferred;
  impl_->request_batch();
}

void Shard::Impl::run_deferred() {
  if (deferred.next_ == &deferred) return;
  running.next_ = std::exchange(deferred.next_, &deferred);
  running.prev_ = std::exchange(deferred.prev_, &deferred);
  running.next_->prev_ = running.prev_->next_ = &running;
  while (running.next_ != &running) {
    Deferred& next = *running.next_;
    next.unlink();
    next.on_deferred();
  }
}

// --- timers ---

Timer::Timer(Shard& shard, std::function<void()> fire) : shard_(shard), fire_(std::move(fire)) {}

Timer::~Timer() {
  if (entry_ != 0) shard_.impl_->unqueue(*this);
}

void Timer::arm(Time when) {
  when_ = when;
  if (when >= queued_) return;  // the heap is told when the earlier time has come
  queued_ = when;
  shard_.impl_->queue(*this);
}

void Timer::arm_in(Duration delay) { arm(shard_.now() + delay); }
void Timer::disarm() { when_ = kNever; }

void Shard::Impl::queue(Timer& timer_) {
  if (timer_.entry_ == 0) {
    heap.push_back(&timer_);
    timer_.entry_ = heap.size();
  }
  sift_up(timer_.entry_ - 1);
  if (!in_batch) program_timer();
}

void Shard::Impl::unqueue(Timer& timer_) {
  const std::size_t at = timer_.entry_ - 1;
  timer_.entry_ = 0;
  timer_.queued_ = kNever;
  Timer* const last = heap.back();
  heap.pop_back();
  if (at == heap.size()) return;
  place(last, at);
  sift_up(at);
  sift_down(last->entry_ - 1);
}

void Shard::Impl::place(Timer* timer_, std::size_t at) {
  heap[at] = timer_;
  timer_->entry_ = at + 1;
}

void Shard::Impl::sift_up(std::size_t at) {
  Timer* const moving = heap[at];
  while (at > 0 && moving->queued_ < heap[(at - 1) / 2]->queued_) {
    place(heap[(at - 1) / 2], at);
    at = (at - 1) / 2;
  }
  place(moving, at);
}

void Shard::Impl::sift_down(std::size_t at) {
  Timer* const moving = heap[at];
  for (std::size_t child = 2 * at + 1; child < heap.size(); child = 2 * at + 1) {
    if (child + 1 < heap.size() && heap[child + 1]->queued_ < heap[child]->queued_) ++child;
    if (moving->queued_ <= heap[child]->queued_) break;
    place(heap[child], at);
    at = child;
  }
  place(moving, at);
}

// One that arms itself again with a time that has come fires in the next batch.
void Shard::Impl::fire_timers() {
  for (std::size_t left = heap.size(); left > 0 && !heap.empty(); --left) {
    Timer& first = *heap.front();
    if (first.queued_ > now) return;
    if (first.when_ > now) {
      if (first.when_ == kNever) {
        unqueue(first);
      } else {
        first.queued_ = first.when_;
        sift_down(0);
      }
      continue;
    }
    unqueue(first);
    first.when_ = kNever;
    first.fire_();
  }
}

// A wake that comes too early is handled like any other, so only an earlier time needs a system
// call.
void Shard::Impl::program_timer() {
  if (heap.empty() || heap.front()->queued_ >= programmed) return;
  programmed = heap.front()->queued_;
  const auto since_boot = std::max<Duration>(programmed.time_since_epoch(), Duration(1));
  itimerspec spec{};
  spec.it_value.tv_sec = since_boot.count() / 1'000'000'000;
  spec.it_value.tv_nsec = since_boot.count() % 1'000'000'000;
  ::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

}  // namespace leat::net
