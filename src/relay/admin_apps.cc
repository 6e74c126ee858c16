#include "relay/admin_apps.h"

#include <nlohmann/json.hpp>

#include "base/calendar.h"
#include "base/crypto_util.h"
#include "base/join_url.h"
#include "base/log.h"
#include "base/network.h"
#include "net/tls.h"

namespace leat::relay {
namespace {

using Json = nlohmann::ordered_json;

AdminAnswer answer(const Json& json, int status) { return {status, json.dump() + "\n"}; }

std::string name_of(store::CodeState::State state) {
  return state == store::CodeState::State::waiting ? "waiting" : "used";
}

// Tries at codes are counted like those at keys, for whoever may ask without one.
template <typename Look>
auto counted(Context& context, const AdminRequest& request, Look look) -> decltype(look(Secret())) {
  const Time now = context.shard.now();
  if (!context.tries.allows("pair", request.address, now)) return fail(Code::TOO_MANY_TRIES);
  auto found = look(Secret(request.path_value));
  if (found && !*found) context.tries.failed("pair", request.address, now);
  return found;
}

}  // namespace

Result<AdminAnswer> begin_pairing(Context& context, const AdminRequest& request) {
  const store::Invitation invitation{.name = request.parameter("name"),
                                     .plan = request.parameter("plan")};
  const auto known = check_plan(invitation.plan, context.accounting.plans().names());
  if (!known) return tl::unexpected(known.error());
  const auto code = context.store.create_code(invitation);
  if (!code) return tl::unexpected(code.error());
  const auto pin = net::parse_pin(context.pin);
  const Secret url =
      JoinUrl{
          {context.common.public_host, context.common.tls_port}, *code, pin ? *pin : std::string()}
          .text();
  return answer(
      {{"token", code->reveal()}, {"url", url.reveal()}, {"expires_in", invitation.life.count()}},
      201);
}

Result<AdminAnswer> look_at_pairing(Context& context, const AdminRequest& request) {
  const auto found = counted(context, request,
                             [&](const Secret& code) { return context.store.look_up_code(code); });
  if (!found) return tl::unexpected(found.error());
  if (!*found) return fail(Code::ADMIN_NO_SUCH);
  return answer({{"state", name_of((*found)->state)}, {"expires", rfc3339((*found)->expires)}},
                200);
}

Result<AdminAnswer> end_pairing(Context& context, const AdminRequest& request) {
  const auto ended = counted(context, request,
                             [&](const Secret& code) { return context.store.withdraw_code(code); });
  if (!ended) return tl::unexpected(ended.error());
  if (!*ended) return fail(Code::ADMIN_NO_SUCH);
  return AdminAnswer{204, {}};
}

Result<AdminAnswer> register_app(Context& context, const AdminRequest& request) {
  if (!context.registrations.take(request.address, context.shard.now())) {
    return fail(Code::REGISTER_LIMIT);
  }
  const std::string name = "app-" + random_id();
  const auto token = context.store.create_app(name);
  if (!token) return tl::unexpected(token.error());
  log::info("app registered", {{"credential", name}, {"address", request.address}});
  return answer({{"name", name}, {"token", token->reveal()}}, 201);
}

}  // namespace leat::relay
