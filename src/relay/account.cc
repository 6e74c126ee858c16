#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "relay/accounting.h"

namespace leat::relay {
namespace {

using std::chrono::microseconds;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr double kMinute = 60;

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

const std::array<Account::Kept, 4> Account::kKept = {{{&Account::requests_, ""},
                                                      {&Account::bytes_, "bytes\n"},
                                                      {&Account::visitor_messages_, "visitor\n"},
                                                      {&Account::agent_messages_, "agent\n"}}};

Account::Account(std::string owner, store::Usage day, store::Usage month)
    : owner_(std::move(owner)), day_(day), month_(month) {}

std::shared_ptr<const Plan> Account::plan() const {
  const Lock lock(mutex_);
  return plan_;
}

void Account::set_plan(const Plan* plan) {
  const Lock lock(mutex_);
  plan_ = plan == nullptr ? nullptr : std::make_shared<const Plan>(*plan);
  limited_ = plan_ && (plan_->bytes_per_second || plan_->bytes_per_day || plan_->bytes_per_month);
  gather();
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
  if (const auto code = find_spent()) return code;
  if (plan_ && plan_->streams && streams_ >= *plan_->streams) return Code::QUOTA_STREAMS;
  return std::nullopt;
}

std::optional<Code> Account::begin_again() {
  const Lock lock(mutex_);
  if (const auto code = no_place()) return code;
  ++streams_;
  return std::nullopt;
}

std::optional<Code> Account::begin_stream(WallTime now) {
  const Lock lock(mutex_);
  if (const auto code = no_place()) return code;
  if (requests_.available(now) == 0) return Code::QUOTA_REQUESTS;
  requests_.take(1, now);
  ++streams_;
  for (store::Usage* each : {&day_, &month_, &unsettled_}) ++each->requests;
  touch();
  return std::nullopt;
}

void Account::end_stream() {
  const Lock lock(mutex_);
  --streams_;
}

std::optional<Code> Account::begin_message(net::Meter::Direction from, WallTime now) {
  const Lock lock(mutex_);
  Pace& pace = from == net::Meter::Direction::in ? visitor_messages_ : agent_messages_;
  if (pace.available(now) == 0) return Code::QUOTA_MESSAGES;
  pace.take(1, now);
  return std::nullopt;
}

std::uint64_t Account::left(std::uint64_t used, const Plan::Limit& limit) const {
  if (!limit) return kNoLimit;
  return *limit - std::min(*limit, used);
}

std::uint64_t Account::left_now(WallTime now) const {
  if (!plan_) return kNoLimit;
  const std::uint64_t all = std::min(
      {left(day_.bytes_in + day_.bytes_out, plan_->bytes_per_day),
       left(month_.bytes_in + month_.bytes_out, plan_->bytes_per_month), bytes_.available(now)});
  return all == kNoLimit ? all : all - std::min(all, aside_);
}

std::uint64_t Account::allowance(WallTime now) const {
  const Lock lock(mutex_);
  return left_now(now);
}

std::uint64_t Account::reserve(std::uint64_t wanted, WallTime now, std::uint64_t& aside) {
  if (aside == 0 && !limited_) return wanted;
  const Lock lock(mutex_);
  aside_ -= std::exchange(aside, 0);
  const std::uint64_t allowed = std::min(wanted, left_now(now));
  if (limited_) {
    aside = allowed;
    aside_ += aside;
  }
  return allowed;
}

std::optional<Code> Account::spent() const {
  const Lock lock(mutex_);
  return find_spent();
}

std::optional<Code> Account::find_spent() const {
  if (!plan_) return std::nullopt;
  if (left(month_.bytes_in + month_.bytes_out, plan_->bytes_per_month) == 0) {
    return Code::QUOTA_MONTH;
  }
  if (left(day_.bytes_in + day_.bytes_out, plan_->bytes_per_day) == 0) return Code::QUOTA_DAY;
  return std::nullopt;
}

void Account::count(net::Meter::Direction direction, std::uint64_t n) {
  const bool in = direction == net::Meter::Direction::in;
  for (store::Usage* each : {&day_, &month_, &unsettled_}) {
    (in ? each->bytes_in : each->bytes_out) += n;
  }
}

void Account::gather() {
  count(net::Meter::Direction::in, loose_in_.exchange(0));
  count(net::Meter::Direction::out, loose_out_.exchange(0));
}

// Sequentially consistent: a settling that has just passed by either sees these bytes or is told.
void Account::moved(net::Meter::Direction direction, std::uint64_t n, WallTime now,
                    std::uint64_t aside) {
  if (aside == 0 && !limited_) {
    (direction == net::Meter::Direction::in ? loose_in_ : loose_out_) += n;
  } else {
    const Lock lock(mutex_);
    aside_ -= aside;
    count(direction, n);
    if (n > 0) bytes_.take(n, now);
  }
  if (n > 0) touch();
}

std::size_t Account::streams() const {
  const Lock lock(mutex_);
  return streams_;
}

store::Usage Account::day() const {
  const Lock lock(mutex_);
  return with_loose(day_);
}

store::Usage Account::month() const {
  const Lock lock(mutex_);
  return with_loose(month_);
}

store::Usage Account::with_loose(store::Usage usage) const {
  usage.bytes_in += loose_in_;
  usage.bytes_out += loose_out_;
  return usage;
}

std::string Account::day_name() const {
  const Lock lock(mutex_);
  return day_name_;
}

std::string Account::month_name() const {
  const Lock lock(mutex_);
  return month_name_;
}

std::chrono::seconds Account::resets_in(Code code, WallTime now) const {
  const Lock lock(mutex_);
  using std::chrono::sys_days;
  const std::chrono::year_month_day today = std::chrono::floor<std::chrono::days>(now);
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
  const Lock lock(mutex_);
  if (!plan_ || !plan_->requests_per_minute) return std::nullopt;
  const std::uint64_t limit = *plan_->requests_per_minute;
  const auto reset = std::chrono::ceil<std::chrono::seconds>(requests_.until(limit, now));
  return RateFields{"\"requests\";q=" + std::to_string(limit) + ";w=60",
                    "\"requests\";r=" + std::to_string(requests_.available(now)) +
                        ";t=" + std::to_string(reset.count())};
}

}  // namespace leat::relay
