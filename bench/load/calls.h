// Exchanges one after another, so many at once: a small request, its answer, and the next, on the
// same connection or on a new one each. A call is complete with the last byte of its answer, and
// one on a connection of its own when that has been closed by the service, so that no slot is
// reused before it is free.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "load/body.h"
#include "load/flows.h"
#include "load/loop.h"

namespace leat::bench {

struct CallPlan {
  HostPort to;
  std::string request;
  bool http = false;  // else one byte is the answer, and the backend closes
  bool keep = false;  // the connection; only with http
};

struct CallLog {
  std::vector<TokenSeen> seen;  // from the first packet or byte to the answer
  std::string error;            // the first; this slot then stands still
};

class Caller final : public Flow {
 public:
  // Connects at once. The next call is a Caller of its own on the same loop unless the connection
  // is kept.
  static void begin(Loop& loop, std::shared_ptr<const CallPlan> plan, std::shared_ptr<CallLog> log);

  std::uint32_t wanted() const override { return EPOLLOUT; }
  void on_ready(std::uint32_t events) override;

 private:
  Caller(int fd, std::int64_t began, std::shared_ptr<const CallPlan> plan,
         std::shared_ptr<CallLog> log);
  void send();
  void read();
  bool take(Bytes data);
  void answered();
  void fail(const std::string& what);

  std::shared_ptr<const CallPlan> plan_;
  std::shared_ptr<CallLog> log_;
  std::int64_t began_;
  bool connected_ = false, answered_ = false;
  AnswerReader answer_;
  std::size_t body_ = 0;
};

}  // namespace leat::bench
