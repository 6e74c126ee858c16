// A stream of the relay's that is the pipe of a sealed session: what comes on it is for the gate,
// and the relay learns nothing but its size.
#pragma once

#include <memory>
#include <string>

#include "agent/sealed_peer.h"
#include "agent/stream.h"

namespace leat::agent {

class SealedStream final : public Stream, private SealedPeer::Owner {
 public:
  SealedStream(StreamHost& host, mux::StreamHandle handle, SealedGate& gate, std::string tunnel,
               std::string visitor);

  void start() override;

 private:
  void on_peer_end(SealedPeer&) override { host_.retire(*this); }
  bool carrier_gone() const override { return host_.driver().ended(); }

  SealedGate& gate_;
  const std::string tunnel_, visitor_;
  std::unique_ptr<SealedPeer> peer_;
};

}  // namespace leat::agent
