// What a client says about its window, as JSON: distributions in milliseconds, rates, and what was
// wrong.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "load/calls.h"
#include "load/flows.h"
#include "load/statistics.h"

namespace leat::bench {

using Json = nlohmann::ordered_json;

struct Window {
  std::int64_t from = 0, to = 0;  // now_ns()
  double seconds() const { return static_cast<double>(to - from) / 1e9; }
  bool has(std::int64_t t) const { return t >= from && t < to; }
};

struct Stream {
  std::shared_ptr<Progress> progress = std::make_shared<Progress>();
  std::uint64_t at_start = 0, at_end = 0;
};

using Faults = std::vector<std::string>;
using TokenLogs = std::vector<std::shared_ptr<TokenLog>>;
using CallLogs = std::vector<std::shared_ptr<CallLog>>;

Json bulk_report(const std::vector<Stream>& streams, const Window& window, const char* what,
                 Faults& faults);

struct TokenPlan {
  double every_ms;
  std::uint32_t bytes;
};
// `trace`, unless null, gets a line for every token: kind, stream, number, time, delay.
Json token_report(const TokenLogs& logs, const Window& window, const TokenPlan& plan,
                  const char* what, std::ostream* trace, Faults& faults);

// A slot whose last answer lies more than 1.5 s before the window's end, or that had none, is a
// fault.
Json ping_report(const TokenLogs& logs, const Window& window, Faults& faults);
Json call_report(const CallLogs& logs, const Window& window, const char* what, Faults& faults);

}  // namespace leat::bench
