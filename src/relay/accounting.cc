#include "relay/accounting.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "base/log.h"

namespace leat::relay {
namespace {

using std::chrono::microseconds;

constexpr auto kSettle = std::chrono::milliseconds(500);
constexpr auto kWake = std::chrono::milliseconds(10);  // how often streams ahead of pace may look
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr double kMinute = 60;
constexpr auto kTellAgain = std::chrono::minutes(1);  // of the same limit
constexpr auto kSweep = std::chrono::minutes(1);
constexpr auto kDaysKept = std::chrono::days(92);  // what is used in a month is kept for ever

WallTime system_time() {
  return std::chrono::floor<microseconds>(std::chrono::system_clock::now());
}

std::chrono::year_month_day date_of(WallTime now) {
  return std::chrono::floor<std::chrono::days>(now);
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

// --- pace ---

void Pace::set(double burst, double per_second) {
  period_ = std::chrono::duration<double, std::micro>(1e6 / per_second);
  depth_ = std::chrono::duration_cast<microseconds>(period_ * burst);
}

std::uint64_t Pace::available(WallTime now) const {
  if (depth_.count() == 0) return kNoLimit;
  // After a clock has jumped back nobody waits for longer than a bucket takes to fill.
  const microseconds ahead = std::clamp<microseconds>(settled - now, microseconds(0), depth_);
  return static_cast<std::uint64_t>(std::floor((depth_ - ahead) / period_ + 1e-6));
}

void Pace::take(std::uint64_t n, WallTime now) {
  if (depth_.count() == 0) return;
  const WallTime from = std::clamp(settled, now, now + depth_);
  settled = from + std::chrono::duration_cast<microseconds>(period_ * static_cast<double>(n));
}

microseconds Pace::until(std::uint64_t n, WallTime now) const {
  if (depth_.count() == 0) return microseconds(0);
  const microseconds ahead = std::clamp<microseconds>(settled - now, microseconds(0), depth_);
  const auto wanted = std::chrono::duration_cast<microseconds>(period_ * static_cast<double>(n));
  return std::max(microseconds(0), ahead + wanted - depth_);
}

// --- one owner ---

const std::array<Account::Kept, 3> Account::kKept = {{{&Account::requests_, ""},
                                                      {&Account::visitor_messages_, "visitor\n"},
                                                      {&Account::agent_messages_, "agent\n"}}};

Account::Account(std::string owner, store::Usage day, store::Usage month)
    : owner_(std::move(owner)), day_(day), month_(month) {}

void Account::set_plan(const Plan* plan) {
  plan_ = plan == nullptr ? std::nullopt : std::optional(*plan);
  const auto set = [&](Pace& pace, Plan::Limit Plan::*field, double seconds) {
    const WallTime settled = pace.settled;
    pace = {};
    pace.settled = settled;
    const Plan::Limit limit = plan_ ? (*plan_).*field : std::nullopt;
    if (limit) pace.set(static_cast<double>(*limit), static_cast<double>(*limit) / seconds);
  };
  set(requests_, &Plan::requests_per_minute, kMinute);
  set(bytes_, &Plan::bytes_per_second, 1);  // a second's worth at once
  set(visitor_messages_, &Plan::visitor_messages_per_minute, kMinute);
  set(agent_messages_, &Plan::agent_messages_per_minute, kMinute);
}

std::optional<Code> Account::no_place() const {
  if (const auto code = spent()) return code;
  if (plan_ && plan_->streams && streams_ >= *plan_->streams) return Code::QUOTA_STREAMS;
  return std::nullopt;
}

std::optional<Code> Account::begin_again() {
  if (const auto code = no_place()) return code;
  ++streams_;
  return std::nullopt;
}

std::optional<Code> Account::begin_stream(WallTime now) {
  if (const auto code = no_place()) return code;
  if (requests_.available(now) == 0) return Code::QUOTA_REQUESTS;
  requests_.take(1, now);
  ++streams_;
  touch();
  for (store::Usage* each : {&day_, &month_, &unsettled_}) ++each->requests;
  return std::nullopt;
}

std::optional<Code> Account::begin_message(net::Meter::Direction from, WallTime now) {
  Pace& pace = from == net::Meter::Direction::in ? visitor_messages_ : agent_messages_;
  if (pace.available(now) == 0) return Code::QUOTA_MESSAGES;
  pace.take(1, now);
  return std::nullopt;
}

std::uint64_t Account::left(std::uint64_t used, const Plan::Limit& limit) const {
  if (!limit) return kNoLimit;
  return *limit - std::min(*limit, used);
}

std::uint64_t Account::allowance(WallTime now) const {
  if (!plan_) return kNoLimit;
  return std::min({left(day_.bytes_in + day_.bytes_out, plan_->bytes_per_day),
                   left(month_.bytes_in + month_.bytes_out, plan_->bytes_per_month),
                   bytes_.available(now)});
}

std::optional<Code> Account::spent() const {
  if (!plan_) return std::nullopt;
  if (left(month_.bytes_in + month_.bytes_out, plan_->bytes_per_month) == 0) {
    return Code::QUOTA_MONTH;
  }
  if (left(day_.bytes_in + day_.bytes_out, plan_->bytes_per_day) == 0) return Code::QUOTA_DAY;
  return std::nullopt;
}

void Account::moved(net::Meter::Direction direction, std::uint64_t n, WallTime now) {
  const bool in = direction == net::Meter::Direction::in;
  for (store::Usage* each : {&day_, &month_, &unsettled_}) {
    (in ? each->bytes_in : each->bytes_out) += n;
  }
  bytes_.take(n, now);
  touch();
}

std::chrono::seconds Account::resets_in(Code code, WallTime now) const {
  using std::chrono::sys_days;
  const std::chrono::year_month_day today = date_of(now);
  microseconds left(0);
  if (code == Code::QUOTA_DAY) left = sys_days(today) + std::chrono::days(1) - now;
  if (code == Code::QUOTA_MONTH) {
    const auto next = today.year() / today.month() / 1 + std::chrono::months(1);
    left = sys_days(next) - now;
  }
  if (code == Code::QUOTA_REQUESTS) left = requests_.until(1, now);
  if (code == Code::QUOTA_MESSAGES) {
    left = std::max(visitor_messages_.until(1, now), agent_messages_.until(1, now));
  }
  return std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(left));
}

std::string Account::RateFields::text() const {
  return "RateLimit-Policy: " + policy + "\r\nRateLimit: " + state + "\r\n";
}

std::optional<Account::RateFields> Account::rate_fields(WallTime now) const {
  if (!plan_ || !plan_->requests_per_minute) return std::nullopt;
  const std::uint64_t limit = *plan_->requests_per_minute;
  const auto reset = std::chrono::ceil<std::chrono::seconds>(requests_.until(limit, now));
  return RateFields{"\"requests\";q=" + std::to_string(limit) + ";w=60",
                    "\"requests\";r=" + std::to_string(requests_.available(now)) +
                        ";t=" + std::to_string(reset.count())};
}

// --- all of them ---

Accounting::Accounting(net::Shard& shard, store::Store& store, Plans plans, Clock clock)
    : store_(store),
      plans_(std::move(plans)),
      clock_(clock ? std::move(clock) : Clock(system_time)),
      settle_timer_(shard,
                    [this] {
                      settle();
                      settle_timer_.arm_in(kSettle);
                    }),
      wake_timer_(shard, [this] { wake(); }) {
  turn_pages();
  swept_ = now();
  settle_timer_.arm_in(kSettle);
}

Accounting::~Accounting() {
  write();
  for (auto& [owner, entry] : accounts_) entry.account->changes_ = nullptr;
}

Result<std::shared_ptr<Account>> Accounting::account(const store::TokenInfo& owner) {
  const auto found = accounts_.find(owner.name);
  if (found != accounts_.end()) {
    Entry& entry = found->second;
    entry.idle = false;
    entry.plan = owner.plan;
    entry.account->set_plan(plans_.find(owner.plan));
    entry.account->touch();
    return entry.account;
  }
  turn_pages();
  const auto used_day = store_.usage(owner.name, day_name_),
             used_month = store_.usage(owner.name, month_name_);
  if (!used_day) return tl::unexpected(used_day.error());
  if (!used_month) return tl::unexpected(used_month.error());
  auto account = std::make_shared<Account>(owner.name, *used_day, *used_month);
  account->day_name_ = day_name_;
  account->month_name_ = month_name_;
  account->changes_ = &changes_;
  account->set_plan(plans_.find(owner.plan));
  for (const Account::Kept& kept : Account::kKept) {
    const auto settled = store_.bucket(kept.prefix + owner.name);
    if (!settled) return tl::unexpected(settled.error());
    ((*account).*kept.pace).settled = WallTime(microseconds(*settled));
  }
  accounts_[owner.name] = {account, owner.plan};
  account->touch();  // it may have nothing left
  return account;
}

void Accounting::set_plans(Plans plans) {
  plans_ = std::move(plans);
  for (auto& [owner, entry] : accounts_) {
    entry.account->set_plan(plans_.find(entry.plan));
    entry.account->touch();
  }
}

void Accounting::look_at_owners() {
  for (auto& [owner, entry] : accounts_) {
    if (owner.starts_with("jwt:")) continue;  // its tokens say it
    const auto plan = store_.plan_of(owner);
    if (!plan || *plan == entry.plan) continue;
    entry.plan = *plan;
    entry.account->set_plan(plans_.find(entry.plan));
    entry.account->touch();
  }
}

void Accounting::turn_pages() {
  const auto today = std::chrono::floor<std::chrono::days>(now());
  if (today == today_ && !day_name_.empty()) return;
  today_ = today;
  day_name_ = text_of(today, true);
  month_name_ = text_of(today, false);
  (void)store_.forget_days(text_of(today - kDaysKept, true));  // else tomorrow
  for (auto& [owner, entry] : accounts_) turn_page(*entry.account);
}

// A new day begins with what the database has of it: nothing, unless the clock went back. What
// could not be written yet stays with the day it was used on, and holds up no other.
void Accounting::turn_page(Account& account) {
  if (!nothing(account.unsettled_)) {
    overdue_.push_back({account.owner_, account.day_name_, account.unsettled_});
    overdue_.push_back({account.owner_, account.month_name_, account.unsettled_});
    account.unsettled_ = {};
  }
  account.day_ = store_.usage(account.owner_, day_name_).value_or(store::Usage{});
  account.day_name_ = day_name_;
  account.touch();
  if (month_name_ == account.month_name_) return;
  account.month_ = store_.usage(account.owner_, month_name_).value_or(store::Usage{});
  account.month_name_ = month_name_;
}

void Accounting::tell(Account& account) {
  const auto code = account.spent();
  if (!code) return;
  const std::string period = *code == Code::QUOTA_DAY ? account.day_name_ : account.month_name_;
  if (std::exchange(account.told_, period) != period && on_limit) on_limit(account, *code);
}

void Accounting::refused(Account& account, Code code) {
  if (code == Code::QUOTA_DAY || code == Code::QUOTA_MONTH) return tell(account);
  const WallTime time = now();
  const auto [last, first] = account.refused_.try_emplace(code, time);
  const bool lately = !first && last->second <= time && time - last->second < kTellAgain;
  if (lately) return;
  last->second = time;
  if (on_limit) on_limit(account, code);
}

// True: the database has all.
bool Accounting::write() {
  std::vector<store::UsageRow> rows = overdue_;
  std::vector<store::Bucket> buckets;
  for (const Account* account : changes_) {
    if (nothing(account->unsettled_)) continue;
    rows.push_back({account->owner_, account->day_name_, account->unsettled_});
    rows.push_back({account->owner_, account->month_name_, account->unsettled_});
    for (const Account::Kept& kept : Account::kKept) {
      const WallTime until = (account->*kept.pace).settled;
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
  for (Account* account : changes_) account->unsettled_ = {};
  overdue_.clear();
  return true;
}

void Accounting::settle() {
  const bool written = write();
  turn_pages();
  for (std::size_t i = 0; i < changes_.size(); ++i) tell(*changes_[i]);
  if (!written) return;
  for (Account* account : changes_) account->changed_ = false;
  changes_.clear();
  sweep();
}

// Once a minute, when all is written: who was idle at the last sweep, and still is, goes. Idle: no
// agent and no stream holds the account, and the one pace that the database does not keep is made
// up for.
void Accounting::sweep() {
  const WallTime time = now();
  if (time >= swept_ && time - swept_ < kSweep) return;
  swept_ = time;
  absl::erase_if(accounts_, [&](auto& owner_and_entry) {
    Entry& entry = owner_and_entry.second;
    const bool idle = entry.account.use_count() == 1 && entry.account->bytes_.settled <= time;
    return std::exchange(entry.idle, idle) && idle;
  });
}

Accounting::Waiting::iterator Accounting::wait(StreamMeter& meter) {
  if (!wake_timer_.armed()) wake_timer_.arm_in(kWake);
  return waiting_.insert(waiting_.end(), &meter);
}

// Each takes itself out of the list; who is still ahead of its pace comes back for another round.
void Accounting::wake() {
  for (std::size_t n = waiting_.size(); n > 0 && !waiting_.empty(); --n) waiting_.front()->wake();
}

// --- one stream ---

StreamMeter::StreamMeter(Accounting& accounting, std::shared_ptr<Account> account, Traffic& traffic,
                         std::function<void()> wake)
    : accounting_(accounting),
      account_(std::move(account)),
      traffic_(traffic),
      wake_(std::move(wake)) {
  ++traffic_.streams;
}

StreamMeter::~StreamMeter() {
  if (waiting_) accounting_.forget(*waiting_);
  account_->end_stream();
}

std::size_t StreamMeter::allow(std::size_t wanted) {
  const std::uint64_t allowed = account_->allowance(accounting_.now());
  if (allowed < wanted && !waiting_) waiting_ = accounting_.wait(*this);
  return static_cast<std::size_t>(std::min<std::uint64_t>(wanted, allowed));
}

void StreamMeter::wake() {
  accounting_.forget(*waiting_);
  waiting_.reset();
  wake_();
}

Cut StreamMeter::cut_of(const net::Splice& splice, bool revoked) const {
  if (splice.reset_reason()) return relay::cut_of(*splice.reset_reason());
  return refused() ? Cut::quota : revoked ? Cut::revoked : Cut::visitor;
}

void StreamMeter::moved(Direction direction, std::size_t n) {
  account_->moved(direction, n, accounting_.now());
  (direction == Direction::in ? traffic_.in : traffic_.out) += n;
}

}  // namespace leat::relay
