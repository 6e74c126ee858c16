// The services of an agent: made at its start, and exchanged while it runs.
#include <algorithm>
#include <utility>

#include "agent/agent_impl.h"
#include "agent/service_likeness.h"
#include "base/log.h"

namespace leat::agent {
namespace {

// What the relay has to be told of is the same.
bool same_tunnel(const Service& a, const Service& b) {
  return a.id == b.id && a.kind == b.kind && a.is_public == b.is_public &&
         a.remote_port == b.remote_port && a.hosts == b.hosts && a.first_byte == b.first_byte &&
         a.idle == b.idle && a.sealed == b.sealed && a.visitors == b.visitors && a.cors == b.cors;
}

}  // namespace

Result<void> Agent::Impl::check_services(std::span<const Service> services) {
  if (services.empty()) return fail(Code::CONFIG, "no services");
  for (auto at = services.begin(); at != services.end(); ++at) {
    const auto same = [&](const Service& other) { return other.id == at->id; };
    if (!at->id.empty() && std::any_of(services.begin(), at, same)) {
      return fail(Code::CONFIG, "two services have the id \"" + at->id + "\"");
    }
  }
  return {};
}

Result<Agent::Impl::ServiceTls> Agent::Impl::make_service_tls(std::span<const Service> services,
                                                              ServiceTls known) {
  for (const Service& service : services) {
    auto& wanted = known[service.insecure ? 1 : 0];
    if (!service.target_tls || wanted) continue;
    net::TlsContext::Trust trust;
    trust.insecure = service.insecure;
    auto made = net::TlsContext::client(trust, {net::kAlpnHttp});
    if (!made) return tl::unexpected(made.error());
    wanted = std::make_shared<const net::TlsContext>(std::move(*made));
  }
  return known;
}

std::shared_ptr<Egress> Agent::Impl::make_egress(const Service& service) {
  auto tls = service.target_tls ? service_tls_[service.insecure ? 1 : 0] : nullptr;
  return std::make_shared<Egress>(
      shard_, service, std::move(tls), requests_, [this](Egress& egress) { on_health(egress); },
      metrics_);
}

Agent::Impl::Slot& Agent::Impl::add_slot(const Service& service, std::size_t nth,
                                         std::size_t order) {
  Slot& slot = slots_.emplace_back();
  slot.egress = make_egress(service);
  slot.nth = nth;
  slot.order = order;
  if (slot.egress->id.empty()) slot.egress->id = kept_.find(status_.relay, service, nth);
  slot.status.id = slot.egress->id;
  slot.status.kind = service.sealed ? control::TunnelKind::sealed : service.kind;
  slot.status.target = service.target_text();
  return slot;
}

void Agent::Impl::remove_slot(Slot& slot) {
  const std::string& id = slot.egress->id;
  if (by_id_.erase(id) > 0 && connection_) connection_->unbind(id);
  slot.egress->retire();
  slot.egress.reset();
}

Result<Agent::Changes> Agent::Impl::reload(std::vector<Service> services) {
  if (auto good = check_services(services); !good) return tl::unexpected(good.error());
  auto tls = make_service_tls(services, service_tls_);
  if (!tls) return tl::unexpected(tls.error());
  service_tls_ = std::move(*tls);

  // A service with an id of its own is known by that, any other by what its id is kept under.
  Changes changes;
  std::vector<Slot*> stay(services.size());
  std::vector<std::size_t> nth(services.size());
  for (std::size_t i = 0; i < services.size(); ++i) {
    const Service& service = services[i];
    nth[i] = static_cast<std::size_t>(
        std::count_if(services.begin(), services.begin() + static_cast<std::ptrdiff_t>(i),
                      [&](const Service& other) { return like(other, service); }));
    const auto found = std::ranges::find_if(slots_, [&](const Slot& slot) {
      if (!slot.egress || slot.egress->service.id != service.id) return false;
      return !service.id.empty() || (like(slot.egress->service, service) && slot.nth == nth[i]);
    });
    if (found != slots_.end() && same_tunnel(found->egress->service, service)) stay[i] = &*found;
  }
  // What goes first makes room (a port, a name) for what comes.
  for (Slot& slot : slots_) {
    if (!slot.egress || std::ranges::find(stay, &slot) != stay.end()) continue;
    remove_slot(slot);
    ++changes.removed;
  }
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (Slot* const slot = stay[i]) {
      slot->order = i;
      slot->nth = nth[i];
      if (slot->egress->service == services[i]) continue;
      replace_service(*slot, services[i]);
      ++changes.changed;
      continue;
    }
    Slot& slot = add_slot(services[i], nth[i], i);
    slot.egress->health.start();
    if (welcomed_ && connection_) connection_->bind(slots_.size() - 1, request(slots_.size() - 1));
    ++changes.added;
  }
  // One more way in was not among what may be wrong with services, so it is said, and they stay.
  if (auto opened = open_gate(); !opened) {
    log::write(log::Level::error, "gate.closed", opened.error());
  }
  publish();
  return changes;
}

// The tunnel stays bound; streams that run keep the service they began with.
void Agent::Impl::replace_service(Slot& slot, const Service& service) {
  const std::shared_ptr<Egress> old = std::exchange(slot.egress, make_egress(service));
  slot.egress->id = old->id;
  slot.status.target = service.target_text();
  if (const auto bound = by_id_.find(old->id); bound != by_id_.end()) bound->second = slot.egress;
  const bool was_down = old->health.state() == Health::State::down;
  old->retire();
  if (was_down) report_health(*slot.egress);
  slot.egress->health.start();
}

void Agent::Impl::on_health(Egress& egress) {
  report_health(egress);
  publish();
}

void Agent::Impl::report_health(const Egress& egress) {
  // Whether what is sealed is up is nothing to the relay, which lets everybody through to the
  // agent.
  if (!connection_ || egress.service.sealed || !by_id_.contains(egress.id)) return;
  const auto& why = egress.health.why();
  connection_->report_health(egress.id, why ? &*why : nullptr);
}

}  // namespace leat::agent
