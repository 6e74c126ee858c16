// What passes between a visitor's WebSocket and the service, counted by messages (docs/protocol.md
// §5.8). Reads the headers of frames and nothing else; what is compressed counts as it is
// transferred. When a message is one too many, or too large, neither it nor anything behind it is
// passed: the frames under way are let through to their ends, and both sides get a close frame.
//
//   open ──refused──▶ closing ── each way, at the end of a frame ──▶ close frame sent
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "mux/endpoint.h"
#include "net/http_io.h"
#include "net/transport.h"
#include "relay/accounting.h"

namespace leat::relay {

inline constexpr auto kQuotaClose = std::chrono::seconds(5);  // for both ends, see above

// One direction: how much of what comes may go.
class FrameGate {
 public:
  // Asked at each header of a message's frame: whether it begins the message, and how many bytes
  // the message has with it.
  using Judge = std::function<std::optional<Code>(bool begins, std::uint64_t size)>;
  explicit FrameGate(Judge judge) : judge_(std::move(judge)) {}

  // The prefix of `data`, which follows what was passed before, that may go. Shorter than it
  // where the header that follows is not whole, or is refused, or after stop().
  std::size_t pass(Bytes data);
  std::optional<Code> refused() const { return refused_; }
  // Nothing beyond the frame that is under way.
  void stop() { stopped_ = true; }
  bool between_frames() const { return left_ == 0; }

 private:
  Judge judge_;
  std::uint64_t left_ = 0;  // of the frame under way, its header included
  std::uint64_t message_ = 0;
  std::optional<Code> refused_;
  bool stopped_ = false;
};

class WebSocketPipe {
 public:
  // `meter` outlives it. `on_refused`: called once, when closing begins.
  WebSocketPipe(StreamMeter& meter, std::function<void(Code)> on_refused);

  // From the visitor to the service; ends with a close frame when closing.
  mux::Produced produce(net::HttpReader& reader, net::Transport& transport, MutableBytes out);
  // From the service to the visitor.
  std::size_t deliver(net::HttpWriter& writer, net::Transport& transport, Bytes data);
  // The owner's bytes are used up: nothing passes any more. False: a frame to the visitor is under
  // way, so that it cannot be told.
  bool refuse(Code code, net::HttpWriter& writer, net::Transport& transport);
  // While closing: writes the visitor's close frame if no frame is under way.
  void tell(net::HttpWriter& writer, net::Transport& transport);

  bool closing() const { return code_.has_value(); }
  bool told() const { return told_; }  // the visitor has its close frame

 private:
  std::optional<Code> judge(net::Meter::Direction from, bool begins, std::uint64_t size);
  void begin_closing(Code code);
  std::uint16_t close_code() const;
  std::size_t take_ready(MutableBytes out);

  StreamMeter& meter_;
  std::function<void(Code)> on_refused_;
  FrameGate in_, out_;
  std::string in_tail_, out_tail_;  // headers that are not whole
  std::string ready_;               // passed, and not yet taken by the stream
  std::size_t ahead_ = 0;           // passed, and not yet taken by the visitor's socket
  std::optional<Code> code_;
  std::string reason_;
  bool told_ = false, ending_ = false;  // ending: the service's close frame has been made
};

}  // namespace leat::relay
