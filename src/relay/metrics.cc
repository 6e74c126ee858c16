#include "relay/metrics.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "relay/agent_session.h"
#include "relay/context.h"
#include "relay/http_visitor.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {
namespace {

class Text {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    out_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    out_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  // `labels`: `kind="http"`; values of ours alone, so nothing needs escaping.
  void sample(const std::string& labels, double value) {
    std::array<char, 32> number;
    std::snprintf(number.data(), number.size(), "%.17g", value);
    out_ += name_;
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.append(" ").append(number.data()).append("\n");
  }
  void sample(const std::string& labels, std::uint64_t value) {
    sample(labels, static_cast<double>(value));
  }
  void single(const char* name, const char* type, const char* help, double value) {
    family(name, type, help);
    sample({}, value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string name_, out_;
};

void write_traffic(const Metrics& metrics, Text& text) {
  text.family("leat_bytes_total", "counter", "Bytes of visitors' streams.");
  text.sample("direction=\"in\",kind=\"http\"", metrics.http.in);
  text.sample("direction=\"out\",kind=\"http\"", metrics.http.out);
  text.sample("direction=\"in\",kind=\"tcp\"", metrics.tcp.in);
  text.sample("direction=\"out\",kind=\"tcp\"", metrics.tcp.out);
  text.sample("direction=\"in\",kind=\"sealed\"", metrics.sealed.in);
  text.sample("direction=\"out\",kind=\"sealed\"", metrics.sealed.out);
  text.family("leat_opens_total", "counter", "Streams opened to agents.");
  text.sample("kind=\"http\"", metrics.http.streams);
  text.sample("kind=\"tcp\"", metrics.tcp.streams);
  text.sample("kind=\"sealed\"", metrics.sealed.streams);
  text.family("leat_refusals_total", "counter", "Answers of the relay's own, by code.");
  for (const auto& [code, count] : metrics.refused) {
    text.sample("code=\"" + std::string(info(code).name) + "\"", count);
  }
}

void write_sessions(Context& context, Text& text) {
  std::uint64_t streams = 0, resets_in = 0, resets_out = 0, buffered = 0, tunnels = 0;
  std::vector<double> trips;
  for (AgentSession* session : context.registry.sessions()) {
    const AgentSession::About about = session->about();
    const mux::Stats& stats = session->driver().mux().stats();
    streams += about.streams;
    tunnels += about.tunnels.size();
    resets_in += stats.resets_in;
    resets_out += stats.resets_out;
    buffered += stats.buffered;
    if (about.rtt.count() > 0) trips.push_back(std::chrono::duration<double>(about.rtt).count());
  }
  text.single("leat_agents", "gauge", "Agents connected.",
              static_cast<double>(context.registry.sessions().size()));
  text.single("leat_tunnels", "gauge", "Tunnels bound.", static_cast<double>(tunnels));
  text.single("leat_streams", "gauge", "Streams open to agents.", static_cast<double>(streams));
  text.family("leat_session_resets", "gauge", "Resets in the sessions that are connected.");
  text.sample("direction=\"in\"", resets_in);
  text.sample("direction=\"out\"", resets_out);
  text.single("leat_buffered_bytes", "gauge", "Received from agents and not yet delivered.",
              static_cast<double>(buffered));
  if (trips.empty()) return;
  std::ranges::sort(trips);
  text.family("leat_round_trip_seconds", "gauge", "Round trips to the agents, over all of them.");
  text.sample("stat=\"median\"", trips[trips.size() / 2]);
  text.sample("stat=\"max\"", trips.back());
}

}  // namespace

std::string metrics_text(Context& context) {
  Text text;
  text.family("leat_build_info", "gauge", "The version, as a label.");
  text.sample("version=\"" LEAT_VERSION "\"", 1.0);
  write_sessions(context, text);
  text.family("leat_visitors", "gauge", "Visitors' connections.");
  text.sample("kind=\"http\"", static_cast<double>(context.http_visitors.size()));
  text.sample("kind=\"tcp\"", static_cast<double>(context.tcp_visitors.size()));
  text.sample("kind=\"sealed\"", static_cast<double>(context.sealed_visitors.size()));
  text.single("leat_agents_joined_total", "counter", "Agents that were let in.",
              static_cast<double>(context.metrics.agents_joined));
  write_traffic(context.metrics, text);
  text.single("leat_memory_limit_bytes", "gauge", "What visitors may leave untaken, all together.",
              static_cast<double>(context.budget.total()));
  return text.take();
}

}  // namespace leat::relay
