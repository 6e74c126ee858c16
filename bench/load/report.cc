#include "load/report.h"

#include <algorithm>
#include <ostream>

namespace leat::bench {
namespace {

Json in_ms(const Distribution& d) {
  return {{"p50", d.percentile(50)}, {"p90", d.percentile(90)}, {"p99", d.percentile(99)},
          {"max", d.max()},          {"mean", d.mean()},        {"count", d.count()}};
}

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

// Longer than a connection takes whose first packet was lost and is sent again after a second.
constexpr std::int64_t kSilence = 1'500'000'000;

// Whether one who asks for the next as soon as he is answered had stopped being answered. What he
// waited for is in no distribution, so it must be a fault.
bool silent(const std::vector<TokenSeen>& seen, const Window& window) {
  return seen.empty() || window.to - seen.back().received_ns > kSilence;
}

}  // namespace

Json bulk_report(const std::vector<Stream>& streams, const Window& window, const char* what,
                 Faults& faults) {
  std::vector<double> rates;
  double total = 0;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const Stream& s = streams[i];
    const auto name = std::string(what) + " " + std::to_string(i);
    if (s.progress->broken) faults.push_back(name + ": a byte was wrong");
    if (s.progress->ended) faults.push_back(name + ": ended early");
    rates.push_back(static_cast<double>(s.at_end - s.at_start) / 1e6 / window.seconds());
    total += rates.back();
  }
  return {{"streams", streams.size()},
          {"MB_per_s", total},
          {"jain", jain(rates)},
          {"MB_per_s_each", rates}};
}

Json token_report(const TokenLogs& logs, const Window& window, const TokenPlan& plan,
                  const char* what, std::ostream* trace, Faults& faults) {
  Distribution delays, gaps;
  std::uint64_t missing = 0;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    const auto name = std::string(what) + " " + std::to_string(i);
    if (logs[i]->broken) faults.push_back(name + ": a token was wrong");
    if (logs[i]->ended) faults.push_back(name + ": ended early");
    const TokenSeen* last = nullptr;
    for (const TokenSeen& token : logs[i]->seen) {
      const double delay = ms(token.received_ns - token.sent_ns);
      if (trace != nullptr) {
        *trace << what << ',' << i << ',' << token.sequence << ','
               << static_cast<double>(token.sent_ns - window.from) / 1e9 << ',' << delay << '\n';
      }
      if (window.has(token.sent_ns)) {
        delays.add(delay);
        if (last != nullptr) gaps.add(ms(token.received_ns - last->received_ns));
      }
      last = &token;
    }
    // They come in order and without a hole: whoever has one from after the window has all of it,
    // even where a busy machine made fewer than planned.
    const std::int64_t until = last == nullptr ? window.from : std::max(last->sent_ns, window.from);
    const double tail = ms(window.to - until) / plan.every_ms;
    if (tail > 2) missing += static_cast<std::uint64_t>(tail);
  }
  if (missing > 0) {
    faults.push_back(std::string(what) + ": " + std::to_string(missing) + " not received in time");
  }
  return {{"streams", logs.size()}, {"every_ms", plan.every_ms}, {"bytes", plan.bytes},
          {"missing", missing},     {"delay_ms", in_ms(delays)}, {"gap_ms", in_ms(gaps)}};
}

Json ping_report(const TokenLogs& logs, const Window& window, Faults& faults) {
  Distribution trips;
  for (const auto& log : logs) {
    if (log->broken || log->ended) {
      faults.push_back("ping: broken or ended early");
    } else if (silent(log->seen, window)) {
      faults.push_back("ping: one was not answered");
    }
    for (const TokenSeen& ping : log->seen) {
      if (window.has(ping.sent_ns)) trips.add(ms(ping.received_ns - ping.sent_ns));
    }
  }
  return {{"streams", logs.size()}, {"round_trip_ms", in_ms(trips)}};
}

Json call_report(const CallLogs& logs, const Window& window, const char* what, Faults& faults) {
  Distribution took;
  for (const auto& log : logs) {
    if (!log->error.empty()) {
      faults.push_back(std::string(what) + ": " + log->error);
    } else if (silent(log->seen, window)) {
      faults.push_back(std::string(what) + ": one was not answered");
    }
    for (const TokenSeen& one : log->seen) {
      if (window.has(one.sent_ns)) took.add(ms(one.received_ns - one.sent_ns));
    }
  }
  return {{"at_once", logs.size()},
          {"per_s", static_cast<double>(took.count()) / window.seconds()},
          {"took_ms", in_ms(took)}};
}

}  // namespace leat::bench
