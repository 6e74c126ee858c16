// Answers a stream that cannot be served: OpenReply with the reason, then FIN. A reset would
// overtake the answer, so what the relay still sends is taken and dropped until it ends its side.
#pragma once

#include <string>

#include "agent/stream.h"
#include "base/error.h"
#include "mux/endpoint.h"
#include "net/shard.h"

namespace leat::agent {

// An OpenReply as it goes on the stream; null: connected.
std::string open_reply(const Error* failure);

class Refusal final : public Stream, private mux::Source, private mux::Sink, private net::Deferred {
 public:
  // `ended`: the relay's FIN has been taken already.
  Refusal(StreamHost& host, mux::StreamHandle handle, const Error& why, bool ended = false);
  ~Refusal() override;

  void start() override;

 private:
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override { return data.size(); }
  void end() override;
  void reset(mux::ResetReason reason) override;
  void on_deferred() override { host_.retire(*this); }
  void finish_if_done();

  const std::string reply_;
  std::size_t sent_ = 0;
  bool answered_ = false;
  bool ended_;
  bool over_ = false;
};

}  // namespace leat::agent
