// Reaches the target of a service: resolves, connects and, where the target speaks TLS, shakes
// hands. limits::kDialTimeout covers all of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/service.h"
#include "base/error.h"
#include "base/time.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/transport.h"

namespace leat::agent {

class ServiceDial final : private net::TransportOwner {
 public:
  // The transport's owner is still this object: set another at once. SERVICE_REFUSED,
  // SERVICE_TIMEOUT or SERVICE_UNREACHABLE.
  using OnDone = std::function<void(Result<std::unique_ptr<net::Transport>>)>;

  // `tls` null: a plain connection. The callback is called at most once, never from here; give the
  // object to Shard::dispose in it. Destroying it cancels.
  // `visitor`: whom a PROXY header in front of everything tells of, where the service wants one.
  ServiceDial(net::Shard& shard, const Service& service, const net::TlsContext* tls,
              std::string_view visitor, OnDone on_done);
  ~ServiceDial();

 private:
  void on_connected(Result<net::Fd> fd);
  bool introduce(int fd) const;
  void on_transport() override;
  void done(Result<std::unique_ptr<net::Transport>> result);

  net::Shard& shard_;
  const std::string name_;
  const int proxy_protocol_;
  const std::string visitor_;
  const net::TlsContext* tls_;
  OnDone on_done_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  net::Timer deadline_;
};

}  // namespace leat::agent
