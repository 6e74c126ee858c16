// A visitor's way into a tunnel: who may, by which agent, and what becomes of it in the end.
#include <optional>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/cors.h"
#include "http/websocket_handshake.h"
#include "proto/control.pb.h"
#include "relay/agent_session.h"
#include "relay/bare_agent.h"
#include "relay/forward.h"
#include "relay/http_visitor.h"

namespace leat::relay {
namespace {

// RFC 9110 §9.2.2: once more does what once did; and there is no body to send again.
bool repeatable(const http::Request& request) {
  const std::string& method = request.method;
  const bool idempotent = method == "GET" || method == "HEAD" || method == "OPTIONS" ||
                          method == "PUT" || method == "DELETE";
  return idempotent && request.body == http::BodyKind::none && !request.upgrade;
}

std::string text_of(const http::Fields& fields) {
  std::string text;
  for (const http::Field& field : fields.all()) {
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return text;
}

}  // namespace

// A room is a WebSocket server at home: the upgrade goes there as it is and is answered there.
void HttpVisitor::open_room(http::Request request, Route route) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok) return answer(Code::WEBSOCKET_ONLY, false);
  open(std::move(request), std::move(route));
}

// False: answered.
bool HttpVisitor::admit(http::Request& request, Route& route, const AgentSession& agent,
                        bool keep_alive) {
  grant_ = {.tunnel = route.tunnel};
  grant_.address = visitor_facts(request.fields, transport_->peer_host(), transport_->secure(),
                                 context_.options.trusted_proxies)
                       .address;
  agent_ = &agent;
  tunnel_ = route.tunnel;
  const control::TunnelRequest* const bound = agent.bound(route.tunnel);
  std::optional<std::string> origin;  // a page's that may read what is answered
  if (bound != nullptr && !bound->cors.empty()) origin = http::Cors(bound->cors).origin(request);
  if (origin) {
    http::Fields fields;
    http::Cors::allow(fields, *origin);
    cors_fields_ = text_of(fields);
  }
  const auto access = agent.access(route.tunnel);
  if (!access) return true;
  // A browser shows no credential before it knows that it may (the Fetch Standard, CORS preflight):
  // answered here, since strangers do not reach the agent.
  const auto preflight = origin ? http::Cors::preflight(request, *origin) : std::nullopt;
  if (preflight && access->asks() && access->allows(grant_.address)) {
    cors_fields_ = text_of(preflight->fields);
    answer(preflight->status, {}, keep_alive);
    return false;
  }
  const auto refused = access->admit(request, route.target, grant_.address, context_.tries,
                                     context_.shard.now(), grant_);
  if (!refused) return true;
  log::info("visitor refused", {{"tunnel", route.tunnel},
                                {"visitor", transport_->peer()},
                                {"code", info(*refused).name},
                                {"request_id", request_id_}});
  std::string extra;
  if (*refused == Code::VISITOR_REFUSED) extra = access->challenge();
  if (*refused == Code::TOO_MANY_TRIES) extra = "Retry-After: 60\r\n";
  ++context_.metrics.refused[*refused];
  if (visit_) visit_->blame(*refused);
  answer(info(*refused).http_status, Error::json(*refused), keep_alive, extra);
  return false;
}

void HttpVisitor::begin_visit(const http::Request& request, const Route& route,
                              std::string_view owner) {
  const std::string address = visitor_facts(request.fields, transport_->peer_host(),
                                            transport_->secure(), context_.options.trusted_proxies)
                                  .address;
  visit_.emplace(context_, Visit::About{.kind = route.kind == Route::Kind::room ? "ws" : "http",
                                        .tunnel = route.tunnel,
                                        .owner = owner,
                                        .address = address,
                                        .request_id = request_id_,
                                        .method = request.method,
                                        .target = route.target});
}

// Where nobody serves it, the first shard: it has the agents that speak yamux only, and may know it
// for one of their rooms.
std::size_t HttpVisitor::place_of(const std::string& tunnel, control::TunnelKind kind) const {
  const bool served = context_.common.directory.serves(tunnel, kind);
  return served ? context_.place_of(tunnel, kind, hops_) : 0;
}

void HttpVisitor::open(http::Request request, Route route) {
  const bool keep_alive = request.keep_alive;
  const bool room = route.kind == Route::Kind::room;
  const auto kind = room ? control::TunnelKind::ws : control::TunnelKind::http;
  if (goes_to(place_of(route.tunnel, kind), request)) {
    if (visit_) visit_->forget();  // another one begins there
    return;
  }
  again_.reset();
  if (context_.common.directory.count(route.tunnel) > 1 && repeatable(request)) {
    again_.emplace(request, route);
  }
  AgentSession* agent = context_.registry.find(route.tunnel, kind);
  BareAgent* bare = room && agent == nullptr ? context_.rooms.find(route.tunnel) : nullptr;
  const bool bodiless = request.body == http::BodyKind::none;
  if (agent == nullptr && bare == nullptr)
    return answer(Code::AGENT_OFFLINE, keep_alive && bodiless);
  if (!visit_) {
    begin_visit(request, route, agent != nullptr ? agent->credential_name() : bare->owner());
  }
  if (agent == nullptr) {
    grant_ = {};  // a bare agent has no rules
    agent_ = nullptr;
    tunnel_ = route.tunnel;
  } else if (!admit(request, route, *agent, keep_alive && bodiless)) {
    return;
  }

  proto::OpenStream preamble;
  preamble.set_tunnel(route.tunnel);
  preamble.set_kind(room ? proto::KIND_WS : proto::KIND_HTTP);
  VisitorFacts facts = visitor_facts(request.fields, transport_->peer_host(), transport_->secure(),
                                     context_.options.trusted_proxies);
  facts.request_id = request_id_;
  // The port is known of the connection only.
  const bool direct = facts.address == transport_->peer_host();
  preamble.set_visitor(direct ? transport_->peer() : HostPort{facts.address, 0}.text());
  preamble.set_request_id(request_id_);
  preamble.set_visitor_secure(facts.secure);
  if (const std::string* trace = request.fields.find("traceparent");
      trace && trace->size() <= 128) {
    preamble.set_traceparent(*trace);
  }
  if (const std::string* host = request.fields.find("Host"); host && host->size() <= 512) {
    preamble.set_visitor_host(*host);
  }
  rewrite_request(request, route, facts);
  std::string head;
  http::serialise(request, head);
  // With what was added it may be more than the agent would take.
  if (request.fields.all().size() > limits::kHeaderFields || head.size() > limits::kHead) {
    return answer(Code::HEAD_TOO_LARGE, keep_alive && bodiless);
  }
  account_ = agent != nullptr ? agent->account() : bare->account();
  const auto plan = account_ ? account_->plan() : nullptr;
  if (plan != nullptr && plan->body && request.length > *plan->body) {
    return answer(Code::QUOTA_BODY, false);
  }
  std::optional<Code> quota;
  if (account_) {
    const WallTime now = context_.accounting.now();
    quota = std::exchange(counted_, true) ? account_->begin_again() : account_->begin_stream(now);
  }
  if (quota) return answer(*quota, keep_alive && bodiless);
  const auto stream = bare != nullptr ? bare->open_stream() : agent->open_stream();
  if (!stream) {
    if (account_) account_->end_stream();
    return answer(Code::AGENT_BUSY, keep_alive && bodiless);
  }

  log::debug("request", {{"request_id", request_id_},
                         {"tunnel", route.tunnel},
                         {"method", request.method},
                         {"visitor", preamble.visitor()},
                         {"as", grant_.name}});
  std::string opening;
  if (bare == nullptr) control::append_message(preamble, opening);
  opening += head;
  exchange_ = std::make_unique<HttpExchange>(
      HttpExchange::Parts{*transport_, reader_, writer_,
                          bare != nullptr ? bare->driver() : agent->driver(), *stream,
                          context_.metrics, bare != nullptr},
      static_cast<HttpExchange::Owner&>(*this), request, std::move(opening), route.prefix,
      request_id_, keep_alive);
  exchange_->set_subprotocol(grant_.subprotocol);
  if (route.sibling) exchange_->keep_to_host();
  Traffic& traffic = room ? context_.metrics.ws : context_.metrics.http;
  if (account_) exchange_->set_meter(context_.accounting, context_.held_back, account_, traffic);
  state_ = State::exchange;
  first_byte_ = limits::kFirstByte;
  idle_ = limits::kIdleBody;
  if (const auto* asked = agent != nullptr ? agent->bound(route.tunnel) : nullptr) {
    if (asked->first_byte.count() > 0) first_byte_ = asked->first_byte;
    if (asked->idle.count() > 0) idle_ = asked->idle;
  }
  timer_.arm_in(first_byte_);
  exchange_->start();
}

void HttpVisitor::settle() {
  note_progress();
  std::unique_ptr<HttpExchange> exchange = std::move(exchange_);
  switch (exchange->outcome()) {
    case HttpExchange::Outcome::running:
      return;
    case HttpExchange::Outcome::failed:
      state_ = State::head;
      if (exchange->session_lost() && again_) {
        // Another agent serves the tunnel, and nothing of an answer has been seen. It takes the
        // place of this one, also where the plan has but one.
        exchange.reset();
        hops_ = 0;
        auto [request, route] = *std::exchange(again_, std::nullopt);
        open(std::move(request), route);
        // Answered here: nobody else looks at what has come behind it.
        if (state_ == State::head) context_.shard.defer(*this);
        return;
      }
      return answer(exchange->code(), false);
    case HttpExchange::Outcome::cut:
      if (visit_ && !exchange->left()) visit_->blame(exchange->code());
      end_visit(exchange->left() && exchange->answered());
      return end(true);
    case HttpExchange::Outcome::complete:
      end_visit(true);
      break;
  }
  if (!exchange->reusable() || context_.draining) return linger();
  state_ = State::head;
  timer_.arm_in(limits::kIdleConnection);
  on_transport();
}

void HttpVisitor::revoke(const std::string& tunnel) {
  if (state_ == State::exchange && tunnel_ == tunnel) exchange_->revoke();
}

void HttpVisitor::recheck(const AgentSession& agent, const std::string& tunnel,
                          const Access& access) {
  if (state_ != State::exchange || agent_ != &agent || tunnel_ != tunnel) return;
  if (!access.still_grants(grant_)) exchange_->revoke();
}

void HttpVisitor::expire(std::chrono::seconds now) {
  if (state_ == State::exchange && grant_.until && now >= *grant_.until) exchange_->revoke();
}

}  // namespace leat::relay
