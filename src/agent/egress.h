// One service while the agent runs: its configuration, the id the relay knows it under, and what
// serving it needs. Egresses live as long as the agent, across connections to the relay.
#pragma once

#include <string>
#include <utility>

#include "agent/rewrite.h"
#include "agent/service.h"
#include "agent/service_pool.h"
#include "net/tls.h"

namespace leat::agent {

struct Egress {
  Egress(net::Shard& shard, Service configured, const net::TlsContext* tls_context)
      : service(std::move(configured)),
        tls(tls_context),
        rewrite(service),
        pool(shard),
        id(service.id) {}

  // Logs the first failure to reach the service and the first success after it, not each visitor's.
  void note_reached();
  void note_failure(const Error& error);

  const Service service;
  const net::TlsContext* const tls;  // null: the target speaks plain
  const Rewrite rewrite;
  ServicePool pool;
  std::string id;  // asked for, then given; empty before the first answer to a generated one

 private:
  bool down_ = false;
};

}  // namespace leat::agent
