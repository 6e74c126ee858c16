#include "relay/journal.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace leat::relay {
namespace {

constexpr auto kTurn = std::chrono::seconds(1);

}  // namespace

Journal::Journal(net::Shard& shard, const Metrics& metrics)
    : metrics_(metrics), timer_(shard, [this] { turn(); }) {
  timer_.arm_in(kTurn);
}

Result<void> Journal::open_log(const std::string& path, store::ConnectionLog::Retention retention) {
  auto opened = store::ConnectionLog::open(path, retention);
  if (!opened) return tl::unexpected(opened.error());
  log_ = std::move(*opened);
  return {};
}

void Journal::answered(Duration after) {
  if (times_.size() < kTimed) times_.push_back(after);
}

void Journal::add(store::Connection visit) {
  ++visits_;
  if (!listeners_.empty() && shown_.size() < kShown) shown_.push_back(visit);
  if (log_) log_->add(std::move(visit));
}

void Journal::forget(Listener& listener) { std::erase(listeners_, &listener); }

void Journal::turn() {
  Second second;
  second.at = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const Traffic all = metrics_.all();
  second.bytes_in = all.in - std::exchange(in_, all.in);
  second.bytes_out = all.out - std::exchange(out_, all.out);
  second.visits = std::exchange(visits_, 0);
  if (!times_.empty()) {
    std::ranges::sort(times_);
    second.half = times_[times_.size() / 2];
    second.most = times_[times_.size() * 95 / 100];
    times_.clear();
  }
  seconds_.push_back(second);
  if (seconds_.size() > kSeconds) seconds_.pop_front();
  for (Listener* listener : listeners_) listener->on_second(second, shown_);
  shown_.clear();
  mention_failure();
  timer_.arm_in(kTurn);
}

// Once for each time that the disk begins to refuse.
void Journal::mention_failure() {
  if (!log_) return;
  const auto failure = log_->failure();
  if (failure && !failed_) log::write(log::Level::warn, "connection log", *failure);
  failed_ = failure.has_value();
}

}  // namespace leat::relay
