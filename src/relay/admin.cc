#include "relay/admin.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/calendar.h"
#include "base/crypto_util.h"
#include "relay/admin_apps.h"
#include "relay/admin_visits.h"
#include "relay/agent_session.h"
#include "relay/bare_agent.h"
#include "relay/http_visitor.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {
namespace {

using Json = nlohmann::ordered_json;

// Names come from agents and issuers and may hold anything.
AdminAnswer answer(const Json& json, int status = 200) {
  return {status, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

Json rfc3339_or_null(const std::optional<std::chrono::sys_seconds>& when) {
  return when ? Json(rfc3339(*when)) : Json(nullptr);
}

Json limit(const Plan::Limit& value) { return value ? Json(*value) : Json(nullptr); }

std::string kind_name(store::TokenInfo::Kind kind) {
  switch (kind) {
    case store::TokenInfo::Kind::token:
      return "token";
    case store::TokenInfo::Kind::agent:
      return "agent";
    case store::TokenInfo::Kind::jwt:
      return "jwt";
    case store::TokenInfo::Kind::app:
      return "app";
  }
  return {};
}

std::vector<BareAgent*> bare_agents(Context& context) {
  std::vector<BareAgent*> all;
  context.bare_agents.for_each([&](BareAgent& agent) { all.push_back(&agent); });
  return all;
}

// On each shard in turn, for those of that identity; how many they were.
template <typename Visit>
std::size_t for_sessions_of(Context& context, const std::string& identity, Visit visit) {
  std::size_t found = 0;
  context.common.everywhere([&](Context& shard) {
    for (AgentSession* session : std::vector(shard.registry.sessions())) {
      if (hex(session->identity()) != identity) continue;
      ++found;
      visit(*session);
    }
  });
  return found;
}

std::vector<BareAgent*> bare_agents_of(Context& context, const std::string& identity) {
  std::vector<BareAgent*> found = bare_agents(context);
  std::erase_if(found, [&](BareAgent* agent) { return hex(agent->identity()) != identity; });
  return found;
}

// Of a parameter that is a number above 0; nullopt: it is something else.
std::optional<std::int64_t> number(const AdminRequest& request, const char* name,
                                   std::int64_t otherwise) {
  const std::string text = request.parameter(name);
  if (text.empty()) return otherwise;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = error == std::errc() && end == text.data() + text.size() && value > 0;
  return good ? std::optional(value) : std::nullopt;
}

const Error kCut{Code::REVOKED, "by the operator"};

// What bounds the bytes on their way to the agent (net/send_governor.h).
Json governor_json(const net::SendGovernor& governor) {
  const std::size_t bound = governor.outstanding_bound();
  const double base = std::chrono::duration<double, std::milli>(governor.base_rtt()).count();
  return {{"mode", net::name(governor.mode())},
          {"outstanding_cap", bound == SIZE_MAX ? Json(nullptr) : Json(bound)},
          {"unsent_cap", governor.unsent_bound()},
          {"delivery_rate", governor.rate()},
          {"min_rtt_ms", base > 0 ? Json(base) : Json(nullptr)}};
}

// --- handlers ---

Result<AdminAnswer> get_status(Context& context, const AdminRequest&) {
  std::size_t agents = 0, http_visitors = 0, tcp_visitors = 0;
  context.common.everywhere([&](const Context& shard) {
    agents += shard.registry.sessions().size();
    http_visitors += shard.http_visitors.size();
    tcp_visitors += shard.tcp_visitors.size();
  });
  return answer({{"status", context.draining ? "draining" : "ok"},
                 {"version", LEAT_VERSION},
                 {"url", context.common.public_url},
                 {"agents", agents},
                 {"http_visitors", http_visitors},
                 {"tcp_visitors", tcp_visitors}});
}

Result<AdminAnswer> get_agents(Context& context, const AdminRequest&) {
  Json agents = Json::array();
  const auto add = [&](AgentSession* session) {
    const AgentSession::About about = session->about();
    agents.push_back({{"identity", hex(session->identity())},
                      {"owner", session->credential_name()},
                      {"name", about.host_name},
                      {"software", about.software},
                      {"address", about.peer},
                      {"since", rfc3339(about.since)},
                      {"tunnels", about.tunnels},
                      {"streams", about.streams},
                      {"bytes_in", about.bytes_in},
                      {"bytes_out", about.bytes_out},
                      {"rtt_ms", std::chrono::duration<double, std::milli>(about.rtt).count()},
                      {"thread", session->shard()},
                      {"governor", governor_json(session->driver().governor())}});
  };
  context.common.everywhere(
      [&](const Context& shard) { std::ranges::for_each(shard.registry.sessions(), add); });
  for (BareAgent* agent : bare_agents(context)) {
    const BareAgent::About about = agent->about();
    agents.push_back({{"identity", hex(agent->identity())},
                      {"owner", agent->owner()},
                      {"name", ""},
                      {"software", "bare"},
                      {"address", agent->peer()},
                      {"since", rfc3339(about.since)},
                      {"tunnels", {agent->room()}},
                      {"streams", about.streams},
                      {"bytes_in", about.bytes_in},
                      {"bytes_out", about.bytes_out},
                      {"rtt_ms", 0},
                      {"thread", 0},
                      {"governor", governor_json(agent->driver().governor())}});
  }
  return answer({{"agents", std::move(agents)}});
}

// As a TERM does: answered while what runs is waited for.
Result<AdminAnswer> drain_relay(Context& context, const AdminRequest&) {
  context.ask_to_drain();
  return answer({{"status", "draining"}}, 202);
}

// The key was right, so the browser need not keep it. Strict: not sent along from other sites.
Result<AdminAnswer> open_session(Context& context, const AdminRequest& request) {
  const AdminDoor::Session session = context.door.open(context.shard.now());
  AdminAnswer out = answer({{"token", session.token.reveal()},
                            {"expires_in", std::chrono::seconds(AdminDoor::kLife).count()}},
                           201);
  out.fields = std::string("Set-Cookie: ") + kAdminCookie + "=";
  out.fields.append(session.cookie.reveal()).append("; Path=/; HttpOnly; SameSite=Strict");
  out.fields += request.secure ? "; Secure\r\n" : "\r\n";
  return out;
}

Result<AdminAnswer> close_session(Context& context, const AdminRequest& request) {
  context.door.close(*request.request);
  return AdminAnswer{204,
                     {},
                     std::string("Set-Cookie: ") + kAdminCookie +
                         "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0\r\n"};
}

Result<AdminAnswer> drain_agent(Context& context, const AdminRequest& request) {
  const std::size_t found =
      for_sessions_of(context, request.path_value, [](AgentSession& session) { session.drain(); });
  if (found == 0) return fail(Code::ADMIN_NO_SUCH);
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> cut_agent(Context& context, const AdminRequest& request) {
  const std::size_t found = for_sessions_of(context, request.path_value,
                                            [](AgentSession& session) { session.close(kCut); });
  const auto bare = bare_agents_of(context, request.path_value);
  if (found == 0 && bare.empty()) return fail(Code::ADMIN_NO_SUCH);
  for (BareAgent* agent : bare) agent->close(kCut);
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> get_tunnels(Context& context, const AdminRequest&) {
  Json tunnels = Json::array();
  const auto add = [&](AgentSession* session) {
    const AgentSession::About about = session->about();
    for (const std::string& id : about.tunnels) {
      const control::TunnelRequest* bound = session->bound(id);
      tunnels.push_back({{"id", id},
                         {"kind", control::name(bound->kind)},
                         {"urls", session->urls_of(id)},
                         {"relay_sees", control::relay_sees(bound->kind)},
                         {"owner", session->credential_name()},
                         {"identity", hex(session->identity())},
                         {"agent", about.host_name},
                         {"since", rfc3339(about.since)},
                         {"public", bound->is_public},
                         {"guarded", session->access(id) != nullptr}});
    }
  };
  context.common.everywhere(
      [&](const Context& shard) { std::ranges::for_each(shard.registry.sessions(), add); });
  for (BareAgent* agent : bare_agents(context)) {
    tunnels.push_back({{"id", agent->room()},
                       {"kind", "ws"},
                       {"urls", {room_url(context.common.public_url, agent->room())}},
                       {"relay_sees", control::relay_sees(control::TunnelKind::ws)},
                       {"owner", agent->owner()},
                       {"identity", hex(agent->identity())},
                       {"agent", agent->peer()},
                       {"since", rfc3339(agent->about().since)},
                       {"public", true},
                       {"guarded", false}});
  }
  return answer({{"tunnels", std::move(tunnels)}});
}

// Nobody owns it any more, nor the hosts it is served by, and who serves or visits it is cut.
// Whoever asks for it next has it, the same owner perhaps.
Result<AdminAnswer> release_tunnel(Context& context, const AdminRequest& request) {
  const auto released = context.store.release(request.path_value);
  if (!released) return tl::unexpected(released.error());
  // A room that nobody owns may be served all the same.
  std::vector<BareAgent*> bare = bare_agents(context);
  std::erase_if(bare, [&](BareAgent* agent) { return agent->room() != request.path_value; });
  if (!*released && bare.empty()) return fail(Code::ADMIN_NO_SUCH);
  for (BareAgent* agent : bare) agent->close(kCut);
  std::set<std::string> ended = {request.path_value}, hosts;
  context.common.everywhere([&](const Context& shard) {
    for (AgentSession* session : std::vector(shard.registry.sessions())) {
      for (const control::TunnelRequest& tunnel : session->revoke(request.path_value)) {
        ended.insert(tunnel.id);
        if (tunnel.id == request.path_value) hosts.insert(tunnel.hosts.begin(), tunnel.hosts.end());
      }
    }
  });
  context.common.everywhere([&](Context& shard) {
    for (const std::string& tunnel : ended) {
      shard.http_visitors.for_each([&](HttpVisitor& visitor) { visitor.revoke(tunnel); });
      shard.tcp_visitors.for_each([&](TcpVisitor& visitor) { visitor.revoke(tunnel); });
      shard.sealed_visitors.for_each([&](SealedVisitor& visitor) { visitor.revoke(tunnel); });
    }
  });
  for (const std::string& host : hosts) {
    if (const auto gone = context.store.release(host); !gone) return tl::unexpected(gone.error());
  }
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> get_tokens(Context& context, const AdminRequest& request) {
  constexpr std::int64_t kPage = 500;
  const auto after = number(request, "cursor", 0), limit = number(request, "limit", kPage);
  if (!after || !limit) return fail(Code::ADMIN_PARAMETER);
  const std::int64_t most = std::min(*limit, kPage);
  const auto all = context.store.tokens(*after, most);
  if (!all) return tl::unexpected(all.error());
  Json tokens = Json::array();
  for (const store::TokenInfo& token : *all) {
    tokens.push_back({{"name", token.name},
                      {"kind", kind_name(token.kind)},
                      {"plan", token.plan},
                      {"created", rfc3339(token.created)},
                      {"last_used", rfc3339_or_null(token.last_used)},
                      {"revoked", rfc3339_or_null(token.revoked)}});
  }
  const bool whole = static_cast<std::int64_t>(all->size()) == most;
  return answer({{"tokens", std::move(tokens)},
                 {"next", whole ? Json(std::to_string(all->back().id)) : Json(nullptr)}});
}

Result<AdminAnswer> create_token(Context& context, const AdminRequest& request) {
  const std::string name = request.parameter("name"), plan = request.parameter("plan");
  const auto known = check_plan(plan, context.accounting.plans().names());
  if (!known) return tl::unexpected(known.error());
  const auto token = context.store.create_token(name, plan);
  if (!token) return tl::unexpected(token.error());
  return answer({{"name", name}, {"token", token->reveal()}}, 201);
}

Result<AdminAnswer> change_token(Context& context, const AdminRequest& request) {
  const std::string plan = request.parameter("plan");
  const auto known = check_plan(plan, context.accounting.plans().names());
  if (!known) return tl::unexpected(known.error());
  const auto set = context.store.set_plan(request.path_value, plan);
  if (!set && set.error().code == Code::NO_SUCH_TOKEN) return fail(Code::ADMIN_NO_SUCH);
  if (!set) return tl::unexpected(set.error());
  context.accounting.look_at_owners();
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> revoke_token(Context& context, const AdminRequest& request) {
  const auto revoked = context.store.revoke_token(request.path_value);
  if (!revoked) return tl::unexpected(revoked.error());
  // The sessions end at once; the poll of the database would do it a little later.
  context.common.everywhere([&](const Context& shard) {
    for (AgentSession* session : std::vector(shard.registry.sessions())) {
      session->check_credential();
    }
  });
  for (BareAgent* agent : bare_agents(context)) agent->check_credential();
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> get_plans(Context& context, const AdminRequest&) {
  Json plans = Json::array();
  const Plans known = context.accounting.plans();
  for (const Plan& plan : known.all) {
    plans.push_back({{"name", plan.name},
                     {"tunnels", limit(plan.tunnels)},
                     {"streams", limit(plan.streams)},
                     {"requests_per_minute", limit(plan.requests_per_minute)},
                     {"bytes_per_second", limit(plan.bytes_per_second)},
                     {"bytes_per_day", limit(plan.bytes_per_day)},
                     {"bytes_per_month", limit(plan.bytes_per_month)},
                     {"body", limit(plan.body)},
                     {"visitor_messages_per_minute", limit(plan.visitor_messages_per_minute)},
                     {"agent_messages_per_minute", limit(plan.agent_messages_per_minute)},
                     {"message", limit(plan.message)}});
  }
  return answer({{"default", known.fallback}, {"plans", std::move(plans)}});
}

Result<AdminAnswer> get_usage(Context& context, const AdminRequest& request) {
  context.accounting.settle();
  const auto rows = context.store.usages(request.parameter("owner"), request.parameter("since"));
  if (!rows) return tl::unexpected(rows.error());
  Json usage = Json::array();
  for (const store::UsageRow& row : *rows) {
    usage.push_back({{"owner", row.owner},
                     {"period", row.period},
                     {"bytes_in", row.usage.bytes_in},
                     {"bytes_out", row.usage.bytes_out},
                     {"requests", row.usage.requests}});
  }
  return answer({{"usage", std::move(usage)}});
}

constexpr std::array<std::string_view, 1> kPlan = {"plan"};
constexpr std::array<std::string_view, 2> kNameAndPlan = {"name", "plan"};
constexpr std::array<std::string_view, 2> kPages = {"cursor", "limit"};
constexpr std::array<std::string_view, 2> kOwnerAndSince = {"owner", "since"};

constexpr std::array<std::string_view, 7> kConnections = {"tunnel", "address", "text", "since",
                                                          "until",  "cursor",  "limit"};

constexpr AdminHandler kHandlers[] = {
    {"GET", "/api/v1/status", {}, get_status},
    {"POST", "/api/v1/session", {}, open_session},
    {"DELETE", "/api/v1/session", {}, close_session},
    {"POST", "/api/v1/drain", {}, drain_relay},
    {"GET", "/api/v1/events", {}, get_events},
    {"GET", "/api/v1/connections", kConnections, get_connections},
    {"POST", "/api/v1/pair", kNameAndPlan, begin_pairing},
    {"GET", "/api/v1/pair/{token}", {}, look_at_pairing, true},
    {"DELETE", "/api/v1/pair/{token}", {}, end_pairing, true},
    {"POST", "/api/v1/register", {}, register_app, true},
    {"GET", "/api/v1/agents", {}, get_agents},
    {"DELETE", "/api/v1/agents/{identity}", {}, cut_agent},
    {"POST", "/api/v1/agents/{identity}/drain", {}, drain_agent},
    {"GET", "/api/v1/tunnels", {}, get_tunnels},
    {"DELETE", "/api/v1/tunnels/{id}", {}, release_tunnel},
    {"GET", "/api/v1/tokens", kPages, get_tokens},
    {"POST", "/api/v1/tokens", kNameAndPlan, create_token},
    {"PATCH", "/api/v1/tokens/{name}", kPlan, change_token},
    {"DELETE", "/api/v1/tokens/{name}", {}, revoke_token},
    {"GET", "/api/v1/plans", {}, get_plans},
    {"GET", "/api/v1/usage", kOwnerAndSince, get_usage},
};

// --- requests ---

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto byte = unhex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) return std::nullopt;
    out += *byte;
    i += 2;
  }
  return out;
}

// What stands for {…}; nullopt: another path.
std::optional<std::string_view> match(std::string_view pattern, std::string_view path) {
  const std::size_t open = pattern.find('{');
  if (open == pattern.npos)
    return pattern == path ? std::optional(path.substr(0, 0)) : std::nullopt;
  const std::string_view tail = pattern.substr(pattern.find('}') + 1);
  if (!path.starts_with(pattern.substr(0, open)) || !path.ends_with(tail) ||
      path.size() <= open + tail.size()) {
    return std::nullopt;
  }
  const std::string_view value = path.substr(open, path.size() - open - tail.size());
  return value.find('/') == value.npos ? std::optional(value) : std::nullopt;
}

bool read_query(std::string_view text, const AdminHandler& handler, AdminRequest& out) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string name(part.substr(0, equals));
    const auto value = decoded(part.substr(std::min(equals + 1, part.size())));
    const bool known = std::ranges::find(handler.query, name) != handler.query.end();
    if (!value || !known || !out.query.emplace(name, *value).second) return false;
  }
  return true;
}

}  // namespace

std::span<const AdminHandler> admin_handlers() { return kHandlers; }

std::string AdminRequest::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

Result<AdminAnswer> administer(Context& context, const http::Request& request,
                               std::string_view target, const AdminCaller& caller) {
  const Secret& key = context.options.admin_key;
  if (caller.door ? !context.options.public_registration : key.empty()) {
    return fail(Code::NO_SUCH_PATH);
  }
  if (!caller.door) {
    const auto admitted =
        context.door.admit(request, key, caller.address, context.tries, context.shard.now());
    if (!admitted) return tl::unexpected(admitted.error());
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, question);
  bool found = false;
  for (const AdminHandler& handler : kHandlers) {
    const auto value = match(handler.path, path);
    if (!value || (caller.door && !handler.open)) continue;
    found = true;
    if (handler.method != request.method) continue;
    AdminRequest asked;
    auto text = decoded(*value);
    if (!text ||
        !read_query(target.substr(std::min(question + 1, target.size())), handler, asked)) {
      return fail(Code::ADMIN_PARAMETER);
    }
    asked.path_value = std::move(*text);
    asked.address = caller.address;
    asked.request = &request;
    asked.secure = caller.secure;
    return handler.handle(context, asked);
  }
  return fail(found ? Code::METHOD_REFUSED : Code::NO_SUCH_PATH);
}

}  // namespace leat::relay
