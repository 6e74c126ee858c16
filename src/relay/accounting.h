// What owners use, and what their plans leave them. Every byte of a tunnel is taken from its
// owner's account before it moves, so that a limit holds to the byte while streams run; the totals
// go to the database twice a second, and what could not be written goes the next time. A kill -9
// loses half a second of counting; nothing is ever given back, so no counter falls. An owner that
// nobody has used for a minute or two, and of whom all is written, is forgotten, and read from the
// database again when it returns.
//
// Counting by day and month goes by the wall clock, in UTC; pace by the same, so that it survives a
// restart. A clock that jumps back keeps nobody waiting for longer than a bucket takes to fill.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
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

class Account {
 public:
  Account(std::string owner, store::Usage day, store::Usage month);

  const std::string& owner() const { return owner_; }
  const Plan* plan() const { return plan_ ? &*plan_ : nullptr; }
  void set_plan(const Plan* plan);

  // One more request or connection: a code of the QUOTA_ family, or it has been counted, and
  // end_stream() follows.
  std::optional<Code> begin_stream(WallTime now);
  // The same for one that is put to another agent: it takes a place, and was counted the first
  // time.
  std::optional<Code> begin_again();
  void end_stream() { --streams_; }
  // One more WebSocket message begins: QUOTA_MESSAGES, or it has been counted.
  std::optional<Code> begin_message(net::Meter::Direction from, WallTime now);
  // How many bytes may move now; 0: used up (spent() says what) or ahead of its pace.
  std::uint64_t allowance(WallTime now) const;
  std::optional<Code> spent() const;
  void moved(net::Meter::Direction direction, std::uint64_t n, WallTime now);

  // When the limit that `code` names is of no concern any more.
  std::chrono::seconds resets_in(Code code, WallTime now) const;
  // The fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10); nullopt
  // without a limit of requests.
  struct RateFields {
    std::string policy, state;
    std::string text() const;  // as lines of a head
  };
  std::optional<RateFields> rate_fields(WallTime now) const;

  std::size_t streams() const { return streams_; }
  const store::Usage& day() const { return day_; }
  const store::Usage& month() const { return month_; }
  const std::string& day_name() const { return day_name_; }  // which those are
  const std::string& month_name() const { return month_name_; }

 private:
  friend class Accounting;
  // Something is to be written or told.
  void touch() {
    if (changes_ != nullptr && !std::exchange(changed_, true)) changes_->push_back(this);
  }
  std::uint64_t left(std::uint64_t used, const Plan::Limit& limit) const;
  std::optional<Code> no_place() const;  // for one more stream, for whatever reason

  const std::string owner_;
  std::optional<Plan> plan_;
  std::size_t streams_ = 0;
  // Paces that a restart would otherwise forgive, and by what name the database has them.
  struct Kept {
    Pace Account::*pace;
    const char* prefix;  // of the owner; no owner's name has a line's end
  };
  static const std::array<Kept, 3> kKept;

  Pace requests_, bytes_, visitor_messages_, agent_messages_;
  store::Usage day_, month_;  // all of it
  store::Usage unsettled_;    // not yet in the database
  std::string day_name_, month_name_;
  std::vector<Account*>* changes_ = nullptr;  // the accounting's
  bool changed_ = false;                      // and this is one of them
  std::string told_;                          // the period for whose bytes on_limit was called …
  absl::flat_hash_map<Code, WallTime> refused_;  // … and when it was for other limits
};

class StreamMeter;

class Accounting {
 public:
  using Clock = std::function<WallTime()>;
  Accounting(net::Shard& shard, store::Store& store, Plans plans, Clock clock = {});
  ~Accounting();

  // The owner's account, read from the database when it is first asked for. STORE: what it has used
  // is not known.
  Result<std::shared_ptr<Account>> account(const store::TokenInfo& owner);
  void set_plans(Plans plans);
  // Owners may have been given other plans; one that cannot be looked up keeps what it has.
  void look_at_owners();
  const Plans& plans() const { return plans_; }
  std::size_t owners() const { return accounts_.size(); }  // that are in memory
  WallTime now() const { return clock_(); }

  // A stream that is ahead of its pace, or has used its quota up, may look again in a moment.
  using Waiting = std::list<StreamMeter*>;
  Waiting::iterator wait(StreamMeter& meter);
  void forget(Waiting::iterator waiting) { waiting_.erase(waiting); }

  // Called when an owner's quota of bytes is used up, once for each period (and again if the owner
  // was forgotten meanwhile: then its agents are others), and when another limit of its plan has
  // refused somebody, once a minute for each.
  std::function<void(const Account& account, Code code)> on_limit;
  // Something was refused for this limit.
  void refused(Account& account, Code code);

  // Writes what has been used since the last time, and begins new days.
  void settle();

 private:
  struct Entry {
    std::shared_ptr<Account> account;
    std::string plan;   // its name, as the credential says
    bool idle = false;  // at the last sweep, and nobody has asked for it since
  };
  bool write();
  void turn_pages();
  void turn_page(Account& account);
  void sweep();
  void tell(Account& account);
  void wake();

  store::Store& store_;
  Plans plans_;
  const Clock clock_;
  absl::flat_hash_map<std::string, Entry> accounts_;
  std::vector<Account*> changes_;  // of those, since they were settled last
  std::chrono::sys_days today_;
  std::string day_name_, month_name_;  // of it
  WallTime swept_;
  std::vector<store::UsageRow> overdue_;  // of periods that are over, and not yet in the database
  Waiting waiting_;
  net::Timer settle_timer_, wake_timer_;
  bool failed_ = false;  // the last settling
};

// One stream's part of an account: limits what moves, and wakes the stream when more may.
class StreamMeter final : public net::Meter {
 public:
  // `wake`: something may move again, or nothing ever will: see refused().
  // `traffic`: counts the same for the whole relay.
  StreamMeter(Accounting& accounting, std::shared_ptr<Account> account, Traffic& traffic,
              std::function<void()> wake);
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
  // Why a splice that is metered so was broken off; `revoked`: by us.
  Cut cut_of(const net::Splice& splice, bool revoked) const;
  // The quota that has been used up; the stream is to end.
  std::optional<Code> refused() const { return account_->spent(); }

 private:
  Accounting& accounting_;
  std::shared_ptr<Account> account_;
  Traffic& traffic_;
  std::function<void()> wake_;
  std::optional<Accounting::Waiting::iterator> waiting_;
};

}  // namespace leat::relay
