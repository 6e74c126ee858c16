#include "relay/metrics.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "relay/agent_session.h"
#include "relay/bare_agent.h"
#include "relay/context.h"
#include "relay/http_visitor.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {
namespace {

constexpr std::array<const char*, kCuts> kCutNames = {
    "agent",   "session", "unacknowledged", "pressure", "visitor",
    "service", "timeout", "quota",          "revoked",  "protocol"};

struct Kind {
  const char* name;
  Traffic Metrics::*traffic;
};
constexpr Kind kKinds[] = {{"http", &Metrics::http},
                           {"ws", &Metrics::ws},
                           {"tcp", &Metrics::tcp},
                           {"tls", &Metrics::tls},
                           {"sealed", &Metrics::sealed}};

bool is_quota(Code code) { return std::string_view(info(code).name).starts_with("LEAT_QUOTA_"); }

void write_traffic(const Metrics& metrics, MetricsText& text) {
  text.family("leat_bytes_total", "counter", "Bytes of visitors' streams.");
  for (const Kind& kind : kKinds) {
    const Traffic& traffic = metrics.*kind.traffic;
    text.sample(label("direction", "in") + "," + label("kind", kind.name), traffic.in);
    text.sample(label("direction", "out") + "," + label("kind", kind.name), traffic.out);
  }
  text.family("leat_opens_total", "counter", "Streams opened to agents.");
  for (const Kind& kind : kKinds) {
    text.sample(label("kind", kind.name), (metrics.*kind.traffic).streams);
  }
  text.family("leat_resets_total", "counter", "Streams that ended before their time, by cause.");
  for (std::size_t i = 0; i < kCuts; ++i) {
    text.sample(label("reason", kCutNames[i]), metrics.cuts[i]);
  }
  text.family("leat_time_to_first_byte_seconds", "histogram",
              "From a request's stream to the head of its answer.");
  text.sample({}, metrics.first_byte);
}

void write_refusals(const Metrics& metrics, MetricsText& text) {
  text.family("leat_refusals_total", "counter", "Answers of the relay's own, by code.");
  for (const auto& [code, count] : metrics.refused) {
    if (!is_quota(code)) text.sample(label("code", info(code).name), count);
  }
  text.family("leat_quota_refusals_total", "counter",
              "Refused or cut for a plan's limit, by code.");
  for (const Code code :
       {Code::QUOTA_REQUESTS, Code::QUOTA_STREAMS, Code::QUOTA_BODY, Code::QUOTA_DAY,
        Code::QUOTA_MONTH, Code::QUOTA_MESSAGES, Code::QUOTA_MESSAGE_SIZE, Code::QUOTA_TUNNELS}) {
    const auto found = metrics.refused.find(code);
    text.sample(label("code", info(code).name), found == metrics.refused.end() ? 0 : found->second);
  }
}

// Of all sessions, whichever kind.
struct Queues {
  std::uint64_t streams = 0, buffered = 0, held = 0, grown = 0, log = 0;

  void add(net::SessionDriver& driver) {
    const mux::Stats& stats = driver.mux().stats();
    streams += stats.streams;
    buffered += stats.buffered;
    held += stats.held;
    grown += stats.grown;
    log += driver.link_stats().log_bytes;
  }
};

void write_queues(Context& context, const Queues& queues, MetricsText& text) {
  text.single("leat_streams", "gauge", "Streams open to agents.",
              static_cast<double>(queues.streams));
  text.family("leat_queue_bytes", "gauge", "What waits in sessions, by where.");
  text.sample(label("queue", "undelivered"), queues.buffered);  // to visitors
  text.sample(label("queue", "unacknowledged"), queues.log);    // by agents
  text.single("leat_block_bytes", "gauge", "Memory that holds what is undelivered.",
              static_cast<double>(queues.held));
  text.single("leat_window_grown_bytes", "gauge", "Receive windows beyond their first size.",
              static_cast<double>(queues.grown));
  text.single("leat_memory_limit_bytes", "gauge", "What visitors may leave untaken, all together.",
              static_cast<double>(context.common.budget.total()));
}

// Of all shards.
struct Gathered {
  Metrics metrics;
  Queues queues;
  std::size_t agents = 0, bare_agents = 0, tunnels = 0;
  std::size_t http_visitors = 0, tcp_visitors = 0, sealed_visitors = 0;
  std::vector<double> trips;

  void add(Context& shard);
};

void Gathered::add(Context& shard) {
  metrics.add(shard.metrics);
  for (AgentSession* session : shard.registry.sessions()) {
    const AgentSession::About about = session->about();
    queues.add(session->driver());
    tunnels += about.tunnels.size();
    if (about.rtt.count() > 0) trips.push_back(std::chrono::duration<double>(about.rtt).count());
  }
  shard.bare_agents.for_each([&](BareAgent& agent) { queues.add(agent.driver()); });
  agents += shard.registry.sessions().size();
  bare_agents += shard.bare_agents.size();
  http_visitors += shard.http_visitors.size();
  tcp_visitors += shard.tcp_visitors.size();
  sealed_visitors += shard.sealed_visitors.size();
}

void write_sessions(Context& context, Gathered& all, MetricsText& text) {
  text.single("leat_agents", "gauge", "Agents connected.", static_cast<double>(all.agents));
  text.single("leat_bare_agents", "gauge", "Agents of rooms connected that speak yamux only.",
              static_cast<double>(all.bare_agents));
  text.single("leat_tunnels", "gauge", "Tunnels bound.", static_cast<double>(all.tunnels));
  write_queues(context, all.queues, text);
  std::vector<double>& trips = all.trips;
  if (trips.empty()) return;
  std::ranges::sort(trips);
  text.family("leat_round_trip_seconds", "gauge", "Round trips to the agents, over all of them.");
  text.sample(label("stat", "median"), trips[trips.size() / 2]);
  text.sample(label("stat", "max"), trips.back());
}

}  // namespace

Traffic& Metrics::of(control::TunnelKind kind) {
  switch (kind) {
    case control::TunnelKind::http:
      return http;
    case control::TunnelKind::ws:
      return ws;
    case control::TunnelKind::tcp:
      return tcp;
    case control::TunnelKind::tls:
      return tls;
    case control::TunnelKind::sealed:
      return sealed;
  }
  return http;
}

Traffic Metrics::all() const {
  Traffic sum;
  for (const Kind& kind : kKinds) {
    const Traffic& one = this->*kind.traffic;
    sum.streams += one.streams;
    sum.in += one.in;
    sum.out += one.out;
  }
  return sum;
}

void Metrics::add(const Metrics& other) {
  for (const Kind& kind : kKinds) {
    Traffic& sum = this->*kind.traffic;
    const Traffic& one = other.*kind.traffic;
    sum.streams += one.streams;
    sum.in += one.in;
    sum.out += one.out;
  }
  agents_joined += other.agents_joined;
  reconnects += other.reconnects;
  for (const auto& [code, count] : other.refused) refused[code] += count;
  for (std::size_t i = 0; i < kCuts; ++i) cuts[i] += other.cuts[i];
  first_byte.add(other.first_byte);
}

Cut cut_of(mux::ResetReason reason) {
  switch (reason) {
    case mux::ResetReason::peer:
      return Cut::agent;
    case mux::ResetReason::session_end:
      return Cut::session;
    case mux::ResetReason::open_timeout:
      return Cut::unacknowledged;
    case mux::ResetReason::pressure:
      return Cut::pressure;
  }
  return Cut::agent;
}

Cut cut_of(Code code) {
  if (is_quota(code)) return Cut::quota;
  switch (code) {
    case Code::SERVICE_TIMEOUT:
      return Cut::timeout;
    case Code::VISITOR_REFUSED:
      return Cut::revoked;
    case Code::PROTOCOL:
    case Code::BAD_REQUEST:
    case Code::SERVICE_PROTOCOL:
      return Cut::protocol;
    default:
      return Cut::service;
  }
}

std::string metrics_text(Context& context) {
  Gathered all;
  context.common.everywhere([&](Context& shard) { all.add(shard); });
  const Metrics& metrics = all.metrics;
  MetricsText text;
  text.family("leat_build_info", "gauge", "The version, as a label.");
  text.sample(label("version", LEAT_VERSION), 1.0);
  write_sessions(context, all, text);
  text.family("leat_visitors", "gauge", "Visitors' connections.");
  text.sample(label("kind", "http"), static_cast<double>(all.http_visitors));
  text.sample(label("kind", "tcp"), static_cast<double>(all.tcp_visitors));
  text.sample(label("kind", "sealed"), static_cast<double>(all.sealed_visitors));
  text.single("leat_agents_joined_total", "counter", "Agents that were let in.",
              static_cast<double>(metrics.agents_joined));
  text.single("leat_agents_rejoined_total", "counter", "Of those: that had been here before.",
              static_cast<double>(metrics.reconnects));
  if (const store::ConnectionLog* log = context.journal.log()) {
    text.single("leat_connection_log_dropped_total", "counter",
                "Visits that the disk could not take.", static_cast<double>(log->dropped()));
  }
  write_traffic(metrics, text);
  write_refusals(metrics, text);
  return text.take();
}

}  // namespace leat::relay
