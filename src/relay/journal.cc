#include "relay/journal.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace leat::relay {
namespace {

constexpr auto kTurn = std::chrono::seconds(1);

}  // namespace

Journal::Journal(net::Shard& shard) : timer_(shard, [this] { turn(); }) { timer_.arm_in(kTurn); }

Result<void> Journal::open_log(const std::string& path, store::ConnectionLog::Retention retention) {
  auto opened = store::ConnectionLog::open(path, retention);
  if (!opened) return tl::unexpected(opened.error());
  log_ = std::move(*opened);
  return {};
}

void Journal::answered(Duration after) {
  const std::lock_guard lock(mutex_);
  if (times_.size() < kTimed) times_.push_back(after);
}

void Journal::add(store::Connection visit) {
  {
    const std::lock_guard lock(mutex_);
    ++visits_;
    if (shows_ && shown_.size() < kShown) shown_.push_back(visit);
  }
  if (log_) log_->add(std::move(visit));
}

void Journal::listen(Listener& listener) {
  listeners_.push_back(&listener);
  const std::lock_guard lock(mutex_);
  shows_ = true;
}

void Journal::forget(Listener& listener) {
  std::erase(listeners_, &listener);
  const std::lock_guard lock(mutex_);
  shows_ = !listeners_.empty();
}

void Journal::turn() {
  Second second;
  second.at = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  std::uint64_t in = 0, out = 0;
  for (const Metrics* metrics : metrics_) {
    const Traffic all = metrics->all();
    in += all.in;
    out += all.out;
  }
  second.bytes_in = in - std::exchange(in_, in);
  second.bytes_out = out - std::exchange(out_, out);
  std::vector<Duration> times;
  std::vector<store::Connection> shown;
  {
    const std::lock_guard lock(mutex_);
    second.visits = std::exchange(visits_, 0);
    times.swap(times_);
    shown.swap(shown_);
  }
  if (!times.empty()) {
    std::ranges::sort(times);
    second.half = times[times.size() / 2];
    second.most = times[times.size() * 95 / 100];
  }
  seconds_.push_back(second);
  if (seconds_.size() > kSeconds) seconds_.pop_front();
  for (Listener* listener : listeners_) listener->on_second(second, shown);
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
