#include "relay/http_visitor.h"

#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "base/calendar.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/socket_address.h"
#include "relay/admin.h"
#include "relay/dashboard.h"
#include "relay/event_stream.h"
#include "relay/forward.h"
#include "relay/knock.h"
#include "relay/metrics.h"

namespace leat::relay {
namespace {

// How long a visitor may go on sending after everything was sent to it.
constexpr auto kLinger = std::chrono::seconds(2);

// How long the kernel may take to say what a socket can do that has just been registered.
constexpr auto kFirstLook = std::chrono::milliseconds(5);

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

// What a log says of a request to the admin API: a code in its path is a secret.
std::string_view shown_path(std::string_view target) {
  constexpr std::string_view kPair = "/api/v1/pair/";
  return target.starts_with(kPair) ? kPair : target.substr(0, target.find('?'));
}

}  // namespace

HttpVisitor::HttpVisitor(Context& context, std::unique_ptr<net::Transport> transport, bool tunnels,
                         std::optional<Counted> waiting)
    : context_(context),
      transport_(std::move(transport)),
      timer_(context.shard, [this] { on_timer(); }),
      waiting_(std::move(waiting)),
      head_room_(context.common.head_rooms),
      tunnels_(tunnels) {
  transport_->set_owner(this);
}

HttpVisitor::~HttpVisitor() {
  end_visit(false);
  if (transport_) transport_->set_owner(nullptr);
}

void HttpVisitor::start() {
  // Over TLS, and behind a proxy, an agent may come, which its first head shows.
  if (!transport_->secure() && !network_of_visitor().empty() && !take_seat()) {
    return refuse_visitor();
  }
  timer_.arm_in(limits::kHeadTimeout);
  context_.shard.defer(*this);
}

// Among the visitors, once. False: there are too many.
bool HttpVisitor::take_seat() {
  if (!tunnels_ || presence_) return true;
  const std::string network = network_of_visitor();
  if (context_.crowded(context_.common.http, network)) return false;
  presence_.emplace(context_.common.http, network);
  return true;
}

void HttpVisitor::refuse_visitor() {
  log::info("visitor refused", {{"visitor", transport_->peer()}, {"why", "too many of them"}});
  end(true);
}

// By which it is counted: "" for a proxy, which has the connections of many in its own name.
std::string HttpVisitor::network_of_visitor() const {
  const std::string peer = transport_->peer_host();
  return contains(context_.options.trusted_proxies, peer) ? std::string() : net::network_of(peer);
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
    case State::arriving:
      return go_on();
    case State::leaving:
    case State::over:
      return;
  }
}

void HttpVisitor::on_exchange() { context_.shard.defer(*this); }

void HttpVisitor::on_deferred() {
  if (state_ == State::head) return on_transport();
  if (state_ == State::lingering) return discard();
  if (state_ == State::leaving) return depart();
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
  } else if (exchange_->closing()) {
    if (!std::exchange(closing_, true)) timer_.arm_in(kQuotaClose);
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
        if (!wait_for_head()) end(true);  // as if it had been refused at the door
        return;
      case net::HttpReader::Head::bad:
        return refuse_head(head_error(reader_.head().error()));
      case net::HttpReader::Head::end:
        return linger();  // the last answer may still be on its way
      case net::HttpReader::Head::failed:
        return end(true);
      case net::HttpReader::Head::done: {
        std::optional<http::Request> request = reader_.head().take_request();
        if (!request) {
          log::debug("request refused",
                     {{"visitor", transport_->peer()}, {"why", reader_.head().why()}});
          return refuse_head(head_error(reader_.head().error()));
        }
        hops_ = 0;
        counted_ = false;
        handle(std::move(*request));
      }
    }
  }
}

// A head of which a part has come waits like the first one, whichever it is of the connection's,
// and takes room. False: there is none.
bool HttpVisitor::wait_for_head() {
  const std::size_t held = reader_.head().held();
  if (held == 0) return true;
  const Knock::Door door = transport_->secure() ? Knock::Door::tls : Knock::Door::plain;
  const bool waits =
      !tunnels_ || waiting_ || Knock::wait_again(context_, waiting_, transport_->peer_host(), door);
  if (waits && head_room_.hold(held)) return true;
  log::debug("head refused", {{"visitor", transport_->peer()},
                              {"why", waits ? "no room for it" : "too many that wait"}});
  return false;
}

void HttpVisitor::handle(http::Request request) {
  waiting_.reset();
  head_room_.release();
  cors_fields_.clear();
  request_id_ = request_id_of(request);
  head_request_ = request.method == "HEAD";
  // An answer of our own reads no body, so that only a request without one leaves the connection
  // usable.
  const bool keep_alive =
      request.keep_alive && request.body == http::BodyKind::none && !context_.draining;
  const std::string* host = request.fields.find("Host");
  if (host != nullptr && misdirected(*host, transport_->sni())) {
    if (!take_seat()) return refuse_visitor();
    return answer(Code::MISDIRECTED, keep_alive);
  }
  // HTTP/1.0 may leave Host out.
  const std::string name = http::host_name(host == nullptr ? transport_->sni() : *host);
  const bool foreign = tunnels_ && !context_.names.own(name);
  const std::string tunnel = foreign ? context_.names.tunnel(name) : std::string();
  // Below the domain each name is a tunnel's, if only of one that cannot be.
  const bool unclaimed = foreign && tunnel.empty() && !context_.names.below_domain(name);
  Route way = unclaimed ? route_unclaimed(request)
              : foreign ? route_host(request, tunnel, is_room(tunnel))
                        : route(request, tunnels_);
  way.sibling = foreign && context_.names.below_domain(name);
  if (way.kind != Route::Kind::agent && !take_seat()) return refuse_visitor();
  // What there is but once is with the first shard.
  const bool first = way.kind == Route::Kind::admin || way.kind == Route::Kind::agent ||
                     way.kind == Route::Kind::metrics;
  if (first && goes_to(0, request)) return;
  // What was read before it began, on another shard, is served.
  const bool draining = context_.draining && hops_ == 0;
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
      if (draining) return answer(Code::DRAINING, false);
      return become_agent(request, way);
    case Route::Kind::sealed:
      if (draining) return answer(Code::DRAINING, false);
      return become_sealed(std::move(request), way.tunnel);
    case Route::Kind::room:
      if (draining) return answer(Code::DRAINING, false);
      return open_room(std::move(request), way);
    case Route::Kind::tunnel:
      if (draining) return answer(Code::DRAINING, false);
      return open(std::move(request), way);
  }
}

// True: the connection leaves with the request, and there is nothing more to be done here.
bool HttpVisitor::goes_to(std::size_t shard, http::Request& request) {
  if (shard == context_.index || hops_ >= context_.common.shards.size()) return false;
  moving_.emplace(shard, std::move(request));
  state_ = State::leaving;
  timer_.disarm();
  context_.shard.defer(*this);  // once nothing of the transport is on the stack
  return true;
}

void HttpVisitor::depart() {
  if (!transport_->leave()) return end(true);
  state_ = State::over;
  auto [shard, request] = *std::exchange(moving_, std::nullopt);
  const auto passage = std::make_shared<Passage>(
      Passage{std::move(transport_), std::move(request), reader_.release_held(), tunnels_,
              hops_ + 1, counted_, std::move(presence_), Counted(context_.common.travelling)});
  context_.common.post(shard, [passage](Context& there) { arrive(there, std::move(*passage)); });
  context_.http_visitors.release(*this);
}

void HttpVisitor::arrive(Context& context, Passage passage) {
  HttpVisitor& visitor = context.http_visitors.add(std::make_unique<HttpVisitor>(
      context, std::move(passage.transport), passage.tunnels, std::nullopt));
  if (!visitor.transport_->join(context.shard)) return visitor.end(true);
  visitor.reader_.hold(std::move(passage.held));
  visitor.hops_ = passage.hops;
  visitor.counted_ = passage.counted;
  if (passage.presence) visitor.presence_.emplace(std::move(*passage.presence));
  visitor.moving_.emplace(context.index, std::move(passage.request));
  // Until the transport has been told whether it can be written to; a full one is told nothing.
  visitor.state_ = State::arriving;
  visitor.timer_.arm_in(kFirstLook);
}

void HttpVisitor::go_on() {
  state_ = State::head;
  http::Request request = std::move(std::exchange(moving_, std::nullopt)->second);
  handle(std::move(request));
  if (state_ == State::head) context_.shard.defer(*this);
}

bool HttpVisitor::is_room(const std::string& tunnel) const {
  return context_.common.directory.serves(tunnel, control::TunnelKind::ws) ||
         (!tunnel.empty() && context_.rooms.find(tunnel) != nullptr);
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
                       "HTTP/1.1 200 OK\r\nDate: " + http_date(std::chrono::system_clock::now()) +
                           "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                           "Connection: close\r\n" +
                           kNoSniffing + "\r\n",
                       AdminDoor::session_of(request));
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

// --- answers of our own ---

// The answer to what is no request is not one to the request before it.
void HttpVisitor::refuse_head(Code code) {
  head_request_ = false;
  cors_fields_.clear();
  request_id_.clear();
  answer(code, false);
}

void HttpVisitor::answer(Code code, bool keep_alive) {
  const CodeInfo& about = info(code);
  ++context_.metrics.refused[code];
  const bool limit = about.http_status == 429 || code == Code::QUOTA_BODY;
  if (limit && account_) context_.accounting.refused(*account_, code);
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
  text += "\r\nDate: " + http_date(std::chrono::system_clock::now()) +
          "\r\nCache-Control: no-store\r\n";
  if (status != 204) {  // RFC 9110 §8.6: it has no length
    text.append("Content-Type: ").append(type);
    text += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  text.append(extra_fields).append(cors_fields_);
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
      if (reader_.head().held() > 0) return refuse_head(Code::HEAD_TIMEOUT);
      return linger();
    case State::exchange:
      exchange_->on_idle();
      return;
    case State::arriving:
      return go_on();
    case State::leaving:
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
