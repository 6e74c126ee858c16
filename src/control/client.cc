#include "control/client.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "control/convert.h"
#include "proto/control.pb.h"

namespace leat::control {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kUrlText = 2048;
constexpr std::size_t kReasonText = 2048;
constexpr std::size_t kNameText = 255;

std::string peer_text(const std::string& text) { return printable(text, kNameText); }

Error no_policies() {
  return {Code::VERSION_MISMATCH, "this relay knows no rules for visitors; update it"};
}

Error rules_too_large() {
  return {Code::BAD_POLICY, "the rules are longer than the 64 KiB of a control message"};
}

}  // namespace

Credential::Credential(Secret token) : text(std::move(token)) {
  const std::string_view said = text.reveal();
  const bool three_parts = std::ranges::count(said, '.') == 2;
  // "eyJ" is '{"' in base64url.
  if (!said.empty()) kind = three_parts && said.starts_with("eyJ") ? Kind::jwt : Kind::token;
}

Credential Credential::code(Secret join_code) {
  Credential out;
  out.kind = Kind::join_code;
  out.text = std::move(join_code);
  return out;
}

std::string delegate_message(const PublicKey& identity) {
  std::string message("leat/1 delegate");
  message += '\0';
  return message += as_chars(identity);
}

Client::Client(ClientEvents& events, const PublicKey& identity, Credential credential,
               std::string host_name, std::vector<TunnelRequest> tunnels)
    : events_(events), tunnels_(std::move(tunnels)), reader_(limits::kControlMessage) {
  proto::Control message;
  proto::Hello& hello = *message.mutable_hello();
  hello.set_version_min(kVersion);
  hello.set_version_max(kVersion);
  hello.set_software("leat/" LEAT_VERSION);
  hello.set_identity(std::string(as_chars(identity)));
  std::string text(credential.text.reveal());
  switch (credential.kind) {
    case Credential::Kind::none:
      break;
    case Credential::Kind::token:
      hello.set_token(std::move(text));
      break;
    case Credential::Kind::jwt:
      hello.set_jwt(std::move(text));
      break;
    case Credential::Kind::join_code:
      hello.set_join_code(std::move(text));
      break;
  }
  if (credential.delegation) {
    hello.set_delegate(std::string(as_chars(credential.delegation->key)));
    hello.set_delegate_signature(std::string(as_chars(credential.delegation->signature)));
  }
  hello.set_name(peer_text(host_name));
  append_message(message, out_);
}

Result<void> Client::feed(Bytes in) {
  while (state_ != State::failed && !in.empty()) {
    std::size_t used = 0;
    const MessageReader::State state = reader_.feed(in, used);
    in = in.subspan(used);
    if (state == MessageReader::State::more) break;
    proto::Control message;
    if (state == MessageReader::State::error || !reader_.parse(message)) {
      fail(Code::PROTOCOL, "malformed control message");
    } else {
      on_message(message);
    }
  }
  if (state_ == State::failed) return tl::unexpected<Error>(error_);
  return {};
}

// The table of docs/protocol.md §3.2.
void Client::on_message(const proto::Control& message) {
  const bool welcomed = state_ == State::welcomed;
  switch (message.message_case()) {
    case proto::Control::kWelcome:
      if (welcomed) break;
      return on_welcome(message.welcome());
    case proto::Control::kBound:
      if (!welcomed) break;
      return on_bound(message.bound());
    case proto::Control::kDrain: {
      const proto::Drain& drain = message.drain();
      constexpr auto kMost = std::chrono::milliseconds(limits::kReturnAfter).count();
      const auto retry_after_ms =
          std::min(drain.retry_after_ms(), static_cast<std::uint32_t>(kMost));
      std::vector<std::string> relays;
      for (const std::string& relay : drain.relays()) relays.push_back(peer_text(relay));
      return events_.on_drain(printable(drain.reason(), kReasonText), retry_after_ms, relays);
    }
    case proto::Control::kNotice: {
      if (!welcomed) break;
      const Error why = from_wire(message.notice().failure());
      events_.on_notice(why);
      const std::string& lost = message.notice().tunnel();
      return lost.empty() ? void() : events_.on_taken(peer_text(lost), why);
    }
    case proto::Control::kShared:
      if (!welcomed) break;
      return events_.on_shared(peer_text(message.shared().tunnel()), message.shared().agents());
    case proto::Control::kFailure:
      error_ = from_wire(message.failure());
      state_ = State::failed;
      return;
    case proto::Control::kHello:
    case proto::Control::kBind:
    case proto::Control::kUnbind:
    case proto::Control::kLeave:
    case proto::Control::kHealth:
      break;
    case proto::Control::MESSAGE_NOT_SET:  // of a newer version
      return;
  }
  fail(Code::PROTOCOL, "control message out of place");
}

void Client::on_welcome(const proto::Welcome& welcome) {
  if (welcome.version() != kVersion) {
    return fail(Code::VERSION_MISMATCH, "the relay chose a version that was not offered");
  }
  state_ = State::welcomed;
  enforces_policies_ = std::ranges::count(welcome.features(), kPolicyFeature) > 0;
  const std::size_t asked = std::min(tunnels_.size(), limits::kControlTunnels);
  std::vector<std::size_t> too_large;
  for (std::size_t i = 0; i < asked; ++i) {
    if (may_ask(tunnels_[i]) && !ask(i)) too_large.push_back(i);
  }
  if (!welcome.credential().empty()) events_.on_credential(Secret(welcome.credential()));
  events_.on_welcome(peer_text(welcome.session()), peer_text(welcome.credential_name()));
  for (std::size_t i = 0; i < asked; ++i) {
    if (!may_ask(tunnels_[i])) events_.on_bind_failed(i, no_policies());
  }
  for (const std::size_t i : too_large) events_.on_bind_failed(i, rules_too_large());
  for (std::size_t i = asked; i < tunnels_.size(); ++i) {
    events_.on_bind_failed(i, {Code::CONFIG, "more than 1,024 tunnels of one agent"});
  }
}

// A relay that does not know a tunnel's rules would let everybody in.
bool Client::may_ask(const TunnelRequest& tunnel) const {
  return tunnel.visitors.empty() || enforces_policies_;
}

// False: the relay would take the Bind for a flood, and end the session of all the others.
bool Client::ask(std::size_t index) {
  const TunnelRequest& tunnel = tunnels_[index];
  proto::Control message;
  proto::Bind& bind = *message.mutable_bind();
  bind.set_request(last_request_ + 1);
  bind.set_tunnel(tunnel.id);
  bind.set_kind(to_wire(tunnel.kind));
  bind.set_public_(tunnel.is_public);
  bind.set_remote_port(tunnel.remote_port);
  for (const std::string& host : tunnel.hosts) bind.add_hosts(host);
  bind.set_first_byte_ms(static_cast<std::uint32_t>(tunnel.first_byte.count()));
  bind.set_idle_ms(static_cast<std::uint32_t>(tunnel.idle.count()));
  for (const std::string& origin : tunnel.cors) bind.add_cors(origin);
  to_wire(tunnel.visitors, bind);
  if (message.ByteSizeLong() > limits::kControlMessage) return false;
  asked_[++last_request_] = index;
  append_message(message, out_);
  return true;
}

void Client::bind(std::size_t index, const TunnelRequest& tunnel) {
  if (state_ != State::welcomed) return;
  if (index == tunnels_.size()) tunnels_.emplace_back();
  tunnels_[index] = tunnel;
  if (!may_ask(tunnel)) return events_.on_bind_failed(index, no_policies());
  if (!ask(index)) events_.on_bind_failed(index, rules_too_large());
}

void Client::on_bound(const proto::Bound& bound) {
  const auto asked = asked_.find(bound.request());
  if (asked == asked_.end()) return fail(Code::PROTOCOL, "Bound answers no Bind");
  const std::size_t index = asked->second;
  asked_.erase(asked);
  if (bound.has_failure()) return events_.on_bind_failed(index, from_wire(bound.failure()));

  const std::string& wanted = tunnels_[index].id;
  if (!valid_tunnel_id(bound.tunnel()) || (!wanted.empty() && wanted != bound.tunnel()) ||
      bound.remote_port() > 65535) {
    return fail(Code::PROTOCOL, "Bound is not what Bind asked for");
  }
  TunnelBound tunnel{bound.tunnel(), {}, static_cast<std::uint16_t>(bound.remote_port())};
  for (const std::string& url : bound.urls()) tunnel.urls.push_back(printable(url, kUrlText));
  events_.on_bound(index, tunnel);
}

void Client::unbind(const std::string& tunnel) {
  if (state_ != State::welcomed) return;
  proto::Control message;
  message.mutable_unbind()->set_tunnel(tunnel);
  append_message(message, out_);
}

void Client::health(const std::string& tunnel, const Error* failure) {
  if (state_ != State::welcomed) return;
  proto::Control message;
  proto::Health& health = *message.mutable_health();
  health.set_tunnel(tunnel);
  health.set_healthy(failure == nullptr);
  if (failure != nullptr) *health.mutable_failure() = to_wire(*failure);
  append_message(message, out_);
}

void Client::leave() {
  if (state_ != State::welcomed) return;
  proto::Control message;
  message.mutable_leave();
  append_message(message, out_);
}

void Client::fail(Code code, std::string_view text) {
  error_ = Error{code, std::string(text)};
  state_ = State::failed;
  proto::Control message;
  *message.mutable_failure() = to_wire(error_);
  append_message(message, out_);
}

std::string Client::take_output() { return std::exchange(out_, {}); }

}  // namespace leat::control
