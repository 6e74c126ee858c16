// The first owner of every stream the relay opens: reads OpenStream, looks the tunnel up in the
// agent's own table, and hands the stream on. A device, which is no relay, has a time for it.
#pragma once

#include <optional>

#include "agent/stream.h"
#include "control/wire.h"
#include "mux/endpoint.h"
#include "net/shard.h"

namespace leat::agent {

class StreamIntake final : public Stream, private mux::Sink, private net::Deferred {
 public:
  StreamIntake(StreamHost& host, mux::StreamHandle handle);
  ~StreamIntake() override;

  void start() override;

 private:
  enum class State : std::uint8_t { reading, complete, over };

  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;
  void on_deferred() override;

  void give_up();
  void hand_on();

  control::MessageReader reader_;
  State state_ = State::reading;
  std::optional<net::Timer> deadline_;  // of a sealed session
};

}  // namespace leat::agent
