// A local connection to a sealed tcp service: its bytes and those of a stream, once the agent has
// reached the service.
#pragma once

#include <memory>
#include <string>

#include "control/wire.h"
#include "mux/endpoint.h"
#include "net/session_driver.h"
#include "net/splice.h"
#include "net/transport.h"

namespace leat::connect {

class LocalPipe final : private net::Splice::Owner, private mux::Sink {
 public:
  class Owner {
   public:
    // `why`: the agent said no, or the connection was cut; null: both ends are through. Called
    // once, never from inside start().
    virtual void on_pipe_end(LocalPipe& pipe, const Error* why) = 0;

   protected:
    ~Owner() = default;
  };

  LocalPipe(net::SessionDriver& driver, mux::StreamHandle stream,
            std::unique_ptr<net::Transport> local, const std::string& service, Owner& owner);
  void start() { splice_.start_sending(*this); }

 private:
  std::size_t deliver(Bytes data) override;
  void end() override { refuse({Code::AGENT_LOST, "the stream ended before the agent's reply"}); }
  void reset(mux::ResetReason) override {
    refuse({Code::AGENT_LOST, "the stream was reset before the agent's reply"});
  }
  void on_splice_end(net::Splice& splice, bool clean) override;
  void refuse(const Error& why);

  Owner& owner_;
  control::MessageReader reply_;
  net::Splice splice_;
  bool over_ = false;
};

}  // namespace leat::connect
