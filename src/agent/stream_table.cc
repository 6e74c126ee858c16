#include "agent/stream_table.h"

#include <utility>

namespace leat::agent {
namespace {

constexpr std::size_t kGone = static_cast<std::size_t>(-1);

}  // namespace

void StreamTable::add(std::unique_ptr<Stream> stream) {
  Stream& added = *stream;
  added.index_ = streams_.size();
  streams_.push_back(std::move(stream));
  added.start();
}

bool StreamTable::remove(Stream& stream) {
  const std::size_t at = std::exchange(stream.index_, kGone);
  if (at == kGone) return false;
  shard_.dispose(std::move(streams_[at]));
  if (at + 1 < streams_.size()) {
    streams_[at] = std::move(streams_.back());
    streams_[at]->index_ = at;
  }
  streams_.pop_back();
  return true;
}

void StreamTable::replace(Stream& from, std::unique_ptr<Stream> to) {
  const std::size_t at = std::exchange(from.index_, kGone);
  if (at == kGone) return;
  Stream& added = *to;
  added.index_ = at;
  if (!added.egress_kept_) added.egress_kept_ = from.egress_kept_;
  shard_.dispose(std::exchange(streams_[at], std::move(to)));
  added.start();
}

}  // namespace leat::agent
