// A stream of a tcp or tls tunnel: the target is dialled, and then bytes are spliced both ways.
#pragma once

#include <memory>
#include <string>

#include "agent/egress.h"
#include "agent/service_dial.h"
#include "agent/stream.h"
#include "net/splice.h"

namespace leat::agent {

class Pipe final : public Stream, private net::Splice::Owner {
 public:
  Pipe(StreamHost& host, mux::StreamHandle handle, Egress& egress, std::string request_id,
       std::string visitor);
  ~Pipe() override;

  // While the target is dialled nobody is attached: bytes and FIN wait in the session.
  void start() override;

 private:
  void on_dialled(Result<std::unique_ptr<net::Transport>> transport);
  void on_splice_end(net::Splice& splice, bool clean) override;

  Egress& egress_;
  const std::string request_id_, visitor_;
  std::unique_ptr<ServiceDial> dial_;
  CountingMeter meter_;  // outlives the splice
  std::unique_ptr<net::Splice> splice_;
};

}  // namespace leat::agent
