// One service while the agent runs: its configuration, the id the relay knows it under, and what
// serving it needs. Egresses live across connections to the relay, and as long as a stream that
// began under them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "agent/health.h"
#include "agent/metrics.h"
#include "agent/request_log.h"
#include "agent/rewrite.h"
#include "agent/service.h"
#include "agent/service_pool.h"
#include "base/limits.h"
#include "http/cors.h"
#include "net/shard.h"
#include "net/tls.h"

namespace leat::agent {

struct Egress {
  // `tls_context` null: the target speaks plain. `on_health`: the service has come or gone.
  Egress(net::Shard& shard, Service configured, std::shared_ptr<const net::TlsContext> tls_context,
         std::shared_ptr<RequestLog> request_log, std::function<void(Egress&)> on_health,
         std::shared_ptr<Metrics> counters = std::make_shared<Metrics>())
      : service(std::move(configured)),
        tls_owner(std::move(tls_context)),
        tls(tls_owner.get()),
        rewrite(service),
        cors(service.cors),
        pool(shard),
        requests(std::move(request_log)),
        metrics(std::move(counters)),
        id(service.id),
        health(shard, service, tls, [this] { health_changed(); }),
        on_health_(std::move(on_health)),
        pace_(shard, [this] {
          if (health.state() != told_ && !retired_) tell();
        }) {}

  void note_reached() { health.reached(); }
  void note_failure(const Error& error) {
    if (!retired_) health.failed(error);
  }
  // Out of the configuration: streams that began under it go on, and nobody is told of it any more.
  void retire() {
    retired_ = true;
    on_health_ = nullptr;
    health.stop();
  }

  const Service service;
  const std::shared_ptr<const net::TlsContext> tls_owner;
  const net::TlsContext* const tls;
  const Rewrite rewrite;
  const http::Cors cors;
  ServicePool pool;
  const std::shared_ptr<RequestLog> requests;
  const std::shared_ptr<Metrics> metrics;
  std::string id;  // asked for, then given; empty before the first answer to a generated one
  Health health;

 private:
  // Tells of the first failure to reach the service and of the first success after it, not of each
  // one, and seldom of one that comes and goes: the log, the state file and the relay all hear of
  // it, and it is visitors who find out.
  void health_changed();
  void tell();

  std::function<void(Egress&)> on_health_;
  net::Timer pace_;  // armed: news has just been told
  Health::State told_ = Health::State::unknown;
  bool was_down_ = false, retired_ = false;
};

}  // namespace leat::agent
