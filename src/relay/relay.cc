#include "relay/relay.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/crypto_util.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/head.h"
#include "net/socket.h"
#include "net/tls.h"
#include "relay/agent_session.h"
#include "relay/arrival.h"
#include "relay/bare_agent.h"
#include "relay/context.h"
#include "relay/event_stream.h"
#include "relay/http_visitor.h"
#include "relay/knock.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {

Context::Context(net::Shard& s, store::Store& st, Options o)
    : shard(s),
      store(st),
      options(std::move(o)),
      credentials(store, options),
      accounting(s, st, options.plans),
      rooms(st),
      journal(s, metrics),
      ports(s, options.tcp_ports),
      budget(options.memory),
      event_streams(s),
      sessions(s),
      bare_agents(s),
      knocks(s),
      arrivals(s),
      tcp_visitors(s),
      sealed_visitors(s),
      http_visitors(s) {}

Context::~Context() = default;

namespace {

// "https://host[:port][/path]"
struct UrlParts {
  std::string_view scheme, host, port;  // port with its colon, or empty
};

UrlParts parts_of(std::string_view url) {
  const std::size_t begin = url.find("://") + 3;
  const std::string_view authority = url.substr(begin, url.find('/', begin) - begin);
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon =
      std::min(authority.find(':', bracket == authority.npos ? 0 : bracket), authority.size());
  return {url.substr(0, begin), authority.substr(0, colon), authority.substr(colon)};
}

}  // namespace

std::string Context::url_of(const std::string& host) const {
  const UrlParts parts = parts_of(public_url);
  return std::string(parts.scheme).append(host).append(parts.port);
}

namespace {

// How soon a revocation, made by another process, is seen.
constexpr auto kStorePoll = std::chrono::milliseconds(300);
// How soon the end of a visitor's JWT is.
constexpr auto kExpiryPoll = std::chrono::seconds(1);
// For how long an app that registered itself may be unused, and how soon it goes then.
constexpr auto kAppUnused = std::chrono::days(30);
constexpr auto kAppSweep = std::chrono::hours(1);
// How long the data plane may stand still because another process writes to the database.
constexpr auto kStorePatience = std::chrono::milliseconds(20);
constexpr auto kDrainPoll = std::chrono::milliseconds(20);

class RelayImpl final : public Relay {
 public:
  RelayImpl(net::Shard& shard, std::unique_ptr<store::Store> store, net::TlsContext tls,
            Options options)
      : store_(std::move(store)),
        tls_(std::move(tls)),
        context_(shard, *store_, std::move(options)),
        store_timer_(shard, [this] { poll_store(); }),
        expiry_timer_(shard, [this] { poll_expiry(); }),
        apps_timer_(shard, [this] { forget_apps(); }),
        drain_timer_(shard, [this] { poll_drain(); }),
        ask_timer_(shard, [this] { ask_(); }) {
    // Once whoever asks has been answered.
    context_.ask_to_drain = [this] { ask_timer_.arm_in({}); };
    context_.accounting.on_limit = [this](const Account& account, Code code) {
      context_.sessions.for_each([&](AgentSession& session) { session.notice(account, code); });
    };
  }

  ~RelayImpl() override {
    forget_state();
    // Sessions end first: what visitors hold of them is let go in good order.
    context_.sessions.for_each([](AgentSession& session) { session.driver().mux().end_all(); });
    context_.bare_agents.for_each([](BareAgent& agent) { agent.driver().mux().end_all(); });
  }

  const Info& info() const override { return info_; }

  Result<void> open(const std::string& certificate_file);
  Result<std::vector<std::string>> reload(const Options& options) override;
  void drain(std::function<void()> done) override;
  void on_drain_asked(std::function<void()> ask) override { ask_ = std::move(ask); }
  void set_plans(Plans plans) override {
    context_.accounting.set_plans(std::move(plans));
    mention_lost_plans();
  }
  Result<void> reload_keys() override { return context_.credentials.reload(); }

 private:
  Result<void> listen();
  void admit(Knock::Guest guest);
  void accept_plain(Knock::Guest guest, bool tunnels);
  void set_public_url();
  bool names_lead_here() const;
  bool every_visitor_is_the_proxy() const;
  std::string state_file() const { return context_.options.state_dir + "/relay.json"; }
  Result<void> write_state();
  void forget_state();
  void open_journal();
  void mention_lost_plans();
  void poll_store();
  void poll_expiry();
  void forget_apps();
  void poll_drain();

  std::unique_ptr<store::Store> store_;
  net::TlsContext tls_;
  Context context_;
  Info info_;
  std::unique_ptr<net::Listener> tls_listener_, plain_listener_, admin_listener_;
  net::Timer store_timer_, expiry_timer_, apps_timer_, drain_timer_, ask_timer_;
  std::function<void()> drained_, ask_ = [this] { drain([] {}); };
  Time drain_deadline_ = kNever;
  bool closing_ = false;
  bool unchecked_ = false;  // a credential may have been revoked
  bool stated_ = false;     // relay.json is ours
};

Result<void> RelayImpl::open(const std::string& certificate_file) {
  Result<std::string> pin = net::certificate_pin(certificate_file);
  if (!pin) return tl::unexpected(pin.error());
  info_.pin = *pin;
  context_.pin = *pin;

  if (Result<void> loaded = context_.credentials.reload(); !loaded) return loaded;
  ::unlink(state_file().c_str());  // an earlier run's: nobody is to find ports where nobody listens
  if (Result<void> listening = listen(); !listening) return listening;
  set_public_url();
  context_.names_first = names_lead_here();
  const Options& options = context_.options;
  // Shown once, so not made by a start that fails.
  const Result<std::vector<store::TokenInfo>> tokens = store_->tokens(0, 1);
  if (!tokens) return tl::unexpected(tokens.error());
  if (tokens->empty()) {
    Result<Secret> token = store_->create_token("first", options.plans.operators);
    if (!token) return tl::unexpected(token.error());
    info_.first_token = std::move(*token);
  }
  // Not worth a start that fails: a database that cannot be written serves those it knows.
  if (Result<Secret> code = store_->create_code({.plan = options.plans.operators}); code) {
    info_.join_code = std::move(*code);
  } else {
    log::write(log::Level::warn, "no join code", code.error());
  }
  if (context_.options.open_rooms) {
    log::warn(
        "OPEN ROOMS: anybody may serve a room that nobody owns, and see what its visitors say");
  }
  if (every_visitor_is_the_proxy()) {
    log::warn(
        "the proxy in front of plain_listen is taken for every visitor: trusted_proxies names it",
        {{"plain_listen", info_.plain_listen->text()}});
  }
  open_journal();
  mention_lost_plans();
  store_->set_patience(kStorePatience);
  if (const auto aside = store_->checkpoint_aside(); !aside) return aside;
  store_timer_.arm_in(kStorePoll);
  expiry_timer_.arm_in(kExpiryPoll);
  forget_apps();
  return write_state();
}

Result<void> RelayImpl::listen() {
  net::Shard& shard = context_.shard;
  Result<std::unique_ptr<net::Listener>> tls =
      net::Listener::open(shard, context_.options.listen, [this](net::Fd socket) {
        Knock::start(context_, std::move(socket), Knock::Door::tls,
                     [this](Knock::Guest guest) { admit(std::move(guest)); });
      });
  if (!tls) return tl::unexpected(tls.error());
  tls_listener_ = std::move(*tls);
  info_.listen = tls_listener_->address();
  context_.ports.listen_at(info_.listen.host);

  const auto open_plain = [&](const std::optional<HostPort>& address, bool tunnels,
                              std::unique_ptr<net::Listener>& listener,
                              std::optional<HostPort>& bound) -> Result<void> {
    if (!address) return {};
    Result<std::unique_ptr<net::Listener>> opened =
        net::Listener::open(shard, *address, [this, tunnels](net::Fd socket) {
          if (!tunnels) return accept_plain({std::move(socket)}, false);
          Knock::start(context_, std::move(socket), Knock::Door::plain,
                       [this](Knock::Guest guest) { accept_plain(std::move(guest), true); });
        });
    if (!opened) return tl::unexpected(opened.error());
    listener = std::move(*opened);
    bound = listener->address();
    return {};
  };
  if (Result<void> r =
          open_plain(context_.options.plain_listen, true, plain_listener_, info_.plain_listen);
      !r) {
    return r;
  }
  return open_plain(context_.options.admin_listen, false, admin_listener_, info_.admin_listen);
}

// A name that leads to a tls tunnel: its bytes are not ours to read. All others are answered by our
// own TLS, names that nobody serves among them.
void RelayImpl::admit(Knock::Guest guest) {
  const std::string tunnel = context_.names.tunnel(guest.server_name);
  if (!context_.draining && context_.registry.serves(tunnel, control::TunnelKind::tls)) {
    TcpVisitor::start(context_, std::move(guest), tunnel, control::TunnelKind::tls);
  } else {
    Arrival::start(context_, std::move(guest), tls_);
  }
}

void RelayImpl::accept_plain(Knock::Guest guest, bool tunnels) {
  std::unique_ptr<net::Transport> transport =
      net::make_plain_transport(context_.shard, guest.socket.release());
  if (!transport) return;
  if (guest.visitor) transport->speak_for(*guest.visitor);
  context_.http_visitors
      .add(std::make_unique<HttpVisitor>(context_, std::move(transport), tunnels,
                                         std::move(guest.waiting)))
      .start();
}

void RelayImpl::set_public_url() {
  const Options& options = context_.options;
  const std::string& host = options.domain.empty() ? info_.listen.host : options.domain;
  // An address that means "all of them" is no name to type; this machine's own is the best guess.
  context_.public_host = host == "0.0.0.0" || host == "::" ? "localhost" : host;
  if (!options.public_url.empty()) {
    context_.public_url = options.public_url;
    while (context_.public_url.ends_with('/')) context_.public_url.pop_back();
  } else {
    context_.public_url =
        "https://" + (info_.listen.port == 443
                          ? context_.public_host
                          : HostPort{context_.public_host, info_.listen.port}.text());
  }
  info_.public_url = context_.public_url;

  const UrlParts parts = parts_of(context_.public_url);
  context_.tls_port = info_.listen.port;
  if (!options.public_url.empty() && parts.scheme == "https://" && !options.plain_listen) {
    context_.tls_port = 443;
    if (parts.port.size() > 1) {
      std::from_chars(parts.port.data() + 1, parts.port.data() + parts.port.size(),
                      context_.tls_port);
    }
  }
  context_.names.set(http::host_name(options.domain), {http::host_name(parts.host)});
}

// Who has a certificate for all names below the domain has most likely their DNS entry as well. One
// that we signed ourselves says nothing.
bool RelayImpl::names_lead_here() const {
  const Options& options = context_.options;
  if (options.wildcard) return *options.wildcard && context_.names.has_domain();
  std::vector<Options::Pair> given = options.certificates;
  if (!options.certificate_file.empty()) given.push_back({options.certificate_file, {}});
  return std::ranges::any_of(given, [&](const Options::Pair& pair) {
    const auto names = net::certificate_names(pair.certificate_file);
    return names && context_.names.has_domain() &&
           std::ranges::find(*names, context_.names.host_of("*")) != names->end();
  });
}

// Who comes to a door that only this machine reaches comes by way of a proxy, in whose fields the
// visitors' own addresses are.
bool RelayImpl::every_visitor_is_the_proxy() const {
  const Options& options = context_.options;
  if (!info_.plain_listen || !options.trusted_proxies.empty() || !options.proxy_protocol.empty()) {
    return false;
  }
  const std::string& host = info_.plain_listen->host;
  return host.starts_with("127.") || host == "::1";
}

// Nothing depends on it: a relay whose log cannot be opened says so and works.
void RelayImpl::open_journal() {
  const Options& options = context_.options;
  if (options.connection_days.count() == 0 || options.connection_rows == 0) return;
  const auto opened = context_.journal.open_log(options.state_dir + "/connections.db",
                                                {options.connection_days, options.connection_rows});
  if (!opened) log::write(log::Level::warn, "no connection log", opened.error());
}

// Owners of a plan that is not there any more have the default; or no limits, where that is none.
void RelayImpl::mention_lost_plans() {
  constexpr std::size_t kNamed = 10;
  const auto tokens = store_->tokens();
  if (!tokens) return;
  const Plans& plans = context_.accounting.plans();
  std::map<std::string, std::vector<std::string>> lost;
  for (const store::TokenInfo& token : *tokens) {
    if (token.revoked || check_plan(token.plan, plans.names())) continue;
    lost[token.plan].push_back(token.name);
  }
  for (const auto& [plan, owners] : lost) {
    std::string named;
    for (std::size_t i = 0; i < std::min(owners.size(), kNamed); ++i) {
      named.append(i == 0 ? "" : ", ").append(owners[i]);
    }
    if (owners.size() > kNamed) named += ", …";
    log::warn("a plan is gone", {{"plan", plan},
                                 {"owners", owners.size()},
                                 {"named", named},
                                 {"now", plans.fallback.empty() ? "no limits" : plans.fallback}});
  }
}

// Before the end, for the next relay writes its own while this one drains.
void RelayImpl::forget_state() {
  if (std::exchange(stated_, false)) ::unlink(state_file().c_str());
}

Result<void> RelayImpl::write_state() {
  if (context_.draining) return {};
  nlohmann::json state = {{"pid", ::getpid()},
                          {"listen", info_.listen.text()},
                          {"fingerprint", info_.pin},
                          {"url", info_.public_url}};
  if (!context_.options.domain.empty()) state["domain"] = context_.options.domain;
  if (!context_.options.public_url.empty()) state["public_url"] = context_.options.public_url;
  if (info_.plain_listen) state["plain_listen"] = info_.plain_listen->text();
  if (info_.admin_listen) state["admin_listen"] = info_.admin_listen->text();
  if (auto plans = context_.accounting.plans().names(); !plans.empty()) state["plans"] = plans;
  stated_ = true;
  return write_file(state_file(), state.dump(2) + "\n", 0644, Code::STATE_DIR);
}

void RelayImpl::poll_store() {
  if (store_->changed()) {
    unchecked_ = true;
    context_.accounting.look_at_owners();
  }
  if (unchecked_) {
    // check_credential() closes by and by; it releases nothing here.
    context_.sessions.for_each([](AgentSession& session) { session.check_credential(); });
    context_.bare_agents.for_each([](BareAgent& agent) { agent.check_credential(); });
    // Who could not be looked up stays, and is looked up again.
    unchecked_ = !store_->is_live(0);
  }
  store_timer_.arm_in(kStorePoll);
}

// By the wall clock, which may be set: no visitor has a timer for it.
void RelayImpl::poll_expiry() {
  const auto now =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  context_.http_visitors.for_each([&](HttpVisitor& visitor) { visitor.expire(now); });
  expiry_timer_.arm_in(kExpiryPoll);
}

void RelayImpl::forget_apps() {
  std::vector<std::int64_t> in_use;
  for (const auto& [token, sessions] : context_.token_sessions) {
    if (sessions > 0) in_use.push_back(token);
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (const auto gone = store_->forget_apps(now - kAppUnused, in_use); !gone) {
    log::write(log::Level::warn, "unused apps are kept", gone.error());
  }
  apps_timer_.arm_in(kAppSweep);
}

// --- drain ---

void RelayImpl::drain(std::function<void()> done) {
  if (context_.draining) return;
  context_.draining = true;
  drained_ = std::move(done);
  forget_state();
  log::info("draining", {{"http_visitors", context_.http_visitors.size()},
                         {"tcp_visitors", context_.tcp_visitors.size()},
                         {"agents", context_.sessions.size()},
                         {"bare_agents", context_.bare_agents.size()}});
  tls_listener_.reset();
  plain_listener_.reset();
  context_.sessions.for_each([](AgentSession& session) { session.drain(); });
  std::vector<HttpVisitor*> visitors;
  context_.http_visitors.for_each([&](HttpVisitor& visitor) { visitors.push_back(&visitor); });
  for (HttpVisitor* visitor : visitors) visitor->drain();
  drain_deadline_ = context_.shard.now() + limits::kDrain - std::chrono::seconds(3);
  drain_timer_.arm_in(kDrainPoll);
}

void RelayImpl::poll_drain() {
  const bool idle = context_.http_visitors.size() == 0 && context_.tcp_visitors.size() == 0 &&
                    context_.sealed_visitors.size() == 0;
  const bool late = context_.shard.now() >= drain_deadline_;
  if (!closing_ && (idle || late)) {
    closing_ = true;
    std::vector<AgentSession*> sessions;
    context_.sessions.for_each([&](AgentSession& session) { sessions.push_back(&session); });
    for (AgentSession* session : sessions) {
      session->close(Error{Code::DRAINING, "the relay is shutting down"});
    }
    // Not before: many of them take a go-away for the end of everything.
    context_.bare_agents.for_each([](BareAgent& agent) { agent.close(Error{Code::DRAINING, {}}); });
  }
  if (closing_ && context_.sessions.size() == 0 && context_.bare_agents.size() == 0) {
    log::info("drained", {{"cut", late}});
    return drained_();
  }
  drain_timer_.arm_in(kDrainPoll);
}

// Signs anew, with the same key and so the same pin, when the names are others than last time or
// two thirds of the certificate's life are over; where that fails, the old one serves on. What was
// signed last is remembered beside it: a certificate that somebody put there is left alone.
Result<void> make_certificate(const std::string& certificate, const std::string& key,
                              const std::vector<std::string>& names) {
  std::string wanted;
  for (const std::string& name : names) wanted.append(name).append("\n");
  const auto digest = [&] {
    const auto pem = read_file(certificate, Code::KEY_FILE);
    return pem ? hex(sha256(as_bytes(*pem))) + "\n" : std::string();
  };
  const std::string record = certificate + ".names";
  const auto signed_last = read_file(record, Code::KEY_FILE);
  if (::access(certificate.c_str(), F_OK) != 0) {
    if (Result<void> made = net::ensure_self_signed(certificate, key, names); !made) return made;
  } else {
    const bool ours =
        signed_last && signed_last->starts_with(digest()) && ::access(key.c_str(), F_OK) == 0;
    if (!ours) return net::ensure_self_signed(certificate, key, names);
    const Result<bool> due = net::certificate_is_due(certificate);
    if (due && !*due && *signed_last == digest() + wanted) return {};
    if (const Result<void> made = net::self_sign(certificate, key, names); !made) {
      log::write(log::Level::error, "certificate.kept", made.error());
      return {};
    }
  }
  return write_file(record, digest() + wanted, 0644, Code::KEY_FILE);
}

// The relay's own TLS, and in `certificate` the file its pin is made of.
Result<net::TlsContext> load_tls(const Options& options, std::string& certificate) {
  std::string key = options.key_file;
  certificate = options.certificate_file;
  if (certificate.empty()) {
    certificate = options.state_dir + "/cert.pem";
    key = options.state_dir + "/key.pem";
    // Names a certificate can be asked for; an address of "all interfaces" is none.
    std::vector<std::string> names;
    if (!options.domain.empty()) {
      names.push_back(options.domain);
      if (options.domain.find_first_not_of("0123456789.:") != std::string::npos &&
          options.domain.find(':') == std::string::npos) {
        names.push_back("*." + options.domain);
      }
    }
    names.insert(names.end(), {"localhost", "127.0.0.1", "::1"});
    const std::string& host = options.listen.host;
    if (host != "0.0.0.0" && host != "::" && std::ranges::find(names, host) == names.end()) {
      names.push_back(host);
    }
    if (Result<void> made = make_certificate(certificate, key, names); !made) {
      return tl::unexpected(made.error());
    }
  }
  Result<net::TlsContext> tls =
      net::TlsContext::server(certificate, key, {net::kAlpnLeat, net::kAlpnHttp});
  if (!tls) return tls;
  for (const Options::Pair& pair : options.certificates) {
    const auto added = tls->add_certificate(pair.certificate_file, pair.key_file);
    if (!added) return tl::unexpected(added.error());
  }
  return tls;
}

Result<std::vector<std::string>> RelayImpl::reload(const Options& options) {
  std::string certificate;
  Result<net::TlsContext> tls = load_tls(options, certificate);
  if (!tls) return tl::unexpected(tls.error());
  Result<std::string> pin = net::certificate_pin(certificate);
  if (!pin) return tl::unexpected(pin.error());
  if (Result<void> keys = context_.credentials.reload(); !keys) return tl::unexpected(keys.error());
  set_plans(options.plans);
  tls_ = std::move(*tls);
  if (info_.pin != *pin) {
    log::warn("certificate key changed", {{"fingerprint", *pin}, {"was", info_.pin}});
    info_.pin = *pin;
    context_.pin = *pin;
  }
  if (Result<void> written = write_state(); !written) return tl::unexpected(written.error());

  std::vector<std::string> waits;
  const auto compare = [&](const char* name, const auto& now, const auto& then) {
    if (!(now == then)) waits.emplace_back(name);
  };
  const Options& then = context_.options;
  compare("listen", options.listen, then.listen);
  compare("plain_listen", options.plain_listen, then.plain_listen);
  compare("admin_listen", options.admin_listen, then.admin_listen);
  compare("domain", options.domain, then.domain);
  compare("public_url", options.public_url, then.public_url);
  compare("tcp_ports", options.tcp_ports, then.tcp_ports);
  compare("memory", options.memory, then.memory);
  compare("open_rooms", options.open_rooms, then.open_rooms);
  compare("agent_origins", options.agent_origins, then.agent_origins);
  compare("wildcard", options.wildcard, then.wildcard);
  compare("trusted_proxies", options.trusted_proxies, then.trusted_proxies);
  compare("proxy_protocol", options.proxy_protocol, then.proxy_protocol);
  compare("jwt_keys", options.jwt_keys, then.jwt_keys);
  compare("jwt_audience", options.jwt_audience, then.jwt_audience);
  compare("jwt_issuer", options.jwt_issuer, then.jwt_issuer);
  compare("admin_key_file", options.admin_key, then.admin_key);
  compare("connection_days", options.connection_days, then.connection_days);
  compare("connection_rows", options.connection_rows, then.connection_rows);
  compare("connection_paths", options.connection_paths, then.connection_paths);
  compare("public_registration", options.public_registration, then.public_registration);
  compare("send_governor", options.send_governor, then.send_governor);
  compare("state_dir", options.state_dir, then.state_dir);
  return waits;
}

}  // namespace

Result<std::unique_ptr<Relay>> Relay::start(net::Shard& shard, Options options) {
  if (Result<void> made = make_directory(options.state_dir, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  Result<std::unique_ptr<store::Store>> store = store::Store::open(options.state_dir + "/leat.db");
  if (!store) return tl::unexpected(store.error());
  std::string certificate;
  Result<net::TlsContext> tls = load_tls(options, certificate);
  if (!tls) return tl::unexpected(tls.error());
  auto relay =
      std::make_unique<RelayImpl>(shard, std::move(*store), std::move(*tls), std::move(options));
  if (Result<void> opened = relay->open(certificate); !opened) {
    return tl::unexpected(opened.error());
  }
  return relay;
}

}  // namespace leat::relay
