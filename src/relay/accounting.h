// What owners use, and what their plans leave them. Every byte of a tunnel is taken from its
// owner's account before it moves, so that a limit holds to the byte while streams run; the totals
// go to the database twice a second, and what could not be written goes the next time. A kill -9
// loses half a second of counting; nothing is ever given back, so no counter falls. An owner that
// nobody has used for a minute or two, and of whom all is written, is forgotten, and read from the
// database again when it returns.
//
// Counting by day and month goes by the wall clock, in UTC; pace by the same, so that it survives a
// restart. A clock that jumps back keeps nobody waiting for longer than a bucket takes to fill.
//
// All shards use the same accounts. What an owner without a plan moves is counted without a lock;
// with one, each batch of bytes is set aside under the account's lock before it moves, so that
// streams of two shards together take no more than there is.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/plan.h"
#include "net/meter.h"
#include "net/shard.h"
#include "net/splice.h"
#include "relay/metrics.h"
#include "store/store.h"

namespace leat::relay {

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

// A generic cell rate: how far ahead of its pace somebody is, as the time when that is made up for.
class Pace {
 public:
  // `burst` units at once, and so many a second.
  void set(double burst, double per_second);
  // How many of `wanted` may be taken now; takes none.
  std::uint64_t available(WallTime now) const;
  void take(std::uint64_t n, WallTime now);
  std::chrono::microseconds until(std::uint64_t n, WallTime now) const;  // n are available

  WallTime settled{};

 private:
  std::chrono::duration<double, std::micro> period_{0};  // of one unit
  std::chrono::microseconds depth_{0};                   // of the burst
};

class Account;

// Accounts of which something is to be written or told.
class Changes {
 public:
  void add(std::shared_ptr<Account> account) {
    const std::lock_guard lock(mutex_);
    accounts_.push_back(std::move(account));
  }
  std::vector<std::shared_ptr<Account>> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(accounts_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<Account>> accounts_;
};

// Any thread.
class Account : public std::enable_shared_from_this<Account> {
 public:
  Account(std::string owner, store::Usage day, store::Usage month);

  const std::string& owner() const { return owner_; }
  std::shared_ptr<const Plan> plan() const;  // nullptr: none
  void set_plan(const Plan* plan);

  // One more request or connection: a code of the QUOTA_ family, or it has been counted, and
  // end_stream() follows.
  std::optional<Code> begin_stream(WallTime now);
  // The same for one that is put to another agent: it takes a place, and was counted the first
  // time.
  std::optional<Code> begin_again();
  void end_stream();
  // One more WebSocket message begins: QUOTA_MESSAGES, or it has been counted.
  std::optional<Code> begin_message(net::Meter::Direction from, WallTime now);
  // How many bytes may move now; 0: used up (spent() says what), ahead of its pace, or set aside.
  std::uint64_t allowance(WallTime now) const;
  std::optional<Code> spent() const;
  // How many of `wanted` bytes may move now; they are set aside until moved(), or reserve() again,
  // is told of them. `aside`: how many these are; 0 where no limit asks for it.
  std::uint64_t reserve(std::uint64_t wanted, WallTime now, std::uint64_t& aside);
  // So many have moved; what was set aside for them is free again.
  void moved(net::Meter::Direction direction, std::uint64_t n, WallTime now,
             std::uint64_t aside = 0);

  // When the limit that `code` names is of no concern any more.
  std::chrono::seconds resets_in(Code code, WallTime now) const;
  // The fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10); nullopt
  // without a limit of requests.
  struct RateFields {
    std::string policy, state;
    std::string text() const;  // as lines of a head
  };
  std::optional<RateFields> rate_fields(WallTime now) const;

  std::size_t streams() const;
  store::Usage day() const;
  store::Usage month() const;
  std::string day_name() const;  // which those are
  std::string month_name() const;

 private:
  friend class Accounting;
  using Lock = std::lock_guard<std::mutex>;
  // Something is to be written or told.
  void touch() {
    if (changed_ || changes_ == nullptr) return;
    if (!changed_.exchange(true)) changes_->add(shared_from_this());
  }
  // These with the lock held.
  std::uint64_t left(std::uint64_t used, const Plan::Limit& limit) const;
  std::uint64_t left_now(WallTime now) const;
  std::optional<Code> find_spent() const;
  store::Usage with_loose(store::Usage usage) const;
  void count(net::Meter::Direction direction, std::uint64_t n);
  void gather();
  std::optional<Code> no_place() const;  // for one more stream, for whatever reason

  const std::string owner_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Plan> plan_;
  std::atomic<bool> limited_ = false;  // the plan has something to say about bytes
  // Moved while it had not, and not yet counted below.
  std::atomic<std::uint64_t> loose_in_ = 0, loose_out_ = 0;
  std::uint64_t aside_ = 0;  // for streams that are just moving it
  std::size_t streams_ = 0;
  // Paces that a restart would otherwise forgive, and by what name the database has them.
  struct Kept {
    Pace Account::*pace;
    const char* prefix;  // of the owner; no owner's name has a line's end
  };
  static const std::array<Kept, 4> kKept;

  Pace requests_, bytes_, visitor_messages_, agent_messages_;
  store::Usage day_, month_;  // all of it
  store::Usage unsettled_;    // not yet in the database
  std::string day_name_, month_name_;
  Changes* changes_ = nullptr;         // the accounting's
  std::atomic<bool> changed_ = false;  // and this is one of them
  std::string told_;                   // the period for whose bytes on_limit was called …
  absl::flat_hash_map<Code, WallTime> refused_;  // … and when it was for other limits
};

class StreamMeter;

// Streams of one shard that are ahead of their pace, or have used their quota up: they look again
// in a moment.
class HeldBack {
 public:
  using Place = std::list<StreamMeter*>::iterator;
  explicit HeldBack(net::Shard& shard);
  Place add(StreamMeter& meter);
  void remove(Place place) { meters_.erase(place); }

 private:
  void wake();

  std::list<StreamMeter*> meters_;
  net::Timer timer_;
};

// Any thread, but where it says otherwise.
class Accounting {
 public:
  using Clock = std::function<WallTime()>;
  // `shard` and `store`: where it settles, and where owners are looked at.
  Accounting(net::Shard& shard, store::Store& store, Plans plans, Clock clock = {});
  ~Accounting();

  // The owner's account, read from the database when it is first asked for. STORE: what it has used
  // is not known.
  Result<std::shared_ptr<Account>> account(const store::TokenInfo& owner) {
    return account(owner, store_);
  }
  // On another shard, with the store of that one.
  Result<std::shared_ptr<Account>> account(const store::TokenInfo& owner, store::Store& store);
  void set_plans(Plans plans);
  // Owners may have been given other plans; one that cannot be looked up keeps what it has.
  void look_at_owners();
  Plans plans() const;
  std::size_t owners() const;  // that are in memory
  WallTime now() const { return clock_(); }

  // Called when an owner's quota of bytes is used up, once for each period (and again if the owner
  // was forgotten meanwhile: then its agents are others), and when another limit of its plan has
  // refused somebody, once a minute for each. On any thread, without a lock held.
  std::function<void(const std::shared_ptr<Account>& account, Code code)> on_limit;
  // Something was refused for this limit.
  void refused(Account& account, Code code);

  // Writes what has been used since the last time, and begins new days.
  void settle();

 private:
  using Lock = std::lock_guard<std::mutex>;
  struct Entry {
    std::shared_ptr<Account> account;
    std::string plan;   // its name, as the credential says
    bool idle = false;  // at the last sweep, and nobody has asked for it since
  };
  void tell(Account& account);
  // These with the lock held.
  void collect();
  bool write();
  void turn_pages(store::Store& store);
  void turn_page(Account& account, store::Store& store);
  store::Usage used_in(const std::string& period, const std::string& before, store::Usage known,
                       const std::string& owner, store::Store& store) const;
  void sweep();

  const Clock clock_;
  Changes changes_;
  mutable std::mutex mutex_;
  store::Store& store_;
  Plans plans_;
  absl::flat_hash_map<std::string, Entry> accounts_;
  absl::flat_hash_set<std::shared_ptr<Account>> settling_;  // changed, and not yet written
  std::chrono::sys_days today_, forgotten_;                 // before which days have been forgotten
  std::string day_name_, month_name_;                       // of it
  WallTime swept_;
  std::vector<store::UsageRow> overdue_;  // of periods that are over, and not yet in the database
  net::Timer settle_timer_;
  bool failed_ = false;  // the last settling
};

// One stream's part of an account: limits what moves, and wakes the stream when more may.
class StreamMeter final : public net::Meter {
 public:
  // `wake`: something may move again, or nothing ever will: see refused().
  // `traffic`: counts the same for the whole relay.
  StreamMeter(Accounting& accounting, HeldBack& held_back, std::shared_ptr<Account> account,
              Traffic& traffic, std::function<void()> wake);
  ~StreamMeter();
  StreamMeter(const StreamMeter&) = delete;
  StreamMeter& operator=(const StreamMeter&) = delete;

  std::size_t allow(std::size_t wanted) override;
  void moved(Direction direction, std::size_t n) override;
  void wake();
  const Account& account() const { return *account_; }
  std::optional<Code> begin_message(Direction from) {
    return account_->begin_message(from, accounting_.now());
  }
  // Tells the owner's agents that this limit has been met.
  void report(Code code) { accounting_.refused(*account_, code); }
  WallTime now() const { return accounting_.now(); }
  // "LEAT_QUOTA_DAY, resets in 60 s": for a close frame.
  std::string reason(Code code) const;
  // Why a splice that is metered so was broken off; `revoked`: by us.
  Cut cut_of(const net::Splice& splice, bool revoked) const;
  // The quota that has been used up; the stream is to end.
  std::optional<Code> refused() const { return account_->spent(); }

 private:
  Accounting& accounting_;
  HeldBack& held_back_;
  std::shared_ptr<Account> account_;
  Traffic& traffic_;
  std::function<void()> wake_;
  std::uint64_t aside_ = 0;  // by allow(), for moved()
  std::optional<HeldBack::Place> waiting_;
};

}  // namespace leat::relay
