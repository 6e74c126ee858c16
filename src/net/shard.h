// One thread's world: an io_context, the descriptors watched on it, its timers, and the list of
// things to do when the current batch of events has been handled. Nothing in a shard is shared with
// another thread; post() is the one way in from outside.
//
// Data-plane descriptors are registered once, edge-triggered, in an epoll set of the shard's own,
// which the io_context watches (docs/adr/0004-reactor.md). What they report stays set in the
// Watched object until a system call says EAGAIN, so that being ready costs no registration.
//
// A batch is: the events of one epoll_wait, the timers due, the deferred calls, the disposals.
//
// Lifetimes. Everything runs on the shard's thread. An object that wants to end itself inside a
// callback gives itself to dispose(), which destroys it after the batch; deferred calls and timers
// die with their objects. All of them go before the shard does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/limits.h"
#include "base/time.h"

namespace leat::net {

class RingPool;
class Shard;

// Base of whatever owns a registered descriptor. The owner calls Shard::watch once and must destroy
// the Watched (or call unwatch) before it closes the descriptor.
class Watched {
 public:
  Watched() = default;
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  // The peer has sent FIN or the connection is gone. A short read is then not yet the last one.
  bool hung_up() const { return hung_up_; }
  // The connection is gone, by RST for one. Told even to whoever is not reading or writing now.
  bool broken() const { return broken_; }
  void clear_readable() { readable_ = false; }  // a read said EAGAIN
  void clear_writable() { writable_ = false; }  // a write said EAGAIN

 protected:
  virtual ~Watched();
  // Some bit has been set that was not. The object may be destroyed from here.
  virtual void on_ready() = 0;

 private:
  friend class Shard;
  Shard* shard_ = nullptr;
  int fd_ = -1;
  std::uint32_t slot_ = 0;
  bool readable_ = false, writable_ = false, hung_up_ = false, broken_ = false;
};

// Runs once after the current batch of events; what is deferred from a deferred call runs in the
// next. Scheduling twice is scheduling once; destruction cancels.
class Deferred {
 public:
  Deferred() = default;
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

 protected:
  virtual ~Deferred();
  virtual void on_deferred() = 0;

 private:
  friend class Shard;
  void unlink();
  Deferred* next_ = nullptr;
  Deferred* prev_ = nullptr;
};

// A one-shot timer; arming again moves it. Cheap to move later (the common case of an idle
// timeout): the heap is touched only when it fires or is moved earlier.
class Timer {
 public:
  explicit Timer(Shard& shard, std::function<void()> fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm(Time when);  // kNever disarms
  void arm_in(Duration delay);
  void disarm();
  bool armed() const { return when_ != kNever; }
  Time when() const { return when_; }

 private:
  friend class Shard;
  Shard& shard_;
  std::function<void()> fire_;
  Time when_ = kNever;     // when it is to fire
  Time queued_ = kNever;   // where it stands in the heap; never later than when_
  std::size_t entry_ = 0;  // its place in the heap, from 1; 0: none
};

class Shard {
 public:
  // `ring`: bytes of TLS ciphertext a connection may hold in each direction.
  explicit Shard(std::size_t ring = limits::kRing);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Runs until stop(). The calling thread is the shard's thread until it returns.
  void run();
  void stop();                            // from any thread
  void post(std::function<void()> work);  // from any thread

  Time now() const;  // of the current batch; steady

  // Level of both bits starts unset; the first on_ready follows as soon as epoll reports.
  // False: the kernel refused (ENOSPC, ENOMEM).
  bool watch(int fd, Watched& watched);
  void unwatch(Watched& watched);

  void defer(Deferred& deferred);
  static void cancel(Deferred& deferred) { deferred.unlink(); }  // as if it had not been asked for

  // Destroys the object after the current batch. A transport forgets its owner at once.
  template <typename T>
  void dispose(std::unique_ptr<T> object) {
    if (!object) return;
    if constexpr (requires { object->set_owner(nullptr); }) object->set_owner(nullptr);
    bury(object.release(), [](void* p) { delete static_cast<T*>(p); });
  }

  // Destroys now what was given to dispose(): while all is there that it refers to. Not from inside
  // a callback of one of them.
  void bury_all();

  // Memory for the rings of TLS connections (net/ring.h).
  RingPool& rings();

 private:
  friend class Timer;
  friend class Watched;
  friend class Deferred;
  void bury(void* object, void (*destroy)(void*));

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace leat::net
