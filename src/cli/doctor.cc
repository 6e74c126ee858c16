#include "cli/doctor.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/file.h"
#include "base/limits.h"

namespace leat::cli {
namespace {

// The longest of all the waits behind it: a dial, a handshake, and what the relay takes to answer.
constexpr auto kPatience = std::chrono::seconds(30);

std::string trust_text(const net::TlsContext::Trust& trust) {
  if (trust.pin) return "its key is the pinned one";
  if (trust.ca_file) return "signed by an authority of " + *trust.ca_file;
  return "signed by an authority this system trusts";
}

std::string file_text(const char* path) {
  std::string text = read_file(path, Code::CONFIG_FILE).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

Doctor::Doctor(net::Shard& shard, const agent::Options& options, std::function<void()> done)
    : shard_(shard),
      options_(options),
      done_(std::move(done)),
      identity_(SigningKey::generate()),
      websocket_(options.carrier != agent::Carrier::tls),
      patience_(shard, [this] {
        findings_.push_back(fault("session", {Code::TIMEOUT, "the relay did not answer in time"}));
        finish();
      }) {}

Doctor::~Doctor() {
  for (const auto& health : healths_) health->stop();
}

void Doctor::start() {
  patience_.arm_in(kPatience);
  findings_.push_back(
      congestion_finding(file_text("/proc/sys/net/ipv4/tcp_allowed_congestion_control"),
                         file_text("/proc/sys/net/ipv4/tcp_available_congestion_control")));
  if (!resolve()) return look_at_services();
  connect();
}

// --- the relay ---

// Blocks, which harms nobody here. Through a proxy the relay's name is the proxy's affair.
bool Doctor::resolve() {
  const HostPort& address = options_.proxy ? options_.proxy->address : options_.relay;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    findings_.push_back(
        fault("resolve", {Code::RELAY_UNREACHABLE, address.host + ": " + ::gai_strerror(error)}));
    return false;
  }
  std::string text = (options_.proxy ? "the proxy " : "") + address.host + " is";
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> name;
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, name.data(), name.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      text.append(" ").append(name.data());
    }
  }
  ::freeaddrinfo(found);
  ok("resolve", std::move(text));
  return true;
}

void Doctor::connect() {
  const auto make = [&](std::optional<net::TlsContext>& context, const char* alpn) -> bool {
    if (context) return true;
    auto made = net::TlsContext::client(options_.trust, {alpn});
    if (made) {
      context = std::move(*made);
    } else {
      findings_.push_back(fault("certificate", made.error()));
    }
    return made.has_value();
  };
  if (!make(native_, net::kAlpnLeat) || !make(web_, net::kAlpnHttp)) return look_at_services();
  const net::TlsContext* tls = websocket_ ? &*web_ : &*native_;
  if (options_.carrier == agent::Carrier::plain_websocket) tls = nullptr;
  control::Client client(*this, identity_.public_key(), options_.token, "leat doctor", {});
  agent::Connection::Owner& owner = *this;
  connection_ = std::make_unique<agent::Connection>(
      shard_, agent::Connection::Relay{options_.relay, tls, websocket_, options_.proxy, identity_},
      std::move(client), owner);
  connection_->start();
}

void Doctor::on_welcome(const std::string&, const std::string& credential_name) {
  welcomed_ = true;
  ok("connect", options_.relay.text() + (websocket_ ? ", inside a WebSocket" : "") +
                    (options_.proxy ? ", through " + options_.proxy->address.text() : ""));
  if (connection_->verified()) {
    ok("certificate", trust_text(options_.trust));
  } else {
    findings_.push_back({Finding::Level::note, "certificate",
                         "none: the connection to " + options_.relay.text() + " is in the clear",
                         "", "keep it on one machine or a network of your own"});
  }
  ok("token", "it is the relay's \"" + credential_name + "\"");
  connection_->leave();
}

void Doctor::on_lost(const Error& why) {
  const bool verified = connection_->verified();
  shard_.dispose(std::move(connection_));
  if (welcomed_) return look_at_clock();
  if (why.code == Code::ALPN_REFUSED && !websocket_) {
    findings_.push_back({Finding::Level::note, "carrier",
                         "something between here and the relay takes HTTPS only; a WebSocket is "
                         "used instead",
                         "", "give --relay wss://" + options_.relay.host + " to save a try"});
    websocket_ = true;
    return connect();
  }
  if (verified) {
    ok("connect", options_.relay.text());
    ok("certificate", trust_text(options_.trust));
  }
  judge(why);
  if (verified) return look_at_clock();
  look_at_services();
}

// Which of the checks has failed, by what the session ended with.
void Doctor::judge(const Error& why) {
  switch (why.code) {
    case Code::RELAY_UNREACHABLE:
    case Code::PROXY_REFUSED:
      return findings_.push_back(fault("connect", why));
    case Code::PIN_MISMATCH:
    case Code::CERTIFICATE_REFUSED:
      ok("connect", options_.relay.text());
      return findings_.push_back(fault("certificate", why));
    case Code::ALPN_REFUSED:
    case Code::UPGRADE_REFUSED:
      return findings_.push_back(fault("carrier", why));
    case Code::BAD_TOKEN:
    case Code::NO_TOKEN:
    case Code::REVOKED:
    case Code::TOO_MANY_SESSIONS:
      return findings_.push_back(fault("token", why));
    case Code::WRONG_IDENTITY:
      // The relay asks for the key only once it knows the credential, and this is not that key.
      if (options_.joined_dir.empty()) break;
      return ok("token", "the relay knows it; it goes with the key in " + options_.joined_dir);
    default:
      break;
  }
  findings_.push_back(fault("session", why));
}

void Doctor::look_at_clock() {
  const bool plain = options_.carrier == agent::Carrier::plain_websocket;
  date_ = std::make_unique<RelayDate>(
      shard_, options_, plain ? nullptr : &*web_,
      [this](Result<std::chrono::system_clock::time_point> when) {
        shard_.dispose(std::move(date_));
        if (when) {
          findings_.push_back(clock_finding(std::chrono::duration_cast<std::chrono::seconds>(
              std::chrono::system_clock::now() - *when)));
        } else {
          findings_.push_back(
              {Finding::Level::note, "clock", "not compared: " + when.error().detail, "", ""});
        }
        look_at_services();
      });
}

// --- this machine ---

void Doctor::look_at_services() {
  services_ = options_.services;
  for (agent::Service& service : services_) {
    if (service.health.kind == agent::HealthPolicy::Kind::none) {
      service.health.kind = agent::HealthPolicy::Kind::connect;
    }
    service.health.interval = Duration(0);
    auto& tls = service.insecure ? insecure_tls_ : service_tls_;
    if (service.target_tls && !tls) {
      net::TlsContext::Trust trust;
      trust.insecure = service.insecure;
      auto made = net::TlsContext::client(trust, {net::kAlpnHttp});
      if (!made) {
        findings_.push_back(fault("service", made.error()));
        return finish();
      }
      tls = std::move(*made);
    }
    healths_.push_back(std::make_unique<agent::Health>(
        shard_, service, service.target_tls ? &*tls : nullptr, [this] { service_seen(); }));
  }
  if (healths_.empty()) return finish();
  for (const auto& health : healths_) health->start();
}

void Doctor::service_seen() {
  const auto open = [](const auto& health) {
    return health->state() == agent::Health::State::unknown;
  };
  if (!done_ || std::ranges::any_of(healths_, open)) return;
  for (std::size_t i = 0; i < healths_.size(); ++i) {
    if (const auto& why = healths_[i]->why()) {
      findings_.push_back(fault("service", *why));
    } else {
      ok("service", services_[i].target_text() + services_[i].health.path + " is there");
    }
  }
  finish();
}

void Doctor::finish() {
  patience_.disarm();
  if (const auto done = std::exchange(done_, nullptr)) done();
}

void Doctor::ok(std::string check, std::string text) {
  findings_.push_back({Finding::Level::ok, std::move(check), std::move(text), "", ""});
}

}  // namespace leat::cli
