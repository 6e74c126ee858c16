// A stream of an http or ws tunnel: one request and its response, or the pipe after 101
// (docs/adr/0003-http-streams.md).
//
//   request, stream to service                  response, service to stream
//     head ──▶ waiting ──▶ body ──▶ sent          waiting ──▶ head ──▶ body ─────────▶ ended
//                │           │       │               ▲         │ │ └▶ pipe (101) ──────▲
//                │ (refused) ▼       ▼ (101)         └─(retry)─┘ └──▶ own (502, 504) ──┘
//             Refusal     dropped  pipe
//
// The request side is driven by the session (deliver) and by room in the service's socket; the
// response side by the session alone (produce): nothing is read from the service before the carrier
// can take it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "agent/early_stream.h"
#include "agent/egress.h"
#include "agent/request_log.h"
#include "agent/service_dial.h"
#include "agent/stream.h"
#include "http/head.h"
#include "mux/endpoint.h"
#include "net/http_io.h"
#include "net/shard.h"

namespace leat::agent {

class HttpExchange final : public Stream,
                           private net::TransportOwner,
                           private mux::Source,
                           private mux::Sink,
                           private net::Deferred {
 public:
  HttpExchange(StreamHost& host, mux::StreamHandle handle, Egress& egress, std::string visitor_host,
               std::string request_id, std::string visitor);
  ~HttpExchange() override;

  void start() override;

 private:
  enum class Request : std::uint8_t {
    head,     // being collected
    waiting,  // for a connection to the service
    body,
    sent,
    dropped,  // the service takes no more of it
    pipe,
  };
  enum class Response : std::uint8_t {
    waiting,  // for a connection to the service
    head,
    body,
    pipe,
    own,  // an answer of the agent's, in text_
    ended,
  };

  // --- request: http_request.cc ---
  std::size_t deliver(Bytes data) override { return deliver_pieces({&data, 1}); }
  std::size_t deliver_pieces(std::span<const Bytes> pieces) override;
  std::size_t take(std::span<const Bytes> pieces);
  void end() override;
  void reset(mux::ResetReason reason) override;
  std::size_t collect_head(Bytes data);
  void connect();
  void dial();
  void on_dialled(Result<std::unique_ptr<net::Transport>> transport);
  void send(std::unique_ptr<ServiceConnection> connection);
  std::size_t send_body(std::span<const Bytes> pieces);
  std::size_t send_raw(std::span<const Bytes> pieces);
  void drop_request();
  void flush();
  void request_sent();

  // --- response: http_response.cc ---
  mux::Produced produce(MutableBytes out) override;
  mux::Produced make(MutableBytes out);
  mux::Produced take_text(MutableBytes out);
  mux::Produced pass_on(mux::Produced produced);
  bool read_head();
  void take_response();
  void begin_pipe();
  void service_failed(Code code, std::string_view why);
  void answer_with(Code code);
  void answer_own(http::Response& response, std::string_view body);
  mux::Produced wrap_body();

  // --- answers that begin before the service has: http_early.cc ---
  void begin_early();
  void take_late(const http::Response& response);
  void end_early(const std::string& failure);

  bool may_retry() const;
  void retry();
  void release_connection();

  // --- both: http_exchange.cc ---
  void on_transport() override;
  void on_deferred() override;
  void drop_connection();
  void cut(std::string_view why);
  void over();
  void finish_if_done();
  void log_request();
  void may_rest();
  void rested();

  Egress& egress_;
  Metrics::Traffic& traffic_;
  const std::string visitor_host_;
  std::string request_id_;
  const std::string visitor_;

  Request request_ = Request::head;
  Response response_ = Response::waiting;
  http::HeadReader head_;
  std::string method_;
  http::BodyKind body_ = http::BodyKind::none;
  std::uint64_t body_length_ = 0;
  bool upgrade_ = false;
  std::string request_text_;  // the head for the service, until nobody will ask for it again

  std::unique_ptr<ServiceDial> dial_;
  std::unique_ptr<ServiceConnection> connection_;
  net::HttpWriter writer_;
  std::uint64_t moved_ = 0;         // bytes, both ways …
  std::uint64_t moved_before_ = 0;  // … and when rest_ was armed
  net::Timer rest_;                 // of a sealed service; for others the relay keeps time of it
  net::Timer grace_;  // armed: a pipe's service has reset, and what it said before is passed on

  std::string text_;  // OpenReply and heads on their way to the relay, from text_sent_ on
  std::size_t text_sent_ = 0;
  int interim_ = 0;            // 1xx heads forwarded
  bool connected_ = false;     // OpenReply says so
  bool keep_alive_ = false;    // the service will take another request on this connection
  bool http10_ = false;        // the visitor's version, which the service is asked in too
  bool stream_ended_ = false;  // the relay's FIN
  bool over_ = false;

  std::optional<std::string> cors_origin_;  // the visitor's page may read the answer
  std::unique_ptr<EarlyStream> early_;      // the answer may begin before the service has …
  std::optional<net::Timer> early_timer_;   // … or go on so
  bool wrap_ = false;                       // the service's body goes into chunks of ours

  RequestLine line_;  // for the log; its method is empty before the head and once it is written
  Time begun_ = kNever;
};

}  // namespace leat::agent
