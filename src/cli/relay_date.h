// Asks a relay what time it is: the Date of its answer to /healthz.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/agent.h"
#include "base/error.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::cli {

// RFC 9110 §5.6.7, the preferred form; nullopt: it is none.
std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text);

class RelayDate final : private net::TransportOwner {
 public:
  // Seconds since the epoch, or why there are none. Called once, from the shard; then give the
  // object to Shard::dispose.
  using OnDone = std::function<void(Result<std::chrono::system_clock::time_point>)>;

  // `tls` null: plain. It and `options` outlive the object.
  RelayDate(net::Shard& shard, const agent::Options& options, const net::TlsContext* tls,
            OnDone on_done);
  ~RelayDate();

 private:
  void on_dialled(Result<net::Fd> fd);
  void on_transport() override;
  void done(Result<std::chrono::system_clock::time_point> result);

  net::Shard& shard_;
  const agent::Options& options_;
  const net::TlsContext* const tls_;
  OnDone on_done_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  bool asked_ = false;
};

}  // namespace leat::cli
