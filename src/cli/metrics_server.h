// A page of metrics for whoever scrapes an agent: GET /metrics, and nothing else. It says how much,
// never who; still it belongs on the loopback interface.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/error.h"
#include "net/shard.h"
#include "net/socket.h"

namespace leat::cli {

class MetricsServer {
 public:
  // LISTEN. `page` is asked at each scrape.
  static Result<std::unique_ptr<MetricsServer>> start(net::Shard& shard, const HostPort& listen,
                                                      std::function<std::string()> page);
  virtual ~MetricsServer() = default;
  virtual HostPort address() const = 0;
};

}  // namespace leat::cli
