// What the relay counts, and its text for Prometheus (exposition format 0.0.4).
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/counter.h"
#include "base/error.h"
#include "base/metrics.h"
#include "control/client.h"
#include "mux/endpoint.h"

namespace leat::relay {

struct Context;

struct Traffic {
  Counter streams;  // opened so far
  Counter in;       // bytes from visitors …
  Counter out;      // … and to them
};

// Why a stream ended before its time.
enum class Cut : std::uint8_t {
  agent,           // it reset the stream
  session,         // its session ended
  unacknowledged,  // it did not answer the opening
  pressure,        // memory ran short
  visitor,         // it left
  service,         // the agent's reply says no
  timeout,
  quota,
  revoked,
  protocol,
};
inline constexpr std::size_t kCuts = 10;
Cut cut_of(mux::ResetReason reason);
Cut cut_of(Code code);

// Of one shard, whose thread counts; another thread may read the traffic, and nothing else.
struct Metrics {
  Traffic http, ws, tcp, tls, sealed;
  std::uint64_t agents_joined = 0;
  std::uint64_t reconnects = 0;           // of those: whose identity had been here before
  std::map<Code, std::uint64_t> refused;  // answers of the relay's own to visitors, and agents
  std::array<std::uint64_t, kCuts> cuts{};
  Histogram first_byte;  // from a request's stream to the head of its answer

  Traffic& of(control::TunnelKind kind);
  Traffic all() const;  // of every kind
  void add(const Metrics& other);
  void cut(Cut why) { ++cuts[static_cast<std::size_t>(why)]; }
};

// Of all shards; to be called on the first.
std::string metrics_text(Context& context);

}  // namespace leat::relay
