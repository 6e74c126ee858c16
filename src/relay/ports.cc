#include "relay/ports.h"

#include <string>
#include <utility>

namespace leat::relay {
namespace {

constexpr int kTries = 32;  // ports that other programs hold, in one call

}  // namespace

Ports::Lease::Lease(Ports& ports, std::uint16_t port, std::unique_ptr<net::Listener> listener)
    : ports_(ports), port_(port), listener_(std::move(listener)) {
  ports_.lent_.set(port_);
}

Ports::Lease::~Lease() { ports_.lent_.reset(port_); }

Result<std::unique_ptr<Ports::Lease>> Ports::lend(std::uint16_t wanted,
                                                  net::Listener::OnAccept on_accept) {
  if (range_.high == 0) return fail(Code::PORT_REFUSED, "the relay lends no ports");
  if (wanted != 0) {
    if (!range_.contains(wanted)) return fail(Code::PORT_REFUSED, std::to_string(wanted));
    return open(wanted, std::move(on_accept));
  }
  const std::uint32_t size = range_.high - range_.low + 1u;
  int tries = kTries;
  for (std::uint32_t seen = 0; seen < size && tries > 0; ++seen) {
    const auto port = static_cast<std::uint16_t>(next_);
    next_ = next_ == range_.high ? range_.low : next_ + 1;
    if (lent_.test(port)) continue;
    --tries;
    if (auto lease = open(port, on_accept)) return lease;
  }
  return fail(Code::PORT_TAKEN, "no port of the range is free");
}

Result<std::unique_ptr<Ports::Lease>> Ports::open(std::uint16_t port,
                                                  net::Listener::OnAccept on_accept) {
  if (lent_.test(port)) return fail(Code::PORT_TAKEN, std::to_string(port));
  auto listener = net::Listener::open(shard_, {host_, port}, std::move(on_accept));
  if (!listener) return fail(Code::PORT_TAKEN, listener.error().detail);
  return std::make_unique<Lease>(*this, port, std::move(*listener));
}

}  // namespace leat::relay
