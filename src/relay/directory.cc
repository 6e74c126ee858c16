#include "relay/directory.h"

#include <algorithm>
#include <utility>

namespace leat::relay {
namespace {

constexpr std::size_t kSeenAgents = 65'536;  // remembered, to tell who comes back

}  // namespace

Directory::Seat::Seat(Directory& directory, const PublicKey& identity)
    : directory_(&directory), identity_(identity) {
  const std::lock_guard lock(directory.mutex_);
  std::vector<std::size_t>& sessions = directory.sessions_;
  const auto [home, first] = directory.homes_.try_emplace(identity);
  if (first) {
    const auto fewest = std::ranges::min_element(sessions);
    home->second = {static_cast<std::size_t>(fewest - sessions.begin()), 0};
  }
  ++home->second.sessions;
  shard_ = home->second.shard;
  ++sessions[shard_];
}

Directory::Seat::Seat(Seat&& other) noexcept
    : directory_(std::exchange(other.directory_, nullptr)),
      identity_(other.identity_),
      shard_(other.shard_) {}

Directory::Seat::~Seat() {
  if (directory_ == nullptr) return;
  const std::lock_guard lock(directory_->mutex_);
  --directory_->sessions_[shard_];
  const auto home = directory_->homes_.find(identity_);
  if (--home->second.sessions == 0) directory_->homes_.erase(home);
}

bool Directory::has_been_here(const PublicKey& identity) {
  const std::lock_guard lock(mutex_);
  if (seen_.size() >= kSeenAgents) seen_.clear();
  return !seen_.insert(identity).second;
}

void Directory::update(std::size_t shard, const std::string& tunnel, control::TunnelKind kind,
                       std::size_t sessions, std::size_t healthy) {
  const std::lock_guard lock(mutex_);
  std::vector<Serving>& served = tunnels_[tunnel].served;
  auto place = std::ranges::lower_bound(served, shard, {}, &Serving::shard);
  const bool there = place != served.end() && place->shard == shard;
  if (sessions == 0) {
    if (there) served.erase(place);
    if (served.empty()) tunnels_.erase(tunnel);
    return;
  }
  if (!there) place = served.insert(place, Serving{});
  *place = {shard, kind, sessions, healthy};
}

std::optional<std::size_t> Directory::turn(const std::string& tunnel, control::TunnelKind kind) {
  const std::lock_guard lock(mutex_);
  const auto found = tunnels_.find(tunnel);
  if (found == tunnels_.end()) return std::nullopt;
  const std::vector<Serving>& served = found->second.served;
  if (served.size() == 1) {
    return served.front().kind == kind ? std::optional(served.front().shard) : std::nullopt;
  }
  for (const auto count : {&Serving::healthy, &Serving::sessions}) {
    std::size_t all = 0;
    for (const Serving& each : served) all += each.kind == kind ? each.*count : 0;
    if (all == 0) continue;
    std::size_t left = found->second.turn++ % all;
    for (const Serving& each : served) {
      if (each.kind != kind) continue;
      if (left < each.*count) return each.shard;
      left -= each.*count;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> Directory::instead(const std::string& tunnel, control::TunnelKind kind,
                                              std::size_t here) const {
  const std::lock_guard lock(mutex_);
  const auto found = tunnels_.find(tunnel);
  if (found == tunnels_.end()) return std::nullopt;
  std::optional<std::size_t> first;
  for (const Serving& each : found->second.served) {
    if (each.kind != kind || each.healthy == 0 || each.shard == here) continue;
    if (each.shard > here) return each.shard;
    if (!first) first = each.shard;
  }
  return first;
}

bool Directory::serves(const std::string& tunnel, control::TunnelKind kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = tunnels_.find(tunnel);
  return found != tunnels_.end() &&
         std::ranges::any_of(found->second.served,
                             [&](const Serving& each) { return each.kind == kind; });
}

std::size_t Directory::count(const std::string& tunnel) const {
  const std::lock_guard lock(mutex_);
  const auto found = tunnels_.find(tunnel);
  if (found == tunnels_.end()) return 0;
  std::size_t all = 0;
  for (const Serving& each : found->second.served) all += each.sessions;
  return all;
}

std::vector<std::size_t> Directory::shards_of(const std::string& tunnel) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::size_t> shards;
  const auto found = tunnels_.find(tunnel);
  if (found == tunnels_.end()) return shards;
  for (const Serving& each : found->second.served) shards.push_back(each.shard);
  return shards;
}

std::optional<Directory::Held> Directory::hold(const Account& owner, const std::string& tunnel,
                                               std::size_t most) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(&owner);
  const bool held = found != held_.end() && found->second.contains(tunnel);
  const std::size_t all = (found == held_.end() ? 0 : found->second.size()) + (held ? 0 : 1);
  if (all > most) return std::nullopt;
  ++held_[&owner][tunnel];
  return Held(*this, owner, tunnel);
}

Directory::Held::Held(Held&& other) noexcept
    : directory_(std::exchange(other.directory_, nullptr)),
      owner_(other.owner_),
      tunnel_(std::move(other.tunnel_)) {}

Directory::Held& Directory::Held::operator=(Held&& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(owner_, other.owner_);
  std::swap(tunnel_, other.tunnel_);
  return *this;
}

Directory::Held::~Held() {
  if (directory_ == nullptr) return;
  const std::lock_guard lock(directory_->mutex_);
  const auto owner = directory_->held_.find(owner_);
  const auto tunnel = owner->second.find(tunnel_);
  if (--tunnel->second == 0) owner->second.erase(tunnel);
  if (owner->second.empty()) directory_->held_.erase(owner);
}

}  // namespace leat::relay
