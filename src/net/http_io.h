// HTTP messages between a transport and a stream, both ways, used by the relay towards visitors and
// by the agent towards services. Bodies are validated where they lie (http::BodyScanner) and never
// re-framed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "http/body.h"
#include "http/head.h"
#include "mux/endpoint.h"
#include "net/transport.h"

namespace leat::net {

// Takes messages out of a transport: a head, then its body as the frames of a stream ask for it.
// Bytes beyond what was asked (the next, pipelined message) are held, never more than one read of
// 16 KiB.
class HttpReader {
 public:
  enum class Head : std::uint8_t {
    more,
    done,    // http::HeadReader::take_… next
    bad,     // see head().error()
    end,     // a clean end between messages, or inside one if head().held() > 0
    failed,  // Transport::error()
  };

  Head read_head(Transport& transport);
  http::HeadReader& head() { return head_; }

  // After a head: how its body is delimited.
  void begin_body(http::BodyKind kind, std::uint64_t length);
  // Source::produce of the body: `end` when it is complete, `error` when it was cut or is malformed
  // (bad_framing() tells which). Trailers follow filtered.
  mux::Produced produce_body(Transport& transport, MutableBytes out);
  bool body_done() const { return body_.done() && trailers_sent_ == body_.trailers().size(); }
  bool bad_framing() const { return bad_framing_; }

  // After 101: everything, unread and held, as it is.
  mux::Produced produce_raw(Transport& transport, MutableBytes out);

  // While nothing is to be read: looks whether the peer has gone, holding what it sends meanwhile
  // (up to 16 KiB). True: it ended or failed.
  bool peer_gone(Transport& transport);
  // The next message has begun to arrive.
  bool has_held() const { return held_at_ < held_.size(); }
  std::size_t held() const { return held_.size() - held_at_; }
  // What another reader held when it gave its transport up: comes before what the transport has.
  void hold(std::string held) {
    held_ = std::move(held);
    held_at_ = 0;
  }
  // What came behind the last head, for whoever takes the transport over.
  std::string release_held() { return held_.substr(std::exchange(held_at_, held_.size())); }

 private:
  IoStatus hold_more(Transport& transport);
  std::size_t take_held(MutableBytes out);

  http::HeadReader head_;
  http::BodyScanner body_;
  std::size_t trailers_sent_ = 0;
  std::string held_;  // read and not yet used, from held_at_ on
  std::size_t held_at_ = 0;
  IoStatus gone_ = IoStatus::ok;  // how the transport ended while nobody was reading
  bool bad_framing_ = false;
};

// Puts messages into a transport. What the transport does not take at once is queued only for heads
// and trailers; body bytes stay with the stream.
class HttpWriter {
 public:
  // Queues and tries to send.
  void write(Transport& transport, std::string_view text);
  // True: nothing is queued and the transport's ring is empty.
  bool flush(Transport& transport);
  bool idle() const { return queue_.empty(); }
  bool failed() const { return failed_; }

  void begin_body(http::BodyKind kind, std::uint64_t length);
  // Sink::deliver_pieces of the body: validates and sends a prefix of `pieces`, returns its length.
  std::size_t write_body(Transport& transport, std::span<const Bytes> pieces);
  std::size_t write_raw(Transport& transport, std::span<const Bytes> pieces);
  bool body_done() const { return body_.done(); }
  bool bad_framing() const { return bad_framing_; }
  // The stream ended: does that complete the body?
  bool complete_at_close() const { return body_.complete_at_close(); }
  std::uint64_t body_bytes() const { return body_bytes_; }  // of the current body, framing included

 private:
  http::BodyScanner body_;
  std::string queue_;
  std::uint64_t body_bytes_ = 0;
  bool bad_framing_ = false;
  bool failed_ = false;
};

}  // namespace leat::net
