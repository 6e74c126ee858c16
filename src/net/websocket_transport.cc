#include "net/websocket_transport.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "mux/abuse_guard.h"

namespace leat::net {
namespace {

using http::ws::Event;
using http::ws::FrameReader;
using http::ws::MaskKey;
using http::ws::Opcode;
using http::ws::Role;

// Two bytes, a 16 bit length, a key: frames stay below 64 KiB.
constexpr std::size_t kHeader = 8;
constexpr std::size_t kPayload = limits::kTlsRecord - kHeader;
// Read from the wire, whatever comes of it, before the shard looks at the others again.
constexpr std::size_t kAtOnce = 256 * limits::KiB;

// Behind the code may stand when to come again.
std::optional<Code> code_of(std::string_view reason) {
  return code_from_name(reason.substr(0, reason.find(',')));
}

class WebSocketTransport final : public Transport, private TransportOwner, private Deferred {
 public:
  WebSocketTransport(Shard& shard, std::unique_ptr<Transport> inner, Role role, std::string surplus,
                     std::uint16_t abort_code)
      : shard_(&shard),
        inner_(std::move(inner)),
        role_(role),
        frames_(role, limits::kWebSocketMessage),
        surplus_(std::move(surplus)),
        abort_code_(abort_code) {
    inner_->set_owner(this);
  }
  ~WebSocketTransport() override { inner_->set_owner(nullptr); }

  bool established() const override { return inner_->established(); }
  IoResult read(MutableBytes into) override;
  bool readable() const override {
    return ended_ || failed_ || !surplus_.empty() || inner_->readable();
  }
  IoResult write(Bytes from) override;
  std::size_t best_write() const override { return kPayload; }
  std::size_t write_room() const override {
    if (failed_ || finishing_ || !queue_.empty()) return 0;
    const std::size_t room = inner_->write_room();
    return room / limits::kTlsRecord * kPayload;
  }
  std::size_t unsent() const override { return queue_.size() + inner_->unsent(); }
  bool make_room() override { return send_queue() && inner_->make_room() && write_room() > 0; }
  bool flush() override;
  void finish() override;
  void abort() override;
  bool leave() override;
  bool join(Shard& shard) override;
  void close(std::uint16_t code, std::string_view reason);

  int fd() const override { return inner_->fd(); }
  std::string peer() const override { return inner_->peer(); }
  std::string peer_host() const override { return inner_->peer_host(); }
  Error error() const override { return error_; }
  bool broken() const override { return inner_->broken(); }
  const IoCounters& counters() const override { return inner_->counters(); }
  bool secure() const override { return inner_->secure(); }
  std::string sni() const override { return inner_->sni(); }
  // No channel binding: TLS may end at a proxy, and then each side has another one.

 private:
  void on_transport() override;
  void on_deferred() override;

  IoResult receive(MutableBytes into);
  std::size_t unwrap(MutableBytes bytes);
  void close_frame(std::uint16_t code, std::string_view reason);
  bool send_queue();
  const MaskKey* fresh_key();
  void refuse(std::uint16_t code, std::string_view why);
  void fail(Error why);

  Shard* shard_;
  const std::unique_ptr<Transport> inner_;
  const Role role_;
  FrameReader frames_;
  std::string surplus_;
  const std::uint16_t abort_code_;
  std::string queue_;                // what inner_ has not taken: a frame's rest, or control frames
  std::optional<std::string> pong_;  // owed; a later ping replaces it (RFC 6455 §5.5.3)
  mux::TokenBucket waste_{limits::kPeerWaste};
  std::size_t wire_ = 0;  // read in this batch
  bool read_on_ = false;  // stopped by kAtOnce
  MaskKey key_{};
  Error error_{Code::CARRIER_CUT, {}};
  bool closed_ = false;     // our close frame has been queued
  bool finishing_ = false;  // finish() was called
  bool shut_ = false;       // inner_ was told to finish
  bool ended_ = false;      // the peer's close frame was read
  bool failed_ = false;
};

// --- received ---

IoResult WebSocketTransport::receive(MutableBytes into) {
  if (surplus_.empty()) return inner_->read(into);
  const std::size_t n = std::min(into.size(), surplus_.size());
  std::memcpy(into.data(), surplus_.data(), n);
  surplus_.erase(0, n);
  return {IoStatus::ok, n};
}

IoResult WebSocketTransport::read(MutableBytes into) {
  std::size_t total = 0;
  while (total < into.size() && !failed_ && !ended_) {
    if (wire_ >= kAtOnce) {
      read_on_ = true;
      shard_->defer(*this);
      break;
    }
    const MutableBytes rest = into.subspan(total);
    const IoResult got = receive(rest);
    wire_ += got.n;
    if (got.status == IoStatus::would_block) break;
    if (got.status == IoStatus::failed) {
      fail(inner_->error());
    } else if (got.status == IoStatus::end) {
      fail({Code::CARRIER_CUT, inner_->peer() + ": closed without a WebSocket close"});
    } else {
      total += unwrap(rest.first(got.n));
    }
  }
  // What came before an end or a failure is handed over first; the next call tells of it.
  if (total > 0) return {IoStatus::ok, total};
  if (failed_) return {IoStatus::failed};
  return {ended_ ? IoStatus::end : IoStatus::would_block};
}

// Moves the payload to the front, over the headers, and returns how much there is.
std::size_t WebSocketTransport::unwrap(MutableBytes bytes) {
  std::size_t out = 0, at = 0;
  for (;;) {
    std::size_t used = 0;
    const Event event = frames_.feed(bytes.subspan(at), used);
    // As in a session (docs/protocol.md §1.7): frames that carry next to nothing are paid for.
    const std::size_t waste = limits::kFrameOverhead -
                              std::min<std::size_t>(event.payload.size(), limits::kFrameOverhead);
    if (event.kind != Event::Kind::none &&
        !waste_.take(static_cast<std::uint32_t>(waste), shard_->now())) {
      refuse(http::ws::kPolicy, "a flood of small frames");
      return out;
    }
    switch (event.kind) {
      case Event::Kind::none:
        return out;
      case Event::Kind::data:
        if (event.opcode != Opcode::binary) {
          refuse(http::ws::kUnsupported, "a text message on a carrier");
          return out;
        }
        if (!event.payload.empty()) {
          std::memmove(bytes.data() + out, event.payload.data(), event.payload.size());
          out += event.payload.size();
        }
        break;
      case Event::Kind::ping:
        pong_ = as_chars(event.payload);
        shard_->defer(*this);
        break;
      case Event::Kind::pong:
        break;
      case Event::Kind::close:
        error_.code = code_of(as_chars(event.payload)).value_or(error_.code);
        close_frame(event.code, {});
        ended_ = true;
        return out;
      case Event::Kind::error:
        refuse(event.code, "broken WebSocket framing");
        return out;
    }
    at += used;
  }
}

// --- sent ---

const MaskKey* WebSocketTransport::fresh_key() {
  if (role_ == Role::server) return nullptr;
  // A use of the generator costs more than the masking: it makes many at once.
  static thread_local std::array<std::uint8_t, 256> keys;
  static thread_local std::size_t used = keys.size();
  if (used == keys.size()) {
    random_bytes(keys);
    used = 0;
  }
  std::copy_n(keys.begin() + static_cast<std::ptrdiff_t>(used), key_.size(), key_.begin());
  used += key_.size();
  return &key_;
}

IoResult WebSocketTransport::write(Bytes from) {
  if (failed_) return {IoStatus::failed};
  // Built in one piece, so that TLS makes one record of it.
  static thread_local std::array<std::uint8_t, limits::kTlsRecord + http::ws::kMaxHeader> frame;
  std::size_t total = 0;
  while (total < from.size() && !closed_ && send_queue()) {
    if (inner_->write_room() < limits::kTlsRecord && !inner_->make_room()) {
      if (inner_->write({}).status == IoStatus::failed) fail(inner_->error());
      break;
    }
    const Bytes payload = from.subspan(total, std::min(from.size() - total, kPayload));
    const MaskKey* const key = fresh_key();
    const std::size_t header = http::ws::write_header(
        std::span(frame).first<http::ws::kMaxHeader>(), Opcode::binary, true, payload.size(), key);
    std::memcpy(frame.data() + header, payload.data(), payload.size());
    const MutableBytes body(frame.data() + header, payload.size());
    if (key != nullptr) http::ws::mask(body, *key);
    const Bytes whole(frame.data(), header + payload.size());
    const IoResult sent = inner_->write(whole);
    if (sent.status == IoStatus::failed) {
      fail(inner_->error());
      break;
    }
    if (sent.status != IoStatus::ok) break;
    queue_ = as_chars(whole.subspan(sent.n));  // a plain socket may take part of a frame
    total += payload.size();
  }
  if (total > 0) shard_->defer(*this);
  if (total > 0) return {IoStatus::ok, total};
  return {failed_ ? IoStatus::failed : IoStatus::would_block};
}

void WebSocketTransport::refuse(std::uint16_t code, std::string_view why) {
  close_frame(code, why);
  fail({Code::PROTOCOL, inner_->peer() + ": " + std::string(why)});
}

void WebSocketTransport::close_frame(std::uint16_t code, std::string_view reason) {
  if (std::exchange(closed_, true)) return;
  http::ws::append_close(queue_, code, reason, fresh_key());
  shard_->defer(*this);
}

// False: something still waits.
bool WebSocketTransport::send_queue() {
  if (queue_.empty() && pong_ && !closed_) {
    http::ws::append_frame(queue_, Opcode::pong, as_bytes(*pong_), fresh_key());
    pong_.reset();
  }
  while (!queue_.empty()) {
    const IoResult sent = inner_->write(as_bytes(queue_));
    if (sent.status != IoStatus::ok) {
      if (sent.status == IoStatus::failed) queue_.clear();  // told by the next read or write
      return false;
    }
    queue_.erase(0, sent.n);
  }
  return true;
}

bool WebSocketTransport::flush() {
  send_queue();
  const bool drained = inner_->flush() && queue_.empty();
  if (finishing_ && queue_.empty() && !std::exchange(shut_, true)) inner_->finish();
  return drained;
}

void WebSocketTransport::finish() { close(http::ws::kNormal, {}); }

void WebSocketTransport::close(std::uint16_t code, std::string_view reason) {
  if (std::exchange(finishing_, true)) return;
  close_frame(code, reason);
  flush();
}

void WebSocketTransport::abort() {
  fail({Code::CARRIER_CUT, inner_->peer() + ": given up"});
  if (abort_code_ != 0) {
    close(abort_code_, {});
    if (shut_) return;  // it has left, be it behind a message's rest
  }
  queue_.clear();
  inner_->abort();
}

bool WebSocketTransport::leave() {
  if (!inner_->leave()) return false;
  owner_ = nullptr;
  Shard::cancel(*this);
  return true;
}

bool WebSocketTransport::join(Shard& shard) {
  shard_ = &shard;
  inner_->set_owner(this);
  if (!inner_->join(shard)) return false;
  shard.defer(*this);  // whatever was to be done when it left
  return true;
}

void WebSocketTransport::on_deferred() {
  wire_ = 0;
  flush();
  if (std::exchange(read_on_, false) && owner_ != nullptr) owner_->on_transport();
}

void WebSocketTransport::on_transport() {
  flush();
  if (owner_ != nullptr) owner_->on_transport();
}

void WebSocketTransport::fail(Error why) {
  if (std::exchange(failed_, true)) return;
  error_ = std::move(why);
}

}  // namespace

std::unique_ptr<Transport> make_websocket_transport(Shard& shard, std::unique_ptr<Transport> inner,
                                                    Role role, std::string surplus,
                                                    std::uint16_t abort_code) {
  return std::make_unique<WebSocketTransport>(shard, std::move(inner), role, std::move(surplus),
                                              abort_code);
}

void close_websocket(Transport& transport, std::uint16_t code, std::string_view reason) {
  static_cast<WebSocketTransport&>(transport).close(code, reason);
}

}  // namespace leat::net
