// Whether the service behind a tunnel is well: asked by the agent itself, at its start and, while
// the answer is no, every limits::kHealthRetry until it is yes; while it is yes only if the service
// is to be watched. What visitors meet counts too.
//
//            check or visitor fails
//   unknown ───────────────────────▶ down ──┐ every kHealthRetry, or as the policy says
//      │  └──────▶ up ◀──────────────┘  ▲───┘
//      └ check or visitor succeeds  └───┘ check or visitor fails
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/service.h"
#include "agent/service_dial.h"
#include "base/error.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/tls.h"
#include "net/transport.h"

namespace leat::agent {

class Health final : private net::TransportOwner {
 public:
  enum class State : std::uint8_t { unknown, up, down };

  // `service` and `tls` (null: plain) outlive it; `on_change` is told of every change of state, and
  // may not destroy it.
  Health(net::Shard& shard, const Service& service, const net::TlsContext* tls,
         std::function<void()> on_change);
  ~Health();

  void start();
  void stop();
  // A connection for a visitor was made, which says less than an answer to a health check; or not.
  void reached();
  void failed(const Error& why);

  State state() const { return state_; }
  const std::optional<Error>& why() const { return why_; }  // while down

 private:
  void check();
  void on_dialled(Result<std::unique_ptr<net::Transport>> transport);
  void on_transport() override;
  void done(std::optional<Error> why);
  void settle(std::optional<Error> why);

  net::Shard& shard_;
  const Service& service_;
  const net::TlsContext* const tls_;
  const std::function<void()> on_change_;
  State state_ = State::unknown;
  std::optional<Error> why_;
  std::unique_ptr<ServiceDial> dial_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  int interim_ = 0;  // 1xx heads of the answer so far
  net::Timer next_, deadline_;
};

const char* name(Health::State state);

}  // namespace leat::agent
