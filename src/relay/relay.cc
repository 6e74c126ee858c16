#include "relay/relay.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "http/head.h"
#include "relay/agent_session.h"
#include "relay/own_tls.h"
#include "relay/relay_impl.h"
#include "relay/url_parts.h"

namespace leat::relay {
namespace {

// How long the data plane may stand still because another process writes to the database.
constexpr auto kStorePatience = std::chrono::milliseconds(20);

}  // namespace

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
