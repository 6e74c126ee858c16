// The directions of traffic, each as a flow: who sends bulk, who checks it, who sends tokens at
// their time, who takes their delay. Client and backend are put together from the same ones, so
// that an upload is a download with the ends exchanged.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "load/content.h"
#include "load/loop.h"
#include "load/wire.h"

namespace leat::bench {

// What a flow has come to; shared with whoever reports it. Read from other threads.
struct Progress {
  std::atomic<std::uint64_t> bytes{0};  // received and checked
  std::atomic<bool> broken{false};      // a byte was wrong
  std::atomic<bool> ended{false};       // by the peer, or by an error
};

// Content for ever, or until the peer goes. With `progress`: reads what the peer says it has
// checked.
class BulkSender final : public Flow {
 public:
  BulkSender(int fd, const Request& request, std::shared_ptr<Progress> progress);
  std::uint32_t wanted() const override { return EPOLLIN | EPOLLOUT; }
  void on_ready(std::uint32_t events) override;

 private:
  bool read_reports();
  void send();

  Content content_;
  std::uint64_t offset_ = 0;
  std::shared_ptr<Progress> progress_;
  std::vector<std::uint8_t> partial_;
};

// Checks what comes. With `report`: tells the sender what it has checked.
class BulkReceiver final : public Flow {
 public:
  BulkReceiver(int fd, const Request& request, std::shared_ptr<Progress> progress, bool report);
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_ready(std::uint32_t events) override;
  void on_time(std::int64_t now) override;

 private:
  void say(std::uint64_t value);
  void finish();

  Content content_;
  std::uint64_t offset_ = 0, reported_ = 0;
  std::shared_ptr<Progress> progress_;
  bool report_;
  bool timer_ = false;
};

struct TokenSeen {
  std::uint64_t sequence;
  std::int64_t sent_ns, received_ns;
};

// Tokens seen by one stream; only for the loop's own thread.
struct TokenLog {
  std::vector<TokenSeen> seen;
  bool broken = false;
  bool ended = false;
};

// A token every `every_us`, each with the time at which it was due: what it waits for the sender to
// run, and to be written, is part of its delay. With `log`: takes the peer's receipts.
class TokenSender : public Flow {
 public:
  TokenSender(int fd, const Request& request, std::shared_ptr<TokenLog> log);
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_start(std::int64_t now) override;
  void on_ready(std::uint32_t events) override;
  void on_time(std::int64_t now) override;

 protected:
  const Request& request() const { return request_; }

 private:
  virtual void append(const TokenHead& head, std::vector<std::uint8_t>& out);
  bool read_receipts();
  void send();

  Request request_;
  Content content_;
  std::uint64_t sequence_ = 0;
  std::int64_t due_ = 0;
  std::vector<std::uint8_t> queued_;  // from queued_at_ on
  std::size_t queued_at_ = 0;
  std::vector<std::uint8_t> partial_;
  std::shared_ptr<TokenLog> log_;
};

// Checks tokens and takes their time. With `report`: answers each with a receipt.
class TokenReceiver final : public Flow {
 public:
  TokenReceiver(int fd, const Request& request, std::shared_ptr<TokenLog> log, bool report);
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_ready(std::uint32_t events) override;

 private:
  bool take(Bytes token, std::int64_t now);

  Request request_;
  Content content_;
  std::vector<std::uint8_t> partial_;
  std::uint64_t expected_ = 0;
  std::shared_ptr<TokenLog> log_;
  bool report_;
};

// Returns what comes.
class Echo final : public Flow {
 public:
  explicit Echo(int fd) : Flow(fd) {}
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_ready(std::uint32_t events) override;
};

// Sends 64 bytes, waits for them to come back, and again.
class Ping final : public Flow {
 public:
  static constexpr std::size_t kSize = 64;
  Ping(int fd, std::shared_ptr<TokenLog> log) : Flow(fd), content_(1), log_(std::move(log)) {}
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_start(std::int64_t now) override;
  void on_ready(std::uint32_t events) override;

 private:
  Content content_;
  std::uint64_t sequence_ = 0;
  std::int64_t sent_ = 0;
  std::size_t got_ = 0;
  std::shared_ptr<TokenLog> log_;
};

// Tokens and pings are small and there is always room in a socket that has been drained; a peer
// that lets them fill it has failed. Whole or not at all.
bool send_small(int fd, Bytes data);

}  // namespace leat::bench
