#include "relay/accounting.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/log.h"

namespace leat::relay {
namespace {

using std::chrono::microseconds;

constexpr auto kSettle = std::chrono::milliseconds(500);
constexpr auto kWake = std::chrono::milliseconds(10);  // how often streams ahead of pace may look
constexpr auto kTellAgain = std::chrono::minutes(1);   // of the same limit
constexpr auto kSweep = std::chrono::minutes(1);
constexpr auto kDaysKept = std::chrono::days(92);  // what is used in a month is kept for ever

WallTime system_time() {
  return std::chrono::floor<microseconds>(std::chrono::system_clock::now());
}

std::string text_of(const std::chrono::year_month_day& date, bool with_day) {
  std::array<char, 16> text;
  const int n = with_day
                    ? std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", int(date.year()),
                                    unsigned(date.month()), unsigned(date.day()))
                    : std::snprintf(text.data(), text.size(), "%04d-%02u", int(date.year()),
                                    unsigned(date.month()));
  return {text.data(), static_cast<std::size_t>(n)};
}

bool nothing(const store::Usage& usage) {
  return usage.bytes_in == 0 && usage.bytes_out == 0 && usage.requests == 0;
}

}  // namespace

Accounting::Accounting(net::Shard& shard, store::Store& store, Plans plans, Clock clock)
    : clock_(clock ? std::move(clock) : Clock(system_time)),
      store_(store),
      plans_(std::move(plans)),
      settle_timer_(shard, [this] {
        settle();
        settle_timer_.arm_in(kSettle);
      }) {
  const Lock lock(mutex_);
  turn_pages(store_);
  swept_ = now();
  settle_timer_.arm_in(kSettle);
}

Accounting::~Accounting() {
  const Lock lock(mutex_);
  collect();
  write();
  for (auto& [owner, entry] : accounts_) entry.account->changes_ = nullptr;
}

Result<std::shared_ptr<Account>> Accounting::account(const store::TokenInfo& owner,
                                                     store::Store& store) {
  const Lock lock(mutex_);
  const auto found = accounts_.find(owner.name);
  if (found != accounts_.end()) {
    Entry& entry = found->second;
    entry.idle = false;
    entry.plan = owner.plan;
    entry.account->set_plan(plans_.find(owner.plan));
    entry.account->touch();
    return entry.account;
  }
  turn_pages(store);
  const auto used_day = store.usage(owner.name, day_name_),
             used_month = store.usage(owner.name, month_name_);
  if (!used_day) return tl::unexpected(used_day.error());
  if (!used_month) return tl::unexpected(used_month.error());
  auto account = std::make_shared<Account>(owner.name, *used_day, *used_month);
  account->day_name_ = day_name_;
  account->month_name_ = month_name_;
  account->changes_ = &changes_;
  account->set_plan(plans_.find(owner.plan));
  for (const Account::Kept& kept : Account::kKept) {
    const auto settled = store.bucket(kept.prefix + owner.name);
    if (!settled) return tl::unexpected(settled.error());
    ((*account).*kept.pace).settled = WallTime(microseconds(*settled));
  }
  accounts_[owner.name] = {account, owner.plan};
  account->touch();  // it may have nothing left
  return account;
}

Plans Accounting::plans() const {
  const Lock lock(mutex_);
  return plans_;
}

std::size_t Accounting::owners() const {
  const Lock lock(mutex_);
  return accounts_.size();
}

void Accounting::set_plans(Plans plans) {
  const Lock lock(mutex_);
  plans_ = std::move(plans);
  for (auto& [owner, entry] : accounts_) {
    entry.account->set_plan(plans_.find(entry.plan));
    entry.account->touch();
  }
}

void Accounting::look_at_owners() {
  const Lock lock(mutex_);
  for (auto& [owner, entry] : accounts_) {
    if (owner.starts_with("jwt:")) continue;  // its tokens say it
    const auto plan = store_.plan_of(owner);
    if (!plan || *plan == entry.plan) continue;
    entry.plan = *plan;
    entry.account->set_plan(plans_.find(entry.plan));
    entry.account->touch();
  }
}

void Accounting::turn_pages(store::Store& store) {
  const auto today = std::chrono::floor<std::chrono::days>(now());
  if (today == today_ && !day_name_.empty()) return;
  today_ = today;
  day_name_ = text_of(today, true);
  month_name_ = text_of(today, false);
  for (auto& [owner, entry] : accounts_) turn_page(*entry.account, store);
}

// A new day begins with what the database has of it: nothing, unless the clock went back. What
// could not be written yet stays with the day it was used on, and holds up no other.
void Accounting::turn_page(Account& account, store::Store& store) {
  const Account::Lock lock(account.mutex_);
  account.gather();
  if (!nothing(account.unsettled_)) {
    overdue_.push_back({account.owner_, account.day_name_, account.unsettled_});
    overdue_.push_back({account.owner_, account.month_name_, account.unsettled_});
    account.unsettled_ = {};
  }
  account.day_ = used_in(day_name_, account.day_name_, account.day_, account.owner_, store);
  account.day_name_ = day_name_;
  account.touch();
  if (month_name_ == account.month_name_) return;
  account.month_ = used_in(month_name_, account.month_name_, account.month_, account.owner_, store);
  account.month_name_ = month_name_;
}

// By the database and what it has yet to be told. One that cannot be read forgives nothing: after a
// clock has jumped back, what is `known` of the period `before` stays in force.
store::Usage Accounting::used_in(const std::string& period, const std::string& before,
                                 store::Usage known, const std::string& owner,
                                 store::Store& store) const {
  const auto read = store.usage(owner, period);
  if (!read && period < before) return known;
  store::Usage used = read.value_or(store::Usage{});
  for (const store::UsageRow& row : overdue_) {
    if (row.owner != owner || row.period != period) continue;
    used.bytes_in += row.usage.bytes_in;
    used.bytes_out += row.usage.bytes_out;
    used.requests += row.usage.requests;
  }
  return used;
}

void Accounting::tell(Account& account) {
  std::optional<Code> code;
  {
    const Account::Lock lock(account.mutex_);
    code = account.find_spent();
    if (!code) return;
    const auto& period = *code == Code::QUOTA_DAY ? account.day_name_ : account.month_name_;
    if (std::exchange(account.told_, period) == period) return;
  }
  if (on_limit) on_limit(account.shared_from_this(), *code);
}

void Accounting::refused(Account& account, Code code) {
  if (code == Code::QUOTA_DAY || code == Code::QUOTA_MONTH) return tell(account);
  const WallTime time = now();
  {
    const Account::Lock lock(account.mutex_);
    const auto [last, first] = account.refused_.try_emplace(code, time);
    const bool lately = !first && last->second <= time && time - last->second < kTellAgain;
    if (lately) return;
    last->second = time;
  }
  if (on_limit) on_limit(account.shared_from_this(), code);
}

void Accounting::collect() {
  for (std::shared_ptr<Account>& account : changes_.take()) {
    account->changed_ = false;  // before it is read: what comes behind is a change again
    settling_.insert(std::move(account));
  }
}

// True: the database has all.
bool Accounting::write() {
  std::vector<store::UsageRow> rows = overdue_;
  std::vector<store::Bucket> buckets;
  std::vector<std::pair<Account*, store::Usage>> taken;
  for (const std::shared_ptr<Account>& account : settling_) {
    const Account::Lock lock(account->mutex_);
    account->gather();
    if (nothing(account->unsettled_)) continue;
    taken.emplace_back(account.get(), account->unsettled_);
    rows.push_back({account->owner_, account->day_name_, account->unsettled_});
    rows.push_back({account->owner_, account->month_name_, account->unsettled_});
    for (const Account::Kept& kept : Account::kKept) {
      const WallTime until = ((*account).*kept.pace).settled;
      if (until == WallTime()) continue;
      buckets.push_back({kept.prefix + account->owner_, until.time_since_epoch().count()});
    }
  }
  const Result<void> done = rows.empty() ? Result<void>() : store_.settle(rows, buckets);
  if (!done) {
    if (!std::exchange(failed_, true)) {
      log::write(log::Level::error, "usage not written", done.error());
    }
    return false;
  }
  if (std::exchange(failed_, false)) log::info("usage written again");
  for (const auto& [account, usage] : taken) {
    const Account::Lock lock(account->mutex_);
    account->unsettled_.bytes_in -= usage.bytes_in;
    account->unsettled_.bytes_out -= usage.bytes_out;
    account->unsettled_.requests -= usage.requests;
  }
  overdue_.clear();
  return true;
}

void Accounting::settle() {
  std::vector<std::shared_ptr<Account>> changed;
  bool written = false;
  {
    const Lock lock(mutex_);
    collect();
    written = write();
    turn_pages(store_);
    if (std::exchange(forgotten_, today_) != today_) {
      (void)store_.forget_days(text_of(today_ - kDaysKept, true));  // else tomorrow
    }
    changed.assign(settling_.begin(), settling_.end());
  }
  for (const std::shared_ptr<Account>& account : changed) tell(*account);
  if (!written) return;
  const Lock lock(mutex_);
  for (const std::shared_ptr<Account>& account : std::exchange(changed, {})) {
    settling_.erase(account);
  }
  sweep();
}

// Once a minute, when all is written: who was idle at the last sweep, and still is, goes. Idle: no
// agent and no stream holds the account.
void Accounting::sweep() {
  const WallTime time = now();
  if (time >= swept_ && time - swept_ < kSweep) return;
  swept_ = time;
  absl::erase_if(accounts_, [&](auto& owner_and_entry) {
    Entry& entry = owner_and_entry.second;
    const bool idle = entry.account.use_count() == 1;
    return std::exchange(entry.idle, idle) && idle;
  });
}

// --- one stream ---

HeldBack::HeldBack(net::Shard& shard) : timer_(shard, [this] { wake(); }) {}

HeldBack::Place HeldBack::add(StreamMeter& meter) {
  if (!timer_.armed()) timer_.arm_in(kWake);
  return meters_.insert(meters_.end(), &meter);
}

// Each takes itself out of the list; who is still ahead of its pace comes back for another round.
void HeldBack::wake() {
  for (std::size_t n = meters_.size(); n > 0 && !meters_.empty(); --n) meters_.front()->wake();
}

StreamMeter::StreamMeter(Accounting& accounting, HeldBack& held_back,
                         std::shared_ptr<Account> account, Traffic& traffic,
                         std::function<void()> wake)
    : accounting_(accounting),
      held_back_(held_back),
      account_(std::move(account)),
      traffic_(traffic),
      wake_(std::move(wake)) {
  ++traffic_.streams;
}

StreamMeter::~StreamMeter() {
  if (waiting_) held_back_.remove(*waiting_);
  if (aside_ > 0) account_->reserve(0, accounting_.now(), aside_);
  account_->end_stream();
}

std::size_t StreamMeter::allow(std::size_t wanted) {
  const std::uint64_t allowed = account_->reserve(wanted, accounting_.now(), aside_);
  if (allowed < wanted && !waiting_) waiting_ = held_back_.add(*this);
  return static_cast<std::size_t>(allowed);
}

void StreamMeter::wake() {
  held_back_.remove(*waiting_);
  waiting_.reset();
  wake_();
}

std::string StreamMeter::reason(Code code) const {
  const auto left = account_->resets_in(code, accounting_.now());
  return std::string(info(code).name) + ", resets in " + std::to_string(left.count()) + " s";
}

Cut StreamMeter::cut_of(const net::Splice& splice, bool revoked) const {
  if (splice.reset_reason()) return relay::cut_of(*splice.reset_reason());
  return refused() ? Cut::quota : revoked ? Cut::revoked : Cut::visitor;
}

void StreamMeter::moved(Direction direction, std::size_t n) {
  if (n == 0 && aside_ == 0) return;
  account_->moved(direction, n, accounting_.now(), std::exchange(aside_, 0));
  (direction == Direction::in ? traffic_.in : traffic_.out) += n;
}

}  // namespace leat::relay
