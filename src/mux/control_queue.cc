#include "mux/control_queue.h"

#include <algorithm>

#include "mux/frame.h"

namespace leat::mux {
namespace {

constexpr std::size_t kReserved = limits::kPongs + 2;  // frames: pongs, ping, go-away

}  // namespace

ControlQueue::ControlQueue(std::size_t bound)
    : max_refused_(std::max(bound / kHeaderSize, kReserved + 1) - kReserved) {}

bool ControlQueue::pong(std::uint32_t value) {
  if (pong_count_ == pongs_.size()) return false;
  pongs_[(pong_first_ + pong_count_++) % pongs_.size()] = value;
  return true;
}

bool ControlQueue::refuse(std::uint32_t id) {
  if (refused_.size() - refused_first_ == max_refused_) return false;
  if (refused_.size() == max_refused_) {  // make room at the front rather than grow
    refused_.erase(refused_.begin(),
                   refused_.begin() + static_cast<std::ptrdiff_t>(refused_first_));
    refused_first_ = 0;
  }
  refused_.push_back(id);
  return true;
}

std::size_t ControlQueue::bytes() const {
  return kHeaderSize *
         (pong_count_ + (ping_ ? 1 : 0) + (go_away_ ? 1 : 0) + refused_.size() - refused_first_);
}

std::size_t ControlQueue::write(MutableBytes out) {
  std::size_t used = 0;
  const auto room = [&] { return out.size() - used >= kHeaderSize; };
  const auto put = [&](const Header& header) {
    encode(header, out.data() + used);
    used += kHeaderSize;
  };
  for (; pong_count_ > 0 && room(); --pong_count_) {
    put({Type::ping, flag::ack, 0, pongs_[pong_first_]});
    pong_first_ = (pong_first_ + 1) % pongs_.size();
  }
  if (ping_ && room()) {
    put({Type::ping, flag::syn, 0, *ping_});
    ping_.reset();
  }
  if (go_away_ && room()) {
    put({Type::go_away, 0, 0, *go_away_});
    go_away_.reset();
  }
  while (refused_first_ < refused_.size() && room()) {
    put({Type::window_update, flag::rst, refused_[refused_first_++], 0});
  }
  if (refused_first_ == refused_.size()) {
    refused_.clear();
    refused_first_ = 0;
  }
  return used;
}

void ControlQueue::clear_but_go_away() {
  pong_count_ = 0;
  ping_.reset();
  refused_.clear();
  refused_first_ = 0;
}

}  // namespace leat::mux
