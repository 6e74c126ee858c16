#include "relay/relay.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
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
#include "relay/own_tls.h"
#include "relay/part.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"
#include "relay/url_parts.h"

namespace leat::relay {

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

// A shard beside the first, with the thread that runs it.
struct Worker {
  net::Shard shard;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Part> part;
  std::thread thread;
};

class RelayImpl final : public Relay {
 public:
  RelayImpl(net::Shard& shard, Options options) : shard_(shard) {
    std::vector<net::Shard*> shards = {&shard};
    for (std::size_t i = 1; i < options.shards; ++i) {
      shards.push_back(&workers_.emplace_back(std::make_unique<Worker>())->shard);
    }
    shards_ = std::move(shards);
    options_ = std::move(options);
  }

  // Each shard's part ends on its own thread, the first one's last.
  ~RelayImpl() override {
    forget_state();
    for (const auto& worker : workers_) {
      if (!worker->thread.joinable()) {  // a start that failed
        worker->part.reset();
        continue;
      }
      worker->shard.post([&worker = *worker] {
        worker.part.reset();
        worker.shard.stop();
      });
      worker->thread.join();
    }
  }

  const Info& info() const override { return info_; }

  Result<void> open(net::TlsContext tls, const std::string& certificate_file);
  Result<std::vector<std::string>> reload(const Options& options) override;
  void drain(std::function<void()> done) override;
  void on_drain_asked(std::function<void()> ask) override { ask_ = std::move(ask); }
  void set_plans(Plans plans) override {
    common_->accounting.set_plans(std::move(plans));
    mention_lost_plans();
  }
  Result<void> reload_keys() override;

 private:
  Result<void> start_parts();
  Result<void> prepare_workers();
  void start_workers();
  Result<void> listen();
  void set_public_url();
  bool names_lead_here() const;
  bool every_visitor_is_the_proxy() const;
  std::string state_file() const { return options().state_dir + "/relay.json"; }
  const Options& options() const { return common_ ? common_->options : options_; }
  Context& first() const { return part_->context; }
  store::Store& store() const { return first().store; }
  Result<void> write_state(const std::string& pin, const Plans& plans);
  void take_keys(const std::shared_ptr<const auth::KeySet>& keys);
  void keep_first_token();
  void forget_state();
  void open_journal();
  void mention_lost_plans();
  void poll_store();
  void poll_expiry();
  void forget_apps();
  void poll_drain();

  net::Shard& shard_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<net::Shard*> shards_;
  Options options_;  // until there is a Common
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Common> common_;
  std::unique_ptr<Part> part_;  // the first
  Info info_;
  net::Timer store_timer_{shard_, [this] { poll_store(); }};
  net::Timer expiry_timer_{shard_, [this] { poll_expiry(); }};
  net::Timer apps_timer_{shard_, [this] { forget_apps(); }};
  net::Timer drain_timer_{shard_, [this] { poll_drain(); }};
  net::Timer ask_timer_{shard_, [this] { ask_(); }};
  std::function<void()> drained_, ask_ = [this] { drain([] {}); };
  Time drain_deadline_ = kNever;
  bool draining_ = false, closing_ = false;
  std::atomic<bool> unchecked_ = false;  // a credential may have been revoked
  bool stated_ = false;                  // relay.json is ours
};

// --- start ---

Result<void> RelayImpl::start_parts() {
  const std::string path = options_.state_dir + "/leat.db";
  auto store = store::Store::open(path);
  if (!store) return tl::unexpected(store.error());
  store_ = std::move(*store);
  common_ = std::make_unique<Common>(shards_, *store_, std::move(options_));
  part_ = std::make_unique<Part>(shard_, *store_, *common_, 0);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    auto its = store::Store::open(path);
    if (!its) return tl::unexpected(its.error());
    workers_[i]->store = std::move(*its);
    workers_[i]->part =
        std::make_unique<Part>(workers_[i]->shard, *workers_[i]->store, *common_, i + 1);
  }
  // Once whoever asks has been answered.
  first().ask_to_drain = [this] { ask_timer_.arm_in({}); };
  common_->accounting.on_limit = [common = common_.get()](const auto& account, Code code) {
    for (std::size_t i = 0; i < common->shards.size(); ++i) {
      common->post(i, [account, code](Context& context) {
        context.sessions.for_each([&](AgentSession& session) { session.notice(*account, code); });
      });
    }
  };
  return {};
}

// What is made here is handed to the threads by their start.
Result<void> RelayImpl::prepare_workers() {
  for (const auto& worker : workers_) {
    Context& context = worker->part->context;
    context.tls = first().tls;
    context.pin = first().pin;
    context.store.set_patience(kStorePatience);
    if (const auto aside = context.store.checkpoint_aside(); !aside) return aside;
    context.credentials.take(first().credentials.keys());
    if (const auto shared = worker->part->share_doors(*part_); !shared) return shared;
  }
  return {};
}

void RelayImpl::start_workers() {
  for (const auto& worker : workers_) {
    worker->thread = std::thread([&shard = worker->shard] { shard.run(); });
  }
}

Result<void> RelayImpl::reload_keys() {
  auto keys = first().credentials.load();
  if (!keys) return tl::unexpected(keys.error());
  take_keys(*keys);
  return {};
}

void RelayImpl::take_keys(const std::shared_ptr<const auth::KeySet>& keys) {
  common_->everywhere([&](Context& context) { context.credentials.take(keys); });
  first().credentials.announce();
  common_->everywhere([&](Context& context) {
    // As with check_credential(), nothing is released here.
    context.sessions.for_each([](AgentSession& session) { session.check_keys(); });
    context.bare_agents.for_each([](BareAgent& agent) { agent.check_keys(); });
  });
}

Result<void> RelayImpl::open(net::TlsContext tls, const std::string& certificate_file) {
  Result<std::string> pin = net::certificate_pin(certificate_file);
  if (!pin) return tl::unexpected(pin.error());
  info_.pin = *pin;
  if (Result<void> started = start_parts(); !started) return started;
  first().pin = *pin;
  first().tls = std::make_shared<const net::TlsContext>(std::move(tls));
  const auto keys = first().credentials.load();
  if (!keys) return tl::unexpected(keys.error());
  first().credentials.take(*keys);
  first().credentials.announce();
  ::unlink(state_file().c_str());  // an earlier run's: nobody is to find ports where nobody listens
  if (Result<void> listening = listen(); !listening) return listening;
  if (const auto aside = store().checkpoint_aside(); !aside) return aside;
  if (Result<void> prepared = prepare_workers(); !prepared) return prepared;
  set_public_url();
  common_->names_first = names_lead_here();
  const Options& options = this->options();
  // Shown once, so not made by a start that fails.
  const Result<std::vector<store::TokenInfo>> tokens = store().tokens(0, 1);
  if (!tokens) return tl::unexpected(tokens.error());
  if (tokens->empty()) {
    Result<Secret> token = store().create_token("first", options.plans.operators);
    if (!token) return tl::unexpected(token.error());
    info_.first_token = std::move(*token);
    keep_first_token();
  }
  // Not worth a start that fails: a database that cannot be written serves those it knows.
  if (Result<Secret> code = store().create_code({.plan = options.plans.operators}); code) {
    info_.join_code = std::move(*code);
  } else {
    log::write(log::Level::warn, "no join code", code.error());
  }
  if (options.open_rooms) {
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
  store().set_patience(kStorePatience);
  start_workers();
  store_timer_.arm_in(kStorePoll);
  expiry_timer_.arm_in(kExpiryPoll);
  forget_apps();
  return write_state(info_.pin, options.plans);
}

// Before relay.json, for which scripts wait.
void RelayImpl::keep_first_token() {
  const std::string& file = options().first_token_file;
  if (file.empty()) return;
  const std::string text = std::string(info_.first_token->reveal()) + "\n";
  if (const auto kept = write_file(file, text, 0600, Code::STATE_DIR); kept) {
    info_.first_token_kept = true;
  } else {
    log::write(log::Level::warn, "the first token was not kept", kept.error());
  }
}

Result<void> RelayImpl::listen() {
  if (const auto opened = part_->open_doors(options()); !opened) return opened;
  const Part::Doors doors = part_->doors();
  info_.listen = doors.tls;
  info_.plain_listen = doors.plain;
  info_.admin_listen = doors.admin;
  common_->ports.listen_at(info_.listen.host);
  return {};
}

void RelayImpl::set_public_url() {
  const Options& options = this->options();
  const std::string& host = options.domain.empty() ? info_.listen.host : options.domain;
  // An address that means "all of them" is no name to type; this machine's own is the best guess.
  common_->public_host = host == "0.0.0.0" || host == "::" ? "localhost" : host;
  if (!options.public_url.empty()) {
    common_->public_url = options.public_url;
    while (common_->public_url.ends_with('/')) common_->public_url.pop_back();
  } else {
    common_->public_url =
        "https://" + (info_.listen.port == 443
                          ? common_->public_host
                          : HostPort{common_->public_host, info_.listen.port}.text());
  }
  info_.public_url = common_->public_url;

  const UrlParts parts = parts_of(common_->public_url);
  common_->tls_port = info_.listen.port;
  if (!options.public_url.empty() && parts.scheme == "https://" && !options.plain_listen) {
    common_->tls_port = 443;
    if (parts.port.size() > 1) {
      std::from_chars(parts.port.data() + 1, parts.port.data() + parts.port.size(),
                      common_->tls_port);
    }
  }
  common_->names.set(http::host_name(options.domain), {http::host_name(parts.host)});
}

// Who has a certificate for all names below the domain has most likely their DNS entry as well. One
// that we signed ourselves says nothing.
bool RelayImpl::names_lead_here() const {
  const Options& options = this->options();
  if (options.wildcard) return *options.wildcard && common_->names.has_domain();
  std::vector<Options::Pair> given = options.certificates;
  if (!options.certificate_file.empty()) given.push_back({options.certificate_file, {}});
  return std::ranges::any_of(given, [&](const Options::Pair& pair) {
    const auto names = net::certificate_names(pair.certificate_file);
    return names && common_->names.has_domain() &&
           std::ranges::find(*names, common_->names.host_of("*")) != names->end();
  });
}

// Who comes to a door that only this machine reaches comes by way of a proxy, in whose fields the
// visitors' own addresses are.
bool RelayImpl::every_visitor_is_the_proxy() const {
  const Options& options = this->options();
  if (!info_.plain_listen || !options.trusted_proxies.empty() || !options.proxy_protocol.empty()) {
    return false;
  }
  const std::string& host = info_.plain_listen->host;
  return host.starts_with("127.") || host == "::1";
}

// Nothing depends on it: a relay whose log cannot be opened says so and works.
void RelayImpl::open_journal() {
  const Options& options = this->options();
  if (options.connection_days.count() == 0 || options.connection_rows == 0) return;
  const auto opened = common_->journal.open_log(options.state_dir + "/connections.db",
                                                {options.connection_days, options.connection_rows});
  if (!opened) log::write(log::Level::warn, "no connection log", opened.error());
}

// Owners of a plan that is not there any more have the default; or no limits, where that is none.
void RelayImpl::mention_lost_plans() {
  constexpr std::size_t kNamed = 10;
  const auto tokens = store().tokens();
  if (!tokens) return;
  const Plans plans = common_->accounting.plans();
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

Result<void> RelayImpl::write_state(const std::string& pin, const Plans& plans) {
  if (draining_) return {};
  nlohmann::json state = {{"pid", ::getpid()},
                          {"listen", info_.listen.text()},
                          {"fingerprint", pin},
                          {"url", info_.public_url}};
  if (!options().domain.empty()) state["domain"] = options().domain;
  if (!options().public_url.empty()) state["public_url"] = options().public_url;
  if (info_.plain_listen) state["plain_listen"] = info_.plain_listen->text();
  if (info_.admin_listen) state["admin_listen"] = info_.admin_listen->text();
  if (auto names = plans.names(); !names.empty()) state["plans"] = names;
  stated_ = true;
  return write_file(state_file(), state.dump(2) + "\n", 0644, Code::STATE_DIR);
}

void RelayImpl::poll_store() {
  if (store().changed()) {
    unchecked_ = true;
    common_->accounting.look_at_owners();
  }
  if (unchecked_.exchange(false)) {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      common_->post(i, [this](Context& context) {
        // check_credential() closes by and by; it releases nothing here.
        context.sessions.for_each([](AgentSession& session) { session.check_credential(); });
        context.bare_agents.for_each([](BareAgent& agent) { agent.check_credential(); });
        // Who could not be looked up stays, and is looked up again.
        if (!context.store.is_live(0)) unchecked_ = true;
      });
    }
  }
  store_timer_.arm_in(kStorePoll);
}

// By the wall clock, which may be set: no visitor has a timer for it.
void RelayImpl::poll_expiry() {
  const auto now =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    common_->post(i, [now](Context& context) {
      context.http_visitors.for_each([&](HttpVisitor& visitor) { visitor.expire(now); });
    });
  }
  expiry_timer_.arm_in(kExpiryPoll);
}

void RelayImpl::forget_apps() {
  std::vector<std::int64_t> in_use;
  for (const std::string& token : common_->token_sessions.keys()) {
    in_use.push_back(std::stoll(token));
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (const auto gone = store().forget_apps(now - kAppUnused, in_use); !gone) {
    log::write(log::Level::warn, "unused apps are kept", gone.error());
  }
  apps_timer_.arm_in(kAppSweep);
}

// --- drain ---

namespace {

// Who is there, of all shards.
struct Present {
  std::size_t http_visitors = 0, tcp_visitors = 0, sealed_visitors = 0, agents = 0, bare_agents = 0;

  void add(const Context& context) {
    http_visitors += context.http_visitors.size();
    tcp_visitors += context.tcp_visitors.size();
    sealed_visitors += context.sealed_visitors.size();
    agents += context.sessions.size();
    bare_agents += context.bare_agents.size();
  }
};

}  // namespace

void RelayImpl::drain(std::function<void()> done) {
  if (std::exchange(draining_, true)) return;
  drained_ = std::move(done);
  forget_state();
  Present present;
  common_->everywhere([&](Context& context) { present.add(context); });
  log::info("draining", {{"http_visitors", present.http_visitors},
                         {"tcp_visitors", present.tcp_visitors},
                         {"agents", present.agents},
                         {"bare_agents", present.bare_agents}});
  common_->everywhere([&](Context& context) {
    context.draining = true;
    (context.index == 0 ? *part_ : *workers_[context.index - 1]->part).close_doors();
    context.sessions.for_each([](AgentSession& session) { session.drain(); });
    std::vector<HttpVisitor*> visitors;
    context.http_visitors.for_each([&](HttpVisitor& visitor) { visitors.push_back(&visitor); });
    for (HttpVisitor* visitor : visitors) visitor->drain();
  });
  drain_deadline_ = shard_.now() + limits::kDrain - std::chrono::seconds(3);
  drain_timer_.arm_in(kDrainPoll);
}

void RelayImpl::poll_drain() {
  Present present;
  common_->everywhere([&](Context& context) { present.add(context); });
  const bool idle = common_->travelling.size() == 0 && present.http_visitors == 0 &&
                    present.tcp_visitors == 0 && present.sealed_visitors == 0;
  const bool late = shard_.now() >= drain_deadline_;
  if (!closing_ && (idle || late)) {
    closing_ = true;
    common_->everywhere([](Context& context) {
      std::vector<AgentSession*> sessions;
      context.sessions.for_each([&](AgentSession& session) { sessions.push_back(&session); });
      for (AgentSession* session : sessions) {
        session->close(Error{Code::DRAINING, "the relay is shutting down"});
      }
      // Not before: many of them take a go-away for the end of everything.
      context.bare_agents.for_each([](BareAgent& agent) {
        agent.close(Error{Code::DRAINING, {}});
      });
    });
  }
  if (closing_ && present.agents == 0 && present.bare_agents == 0) {
    log::info("drained", {{"cut", late}});
    return drained_();
  }
  drain_timer_.arm_in(kDrainPoll);
}

Result<std::vector<std::string>> RelayImpl::reload(const Options& options) {
  std::string certificate;
  Result<net::TlsContext> tls = load_tls(options, certificate);
  if (!tls) return tl::unexpected(tls.error());
  Result<std::string> pin = net::certificate_pin(certificate);
  if (!pin) return tl::unexpected(pin.error());
  const auto keys = first().credentials.load();
  if (!keys) return tl::unexpected(keys.error());
  const Result<void> written = write_state(*pin, options.plans);
  if (!written) return tl::unexpected(written.error());

  // What can fail is behind us.
  set_plans(options.plans);
  const auto its = std::make_shared<const net::TlsContext>(std::move(*tls));
  common_->everywhere([&](Context& context) {
    context.tls = its;
    context.pin = *pin;
  });
  if (info_.pin != *pin) {
    log::warn("certificate key changed", {{"fingerprint", *pin}, {"was", info_.pin}});
    info_.pin = *pin;
  }
  take_keys(*keys);

  std::vector<std::string> waits;
  const auto compare = [&](const char* name, const auto& now, const auto& then) {
    if (!(now == then)) waits.emplace_back(name);
  };
  const Options& then = this->options();
  compare("listen", options.listen, then.listen);
  compare("plain_listen", options.plain_listen, then.plain_listen);
  compare("admin_listen", options.admin_listen, then.admin_listen);
  compare("domain", options.domain, then.domain);
  compare("public_url", options.public_url, then.public_url);
  compare("tcp_ports", options.tcp_ports, then.tcp_ports);
  compare("memory", options.memory, then.memory);
  compare("threads", options.shards, then.shards);
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
  std::string certificate;
  Result<net::TlsContext> tls = load_tls(options, certificate);
  if (!tls) return tl::unexpected(tls.error());
  auto relay = std::make_unique<RelayImpl>(shard, std::move(options));
  if (Result<void> opened = relay->open(std::move(*tls), certificate); !opened) {
    return tl::unexpected(opened.error());
  }
  return relay;
}

}  // namespace leat::relay
