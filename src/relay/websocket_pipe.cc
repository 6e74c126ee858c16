#include "relay/websocket_pipe.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/crypto_util.h"
#include "http/websocket.h"
#include "http/websocket_header.h"

namespace leat::relay {
namespace {

using http::ws::FrameHeader;
using http::ws::read_frame_header;

// Room for the header that is read with what follows it.
constexpr std::size_t kLeastRead = 64;

}  // namespace

// --- one direction ---

std::size_t FrameGate::pass(Bytes data) {
  std::size_t passed = 0;
  for (;;) {
    const std::size_t n = std::min<std::uint64_t>(left_, data.size() - passed);
    left_ -= n;
    passed += n;
    if (left_ > 0 || refused_ || stopped_) return passed;
    const std::optional<FrameHeader> header = read_frame_header(data.subspan(passed));
    if (!header) return passed;
    if (!header->control()) {
      const std::uint64_t before = header->begins_message() ? 0 : message_;
      // A length may be anything that 64 bits can say.
      message_ = before + std::min(header->length, ~before);
      refused_ = judge_(header->begins_message(), message_);
      if (refused_) return passed;
    }
    left_ = header->size + std::min(header->length, ~std::uint64_t{header->size});
  }
}

// --- both ---

WebSocketPipe::WebSocketPipe(StreamMeter& meter, std::function<void(Code)> on_refused)
    : meter_(meter),
      on_refused_(std::move(on_refused)),
      in_([this](bool begins, std::uint64_t size) {
        return judge(net::Meter::Direction::in, begins, size);
      }),
      out_([this](bool begins, std::uint64_t size) {
        return judge(net::Meter::Direction::out, begins, size);
      }) {}

std::optional<Code> WebSocketPipe::judge(net::Meter::Direction from, bool begins,
                                         std::uint64_t size) {
  const std::shared_ptr<const Plan> plan = meter_.account().plan();
  if (plan != nullptr && plan->message && size > *plan->message) return Code::QUOTA_MESSAGE_SIZE;
  return begins ? meter_.begin_message(from) : std::nullopt;
}

void WebSocketPipe::begin_closing(Code code) {
  if (code_) return;
  code_ = code;
  reason_ = code == Code::QUOTA_MESSAGE_SIZE ? std::string(info(code).name) : meter_.reason(code);
  in_.stop();
  out_.stop();
  meter_.report(code);
  on_refused_(code);
}

std::size_t WebSocketPipe::take_ready(MutableBytes out) {
  const std::size_t n = std::min(out.size(), ready_.size());
  std::memcpy(out.data(), ready_.data(), n);
  ready_.erase(0, n);
  return n;
}

mux::Produced WebSocketPipe::produce(net::HttpReader& reader, net::Transport& transport,
                                     MutableBytes out) {
  for (;;) {
    if (!ready_.empty()) return mux::Produced::bytes(take_ready(out));
    if (ending_) return mux::Produced::end();
    if (closing() && in_.between_frames()) {
      http::ws::MaskKey key;
      random_bytes(key);
      http::ws::append_close(ready_, close_code(), reason_, &key);
      ending_ = true;
      continue;
    }
    // What is held of a header comes first, so that a small frame is read aside.
    std::array<std::uint8_t, kLeastRead> aside;
    const MutableBytes into = out.size() < kLeastRead ? MutableBytes(aside) : out;
    std::memcpy(into.data(), in_tail_.data(), in_tail_.size());
    const mux::Produced got = reader.produce_raw(transport, into.subspan(in_tail_.size()));
    if (got.kind != mux::Produced::Kind::bytes) return got;
    const Bytes data = into.first(in_tail_.size() + got.n);
    const std::size_t passed = in_.pass(data);
    if (in_.refused()) begin_closing(*in_.refused());
    in_tail_ = closing() ? std::string() : std::string(as_chars(data.subspan(passed)));
    if (into.data() == out.data() && passed > 0) return mux::Produced::bytes(passed);
    ready_ = as_chars(data.first(passed));
  }
}

std::size_t WebSocketPipe::deliver(net::HttpWriter& writer, net::Transport& transport, Bytes data) {
  if (told_) return data.size();  // behind the close frame nothing follows
  if (!out_tail_.empty()) {
    if (!writer.idle()) return 0;
    // A byte at a time, for a header has few: until it is whole, or refused.
    std::size_t used = 0;
    while (used < data.size() && !out_tail_.empty() && !out_.refused()) {
      out_tail_ += static_cast<char>(data[used++]);
      if (out_.pass(as_bytes(out_tail_)) > 0) writer.write(transport, std::exchange(out_tail_, {}));
    }
    if (out_.refused()) begin_closing(*out_.refused());
    if (closing()) tell(writer, transport);
    return used;
  }
  const std::size_t before = std::min(ahead_, data.size());
  const std::size_t allowed = before + out_.pass(data.subspan(before));
  const Bytes passed = data.first(allowed);
  const std::size_t taken = allowed > 0 ? writer.write_raw(transport, {&passed, 1}) : 0;
  ahead_ = std::max(ahead_, allowed) - taken;
  if (out_.refused()) begin_closing(*out_.refused());
  if (closing()) {
    tell(writer, transport);
    return told_ ? data.size() : taken;
  }
  if (taken < allowed || allowed == data.size()) return taken;
  out_tail_ = as_chars(data.subspan(allowed));
  return data.size();
}

void WebSocketPipe::tell(net::HttpWriter& writer, net::Transport& transport) {
  if (told_ || ahead_ > 0 || !out_.between_frames()) return;
  std::string frame;
  http::ws::append_close(frame, close_code(), reason_, nullptr);
  writer.write(transport, frame);
  out_tail_.clear();
  told_ = true;
}

bool WebSocketPipe::refuse(Code code, net::HttpWriter& writer, net::Transport& transport) {
  begin_closing(code);
  tell(writer, transport);
  return told_;
}

std::uint16_t WebSocketPipe::close_code() const {
  return code_ == Code::QUOTA_MESSAGE_SIZE ? http::ws::kTooBig : http::ws::kPolicy;
}

}  // namespace leat::relay
