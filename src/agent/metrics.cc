#include "agent/metrics.h"

namespace leat::agent {
namespace {

constexpr std::array<const char*, kCuts> kCutNames = {"relay", "session", "pressure", "service"};
constexpr std::array kKinds = {control::TunnelKind::http, control::TunnelKind::tcp,
                               control::TunnelKind::ws, control::TunnelKind::tls,
                               control::TunnelKind::sealed};

double number(std::size_t value) { return static_cast<double>(value); }

void write_session(net::SessionDriver* session, MetricsText& text) {
  const mux::Stats none{};
  const mux::Stats& stats = session != nullptr ? session->mux().stats() : none;
  const net::LinkStats link = session != nullptr ? session->link_stats() : net::LinkStats{};
  text.family("leat_agent_queue_bytes", "gauge", "What waits in the session, by where.");
  text.sample(label("queue", "undelivered"), number(stats.buffered));     // to services
  text.sample(label("queue", "unacknowledged"), number(link.log_bytes));  // by the relay
  text.single("leat_agent_block_bytes", "gauge", "Memory that holds what is undelivered.",
              number(stats.held));
  text.single("leat_agent_window_grown_bytes", "gauge", "Receive windows beyond their first size.",
              number(stats.grown));
  text.single("leat_agent_round_trip_seconds", "gauge", "Round trip to the relay; 0: not measured.",
              std::chrono::duration<double>(link.rtt).count());
}

}  // namespace

Cut cut_of(mux::ResetReason reason) {
  switch (reason) {
    case mux::ResetReason::peer:
    case mux::ResetReason::open_timeout:
      return Cut::relay;
    case mux::ResetReason::session_end:
      return Cut::session;
    case mux::ResetReason::pressure:
      return Cut::pressure;
  }
  return Cut::relay;
}

std::string metrics_text(const Status& status, const Metrics& metrics,
                         net::SessionDriver* session) {
  MetricsText text;
  text.family("leat_build_info", "gauge", "The version, as a label.");
  text.sample(label("version", LEAT_VERSION), 1.0);
  text.single("leat_agent_online", "gauge", "1 while the tunnels are served.",
              status.state == Status::State::online ? 1 : 0);
  text.single("leat_agent_tunnels", "gauge", "Services of the configuration.",
              number(status.tunnels.size()));
  text.single("leat_agent_streams", "gauge", "Visitors' streams open.", number(status.streams));
  text.single("leat_agent_reconnects_total", "counter", "Sessions after the first.",
              number(status.reconnects));
  write_session(session, text);
  text.family("leat_agent_bytes_total", "counter", "Bytes of visitors' streams.");
  for (const control::TunnelKind kind : kKinds) {
    const auto& traffic = metrics.traffic.at(static_cast<std::size_t>(kind));
    const std::string with = "," + label("kind", control::name(kind));
    text.sample(label("direction", "in") + with, traffic.in);
    text.sample(label("direction", "out") + with, traffic.out);
  }
  text.family("leat_agent_opens_total", "counter", "Streams that the relay opened.");
  for (const control::TunnelKind kind : kKinds) {
    text.sample(label("kind", control::name(kind)),
                metrics.traffic.at(static_cast<std::size_t>(kind)).streams);
  }
  text.family("leat_agent_resets_total", "counter", "Streams that ended early, by cause.");
  for (std::size_t i = 0; i < kCuts; ++i) {
    text.sample(label("reason", kCutNames.at(i)), metrics.cuts.at(i));
  }
  text.family("leat_agent_time_to_first_byte_seconds", "histogram",
              "From a request's head to the head of the service's answer.");
  text.sample({}, metrics.first_byte);
  text.family("leat_agent_notices_total", "counter", "What the relay has told of, by code.");
  for (const auto& [code, count] : metrics.notices) {
    text.sample(label("code", info(code).name), count);
  }
  return text.take();
}

}  // namespace leat::agent
