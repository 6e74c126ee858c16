#include "agent/health.h"

#include <algorithm>
#include <utility>

#include "agent/rewrite.h"
#include "base/limits.h"

namespace leat::agent {

const char* name(Health::State state) {
  switch (state) {
    case Health::State::unknown:
      return "unknown";
    case Health::State::up:
      return "up";
    case Health::State::down:
      return "down";
  }
  return "";
}

Health::Health(net::Shard& shard, const Service& service, const net::TlsContext* tls,
               std::function<void()> on_change)
    : shard_(shard),
      service_(service),
      tls_(tls),
      on_change_(std::move(on_change)),
      next_(shard, [this] { check(); }),
      deadline_(shard, [this] {
        done(Error{Code::SERVICE_TIMEOUT, service_.target_text() + ": no answer in time"});
      }) {}

Health::~Health() { stop(); }

void Health::start() {
  if (service_.health.kind != HealthPolicy::Kind::none) check();
}

void Health::reached() {
  if (service_.health.kind == HealthPolicy::Kind::path && state_ == State::down) return;
  settle(std::nullopt);
}

void Health::failed(const Error& why) {
  settle(why);
  if (service_.health.kind != HealthPolicy::Kind::none && !next_.armed() && !deadline_.armed()) {
    next_.arm_in(limits::kHealthRetry);
  }
}

// --- one look ---

void Health::check() {
  deadline_.arm_in(limits::kHealthTimeout);
  dial_ = std::make_unique<ServiceDial>(
      shard_, service_, tls_, "", [this](auto transport) { on_dialled(std::move(transport)); });
}

void Health::on_dialled(Result<std::unique_ptr<net::Transport>> transport) {
  shard_.dispose(std::move(dial_));
  if (!transport) return done(transport.error());
  transport_ = std::move(*transport);
  transport_->set_owner(this);
  if (service_.health.kind != HealthPolicy::Kind::path) {
    return done(std::nullopt);
  }
  reader_ = {};
  writer_ = {};
  interim_ = 0;
  const std::string request = "GET " + service_.health.path +
                              " HTTP/1.1\r\nHost: " + Rewrite(service_).authority() +
                              "\r\nUser-Agent: leat\r\nConnection: close\r\n\r\n";
  writer_.write(*transport_, request);
  on_transport();
}

void Health::on_transport() {
  if (!transport_) return;
  writer_.flush(*transport_);
  const std::string target = service_.target_text() + service_.health.path;
  std::optional<http::Response> response;
  do {
    switch (reader_.read_head(*transport_)) {
      case net::HttpReader::Head::more:
        return;
      case net::HttpReader::Head::done:
        break;
      case net::HttpReader::Head::bad:
        return done(Error{Code::SERVICE_PROTOCOL, target});
      case net::HttpReader::Head::end:
      case net::HttpReader::Head::failed:
        return done(Error{Code::SERVICE_CUT, target});
    }
    response = reader_.head().take_response("GET");
    if (!response || (response->interim() && ++interim_ > limits::kInterimHeads)) {
      return done(Error{Code::SERVICE_PROTOCOL, target});
    }
  } while (response->interim());
  // Who asks for a credential is there.
  const int status = response->status;
  if (status < 400 || status == 401 || status == 403) return done(std::nullopt);
  done(Error{Code::SERVICE_UNHEALTHY, target + " answers " + std::to_string(status)});
}

void Health::done(std::optional<Error> why) {
  stop();
  const bool well = !why;
  settle(std::move(why));
  const Duration watch = service_.health.interval;
  if (!well) {
    next_.arm_in(watch > Duration(0) ? std::min<Duration>(watch, limits::kHealthRetry)
                                     : Duration(limits::kHealthRetry));
  } else if (watch > Duration(0)) {
    next_.arm_in(watch);
  }
}

void Health::settle(std::optional<Error> why) {
  const State now = why ? State::down : State::up;
  why_ = std::move(why);
  if (std::exchange(state_, now) != now) on_change_();
}

void Health::stop() {
  deadline_.disarm();
  next_.disarm();
  shard_.dispose(std::move(dial_));
  if (transport_) {
    transport_->set_owner(nullptr);
    transport_->finish();
    shard_.dispose(std::move(transport_));
  }
}

}  // namespace leat::agent
