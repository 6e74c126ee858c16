#include "relay/http_visitor.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/websocket_handshake.h"
#include "net/websocket_transport.h"
#include "proto/control.pb.h"
#include "relay/admin.h"
#include "relay/agent_session.h"
#include "relay/arrival.h"
#include "relay/bare_agent.h"
#include "relay/dashboard.h"
#include "relay/event_stream.h"
#include "relay/forward.h"
#include "relay/route.h"
#include "relay/sealed_visitor.h"

namespace leat::relay {
namespace {

// How long a visitor may go on sending after everything was sent to it.
constexpr auto kLinger = std::chrono::seconds(2);

// Requests that the relay answers itself, from one connection, before the shard looks at the
// others.
constexpr int kHeadsInARow = 16;

Code head_error(http::HeadError error) {
  switch (error) {
    case http::HeadError::too_large:
      return Code::HEAD_TOO_LARGE;
    case http::HeadError::not_a_proxy:
      return Code::NOT_A_PROXY;
    default:
      return Code::BAD_REQUEST;
  }
}

// Programs send no Origin, or one that the operator has listed; a page cannot choose its own.
bool may_be_agent(const http::Fields& fields, const std::vector<std::string>& origins) {
  const std::string* origin = fields.find("Origin");
  if (origin == nullptr) return true;
  return fields.count("Origin") == 1 && std::ranges::find(origins, *origin) != origins.end();
}

// RFC 9110 §6.6.1: who has a clock says what it shows.
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 40> text;
  return {text.data(),
          std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// What a log says of a request to the admin API: a code in its path is a secret.
std::string_view shown_path(std::string_view target) {
  constexpr std::string_view kPair = "/api/v1/pair/";
  return target.starts_with(kPair) ? kPair : target.substr(0, target.find('?'));
}

// RFC 9110 §9.2.2: once more does what once did; and there is no body to send again.
bool repeatable(const http::Request& request) {
  const std::string& method = request.method;
  const bool idempotent = method == "GET" || method == "HEAD" || method == "OPTIONS" ||
                          method == "PUT" || method == "DELETE";
  return idempotent && request.body == http::BodyKind::none && !request.upgrade;
}

}  // namespace

HttpVisitor::HttpVisitor(Context& context, std::unique_ptr<net::Transport> transport, bool tunnels,
                         std::optional<Waiting> waiting)
    : context_(context),
      transport_(std::move(transport)),
      timer_(context.shard, [this] { on_timer(); }),
      waiting_(std::move(waiting)),
      tunnels_(tunnels) {
  transport_->set_owner(this);
}

HttpVisitor::~HttpVisitor() {
  end_visit(false);
  if (transport_) transport_->set_owner(nullptr);
}

void HttpVisitor::start() {
  timer_.arm_in(limits::kHeadTimeout);
  context_.shard.defer(*this);
}

void HttpVisitor::drain() {
  if (state_ == State::head && reader_.head().held() == 0 && !reader_.has_held()) linger();
}

void HttpVisitor::on_transport() {
  switch (state_) {
    case State::head:
      writer_.flush(*transport_);
      if (writer_.failed()) return end(true);
      return read_heads();
    case State::exchange:
      watch();
      return exchange_->on_transport();
    case State::lingering:
      writer_.flush(*transport_);
      return discard();
    case State::over:
      return;
  }
}

void HttpVisitor::on_exchange() { context_.shard.defer(*this); }

void HttpVisitor::on_deferred() {
  if (state_ == State::head) return on_transport();
  if (state_ == State::lingering) return discard();
  if (state_ != State::exchange) return;
  watch();
  if (exchange_->outcome() == HttpExchange::Outcome::running) {
    exchange_->on_transport();
  }
  if (exchange_->outcome() != HttpExchange::Outcome::running) settle();
}

// For how long nothing may move in the exchange; called when something did.
void HttpVisitor::watch() {
  note_progress();
  if (transport_->broken()) {
    // Reading or writing would say so, but there may be nothing to write, and nobody to read for.
    timer_.arm_in(limits::kStalled);
  } else if (exchange_->piped()) {
    timer_.disarm();  // a pipe may be silent for as long as its ends like
  } else {
    timer_.arm_in(exchange_->response_begun() ? idle_ : first_byte_);
  }
}

void HttpVisitor::note_progress() {
  if (!visit_ || !exchange_) return;
  visit_->moved(exchange_->bytes_in(), exchange_->bytes_out());
  if (exchange_->status() != 0) visit_->answered(exchange_->status());
}

void HttpVisitor::end_visit(bool clean) {
  if (!visit_) return;
  note_progress();
  visit_->end(clean);
  visit_.reset();
}

// --- heads ---

void HttpVisitor::read_heads() {
  for (int left = kHeadsInARow; state_ == State::head; --left) {
    if (left == 0) return context_.shard.defer(*this);  // the others first
    if (!writer_.idle())
      return;  // the last answer first: a reader that stalls gets no more work done
    const bool begun = reader_.head().held() > 0;
    switch (reader_.read_head(*transport_)) {
      case net::HttpReader::Head::more:
        if (!begun && reader_.head().held() > 0) timer_.arm_in(limits::kHeadTimeout);
        return;
      case net::HttpReader::Head::bad:
        return answer(head_error(reader_.head().error()), false);
      case net::HttpReader::Head::end:
        return end(false);
      case net::HttpReader::Head::failed:
        return end(true);
      case net::HttpReader::Head::done: {
        std::optional<http::Request> request = reader_.head().take_request();
        if (!request) {
          log::debug("request refused",
                     {{"visitor", transport_->peer()}, {"why", reader_.head().why()}});
          return answer(head_error(reader_.head().error()), false);
        }
        handle(std::move(*request));
      }
    }
  }
}

void HttpVisitor::handle(http::Request request) {
  waiting_.reset();
  request_id_ = request_id_of(request);
  head_request_ = request.method == "HEAD";
  // An answer of our own reads no body, so that only a request without one leaves the connection
  // usable.
  const bool keep_alive =
      request.keep_alive && request.body == http::BodyKind::none && !context_.draining;
  const std::string* host = request.fields.find("Host");
  if (host != nullptr && misdirected(*host, transport_->sni())) {
    return answer(Code::MISDIRECTED, keep_alive);
  }
  // HTTP/1.0 may leave Host out.
  const std::string name = http::host_name(host == nullptr ? transport_->sni() : *host);
  const bool foreign = tunnels_ && !context_.names.own(name);
  const Route way =
      foreign ? route_host(request, context_.names.tunnel(name)) : route(request, tunnels_);
  switch (way.kind) {
    case Route::Kind::invalid:
      return answer(Code::BAD_REQUEST, false);
    case Route::Kind::none:
      return answer(Code::NO_SUCH_PATH, keep_alive);
    case Route::Kind::slash:
      return answer(308, {}, keep_alive, "Location: " + way.target + "\r\n");
    case Route::Kind::health:
      if (request.method != "GET" && !head_request_)
        return answer(Code::METHOD_REFUSED, keep_alive);
      return answer(context_.draining ? 503 : 200,
                    context_.draining ? "{\"status\":\"draining\"}\n" : "{\"status\":\"ok\"}\n",
                    keep_alive);
    case Route::Kind::metrics:
      if (request.method != "GET") return answer(Code::METHOD_REFUSED, keep_alive);
      return answer(200, metrics_text(context_), keep_alive, {}, "text/plain; version=0.0.4");
    case Route::Kind::admin:
      return administer(request, way, keep_alive);
    case Route::Kind::dashboard:
      if (request.method != "GET" && !head_request_)
        return answer(Code::METHOD_REFUSED, keep_alive);
      return show_dashboard(way, keep_alive);
    case Route::Kind::agent:
      if (context_.draining) return answer(Code::DRAINING, false);
      return become_agent(request, way);
    case Route::Kind::sealed:
      if (context_.draining) return answer(Code::DRAINING, false);
      return become_sealed(request, way.tunnel);
    case Route::Kind::room:
      if (context_.draining) return answer(Code::DRAINING, false);
      return open_room(std::move(request), way);
    case Route::Kind::tunnel:
      if (context_.draining) return answer(Code::DRAINING, false);
      return open(std::move(request), way);
  }
}

void HttpVisitor::administer(const http::Request& request, const Route& route, bool keep_alive) {
  const std::string address = visitor_facts(request.fields, transport_->peer_host(),
                                            transport_->secure(), context_.options.trusted_proxies)
                                  .address;
  const auto answered =
      relay::administer(context_, request, route.target,
                        {.address = address, .secure = transport_->secure(), .door = tunnels_});
  constexpr char kNoSniffing[] = "X-Content-Type-Options: nosniff\r\n";
  if (answered && answered->events) {
    state_ = State::over;
    timer_.disarm();
    EventStream::start(context_, std::move(transport_),
                       "HTTP/1.1 200 OK\r\nDate: " + http_date() +
                           "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                           "Connection: close\r\n" +
                           kNoSniffing + "\r\n");
    return context_.http_visitors.release(*this);
  }
  if (answered) {
    log::info("admin", {{"method", request.method},
                        {"path", shown_path(route.target)},
                        {"status", answered->status},
                        {"visitor", transport_->peer()}});
    return answer(answered->status, answered->body, keep_alive, answered->fields + kNoSniffing);
  }
  const CodeInfo& about = info(answered.error().code);
  const bool usage = answered.error().code == Code::USAGE;
  if (about.http_status == 0 && !usage) {
    log::write(log::Level::error, "admin", answered.error());
    return answer(Code::INTERNAL, keep_alive);
  }
  answer(usage ? Code::ADMIN_PARAMETER : answered.error().code, keep_alive);
}

// Pages of the admin's, for whoever has its key; they hold nothing but themselves.
void HttpVisitor::show_dashboard(const Route& route, bool keep_alive) {
  const DashboardAsset* asset = dashboard_asset(route.target);
  if (asset == nullptr || context_.options.admin_key.empty()) {
    return answer(Code::NO_SUCH_PATH, keep_alive);
  }
  answer(200, asset->content, keep_alive, kDashboardFields, asset->type);
}

void HttpVisitor::revoke(const std::string& tunnel) {
  if (state_ == State::exchange && tunnel_ == tunnel) exchange_->revoke();
}

void HttpVisitor::recheck(const AgentSession& agent, const std::string& tunnel,
                          const Access& access) {
  if (state_ != State::exchange || agent_ != &agent || tunnel_ != tunnel) return;
  if (!access.still_grants(grant_)) exchange_->revoke();
}

// False: answered.
bool HttpVisitor::admit(http::Request& request, Route& route, const AgentSession& agent,
                        bool keep_alive) {
  grant_ = {};
  grant_.address = visitor_facts(request.fields, transport_->peer_host(), transport_->secure(),
                                 context_.options.trusted_proxies)
                       .address;
  agent_ = &agent;
  tunnel_ = route.tunnel;
  const auto access = agent.access(route.tunnel);
  if (!access) return true;
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

// A room is a WebSocket server at home: the upgrade goes there as it is and is answered there.
void HttpVisitor::open_room(http::Request request, Route route) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok) return answer(Code::WEBSOCKET_ONLY, false);
  open(std::move(request), std::move(route));
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

void HttpVisitor::open(http::Request request, Route route) {
  const bool keep_alive = request.keep_alive;
  const bool room = route.kind == Route::Kind::room;
  again_.reset();
  if (context_.registry.shared(route.tunnel) && repeatable(request)) again_.emplace(request, route);
  AgentSession* agent = context_.registry.find(
      route.tunnel, room ? control::TunnelKind::ws : control::TunnelKind::http);
  BareAgent* bare = room && agent == nullptr ? context_.rooms.find(route.tunnel) : nullptr;
  const bool bodiless = request.body == http::BodyKind::none;
  if (agent == nullptr && bare == nullptr)
    return answer(Code::AGENT_OFFLINE, keep_alive && bodiless);
  if (!visit_) begin_visit(request, route, agent != nullptr ? agent->credential_name() : "");
  if (agent == nullptr) {
    grant_ = {};  // a bare agent has no rules
    agent_ = nullptr;
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
  const Plan* const plan = account_ ? account_->plan() : nullptr;
  if (plan != nullptr && plan->body && request.length > *plan->body) {
    return answer(Code::QUOTA_BODY, false);
  }
  const auto quota = account_ ? account_->begin_stream(context_.accounting.now()) : std::nullopt;
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
                          bare != nullptr},
      static_cast<HttpExchange::Owner&>(*this), request, std::move(opening), route.prefix,
      request_id_, keep_alive);
  exchange_->set_subprotocol(grant_.subprotocol);
  if (account_) exchange_->set_meter(context_.accounting, account_, context_.metrics.http);
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

// An agent whose network passes nothing but HTTPS, or any yamux peer for a room. The one proves who
// it is inside, the other in its head; a page in a browser, which anybody can make open a
// WebSocket, has no business here.
void HttpVisitor::become_agent(const http::Request& request, const Route& route) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  const bool native = http::ws::offers(request.fields, net::kCarrierSubprotocol);
  const bool bare = !route.tunnel.empty() && request.fields.count("Sec-WebSocket-Protocol") == 0;
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok || (!native && !bare)) return answer(Code::WEBSOCKET_ONLY, false);
  if (!may_be_agent(request.fields, context_.options.agent_origins)) {
    return answer(Code::NOT_FOR_PAGES, false);
  }
  if (native) {
    if (context_.waiting >= limits::kHandshakes) return end(true);
    if (auto carrier = switch_protocols(request, net::kCarrierSubprotocol)) {
      Arrival::adopt(context_, std::move(carrier));
      context_.http_visitors.release(*this);
    }
    return;
  }
  Result<BareAgent::Admission> admitted = BareAgent::admit(context_, request, route);
  if (!admitted) {
    log::write(log::Level::warn, "bare agent refused", admitted.error(),
               {{"peer", transport_->peer()},
                {"room", control::valid_tunnel_id(route.tunnel) ? route.tunnel : ""}});
    return answer(admitted.error().code, false);
  }
  if (auto carrier = switch_protocols(request, {})) {
    context_.bare_agents
        .add(std::make_unique<BareAgent>(context_, std::move(carrier), std::move(*admitted)))
        .start();
    context_.http_visitors.release(*this);
  }
}

// Gives the connection up for what is in its WebSocket; nullptr: it is broken off.
std::unique_ptr<net::Transport> HttpVisitor::switch_protocols(const http::Request& request,
                                                              std::string_view subprotocol) {
  std::string accepted;
  http::serialise(http::ws::accept(request, subprotocol), accepted);
  writer_.write(*transport_, accepted);
  if (!writer_.idle()) {  // it has not read the answers before this one
    end(true);
    return nullptr;
  }
  state_ = State::over;
  timer_.disarm();
  return net::make_websocket_transport(context_.shard, std::move(transport_),
                                       http::ws::Role::server, reader_.release_held());
}

// Any page may come: who is let in is decided between the visitor and the agent.
void HttpVisitor::become_sealed(const http::Request& request, const std::string& tunnel) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok || !http::ws::offers(request.fields, kSealedSubprotocol)) {
    return answer(Code::WEBSOCKET_ONLY, false);
  }
  AgentSession* agent = context_.registry.find(tunnel, control::TunnelKind::sealed);
  if (agent == nullptr) return answer(Code::AGENT_OFFLINE, request.keep_alive);
  account_ = agent->account();
  const auto quota = account_->begin_stream(context_.accounting.now());
  if (quota) return answer(*quota, request.keep_alive);
  const auto stream = agent->open_stream();
  if (!stream) {
    account_->end_stream();
    return answer(Code::AGENT_BUSY, request.keep_alive);
  }
  std::string accepted;
  http::serialise(http::ws::accept(request, kSealedSubprotocol), accepted);
  writer_.write(*transport_, accepted);
  if (!writer_.idle()) {  // it has not read the answers before this one
    account_->end_stream();
    agent->driver().mux().reset(*stream);
    return end(true);
  }
  state_ = State::over;
  timer_.disarm();
  SealedVisitor::start(context_, std::move(transport_), reader_.release_held(), *agent, *stream,
                       tunnel, request_id_, account_);
  context_.http_visitors.release(*this);
}

void HttpVisitor::settle() {
  note_progress();
  const std::unique_ptr<HttpExchange> exchange = std::move(exchange_);
  switch (exchange->outcome()) {
    case HttpExchange::Outcome::running:
      return;
    case HttpExchange::Outcome::failed:
      state_ = State::head;
      if (exchange->session_lost() && again_) {
        // Another agent serves the tunnel, and nothing of an answer has been seen.
        auto [request, route] = *std::exchange(again_, std::nullopt);
        return open(std::move(request), route);
      }
      return answer(exchange->code(), false);
    case HttpExchange::Outcome::cut:
      if (visit_) visit_->blame(exchange->code());
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

// --- answers of our own ---

void HttpVisitor::answer(Code code, bool keep_alive) {
  const CodeInfo& about = info(code);
  ++context_.metrics.refused[code];
  if (visit_) visit_->blame(code);
  std::string_view extra;
  if (about.http_status == 503) extra = "Retry-After: 2\r\n";
  std::string quota;
  if (about.http_status == 429 && account_) {
    const WallTime now = context_.accounting.now();
    quota = "Retry-After: " + std::to_string(account_->resets_in(code, now).count()) + "\r\n";
    if (const auto rate = account_->rate_fields(now)) quota += rate->text();
    extra = quota;
  }
  if (code == Code::REGISTER_LIMIT) extra = "Retry-After: 3600\r\n";
  if (about.http_status == 401) extra = "WWW-Authenticate: Bearer\r\n";
  if (about.http_status == 405) extra = "Allow: GET, HEAD\r\n";
  if (about.http_status == 426) extra = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  answer(about.http_status == 0 ? 502 : about.http_status, Error::json(code), keep_alive, extra);
}

void HttpVisitor::answer(int status, std::string_view body, bool keep_alive,
                         std::string_view extra_fields, std::string_view type) {
  if (visit_) visit_->answered(status);
  end_visit(true);
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text += http::reason_phrase(status);
  text += "\r\nDate: " + http_date() + "\r\nCache-Control: no-store\r\n";
  if (status != 204) {  // RFC 9110 §8.6: it has no length
    text.append("Content-Type: ").append(type);
    text += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  text += extra_fields;
  if (!request_id_.empty()) text += "X-Request-Id: " + request_id_ + "\r\n";
  text += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!head_request_) text += body;
  writer_.write(*transport_, text);
  if (writer_.failed()) return end(true);
  if (!keep_alive) return linger();
  writer_.flush(*transport_);
  timer_.arm_in(limits::kIdleConnection);
}

// --- the end ---

void HttpVisitor::linger() {
  state_ = State::lingering;
  timer_.arm_in(limits::kIdleBody);  // for what is still on its way to the visitor
  discard();
}

void HttpVisitor::discard() {
  if (writer_.failed()) return end(true);
  if (!writer_.flush(*transport_)) return timer_.arm_in(limits::kIdleBody);
  if (!flushed_) {
    flushed_ = true;
    transport_->finish();
    timer_.arm_in(kLinger);
  }
  std::array<std::uint8_t, 4096> scratch;
  for (int i = 0; i < 64; ++i) {
    const net::IoResult result = transport_->read(scratch);
    if (result.status == net::IoStatus::would_block) return;
    if (result.status != net::IoStatus::ok) return end(false);
  }
  context_.shard.defer(*this);  // it keeps sending; the timer ends this
}

void HttpVisitor::on_timer() {
  switch (state_) {
    case State::head:
      if (reader_.head().held() > 0) return answer(Code::HEAD_TIMEOUT, false);
      return linger();
    case State::exchange:
      exchange_->on_idle();
      return;
    case State::lingering:
      return end(!flushed_);  // what could not be delivered must not look like an end
    case State::over:
      return;
  }
}

void HttpVisitor::end(bool abort) {
  if (state_ == State::over) return;
  state_ = State::over;
  end_visit(false);
  timer_.disarm();
  if (abort) transport_->abort();
  context_.http_visitors.release(*this);
}

}  // namespace leat::relay
