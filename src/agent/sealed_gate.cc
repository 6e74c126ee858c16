#include "agent/sealed_gate.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "net/socket_address.h"
#include "net/tls.h"

namespace leat::agent {
namespace {

// How soon it is seen that another process has written the list: a revocation has a second.
constexpr auto kLook = std::chrono::milliseconds(250);

// Of the interfaces that are up, without loopback and link-local ones.
std::vector<std::string> own_addresses(bool v6) {
  std::vector<std::string> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (each->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
      ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    } else if (each->ifa_addr->sa_family == AF_INET6 && v6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
      ::inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
    }
    if (text[0] != '\0') out.emplace_back(text.data());
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace

SealedGate::SealedGate(net::Shard& shard, crypto::Identity& identity, const std::string& state_dir,
                       bool padding, Services services)
    : shard_(shard),
      identity_(identity),
      key_path_(state_dir + "/identity.pem"),
      key_file_(key_path_),
      padding_(padding),
      services_(std::move(services)),
      file_(state_dir),
      look_(shard, [this] { look(); }) {
  look();
}

SealedGate::~SealedGate() = default;

// --- the key ---

const crypto::KeyPair& SealedGate::key() {
  look_at_key();
  return identity_.sealing();
}

// A file that is no key of this agent's changes nothing: the one it has stays good.
void SealedGate::look_at_key() {
  if (!key_file_.changed()) return;
  auto now = crypto::Identity::load(key_path_);
  if (now && now->signing().public_key() != identity_.signing().public_key()) {
    now = fail(Code::KEY_FILE, key_path_ + ": another identity; the agent must be started anew");
  }
  if (!now) return log::write(log::Level::error, "key.kept", now.error());
  if (now->sealing().public_key() == identity_.sealing().public_key()) return;
  identity_.replace_sealing(std::move(*now));
  log::info("key.rotated", {{"sessions", peers_.size()}});
  for (SealedPeer* peer : std::vector(peers_)) peer->key_is_gone();
}

// --- who ---

void SealedGate::look() {
  look_at_key();
  static_cast<void>(reload());
  look_.arm_in(kLook);
}

Result<void> SealedGate::reload() {
  if (file_.changed()) {
    auto read = file_.read();
    unreadable_.reset();
    if (!read) {
      // Whoever is inside stays; nobody new is let in.
      unreadable_ = read.error();
      log::write(log::Level::error, "devices.unreadable", read.error());
    } else {
      devices_ = std::move(*read);
      for (SealedPeer* peer : std::vector(peers_)) peer->check();
    }
  }
  if (unreadable_) return tl::unexpected(*unreadable_);
  return {};
}

Result<const Device*> SealedGate::admit(const crypto::X25519Key& key) {
  if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
  const Device* const device = devices_.by_key(key);
  if (device == nullptr) return fail(Code::UNKNOWN_DEVICE);
  if (device->revoked) return fail(Code::REVOKED, device->name);
  return device;
}

Result<const Pairing*> SealedGate::pairing(std::string_view id) {
  if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
  const Pairing* const pairing = devices_.pairing(id);
  if (pairing == nullptr) return fail(Code::PAIRING_OVER);
  if (const auto refused = refusal(pairing->code.state(unix_now()))) return fail(*refused);
  return pairing;
}

void SealedGate::failed_try(std::string_view id, const std::string& ephemeral) {
  if (!tried_.insert(ephemeral).second) return;
  log::warn("pairing.failed", {{"pairing", hex(as_bytes(id))}});
  const auto counted = file_.update([&](Devices& all) -> Result<void> {
    if (Pairing* pairing = all.pairing(id)) pairing->code.fail();
    return {};
  });
  if (!counted) log::write(log::Level::error, "devices.unwritten", counted.error());
}

Result<std::string> SealedGate::enrol(std::string_view id, std::string_view name,
                                      const crypto::X25519Key& key) {
  std::string given;
  const auto written = file_.update([&](Devices& all) -> Result<void> {
    auto enrolled = all.enrol(id, name, key, unix_now());
    if (!enrolled) return tl::unexpected(enrolled.error());
    given = *enrolled;
    return {};
  });
  if (!written) return tl::unexpected(written.error());
  if (auto loaded = reload(); !loaded) return tl::unexpected(loaded.error());
  log::info("device.paired", {{"device", given}});
  return given;
}

// --- what ---

std::shared_ptr<Egress> SealedGate::find(std::string_view id, std::string_view tunnel,
                                         const Scope& scope) const {
  const std::vector<std::shared_ptr<Egress>> all = services_.all();
  const auto called = [&](std::string_view name) -> std::shared_ptr<Egress> {
    const auto found = std::ranges::find(all, name, &Egress::id);
    return found == all.end() || name.empty() ? nullptr : *found;
  };
  std::shared_ptr<Egress> egress = called(id.empty() ? tunnel : id);
  if (egress == nullptr && id.empty() && all.size() == 1) egress = all.front();
  if (egress == nullptr) return nullptr;
  const bool http = egress->service.kind == control::TunnelKind::http;
  return scope.allows_service(egress->id, http) ? egress : nullptr;
}

// --- how many ---

bool SealedGate::full() const {
  return std::ranges::count_if(peers_, &SealedPeer::confirmed) >= std::ptrdiff_t{kSessions};
}

void SealedGate::make_room(bool direct, const std::string& host) {
  const std::string network = net::network_of(host);
  std::vector<SealedPeer*> all, near;
  for (SealedPeer* peer : peers_) {
    if (!peer->shaking() || peer->direct() != direct) continue;
    all.push_back(peer);
    if (net::network_of(peer->peer_host()) == network) near.push_back(peer);
  }
  if (near.size() >= kOfNetwork) {
    near.front()->make_way();
  } else if (all.size() >= kHandshakes) {
    all.front()->make_way();
  }
}

bool SealedGate::crowded_by(const crypto::X25519Key& device) const {
  const auto own = [&](const SealedPeer* peer) { return peer->device() == device; };
  return std::ranges::count_if(peers_, own) >= std::ptrdiff_t{kOfDevice};
}

void SealedGate::drain(bool all) {
  if (all) {
    for (auto& listener : listeners_) shard_.dispose(std::move(listener));
    listeners_.clear();
  }
  for (SealedPeer* peer : std::vector(peers_)) {
    if (all || !peer->direct()) peer->drain();
  }
}

void SealedGate::add(SealedPeer& peer) { peers_.push_back(&peer); }

void SealedGate::remove(SealedPeer& peer) { std::erase(peers_, &peer); }

// --- directly ---

Result<void> SealedGate::listen(const HostPort& address) {
  auto listener = net::Listener::open(shard_, address,
                                      [this](net::Fd socket) { on_accept(std::move(socket)); });
  if (!listener) return tl::unexpected(listener.error());
  log::info("direct.listening", {{"address", (*listener)->address().text()}});
  listeners_.push_back(std::move(*listener));
  return {};
}

std::vector<HostPort> SealedGate::addresses() const {
  std::vector<HostPort> out;
  for (const auto& listener : listeners_) {
    const HostPort bound = listener->address();
    if (bound.host != "0.0.0.0" && bound.host != "::") {
      out.push_back(bound);
      continue;
    }
    for (std::string& host : own_addresses(bound.host == "::")) {
      out.push_back({std::move(host), bound.port});
    }
  }
  return out;
}

void SealedGate::on_accept(net::Fd socket) {
  auto pipe = net::make_plain_transport(shard_, socket.release());
  if (!pipe) return;
  const bool busy = full();
  make_room(true, pipe->peer_host());
  SealedPeer::Owner& owner = *this;
  direct_.push_back(std::make_unique<SealedPeer>(*this, std::move(pipe), "", owner));
  busy ? direct_.back()->turn_away() : direct_.back()->start();
}

void SealedGate::on_peer_end(SealedPeer& peer) {
  const auto found = std::ranges::find(direct_, &peer, &std::unique_ptr<SealedPeer>::get);
  if (found == direct_.end()) return;
  shard_.dispose(std::move(*found));
  direct_.erase(found);
}

}  // namespace leat::agent
