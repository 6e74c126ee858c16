#include "relay/bare_agent.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/chars.h"
#include "relay/tunnel_quota.h"

namespace leat::relay {
namespace {

constexpr auto kLookAgain = std::chrono::hours(1);  // whether a JWT has ended

mux::Config config_of(Context& context) {
  mux::Config config = mux::Config::bare(mux::Role::server);
  config.memory = &context.memory;
  return config;
}

// RFC 6750 §2.1, or the query where there is no such field. nullopt: none; empty: not a token.
std::optional<Secret> credential_of(const http::Request& request, const Route& route) {
  const std::string* field = request.fields.find("Authorization");
  if (field == nullptr) return route.token.empty() ? std::nullopt : std::optional(route.token);
  const std::string_view value = *field;
  const std::size_t scheme = std::min(value.find(' '), value.size());
  if (!http::iequal(value.substr(0, scheme), "Bearer")) return Secret();
  const std::string_view token = http::trim(value.substr(scheme));
  if (token.empty()) return std::nullopt;
  return Secret(std::string(token));
}

// A bare agent has no key to be known by. Its token's name stands for it, so that a room stays with
// a token that replaces a revoked one of the same name, and with nobody else's.
PublicKey identity_of(std::string_view token_name) {
  const std::string text = std::string("leat/1 bare agent").append(1, '\0').append(token_name);
  return sha256(as_bytes(text));
}

Result<void> claim(Context& context, const std::string& room, const store::TokenInfo& token) {
  const PublicKey identity = identity_of(token.name);
  const Result<bool> owned = context.store.owns(room, token.id, identity);
  if (!owned) return tl::unexpected(owned.error());
  if (*owned) return {};
  WritePaces& paces = context.common.write_paces;
  const Time now = context.shard.now();
  if (!paces.write(token.id, now) || !paces.claim(token.id, 1, now))
    return fail(Code::TOO_MANY_BINDS);
  return context.store.claim(room, token.id, identity, false);
}

// Of a JWT: its plan, and whether the room is one of its tunnels.
Result<void> check_claims(const Context& context, const Admission& admitted,
                          const std::string& room) {
  if (!admitted.claims) return {};
  const std::vector<std::string> plans = context.accounting.plans().names();
  if (!plans.empty()) {
    if (const auto known = check_plan(admitted.claims->plan, plans); !known) {
      return fail(Code::BAD_JWT, known.error().detail);
    }
  }
  if (!admitted.allows(room)) return fail(Code::TUNNEL_REFUSED, room);
  return {};
}

// Without a credential: where the operator allows it, and nobody owns the room.
Result<BareAgent::Admission> admit_anybody(Context& context, const std::string& room) {
  if (!context.options.open_rooms) return fail(Code::NO_TOKEN);
  const Result<bool> owned = context.store.is_owned(room);
  if (!owned) return tl::unexpected(owned.error());
  if (*owned) return fail(Code::TUNNEL_TAKEN, room);
  Crowd& sessions = context.common.token_sessions;
  const std::string token = "0";
  if (sessions.of(token) >= limits::kOpenRoomSessions) return fail(Code::TOO_MANY_SESSIONS);
  // All of them together are an owner like any other, of a name that no credential has.
  store::TokenInfo nobody;
  nobody.name = "open rooms";
  auto account = context.accounting.account(nobody);
  if (!account) return tl::unexpected(account.error());
  auto held = hold_tunnel(context, **account, room);
  if (!held) return fail(Code::QUOTA_TUNNELS);
  return BareAgent::Admission{.room = room,
                              .counted = Counted(sessions, token),
                              .account = std::move(*account),
                              .held = std::move(*held)};
}

}  // namespace

Result<BareAgent::Admission> BareAgent::admit(Context& context, const http::Request& request,
                                              const Route& route) {
  const std::string& room = route.tunnel;
  if (!control::valid_tunnel_id(room)) return fail(Code::BAD_TUNNEL_ID);
  const std::optional<Secret> credential = credential_of(request, route);
  if (!credential) return admit_anybody(context, room);
  // It proves no key, so that a credential which is good with one only is not good here.
  control::HelloInfo hello;
  const bool jwt = credential->reveal().find('.') != std::string_view::npos;
  hello.kind = jwt ? control::HelloInfo::Credential::jwt : control::HelloInfo::Credential::token;
  hello.credential = *credential;
  const Result<relay::Admission> admitted = context.credentials.admit(hello);
  if (!admitted) return tl::unexpected(admitted.error());
  const store::TokenInfo& owner = admitted->owner;
  if (const Result<void> good = check_claims(context, *admitted, room); !good) {
    return tl::unexpected(good.error());
  }
  auto account = context.accounting.account(owner);
  if (!account) return tl::unexpected(account.error());
  auto held = hold_tunnel(context, **account, room);
  if (!held) {
    ++context.metrics.refused[Code::QUOTA_TUNNELS];
    return fail(Code::QUOTA_TUNNELS);
  }
  Crowd& sessions = context.common.token_sessions;
  const std::string id = std::to_string(owner.id);
  if (sessions.of(id) >= limits::kTokenSessions) return fail(Code::TOO_MANY_SESSIONS);
  if (const Result<void> claimed = claim(context, room, owner); !claimed) {
    return tl::unexpected(claimed.error());
  }
  return Admission{room,
                   owner.id,
                   owner.name,
                   Counted(sessions, id),
                   std::move(*account),
                   std::move(*held),
                   admitted->claims};
}

BareAgent::BareAgent(Context& context, std::unique_ptr<net::Transport> carrier, Admission admission)
    : context_(context),
      admission_(std::move(admission)),
      peer_(carrier->peer()),
      driver_(context.shard, config_of(context), *this, std::move(carrier), net::Framing::bare,
              context.options.send_governor),
      expiry_timer_(context.shard, [this] { watch_expiry(); }) {}

BareAgent::~BareAgent() { driver_.mux().end_all(); }

void BareAgent::start() {
  log::info("bare agent joined",
            {{"room", room()}, {"peer", peer_}, {"credential", admission_.credential}});
  context_.rooms.add(this);
  driver_.start({});
  if (admission_.claims) watch_expiry();
}

// By the wall clock, which may jump; and an end may be further off than a timer counts.
void BareAgent::watch_expiry() {
  const std::chrono::seconds left = context_.credentials.left(*admission_.claims);
  if (left.count() <= 0) return close(Error{Code::JWT_EXPIRED, {}});
  expiry_timer_.arm_in(std::min<std::chrono::seconds>(left, kLookAgain));
}

std::optional<mux::StreamHandle> BareAgent::open_stream() {
  return driver_.mux().open(context_.shard.now());
}

PublicKey BareAgent::identity() const {
  std::string name = owner();
  return identity_of(name.append(1, '\0').append(room()));
}

BareAgent::About BareAgent::about() {
  const mux::Stats& stats = driver_.mux().stats();
  return {since_, stats.streams, stats.data_out, stats.data_in};
}

void BareAgent::close(const Error& why) {
  context_.rooms.remove(this);
  driver_.close(why.code, why.detail);
}

void BareAgent::check_credential() {
  if (!owns_room() || over_) return;
  const Result<bool> good = context_.store.is_live(admission_.token);
  if (!good || *good) return;  // a database that cannot be read cuts nobody who was let in
  close(Error{Code::REVOKED, admission_.credential});
}

void BareAgent::check_keys() {
  if (!admission_.claims || over_ || context_.credentials.knows(*admission_.claims)) return;
  close(Error{Code::BAD_JWT, "its key was taken away"});
}

void BareAgent::on_stream(mux::StreamHandle stream) { driver_.mux().reset(stream); }

// It serves what it has and takes no more.
void BareAgent::on_go_away() { context_.rooms.remove(this); }

void BareAgent::on_ended(const Error& why) {
  if (over_) return;
  over_ = true;
  expiry_timer_.disarm();
  log::write(log::Level::info, "bare agent left", why,
             {{"room", room()}, {"peer", peer_}, {"credential", admission_.credential}});
  context_.rooms.remove(this);
  context_.bare_agents.release(*this);
}

}  // namespace leat::relay
