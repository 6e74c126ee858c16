#include "load/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <thread>

#include "load/calls.h"
#include "load/flows.h"
#include "load/http.h"
#include "load/report.h"
#include "load/socket.h"

namespace leat::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// How long after the window a token that was sent in it may still arrive.
constexpr std::int64_t kGrace = 3 * kSecond;
constexpr unsigned kAtOnce =
    64;  // held connections that are being opened; listeners' queues are short

Bytes bytes_of(const Request& request) {
  return {reinterpret_cast<const std::uint8_t*>(&request), sizeof request};
}

class Client {
 public:
  explicit Client(const Plan& plan) : plan_(plan), bulk_(plan.threads) {}

  int run();

 private:
  struct Opened {
    int fd;
    Request request;
  };

  HostPort target() const;
  Loop& loop() { return bulk_[opened_ % bulk_.size()]; }
  // Calls `begin` with so many new connections, each with its request sent.
  template <typename Begin>
  void open(unsigned count, Kind kind, Begin begin);
  void open_bulk();
  bool begin(const Opened& opened);
  void open_tokens();
  void open_calls(unsigned count, const CallPlan& plan, CallLogs& logs);
  void hold();
  void snapshot(std::uint64_t Stream::*field);
  void mark(const char* what) const;
  Json report();
  void fault(const std::string& what) { faults_.push_back(what); }

  const Plan& plan_;
  Loop main_;
  std::deque<Loop> bulk_;
  Window window_;
  std::uint64_t opened_ = 0;
  std::vector<Stream> downloads_, uploads_;
  TokenLogs tokens_, notes_, events_, pings_;
  CallLogs connects_, requests_, new_requests_;
  std::deque<Socket> held_;
  Faults faults_;
  std::ofstream trace_;
};

HostPort Client::target() const {
  return {plan_.to.host, static_cast<std::uint16_t>(plan_.to.port + opened_ % plan_.spread)};
}

template <typename Begin>
void Client::open(unsigned count, Kind kind, Begin begin) {
  for (unsigned i = 0; i < count; ++i) {
    const HostPort to = target();
    const Request request{.kind = kind,
                          .sample = plan_.sample,
                          .seed = plan_.seed * 1'000'003 + opened_++,
                          .token_bytes = plan_.token_bytes,
                          .every_us = static_cast<std::uint32_t>(plan_.every_ms * 1000)};
    const int fd = connect_to(to);
    if (fd < 0) return fault("connect to " + to.text() + ": " + std::strerror(errno));
    begin(Opened{fd, request});
  }
}

bool Client::begin(const Opened& o) {
  if (plan_.http ? begin_bulk(o.fd, plan_.path, o.request)
                 : send_small(o.fd, bytes_of(o.request))) {
    return true;
  }
  fault("bulk was not begun");
  ::close(o.fd);
  return false;
}

void Client::open_bulk() {
  open(plan_.download, Kind::download, [this](const Opened& o) {
    if (!begin(o)) return;
    const auto& progress = downloads_.emplace_back().progress;
    loop().add(std::make_unique<BulkReceiver>(o.fd, o.request, progress, false));
  });
  open(plan_.upload, Kind::upload, [this](const Opened& o) {
    if (!begin(o)) return;
    loop().add(std::make_unique<BulkSender>(o.fd, o.request, uploads_.emplace_back().progress));
  });
}

void Client::open_tokens() {
  open(plan_.tokens, Kind::tokens, [this](const Opened& o) {
    send_small(o.fd, bytes_of(o.request));
    const auto& log = tokens_.emplace_back(std::make_shared<TokenLog>());
    main_.add(std::make_unique<TokenReceiver>(o.fd, o.request, log, false));
  });
  open(plan_.notes, Kind::notes, [this](const Opened& o) {
    send_small(o.fd, bytes_of(o.request));
    const auto& log = notes_.emplace_back(std::make_shared<TokenLog>());
    main_.add(std::make_unique<TokenSender>(o.fd, o.request, log));
  });
  open(plan_.events, Kind::tokens, [this](const Opened& o) {
    send_small(o.fd, as_bytes(events_request(plan_.path, o.request)));
    const auto& log = events_.emplace_back(std::make_shared<TokenLog>());
    main_.add(std::make_unique<EventReceiver>(o.fd, o.request, log));
  });
  open(plan_.pings, Kind::echo, [this](const Opened& o) {
    send_small(o.fd, bytes_of(o.request));
    const auto& log = pings_.emplace_back(std::make_shared<TokenLog>());
    main_.add(std::make_unique<Ping>(o.fd, log));
  });
}

void Client::open_calls(unsigned count, const CallPlan& plan, CallLogs& logs) {
  for (unsigned i = 0; i < count; ++i) {
    auto own = std::make_shared<CallPlan>(plan);
    own->to = target();
    ++opened_;
    Caller::begin(loop(), std::move(own), logs.emplace_back(std::make_shared<CallLog>()));
  }
}

// Connections on which one byte has gone there and back, and then nothing.
void Client::hold() {
  std::uint8_t byte = 0;
  std::vector<int> asked;
  while (held_.size() < plan_.held && faults_.empty()) {
    open(std::min<unsigned>(kAtOnce, plan_.held - static_cast<unsigned>(held_.size())), Kind::echo,
         [&](const Opened& o) {
           held_.emplace_back(o.fd);
           asked.push_back(o.fd);
           send_small(o.fd, bytes_of(o.request));
           send_small(o.fd, as_bytes("!"));
         });
    for (const int fd : asked) {
      if (!wait_readable(fd) || ::recv(fd, &byte, 1, 0) != 1 || byte != '!') {
        return fault("no echo on a held connection");
      }
    }
    asked.clear();
  }
}

void Client::snapshot(std::uint64_t Stream::*field) {
  for (auto* streams : {&downloads_, &uploads_}) {
    for (Stream& stream : *streams) {
      stream.*field = stream.progress->bytes.load(std::memory_order_relaxed);
    }
  }
}

void Client::mark(const char* what) const {
  if (!plan_.marks) return;
  std::printf("%s %lld\n", what, static_cast<long long>(now_ns()));
  std::fflush(stdout);
}

int Client::run() {
  if (!plan_.trace.empty()) {
    trace_.open(plan_.trace);
    trace_ << "kind,stream,sequence,sent_s,delay_ms\n";
  }
  const Request touch{.kind = Kind::touch};
  const std::string touch_bytes(reinterpret_cast<const char*>(&touch), sizeof touch);
  const std::string get = "GET " + plan_.path + "answer HTTP/1.1\r\nHost: localhost\r\n";
  hold();
  open_bulk();
  open_tokens();
  open_calls(plan_.connects, {.request = touch_bytes}, connects_);
  open_calls(plan_.requests, {.request = get + "\r\n", .http = true, .keep = true}, requests_);
  open_calls(plan_.new_requests, {.request = get + "Connection: close\r\n\r\n", .http = true},
             new_requests_);

  const std::int64_t began = now_ns();
  window_ = {.from = began + static_cast<std::int64_t>(plan_.warmup * 1e9),
             .to = began + static_cast<std::int64_t>((plan_.warmup + plan_.window) * 1e9)};
  std::vector<std::thread> threads;
  for (Loop& loop : bulk_) {
    threads.emplace_back([&loop, until = window_.to + kGrace] { loop.run(until); });
  }
  main_.run(window_.from);
  snapshot(&Stream::at_start);
  mark("begin");
  main_.run(window_.to);
  snapshot(&Stream::at_end);
  mark("end");
  if (!tokens_.empty() || !notes_.empty() || !events_.empty()) main_.run(window_.to + kGrace);
  for (Loop& loop : bulk_) loop.stop();
  for (std::thread& thread : threads) thread.join();
  std::printf("%s\n", report().dump(2).c_str());
  return faults_.empty() ? 0 : 1;
}

Json Client::report() {
  Json out{{"window_s", window_.seconds()}, {"sample", plan_.sample}};
  const auto tokens = [&](const TokenLogs& logs, const char* what) {
    std::ostream* trace = trace_.is_open() ? &trace_ : nullptr;
    out[what] =
        token_report(logs, window_, {plan_.every_ms, plan_.token_bytes}, what, trace, faults_);
  };
  const auto calls = [&](const CallLogs& logs, const char* what) {
    out[what] = call_report(logs, window_, what, faults_);
  };
  if (plan_.download > 0) out["download"] = bulk_report(downloads_, window_, "download", faults_);
  if (plan_.upload > 0) out["upload"] = bulk_report(uploads_, window_, "upload", faults_);
  if (plan_.tokens > 0) tokens(tokens_, "tokens");
  if (plan_.notes > 0) tokens(notes_, "notes");
  if (plan_.events > 0) tokens(events_, "events");
  if (plan_.pings > 0) out["ping"] = ping_report(pings_, window_, faults_);
  if (plan_.connects > 0) calls(connects_, "connect");
  if (plan_.requests > 0) calls(requests_, "requests");
  if (plan_.new_requests > 0) calls(new_requests_, "new_requests");
  if (plan_.held > 0) out["held"] = held_.size();
  out["faults"] = faults_;
  return out;
}

}  // namespace

int run_client(const Plan& plan) { return Client(plan).run(); }

}  // namespace leat::bench
