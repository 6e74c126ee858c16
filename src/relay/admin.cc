#include "relay/admin.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/calendar.h"
#include "base/crypto_util.h"
#include "http/chars.h"
#include "relay/agent_session.h"
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
  }
  return {};
}

std::vector<AgentSession*> sessions_of(Context& context, const std::string& identity) {
  std::vector<AgentSession*> found;
  for (AgentSession* session : context.registry.sessions()) {
    if (hex(session->identity()) == identity) found.push_back(session);
  }
  return found;
}

std::string query(const AdminRequest& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

// --- handlers ---

Result<AdminAnswer> get_status(Context& context, const AdminRequest&) {
  return answer({{"status", context.draining ? "draining" : "ok"},
                 {"version", LEAT_VERSION},
                 {"url", context.public_url},
                 {"agents", context.registry.sessions().size()},
                 {"http_visitors", context.http_visitors.size()},
                 {"tcp_visitors", context.tcp_visitors.size()}});
}

Result<AdminAnswer> get_agents(Context& context, const AdminRequest&) {
  Json agents = Json::array();
  for (AgentSession* session : context.registry.sessions()) {
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
                      {"rtt_ms", std::chrono::duration<double, std::milli>(about.rtt).count()}});
  }
  return answer({{"agents", std::move(agents)}});
}

Result<AdminAnswer> drain_agent(Context& context, const AdminRequest& request) {
  const auto sessions = sessions_of(context, request.path_value);
  if (sessions.empty()) return fail(Code::NO_SUCH_PATH);
  for (AgentSession* session : sessions) session->drain();
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> cut_agent(Context& context, const AdminRequest& request) {
  const auto sessions = sessions_of(context, request.path_value);
  if (sessions.empty()) return fail(Code::NO_SUCH_PATH);
  for (AgentSession* session : sessions) session->close({Code::REVOKED, "by the operator"});
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> get_tunnels(Context& context, const AdminRequest&) {
  Json tunnels = Json::array();
  for (AgentSession* session : context.registry.sessions()) {
    for (const std::string& id : session->about().tunnels) {
      tunnels.push_back({{"id", id},
                         {"owner", session->credential_name()},
                         {"identity", hex(session->identity())},
                         {"guarded", session->access(id) != nullptr}});
    }
  }
  return answer({{"tunnels", std::move(tunnels)}});
}

// Nobody owns it any more, and who serves or visits it is cut.
Result<AdminAnswer> release_tunnel(Context& context, const AdminRequest& request) {
  const auto released = context.store.release(request.path_value);
  if (!released) return tl::unexpected(released.error());
  if (!*released) return fail(Code::NO_SUCH_PATH);
  for (AgentSession* session : std::vector(context.registry.sessions())) {
    session->revoke(request.path_value);
  }
  context.http_visitors.for_each([&](HttpVisitor& visitor) { visitor.revoke(request.path_value); });
  context.tcp_visitors.for_each([&](TcpVisitor& visitor) { visitor.revoke(request.path_value); });
  context.sealed_visitors.for_each(
      [&](SealedVisitor& visitor) { visitor.revoke(request.path_value); });
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> get_tokens(Context& context, const AdminRequest&) {
  const auto all = context.store.tokens();
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
  return answer({{"tokens", std::move(tokens)}});
}

Result<AdminAnswer> create_token(Context& context, const AdminRequest& request) {
  const std::string name = query(request, "name");
  const auto token = context.store.create_token(name, query(request, "plan"));
  if (!token) return tl::unexpected(token.error());
  return answer({{"name", name}, {"token", token->reveal()}}, 201);
}

Result<AdminAnswer> revoke_token(Context& context, const AdminRequest& request) {
  const auto revoked = context.store.revoke_token(request.path_value);
  if (!revoked) return tl::unexpected(revoked.error());
  // The sessions end at once; the poll of the database would do it a little later.
  for (AgentSession* session : std::vector(context.registry.sessions())) {
    session->check_credential();
  }
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> invite(Context& context, const AdminRequest& request) {
  const auto code =
      context.store.create_code({.name = query(request, "name"), .plan = query(request, "plan")});
  if (!code) return tl::unexpected(code.error());
  return answer({{"code", code->reveal()}, {"expires_in", 900}}, 201);
}

Result<AdminAnswer> get_plans(Context& context, const AdminRequest&) {
  Json plans = Json::array();
  for (const Plan& plan : context.accounting.plans().all) {
    plans.push_back({{"name", plan.name},
                     {"tunnels", limit(plan.tunnels)},
                     {"streams", limit(plan.streams)},
                     {"requests_per_minute", limit(plan.requests_per_minute)},
                     {"bytes_per_second", limit(plan.bytes_per_second)},
                     {"bytes_per_day", limit(plan.bytes_per_day)},
                     {"bytes_per_month", limit(plan.bytes_per_month)},
                     {"body", limit(plan.body)}});
  }
  return answer({{"default", context.accounting.plans().fallback}, {"plans", std::move(plans)}});
}

Result<AdminAnswer> get_usage(Context& context, const AdminRequest& request) {
  context.accounting.settle();
  const auto rows = context.store.usages(query(request, "owner"));
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

constexpr std::array<std::string_view, 2> kNameAndPlan = {"name", "plan"};
constexpr std::array<std::string_view, 1> kOwner = {"owner"};

constexpr AdminHandler kHandlers[] = {
    {"GET", "/api/v1/status", {}, get_status},
    {"GET", "/api/v1/agents", {}, get_agents},
    {"DELETE", "/api/v1/agents/{identity}", {}, cut_agent},
    {"POST", "/api/v1/agents/{identity}/drain", {}, drain_agent},
    {"GET", "/api/v1/tunnels", {}, get_tunnels},
    {"DELETE", "/api/v1/tunnels/{id}", {}, release_tunnel},
    {"GET", "/api/v1/tokens", {}, get_tokens},
    {"POST", "/api/v1/tokens", kNameAndPlan, create_token},
    {"DELETE", "/api/v1/tokens/{name}", {}, revoke_token},
    {"POST", "/api/v1/invitations", kNameAndPlan, invite},
    {"GET", "/api/v1/plans", {}, get_plans},
    {"GET", "/api/v1/usage", kOwner, get_usage},
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

bool has_key(const http::Request& request, const Secret& key) {
  std::string shown;
  if (request.fields.count("X-Admin-Key") == 1) {
    shown = *request.fields.find("X-Admin-Key");
  } else if (request.fields.count("Authorization") == 1) {
    const std::string& field = *request.fields.find("Authorization");
    constexpr std::string_view kBearer = "Bearer ";
    if (http::iequal(std::string_view(field).substr(0, kBearer.size()), kBearer)) {
      shown = field.substr(kBearer.size());
    }
  }
  // As hashes, so that the time does not tell how long the key is.
  return constant_time_equal(sha256(as_bytes(shown)), sha256(as_bytes(key.reveal())));
}

}  // namespace

std::span<const AdminHandler> admin_handlers() { return kHandlers; }

Result<AdminAnswer> administer(Context& context, const http::Request& request,
                               std::string_view target, std::string_view address) {
  const Secret& key = context.options.admin_key;
  if (key.empty()) return fail(Code::NO_SUCH_PATH);
  const std::string counted = "admin " + std::string(address);
  const Time now = context.shard.now();
  if (!context.tries.allows(counted, now)) return fail(Code::TOO_MANY_TRIES);
  if (!has_key(request, key)) {
    context.tries.failed(counted, now);
    return fail(Code::BAD_TOKEN);
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, question);
  bool found = false;
  for (const AdminHandler& handler : kHandlers) {
    const auto value = match(handler.path, path);
    if (!value) continue;
    found = true;
    if (handler.method != request.method) continue;
    AdminRequest asked;
    auto text = decoded(*value);
    if (!text ||
        !read_query(target.substr(std::min(question + 1, target.size())), handler, asked)) {
      return fail(Code::BAD_REQUEST);
    }
    asked.path_value = std::move(*text);
    return handler.handle(context, asked);
  }
  return fail(found ? Code::METHOD_REFUSED : Code::NO_SUCH_PATH);
}

}  // namespace leat::relay
