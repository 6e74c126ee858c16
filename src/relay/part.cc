#include "relay/part.h"

#include <string>
#include <utility>

#include "relay/agent_session.h"
#include "relay/arrival.h"
#include "relay/bare_agent.h"
#include "relay/event_stream.h"
#include "relay/http_visitor.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {

Part::Part(net::Shard& shard, store::Store& store, Common& common, std::size_t index)
    : context(shard, store, common, index) {}

// Sessions end first: what visitors hold of them is let go in good order.
Part::~Part() {
  context.sessions.for_each([](AgentSession& session) { session.driver().mux().end_all(); });
  context.bare_agents.for_each([](BareAgent& agent) { agent.driver().mux().end_all(); });
  context.shard.bury_all();  // who was told so has given itself up
}

void Part::close_doors() {
  tls_door_.reset();
  plain_door_.reset();
}

Part::Doors Part::doors() const {
  const auto at = [](const std::unique_ptr<net::Listener>& door) {
    return door ? std::optional(door->address()) : std::nullopt;
  };
  return {tls_door_->address(), at(plain_door_), at(admin_door_)};
}

net::Listener::OnAccept Part::on_tls() {
  return [this](net::Fd socket) {
    Knock::start(context, std::move(socket), Knock::Door::tls,
                 [this](Knock::Guest guest) { admit(std::move(guest)); });
  };
}

net::Listener::OnAccept Part::on_plain() {
  return [this](net::Fd socket) {
    Knock::start(context, std::move(socket), Knock::Door::plain,
                 [this](Knock::Guest guest) { accept_plain(std::move(guest), true); });
  };
}

Result<void> Part::open_doors(const Options& options) {
  const auto open = [&](const HostPort& address, net::Listener::OnAccept on_accept,
                        std::unique_ptr<net::Listener>& door) -> Result<void> {
    auto opened = net::Listener::open(context.shard, address, std::move(on_accept));
    if (!opened) return tl::unexpected(opened.error());
    door = std::move(*opened);
    return {};
  };
  if (const auto done = open(options.listen, on_tls(), tls_door_); !done) return done;
  if (options.plain_listen) {
    if (const auto done = open(*options.plain_listen, on_plain(), plain_door_); !done) return done;
  }
  if (!options.admin_listen) return {};
  const auto on_accept = [this](net::Fd socket) { accept_plain({std::move(socket)}, false); };
  return open(*options.admin_listen, on_accept, admin_door_);
}

Result<void> Part::share_doors(const Part& first) {
  const auto share = [&](const std::unique_ptr<net::Listener>& its,
                         net::Listener::OnAccept on_accept,
                         std::unique_ptr<net::Listener>& door) -> Result<void> {
    if (!its) return {};
    auto shared = its->share(context.shard, std::move(on_accept));
    if (!shared) return tl::unexpected(shared.error());
    door = std::move(*shared);
    return {};
  };
  if (const auto done = share(first.tls_door_, on_tls(), tls_door_); !done) return done;
  return share(first.plain_door_, on_plain(), plain_door_);
}

// A name that leads to a tls tunnel: its bytes are not ours to read. All others are answered by our
// own TLS, names that nobody serves among them.
void Part::admit(Knock::Guest guest) {
  const std::string tunnel = context.names.tunnel(guest.server_name);
  if (!context.draining && context.common.directory.serves(tunnel, control::TunnelKind::tls)) {
    TcpVisitor::start(context, std::move(guest), tunnel, control::TunnelKind::tls);
  } else {
    Arrival::start(context, std::move(guest), *context.tls);
  }
}

void Part::accept_plain(Knock::Guest guest, bool tunnels) {
  std::unique_ptr<net::Transport> transport =
      net::make_plain_transport(context.shard, guest.socket.release());
  if (!transport) return;
  if (guest.visitor) transport->speak_for(*guest.visitor);
  context.http_visitors
      .add(std::make_unique<HttpVisitor>(context, std::move(transport), tunnels,
                                         std::move(guest.waiting)))
      .start();
}

}  // namespace leat::relay
