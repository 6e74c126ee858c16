// One request and its response, as one stream to the agent (docs/protocol.md §5).
//
//   request:  prefix (OpenStream, head) ── body ──────────────────▶ FIN
//   response:  reply ── head ─┬─ interim (back to head)
//                             ├─ 101 ── raw, both ways
//                             └─ body ── done ── FIN
//
// Before the first byte of a response a failure is an Outcome with a code, which the connection
// answers; after it, only cutting the connection tells the visitor the truth.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/secret.h"
#include "control/wire.h"
#include "http/head.h"
#include "mux/endpoint.h"
#include "net/http_io.h"
#include "net/session_driver.h"
#include "net/transport.h"
#include "relay/accounting.h"
#include "relay/forward.h"
#include "relay/websocket_pipe.h"

namespace leat::relay {

class HttpExchange final : private mux::Source, private mux::Sink {
 public:
  enum class Outcome : std::uint8_t {
    running,
    complete,  // the response is whole; `reusable` says whether the connection may go on
    failed,    // nothing was answered: answer with code()
    cut,       // a response had begun, or the visitor has left: abort the connection
  };

  // The connection's parts, which outlive the exchange, and the stream, which the exchange owns.
  struct Parts {
    net::Transport& transport;
    net::HttpReader& reader;
    net::HttpWriter& writer;
    net::SessionDriver& driver;
    mux::StreamHandle stream;
    Metrics& metrics;
    bool bare = false;  // no preamble, and the stream outlives an answer (docs/protocol.md §5.7)
  };
  class Owner {
   public:
    // Bytes moved, or the outcome is known. Called often and from inside the session: only mark and
    // defer.
    virtual void on_exchange() = 0;

   protected:
    ~Owner() = default;
  };

  // `request` as it goes out; `opening` is what the stream begins with, the preamble and the
  // request's head; `prefix` what was taken off the target. `keep_alive`: whether the visitor
  // wants, and the relay allows, the connection to go on.
  HttpExchange(const Parts& parts, Owner& owner, const http::Request& request, std::string opening,
               std::string prefix, std::string request_id, bool keep_alive);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  void start();
  // The transport may read or write again.
  void on_transport();
  // Nothing has moved for too long.
  void on_idle();
  // Before start(): what moves is taken from an account; `body_limit` bytes of a request's body, as
  // transferred, are the most.
  void set_meter(Accounting& accounting, HeldBack& held_back, std::shared_ptr<Account> account,
                 Traffic& traffic);
  // The visitor may not be here any longer.
  void revoke() { fail(Code::VISITOR_REFUSED); }
  // Said in a 101 that selects none: the offer carried the visitor's token, and a browser fails a
  // WebSocket whose offer was not taken up.
  void set_subprotocol(Secret name) { subprotocol_ = std::move(name); }

  // Before start(): its host has siblings.
  void keep_to_host() { host_only_ = true; }

  Outcome outcome() const { return outcome_; }
  Code code() const { return code_; }
  // Failed because the session has ended, before the visitor was told anything.
  bool session_lost() const { return session_lost_ && interim_ == 0; }
  bool reusable() const { return keep_alive_ && parts_.reader.body_done(); }
  bool response_begun() const { return phase_ > Phase::head; }
  // The visitor has gone, before the exchange was over; by then it had the whole answer.
  bool left() const { return left_; }
  bool answered() const { return phase_ == Phase::done && parts_.writer.idle(); }
  int status() const { return status_; }  // of the answer; 0: none yet
  // Of the stream, from the visitor and to it.
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }
  bool piped() const { return phase_ == Phase::raw; }
  // A WebSocket has met a limit, and both sides are being told; kQuotaClose is enough.
  bool closing() const { return websocket_ && websocket_->closing(); }

 private:
  enum class Phase : std::uint8_t { reply, head, body, raw, done };

  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override { return deliver_pieces({&data, 1}); }
  std::size_t deliver_pieces(std::span<const Bytes> pieces) override;
  void end() override;
  void reset(mux::ResetReason reason) override;

  mux::Produced produce_request(MutableBytes out);
  mux::Produced produce_unmetered(MutableBytes out);
  std::size_t deliver_unmetered(std::span<const Bytes> pieces);
  void on_meter();
  std::size_t step(std::span<const Bytes> pieces);
  std::size_t read_reply(Bytes data);
  std::size_t read_head(Bytes data);
  void on_response(http::Response response);
  void finish_pipe();
  void complete();
  void complete_if_done();
  bool has_left();
  void leave();
  void fail(Code code) { fail(code, cut_of(code)); }
  void fail(Code code, Cut why);

  Parts parts_;
  Owner& owner_;
  std::optional<StreamMeter> meter_;
  std::optional<WebSocketPipe> websocket_;  // behind a 101, where there is a plan
  std::optional<std::uint64_t> body_left_;  // of the request, while there is a limit
  std::string prefix_;
  std::size_t prefix_sent_ = 0;
  std::string method_;
  int minor_;
  bool upgrade_;
  Place place_;
  std::string request_id_;
  Secret subprotocol_;
  bool keep_alive_;
  bool host_only_ = false;
  control::MessageReader reply_;
  http::HeadReader head_;
  Phase phase_ = Phase::reply;
  Outcome outcome_ = Outcome::running;
  Code code_ = Code::AGENT_LOST;
  bool request_done_ = false;  // FIN was produced
  bool stream_ended_ = false;  // FIN was received
  bool finished_ = false;      // piped: the visitor was told so
  bool session_lost_ = false, left_ = false;
  int interim_ = 0;
  const Time begun_;
  int status_ = 0;
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
};

}  // namespace leat::relay
