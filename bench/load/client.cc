#include "load/client.h"

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "load/flows.h"
#include "load/socket.h"
#include "load/statistics.h"

namespace leat::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kSecond = 1'000'000'000;
// How long after the window a token that was sent in it may still arrive.
constexpr std::int64_t kGrace = 3 * kSecond;

// Connection after connection: one byte back, closed by the backend, and the next. On a thread of
// its own, blocking, since to connect is what it measures.
struct Toucher {
  std::vector<TokenSeen> seen;
  std::string error;
};

struct Window {
  std::int64_t from = 0, to = 0;
  double seconds() const { return static_cast<double>(to - from) / 1e9; }
  bool has(std::int64_t t) const { return t >= from && t < to; }
};

struct Stream {
  std::shared_ptr<Progress> progress = std::make_shared<Progress>();
  std::uint64_t at_start = 0, at_end = 0;
};

class Client {
 public:
  explicit Client(const Plan& plan) : plan_(plan), bulk_(plan.threads) {}

  int run();

 private:
  int open(Kind kind, Request& request);
  void open_all();
  void touch(Toucher& toucher);
  void snapshot(std::uint64_t Stream::*field);
  Json bulk_report(std::deque<Stream>& streams, const char* what);
  Json token_report(const std::vector<std::shared_ptr<TokenLog>>& logs, const char* what);
  Json ping_report();
  Json touch_report();
  void fault(const std::string& what) { faults_.push_back(what); }

  const Plan& plan_;
  Loop main_;
  std::deque<Loop> bulk_;
  Window window_;
  std::uint64_t opened_ = 0;
  std::deque<Stream> downloads_, uploads_;
  std::vector<std::shared_ptr<TokenLog>> tokens_, notes_, pings_;
  std::deque<Toucher> touchers_;
  std::atomic<bool> over_{false};
  std::vector<std::string> faults_;
  std::ofstream trace_;
};

int Client::open(Kind kind, Request& request) {
  request = {.kind = kind,
             .sample = plan_.sample,
             .seed = plan_.seed * 1'000'003 + opened_++,
             .token_bytes = plan_.token_bytes,
             .every_us = static_cast<std::uint32_t>(plan_.every_ms * 1000)};
  const int fd = connect_to(plan_.to);
  if (fd < 0) {
    fault("connect to " + plan_.to.text() + ": " + std::strerror(errno));
  } else {
    send_small(fd, {reinterpret_cast<const std::uint8_t*>(&request), sizeof request});
  }
  return fd;
}

void Client::open_all() {
  Request request;
  const auto loop = [this]() -> Loop& { return bulk_[opened_ % bulk_.size()]; };
  for (unsigned i = 0; i < plan_.download; ++i) {
    if (const int fd = open(Kind::download, request); fd >= 0) {
      loop().add(
          std::make_unique<BulkReceiver>(fd, request, downloads_.emplace_back().progress, false));
    }
  }
  for (unsigned i = 0; i < plan_.upload; ++i) {
    if (const int fd = open(Kind::upload, request); fd >= 0) {
      loop().add(std::make_unique<BulkSender>(fd, request, uploads_.emplace_back().progress));
    }
  }
  for (unsigned i = 0; i < plan_.tokens; ++i) {
    if (const int fd = open(Kind::tokens, request); fd >= 0) {
      const auto& log = tokens_.emplace_back(std::make_shared<TokenLog>());
      main_.add(std::make_unique<TokenReceiver>(fd, request, log, false));
    }
  }
  for (unsigned i = 0; i < plan_.notes; ++i) {
    if (const int fd = open(Kind::notes, request); fd >= 0) {
      const auto& log = notes_.emplace_back(std::make_shared<TokenLog>());
      main_.add(std::make_unique<TokenSender>(fd, request, log));
    }
  }
  for (unsigned i = 0; i < plan_.pings; ++i) {
    if (const int fd = open(Kind::echo, request); fd >= 0) {
      const auto& log = pings_.emplace_back(std::make_shared<TokenLog>());
      main_.add(std::make_unique<Ping>(fd, log));
    }
  }
}

void Client::touch(Toucher& toucher) {
  const Request request{.kind = Kind::touch};
  for (std::uint64_t n = 0; !over_; ++n) {
    const std::int64_t began = now_ns();
    const int fd = connect_to(plan_.to);
    if (fd < 0) {
      toucher.error = std::string("connect: ") + std::strerror(errno);
      return;
    }
    const Socket closing(fd);
    std::uint8_t answer = 0;
    send_small(fd, {reinterpret_cast<const std::uint8_t*>(&request), sizeof request});
    if (!closing.wait_readable() || ::recv(fd, &answer, 1, 0) != 1 || answer != '!') {
      toucher.error = "no answer on a new connection";
      return;
    }
    toucher.seen.push_back({n, began, now_ns()});
  }
}

void Client::snapshot(std::uint64_t Stream::*field) {
  for (auto* streams : {&downloads_, &uploads_}) {
    for (Stream& stream : *streams) {
      stream.*field = stream.progress->bytes.load(std::memory_order_relaxed);
    }
  }
}

int Client::run() {
  if (!plan_.trace.empty()) {
    trace_.open(plan_.trace);
    trace_ << "kind,stream,sequence,sent_s,delay_ms\n";
  }
  open_all();
  const std::int64_t began = now_ns();
  window_ = {.from = began + static_cast<std::int64_t>(plan_.warmup * 1e9),
             .to = began + static_cast<std::int64_t>((plan_.warmup + plan_.window) * 1e9)};
  std::vector<std::thread> threads;
  for (Loop& loop : bulk_) {
    threads.emplace_back([&loop, until = window_.to + kGrace] { loop.run(until); });
  }
  for (unsigned i = 0; i < plan_.touches; ++i) {
    threads.emplace_back([this, &toucher = touchers_.emplace_back()] { touch(toucher); });
  }
  main_.run(window_.from);
  snapshot(&Stream::at_start);
  main_.run(window_.to);
  snapshot(&Stream::at_end);
  over_ = true;
  if (!tokens_.empty() || !notes_.empty()) main_.run(window_.to + kGrace);
  for (Loop& loop : bulk_) loop.stop();
  for (std::thread& thread : threads) thread.join();

  Json report{{"window_s", window_.seconds()}, {"sample", plan_.sample}};
  if (plan_.download > 0) report["download"] = bulk_report(downloads_, "download");
  if (plan_.upload > 0) report["upload"] = bulk_report(uploads_, "upload");
  if (plan_.tokens > 0) report["tokens"] = token_report(tokens_, "tokens");
  if (plan_.notes > 0) report["notes"] = token_report(notes_, "notes");
  if (plan_.pings > 0) report["ping"] = ping_report();
  if (plan_.touches > 0) report["connect"] = touch_report();
  report["faults"] = faults_;
  std::printf("%s\n", report.dump(2).c_str());
  return faults_.empty() ? 0 : 1;
}

// --- the report ---

Json in_ms(const Distribution& d) {
  return {{"p50", d.percentile(50)}, {"p90", d.percentile(90)}, {"p99", d.percentile(99)},
          {"max", d.max()},          {"mean", d.mean()},        {"count", d.count()}};
}

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

Json Client::bulk_report(std::deque<Stream>& streams, const char* what) {
  std::vector<double> rates;
  double total = 0;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const Stream& s = streams[i];
    const auto name = std::string(what) + " " + std::to_string(i);
    if (s.progress->broken) fault(name + ": a byte was wrong");
    if (s.progress->ended) fault(name + ": ended early");
    rates.push_back(static_cast<double>(s.at_end - s.at_start) / 1e6 / window_.seconds());
    total += rates.back();
  }
  return {{"streams", streams.size()},
          {"MB_per_s", total},
          {"jain", jain(rates)},
          {"MB_per_s_each", rates}};
}

Json Client::token_report(const std::vector<std::shared_ptr<TokenLog>>& logs, const char* what) {
  Distribution delays, gaps;
  std::uint64_t missing = 0;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    const auto name = std::string(what) + " " + std::to_string(i);
    if (logs[i]->broken) fault(name + ": a token was wrong");
    if (logs[i]->ended) fault(name + ": ended early");
    const TokenSeen* last = nullptr;
    std::uint64_t seen = 0;
    for (const TokenSeen& token : logs[i]->seen) {
      const double delay = ms(token.received_ns - token.sent_ns);
      if (trace_.is_open()) {
        trace_ << what << ',' << i << ',' << token.sequence << ','
               << static_cast<double>(token.sent_ns - window_.from) / 1e9 << ',' << delay << '\n';
      }
      if (window_.has(token.sent_ns)) {
        ++seen;
        delays.add(delay);
        if (last != nullptr) gaps.add(ms(token.received_ns - last->received_ns));
      }
      last = &token;
    }
    const double expected = window_.seconds() * 1000 / plan_.every_ms;
    if (static_cast<double>(seen) + 2 < expected) {
      missing += static_cast<std::uint64_t>(expected) - seen;
    }
  }
  if (missing > 0) {
    fault(std::string(what) + ": " + std::to_string(missing) + " not received in time");
  }
  return {{"streams", logs.size()}, {"every_ms", plan_.every_ms}, {"bytes", plan_.token_bytes},
          {"missing", missing},     {"delay_ms", in_ms(delays)},  {"gap_ms", in_ms(gaps)}};
}

Json Client::ping_report() {
  Distribution trips;
  for (const auto& log : pings_) {
    if (log->broken || log->ended) fault("ping: broken or ended early");
    for (const TokenSeen& ping : log->seen) {
      if (window_.has(ping.sent_ns)) trips.add(ms(ping.received_ns - ping.sent_ns));
    }
  }
  return {{"streams", pings_.size()}, {"round_trip_ms", in_ms(trips)}};
}

Json Client::touch_report() {
  Distribution took;
  for (const Toucher& toucher : touchers_) {
    if (!toucher.error.empty()) fault(toucher.error);
    for (const TokenSeen& one : toucher.seen) {
      if (window_.has(one.sent_ns)) took.add(ms(one.received_ns - one.sent_ns));
    }
  }
  return {{"at_once", touchers_.size()},
          {"per_s", static_cast<double>(took.count()) / window_.seconds()},
          {"took_ms", in_ms(took)}};
}

}  // namespace

int run_client(const Plan& plan) { return Client(plan).run(); }

}  // namespace leat::bench
