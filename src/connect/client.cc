#include "connect/client.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "net/tls.h"

namespace leat::connect {
namespace {

// Local connections that wait for a session.
constexpr std::size_t kWaiting = 64;

// "wss://relay.example.com:443"
std::optional<std::pair<HostPort, bool>> parse_relay(std::string_view url) {
  const bool secure = url.starts_with("wss://");
  if (!secure && !url.starts_with("ws://")) return std::nullopt;
  url.remove_prefix(url.find("://") + 3);
  url = url.substr(0, url.find('/'));
  std::string text(url);
  const std::size_t colon = url.rfind(':');
  if (colon == url.npos || url.ends_with(']')) text += secure ? ":443" : ":80";
  auto address = parse_host_port(text);
  if (!address) return std::nullopt;
  return std::pair{std::move(*address), secure};
}

}  // namespace

bool is_final(Code code) {
  switch (code) {
    case Code::KEY_CHANGED:
    case Code::UNKNOWN_DEVICE:
    case Code::REVOKED:
    case Code::PAIRING_USED:
    case Code::PAIRING_OVER:
    case Code::BAD_LINK:
    case Code::PIN_MISMATCH:
    case Code::VERSION_MISMATCH:
    case Code::INTERNAL:
      return true;
    default:
      return false;
  }
}

Result<std::unique_ptr<Client>> Client::create(net::Shard& shard, Options options,
                                               Listener& events) {
  auto known = options.link ? KnownAgent::of_link(options.directory, *options.link)
                            : KnownAgent::find(options.directory, options.agent);
  if (!known) return tl::unexpected(known.error());
  net::TlsContext::Trust trust;
  if (!known->agent.pin.empty()) trust.pin = known->agent.pin;
  auto tls = net::TlsContext::client(trust, {net::kAlpnHttp});
  if (!tls) return tl::unexpected(tls.error());
  const auto listen = options.listen;
  std::unique_ptr<Client> made(
      new Client(shard, std::move(options), std::move(*known), std::move(*tls), events));
  if (listen) {
    auto opened = net::Listener::open(
        shard, *listen, [raw = made.get()](net::Fd fd) { raw->on_accept(std::move(fd)); });
    if (!opened) return tl::unexpected(opened.error());
    made->listener_ = std::move(*opened);
  }
  return made;
}

Client::Client(net::Shard& shard, Options options, KnownAgent known, net::TlsContext tls,
               Listener& events)
    : shard_(shard),
      options_(std::move(options)),
      known_(std::move(known)),
      tls_(std::move(tls)),
      events_(events),
      credential_{known_.own, options_.device, std::nullopt, {}, options_.suite, options_.padding},
      retry_(shard, [this] { connect(); }) {
  if (!known_.paired && options_.link) {
    credential_.pairing = options_.link->pairing;
    credential_.secret = std::move(options_.link->secret);
  }
  options_.link.reset();
}

Client::~Client() = default;

void Client::start() {
  if (listener_) {
    events_.on_listening(listener_->address());
  } else if (auto local = net::make_plain_transport(shard_, options_.stdio.release())) {
    waiting_.push_back(std::move(local));
  }
  connect();
}

std::vector<Attempt::Way> Client::ways() const {
  std::vector<Attempt::Way> out;
  const auto add_direct = [&](HostPort address) {
    const auto same = [&](const Attempt::Way& way) { return way.address == address; };
    if (std::ranges::none_of(out, same)) out.push_back({std::move(address), nullptr, {}, {}});
  };
  if (options_.by_direct) {
    for (const HostPort& address : options_.direct) add_direct(address);
    for (const std::string& text : known_.agent.direct) {
      if (auto address = parse_host_port(text)) add_direct(std::move(*address));
    }
  }
  if (options_.by_relay && !known_.agent.tunnel.empty()) {
    for (const std::string& text : known_.agent.relays) {
      if (auto relay = parse_relay(text)) {
        Attempt::Way& way = out.emplace_back();
        way = {relay->first, relay->second ? &tls_ : nullptr, known_.agent.tunnel, {}};
        if (options_.proxy) way.proxy = options_.proxy(way.address.host);
      }
    }
  }
  return out;
}

void Client::connect() {
  Session::Owner& owner = *this;
  Session::Plan plan{known_, credential_, ways()};
  if (plan.ways.empty()) {
    const Error why{Code::NO_AGENT, known_.file + ": no way to it is known, or allowed"};
    return over(&why);
  }
  session_ = std::make_unique<Session>(shard_, std::move(plan), owner);
  session_->start();
}

void Client::on_usable() {
  http_ = false;
  for (auto& local : std::exchange(waiting_, {})) join(std::move(local));
}

void Client::on_connected(const std::string& way) {
  backoff_.succeeded();
  connected_ = true;
  remember(way);
  events_.on_connected(known_.file, way);
}

// The agent has opened a session: a pairing has come through, and where it listens is known anew.
void Client::remember(const std::string& way) {
  const bool fresh = !known_.paired;
  if (!fresh && known_.agent.direct == session_->direct()) return;
  known_.agent.direct = session_->direct();
  credential_.pairing.reset();
  credential_.secret = {};
  const auto saved =
      fresh ? known_.come_through(options_.directory, way) : known_.save(options_.directory);
  if (!saved) log::write(log::Level::error, "agent.unsaved", saved.error());
}

void Client::on_session_end(const Error& why) {
  // Outside of a session anybody on the way may say anything. It ends what was not there yet, which
  // somebody looks after; what has been there is not given up for it.
  const bool believed = session_->driver() != nullptr || !connected_;
  pipes_.clear();
  https_.clear();
  shard_.dispose(std::move(session_));
  if (stopped_) return over(nullptr);
  log::write(log::Level::warn, "session.ended", why);
  if (!listener_ || (believed && is_final(why.code))) return over(&why);
  // Those who wait are told at once; who comes later may be luckier.
  for (auto& local : std::exchange(waiting_, {})) {
    local->abort();
    shard_.dispose(std::move(local));
  }
  retry_.arm_in(backoff_.next(shard_.now()));
}

void Client::on_accept(net::Fd socket) {
  auto local = net::make_plain_transport(shard_, socket.release());
  if (!local || over_) return;
  if (session_ && session_->driver() != nullptr) return join(std::move(local));
  if (waiting_.size() >= kWaiting) return local->abort();
  waiting_.push_back(std::move(local));
  if (!session_) {
    retry_.disarm();
    connect();
  }
}

// As the agent has listed it; null: it has not, be it for want of room, or because there is none.
const Service* Client::service() const {
  const auto& services = session_->services();
  const auto found = std::ranges::find(
      services, options_.service.empty() ? known_.agent.tunnel : options_.service, &Service::id);
  if (found != services.end()) return &*found;
  return options_.service.empty() && services.size() == 1 ? &services.front() : nullptr;
}

void Client::join(std::unique_ptr<net::Transport> local) {
  const Service* const listed = service();
  if (listed != nullptr ? listed->kind == control::TunnelKind::http : http_) {
    LocalHttp::Owner& owner = *this;
    const std::string listens_on = options_.listen ? options_.listen->host : std::string();
    https_.push_back(std::make_unique<LocalHttp>(*session_->driver(), std::move(local),
                                                 options_.service, listens_on, owner));
    return https_.back()->start();
  }
  const auto stream = session_->driver()->mux().open(shard_.now());
  if (!stream) {
    local->abort();
    return shard_.dispose(std::move(local));
  }
  LocalPipe::Owner& owner = *this;
  pipes_.push_back(std::make_unique<LocalPipe>(*session_->driver(), *stream, std::move(local),
                                               options_.service, owner));
  pipes_.back()->start();
}

void Client::on_pipe_end(LocalPipe& pipe, const Error* why) {
  if (why != nullptr) log::write(log::Level::warn, "connection.cut", *why);
  // What the agent has not listed, and does not have as tcp, may be http: the next one tries.
  if (why != nullptr && why->code == Code::NO_SUCH_SERVICE && service() == nullptr) http_ = true;
  const auto found = std::ranges::find(pipes_, &pipe, &std::unique_ptr<LocalPipe>::get);
  if (found != pipes_.end()) {
    shard_.dispose(std::move(*found));
    pipes_.erase(found);
  }
  if (!listener_) over(why);
}

void Client::on_http_end(LocalHttp& http) {
  const auto found = std::ranges::find(https_, &http, &std::unique_ptr<LocalHttp>::get);
  if (found != https_.end()) {
    shard_.dispose(std::move(*found));
    https_.erase(found);
  }
  if (!listener_) over(nullptr);
}

void Client::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  shard_.dispose(std::move(listener_));
  retry_.disarm();
  if (session_) return session_->close();
  over(nullptr);
}

void Client::over(const Error* why) {
  if (std::exchange(over_, true)) return;
  if (stopped_) return stopped_();
  events_.on_over(why);
}

}  // namespace leat::connect
