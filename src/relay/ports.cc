#include "relay/ports.h"

#include <algorithm>
#include <string>
#include <utility>

namespace leat::relay {
namespace {

constexpr std::size_t kTries = 32;  // ports that other programs hold, in one call

}  // namespace

Ports::Lease::Lease(Ports& ports, std::size_t shard, std::string tunnel, std::uint16_t port,
                    std::unique_ptr<net::Listener> listener)
    : ports_(ports),
      shard_(shard),
      tunnel_(std::move(tunnel)),
      port_(port),
      listener_(std::move(listener)) {
  std::erase(ports_.free_, port_);
}

Ports::Lease::~Lease() {
  if (std::this_thread::get_id() != thread_) {
    // Nobody is let in any more; the rest is for the listener's own thread.
    listener_->stop();
    ports_.to_shard_(shard_, std::shared_ptr(std::move(listener_)));
  }
  const std::lock_guard lock(ports_.mutex_);
  // That of a tunnel with two ports may be another one.
  const auto found = ports_.leases_.find(tunnel_);
  if (found != ports_.leases_.end() && found->second.expired()) ports_.leases_.erase(found);
  ports_.free_.push_back(port_);
}

Ports::Ports(PortRange range, ToShard to_shard) : range_(range), to_shard_(std::move(to_shard)) {
  if (range.high == 0) return;
  for (std::uint32_t port = range.low; port <= range.high; ++port) {
    free_.push_back(static_cast<std::uint16_t>(port));
  }
}

std::shared_ptr<Ports::Lease> Ports::lent(const std::string& tunnel, std::uint16_t wanted) const {
  const auto found = leases_.find(tunnel);
  if (found == leases_.end()) return nullptr;
  auto lease = found->second.lock();
  if (!lease) return nullptr;  // just being given back, on another shard
  return wanted == 0 || wanted == lease->port() ? lease : nullptr;
}

Result<void> Ports::may_lend(const std::string& tunnel, std::uint16_t wanted) const {
  const std::lock_guard lock(mutex_);
  return check(tunnel, wanted);
}

Result<void> Ports::check(const std::string& tunnel, std::uint16_t wanted) const {
  if (range_.high == 0) return fail(Code::PORT_REFUSED, "the relay lends no ports");
  if (lent(tunnel, wanted) != nullptr) return {};
  if (wanted == 0) {
    if (!free_.empty()) return {};
    return fail(Code::PORT_TAKEN, "no port of the range is free");
  }
  if (!range_.contains(wanted)) return fail(Code::PORT_REFUSED, std::to_string(wanted));
  if (std::ranges::find(free_, wanted) != free_.end()) return {};
  return fail(Code::PORT_TAKEN, std::to_string(wanted));
}

Result<std::shared_ptr<Ports::Lease>> Ports::lend(Place place, const std::string& tunnel,
                                                  std::uint16_t wanted,
                                                  net::Listener::OnAccept on_accept) {
  const std::lock_guard lock(mutex_);
  if (const Result<void> may = check(tunnel, wanted); !may) return tl::unexpected(may.error());
  if (auto lease = lent(tunnel, wanted)) return lease;
  if (wanted != 0) return open(place, tunnel, wanted, std::move(on_accept));
  for (std::size_t tries = std::min(kTries, free_.size()); tries > 0; --tries) {
    if (auto lease = open(place, tunnel, free_.front(), on_accept)) return lease;
    free_.push_back(free_.front());
    free_.pop_front();
  }
  return fail(Code::PORT_TAKEN, "no port of the range is free");
}

Result<std::shared_ptr<Ports::Lease>> Ports::open(Place place, const std::string& tunnel,
                                                  std::uint16_t port,
                                                  net::Listener::OnAccept on_accept) {
  auto listener = net::Listener::open(place.shard, {host_, port}, std::move(on_accept));
  if (!listener) return fail(Code::PORT_TAKEN, listener.error().detail);
  auto lease = std::make_shared<Lease>(*this, place.index, tunnel, port, std::move(*listener));
  std::weak_ptr<Lease>& first = leases_[tunnel];
  if (first.expired()) first = lease;
  return lease;
}

}  // namespace leat::relay
