#include "relay/arrival.h"

#include <array>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "relay/agent_session.h"
#include "relay/http_visitor.h"

namespace leat::relay {

void Arrival::start(Context& context, Knock::Guest guest, const net::TlsContext& tls) {
  std::unique_ptr<net::Transport> transport =
      net::make_tls_transport(context.shard, guest.socket.release(), tls, {});
  if (!transport) return;
  if (guest.visitor) transport->speak_for(*guest.visitor);
  context.arrivals.add(std::unique_ptr<Arrival>(
      new Arrival(context, std::move(transport), std::move(*guest.waiting), guest.deadline)));
}

void Arrival::adopt(Context& context, std::unique_ptr<net::Transport> carrier, Counted waiting) {
  context.arrivals
      .add(std::unique_ptr<Arrival>(new Arrival(context, std::move(carrier), std::move(waiting),
                                                context.shard.now() + limits::kHandshakeTimeout)))
      .greet_agent();
}

Arrival::Arrival(Context& context, std::unique_ptr<net::Transport> transport, Counted waiting,
                 Time deadline)
    : context_(context),
      transport_(std::move(transport)),
      waiting_(std::move(waiting)),
      timer_(context.shard, [this] {
        give_up(Error{Code::TIMEOUT, "handshake"});
      }) {
  transport_->set_owner(this);
  timer_.arm(deadline);
}

Arrival::~Arrival() {
  if (transport_) transport_->set_owner(nullptr);
}

void Arrival::on_transport() {
  if (over_) return;
  if (handshake_) return handshake();
  if (!transport_->established()) {
    // The transport calls before it is established only to say that it never will be.
    return give_up(transport_->error());
  }
  if (transport_->alpn() == net::kAlpnLeat) return greet_agent();
  over_ = true;
  context_.http_visitors
      .add(
          std::make_unique<HttpVisitor>(context_, std::move(transport_), true, std::move(waiting_)))
      .start();
  context_.arrivals.release(*this);
}

void Arrival::greet_agent() {
  handshake_.emplace(transport_->channel_binding());
  output_ = handshake_->take_output();
  handshake();
}

void Arrival::handshake() {
  std::array<std::uint8_t, 4096> buffer;
  while (!over_) {
    if (!output_.empty()) {
      const net::IoResult sent = transport_->write(as_bytes(output_));
      if (sent.status == net::IoStatus::failed) return give_up(transport_->error());
      output_.erase(0, sent.n);
      transport_->flush();
    }
    const net::IoResult got = transport_->read(buffer);
    if (got.status == net::IoStatus::would_block) return;
    if (got.status != net::IoStatus::ok) {
      return give_up(Error{Code::CARRIER_CUT, "closed during the handshake"});
    }
    std::size_t used = 0;
    const Bytes received = Bytes(buffer).first(got.n);
    const auto state = handshake_->feed(received, used);
    if (state == net::ServerHandshake::State::error) {
      const Error why = handshake_->error();  // its close chunk is in the output
      transport_->write(as_bytes(handshake_->take_output()));
      transport_->flush();
      transport_->finish();
      return give_up(why);
    }
    if (state == net::ServerHandshake::State::open) return become_agent(received.subspan(used));
  }
}

void Arrival::become_agent(Bytes surplus) {
  const net::OpenRequest& request = handshake_->request();
  const Error refusal = request.resume ? Error{Code::SESSION_LOST, "the session is not known"}
                                       : Error{Code::DRAINING, "the relay is shutting down"};
  if (request.resume || context_.draining) {
    handshake_->refuse(refusal.code, refusal.detail);
    transport_->write(as_bytes(handshake_->take_output()));
    transport_->flush();
    transport_->finish();
    return give_up(refusal);
  }
  net::SessionId session{};
  random_bytes(session);
  handshake_->accept(session, 0);
  transport_->write(as_bytes(handshake_->take_output()));
  transport_->flush();
  over_ = true;
  timer_.disarm();
  leaving_.emplace(Leaving{session, request.identity,
                           Directory::Seat(context_.common.directory, request.identity),
                           std::string(as_chars(surplus))});
  // To another shard it goes once nothing of the transport is on the stack.
  if (leaving_->seat.shard() != context_.index) return context_.shard.defer(*this);
  begin_session(context_, std::move(transport_), std::move(*leaving_), std::move(waiting_));
  context_.arrivals.release(*this);
}

void Arrival::begin_session(Context& context, std::unique_ptr<net::Transport> carrier, Leaving what,
                            std::optional<Counted> waiting) {
  AgentSession& agent = context.sessions.add(
      std::make_unique<AgentSession>(context, std::move(carrier), what.session, what.identity,
                                     std::move(what.seat), std::move(waiting)));
  agent.start(as_bytes(what.surplus));
}

void Arrival::on_deferred() {
  struct Journey {
    std::unique_ptr<net::Transport> carrier;
    Leaving what;
    std::optional<Counted> waiting;
  };
  if (transport_->leave()) {
    const std::size_t shard = leaving_->seat.shard();
    const auto journey = std::make_shared<Journey>(
        Journey{std::move(transport_), std::move(*leaving_), std::move(waiting_)});
    context_.common.post(shard, [journey](Context& there) {
      if (there.draining || !journey->carrier->join(there.shard)) return;
      begin_session(there, std::move(journey->carrier), std::move(journey->what),
                    std::move(journey->waiting));
    });
  }
  context_.arrivals.release(*this);
}

void Arrival::give_up(const Error& why) {
  if (over_) return;
  over_ = true;
  log::write(log::Level::debug, "arrival failed", why,
             {{"peer", transport_ ? transport_->peer() : std::string()}});
  context_.arrivals.release(*this);
}

}  // namespace leat::relay
