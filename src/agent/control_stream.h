// Stream 1 of a session: control::Client between the two ends of a mux stream.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"
#include "control/client.h"
#include "mux/endpoint.h"
#include "mux/session.h"

namespace leat::agent {

class ControlStream final : private mux::Source, private mux::Sink {
 public:
  class Owner {
   public:
    // The session is to end: the relay's Failure, a breach of protocol, or the end of the stream.
    // Called once, possibly from inside the session's callbacks.
    virtual void on_control_failed(const Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  ControlStream(control::Client client, Owner& owner);

  // Opens the session's first stream; Hello leaves with it.
  void start(mux::Session& session, Time now);
  void bind(std::size_t index, const control::TunnelRequest& tunnel);
  void unbind(const std::string& tunnel);
  void report_health(const std::string& tunnel, const Error* failure);
  void leave();
  // Everything handed to the client has gone into frames.
  bool sent() const { return out_.empty() && !client_.has_output(); }

 private:
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;
  void fail(const Error& why);

  control::Client client_;
  Owner& owner_;
  mux::Session* session_ = nullptr;
  mux::StreamHandle stream_;
  std::string out_;
  std::size_t sent_ = 0;
  bool failed_ = false;
};

}  // namespace leat::agent
