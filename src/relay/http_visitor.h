// A visitor's HTTP/1.1 connection: heads are read, routed and answered one after the other, each
// exchange by a stream of its own, so that one connection may speak to several tunnels.
//
//   head ──▶ exchange ──▶ head (keep-alive)
//     ├──────────┴──────▶ lingering ──▶ over
//     └──▶ moving: the request is for a session of another shard, where the connection goes on
//
// Lingering: everything is sent, and what still comes is read and thrown away for a moment, since
// closing a socket with unread bytes would reset it and destroy the answer on its way (RFC 9112
// §9.6).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/head.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/transport.h"
#include "relay/context.h"
#include "relay/http_exchange.h"
#include "relay/route.h"
#include "relay/visit.h"

namespace leat::relay {

class HttpVisitor final : private net::TransportOwner,
                          private net::Deferred,
                          private HttpExchange::Owner {
 public:
  // `tunnels`: whether this door leads to tunnels, or to the relay's own pages only;
  // `waiting` unset for a connection that nothing counts.
  HttpVisitor(Context& context, std::unique_ptr<net::Transport> transport, bool tunnels,
              std::optional<Counted> waiting);
  ~HttpVisitor() override;

  void start();
  // No further request; an idle connection closes at once.
  void drain();
  // A tunnel was taken from its owner: cuts an exchange with it.
  void revoke(const std::string& tunnel);
  // The rules of a tunnel of that session's have changed: cuts the exchange that they would not
  // allow any more.
  void recheck(const AgentSession& agent, const std::string& tunnel, const Access& access);
  // Cuts the exchange of whom a JWT let in that has ended. `now`: since 1970.
  void expire(std::chrono::seconds now);

 private:
  enum class State : std::uint8_t { head, exchange, leaving, arriving, lingering, over };

  void on_transport() override;
  void on_deferred() override;
  void on_exchange() override;

  // A connection on its way to another shard, with the request that is to be handled there.
  struct Passage {
    std::unique_ptr<net::Transport> transport;
    http::Request request;
    std::string held;
    bool tunnels;
    std::size_t hops;
    bool counted;
    std::optional<Counted> presence;
    Counted travelling;
  };
  static void arrive(Context& context, Passage passage);
  bool goes_to(std::size_t shard, http::Request& request);
  void depart();
  void go_on();

  void watch();
  void read_heads();
  bool wait_for_head();
  bool take_seat();
  void refuse_visitor();
  std::string network_of_visitor() const;
  void handle(http::Request request);
  bool is_room(const std::string& tunnel) const;
  std::size_t place_of(const std::string& tunnel, control::TunnelKind kind) const;
  void open(http::Request request, Route route);
  void open_room(http::Request request, Route route);
  bool admit(http::Request& request, Route& route, const AgentSession& agent, bool keep_alive);
  void administer(const http::Request& request, const Route& route, bool keep_alive);
  void show_dashboard(const Route& route, bool keep_alive);
  void become_agent(const http::Request& request, const Route& route);
  void become_sealed(http::Request request, const std::string& tunnel);
  std::unique_ptr<net::Transport> switch_protocols(const http::Request& request,
                                                   std::string_view subprotocol);
  void begin_visit(const http::Request& request, const Route& route, std::string_view owner);
  void note_progress();
  void end_visit(bool clean);
  void settle();  // acts on the exchange's outcome
  void refuse_head(Code code);
  void answer(Code code, bool keep_alive);
  void answer(int status, std::string_view body, bool keep_alive,
              std::string_view extra_fields = {}, std::string_view type = "application/json");
  void linger();
  void discard();
  void on_timer();
  void end(bool abort);

  Context& context_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  std::unique_ptr<HttpExchange> exchange_;
  std::optional<Visit> visit_;  // from the request to the end of its exchange
  net::Timer timer_;
  std::optional<Counted> waiting_;   // until the first head, or while a later one is not whole
  std::optional<Counted> presence_;  // among those of the relay who speak HTTP and are no agents
  HeadRoom head_room_;
  State state_ = State::head;
  bool tunnels_;
  std::size_t hops_ = 0;  // of the current request, from shard to shard
  bool counted_ = false;  // it has been, in its owner's account
  std::optional<std::pair<std::size_t, http::Request>> moving_;
  Duration first_byte_{}, idle_{};  // how long the exchange may rest, before its answer and in it
  bool closing_ = false;            // the exchange, see HttpExchange::closing()
  bool flushed_ = false;            // lingering: everything has left
  bool head_request_ = false;       // the current request is HEAD: answers have no body
  std::string request_id_;
  // The current request, where it may be put to another agent should its own be lost.
  std::optional<std::pair<http::Request, Route>> again_;
  // Of the exchange, or of the one before.
  const AgentSession* agent_ = nullptr;  // to compare with; it may be gone
  std::string tunnel_;
  Access::Grant grant_;
  std::string cors_fields_;           // with which a page of another origin may read our answers
  std::shared_ptr<Account> account_;  // of the tunnel's owner
};

}  // namespace leat::relay
