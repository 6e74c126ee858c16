#include "control/server.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/signature.h"
#include "control/convert.h"
#include "proto/control.pb.h"

namespace leat::control {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kNameText = 255;
constexpr std::size_t kOrigins = 16;  // whose pages may use one tunnel, by name
constexpr std::size_t kReasonText = 2048;

std::chrono::milliseconds idle(std::uint32_t asked) {
  if (asked == 0) return {};
  return std::clamp<std::chrono::milliseconds>(std::chrono::milliseconds(asked), limits::kLeastIdle,
                                               limits::kMostIdle);
}

}  // namespace

Server::Server(ServerEvents& events, const PublicKey& identity)
    : events_(events), identity_(identity), reader_(limits::kControlMessage) {}

Result<void> Server::feed(Bytes in) {
  while (state_ != State::failed && !in.empty()) {
    std::size_t used = 0;
    const MessageReader::State state = reader_.feed(in, used);
    in = in.subspan(used);
    if (state == MessageReader::State::more) break;
    proto::Control message;
    if (state == MessageReader::State::error || !reader_.parse(message)) {
      fail({Code::PROTOCOL, "malformed control message"});
    } else if (out_.size() > limits::kControlOutput) {
      fail({Code::PROTOCOL, "the agent does not read its control stream"});
    } else {
      on_message(message);
    }
  }
  if (state_ == State::failed) return tl::unexpected<Error>(error_);
  return {};
}

// The table of docs/protocol.md §3.2.
void Server::on_message(proto::Control& message) {
  switch (message.message_case()) {
    case proto::Control::kHello:
      if (state_ != State::waiting) break;
      return on_hello(*message.mutable_hello());
    case proto::Control::kBind:
      if (state_ != State::welcomed) break;
      return on_bind(message.bind());
    case proto::Control::kUnbind:
      if (state_ != State::welcomed) break;
      return on_unbind(message.unbind().tunnel());
    case proto::Control::kHealth:
      if (state_ != State::welcomed) break;
      return on_health(message.health());
    case proto::Control::kLeave:
      if (state_ != State::welcomed) break;
      return events_.on_leave();
    case proto::Control::kFailure:
      error_ = from_wire(message.failure());
      state_ = State::failed;
      return;
    case proto::Control::kWelcome:
    case proto::Control::kBound:
    case proto::Control::kDrain:
    case proto::Control::kNotice:
    case proto::Control::kShared:
      break;
    case proto::Control::MESSAGE_NOT_SET:  // of a newer version
      return;
  }
  fail({Code::PROTOCOL, "control message out of place"});
}

void Server::on_hello(proto::Hello& hello) {
  if (hello.version_min() > kVersion || hello.version_max() < kVersion) {
    return fail({Code::VERSION_MISMATCH, "this relay speaks version 1 of the control protocol"});
  }
  if (as_chars(identity_) != hello.identity()) {
    return fail({Code::BAD_IDENTITY, "Hello names another key than the one that signed"});
  }
  if (hello.software().size() > kNameText || hello.name().size() > kNameText) {
    return fail({Code::PROTOCOL, "a name in Hello is longer than 255 bytes"});
  }
  HelloInfo info;
  info.identity = identity_;
  info.software = printable(hello.software(), kNameText);
  info.host_name = printable(hello.name(), kNameText);
  switch (hello.credential_case()) {
    case proto::Hello::kToken:
      info.kind = HelloInfo::Credential::token;
      info.credential = Secret(std::move(*hello.mutable_token()));
      break;
    case proto::Hello::kJwt:
      info.kind = HelloInfo::Credential::jwt;
      info.credential = Secret(std::move(*hello.mutable_jwt()));
      break;
    case proto::Hello::kJoinCode:
      info.kind = HelloInfo::Credential::join_code;
      info.credential = Secret(std::move(*hello.mutable_join_code()));
      break;
    case proto::Hello::CREDENTIAL_NOT_SET:
      break;
  }
  if (!hello.delegate().empty() || !hello.delegate_signature().empty()) {
    PublicKey key;
    const std::string message = delegate_message(identity_);
    if (hello.delegate().size() != key.size()) {
      return fail({Code::BAD_IDENTITY, "a delegate that is no key"});
    }
    std::ranges::copy(hello.delegate(), key.begin());
    if (!verify(key, as_bytes(message), as_bytes(hello.delegate_signature()))) {
      return fail({Code::BAD_IDENTITY, "the delegate's signature does not verify"});
    }
    info.delegate = key;
  }
  state_ = State::asked;
  events_.on_hello(std::move(info));
}

void Server::on_bind(const proto::Bind& bind) {
  const std::uint32_t request = bind.request();
  if (request <= last_request_) return fail({Code::PROTOCOL, "Bind repeats a request number"});
  if (asked_.size() + bound_.size() >= limits::kControlTunnels) {
    return fail({Code::PROTOCOL, "more than 1,024 tunnels in one session"});
  }
  last_request_ = request;
  asked_.insert(request);
  const auto kind = from_wire(bind.kind());
  if (!kind) return refused(request, {Code::VERSION_MISMATCH, "a kind of tunnel unknown here"});
  if (!bind.tunnel().empty() && !valid_tunnel_id(bind.tunnel())) {
    return refused(request, {Code::BAD_TUNNEL_ID, printable(bind.tunnel(), kNameText)});
  }
  if (bind.remote_port() > 65535) return refused(request, {Code::PORT_REFUSED, "no such port"});
  auto policy = policy_from_wire(bind);
  if (!policy) return refused(request, policy.error());
  if (static_cast<std::size_t>(bind.hosts_size()) > limits::kTunnelHosts) {
    return refused(request, {Code::BAD_HOST, "more than 16 hosts of one tunnel"});
  }
  for (const std::string& host : bind.hosts()) {
    if (valid_host_name(host)) continue;
    return refused(request, {Code::BAD_HOST, printable(host, kNameText)});
  }
  if (static_cast<std::size_t>(bind.cors_size()) > kOrigins) {
    return refused(request, {Code::BAD_POLICY, "more than 16 origins of one tunnel"});
  }
  for (const std::string& origin : bind.cors()) {
    if (origin.size() <= kNameText) continue;
    return refused(request, {Code::BAD_POLICY, "an origin is too long"});
  }
  events_.on_bind(request, {bind.tunnel(),
                            *kind,
                            bind.public_(),
                            static_cast<std::uint16_t>(bind.remote_port()),
                            {bind.hosts().begin(), bind.hosts().end()},
                            idle(bind.first_byte_ms()),
                            idle(bind.idle_ms()),
                            std::move(*policy),
                            {bind.cors().begin(), bind.cors().end()}});
}

void Server::on_unbind(const std::string& tunnel) {
  if (bound_.erase(tunnel) > 0) events_.on_unbind(tunnel);
}

void Server::on_health(const proto::Health& health) {
  if (!bound_.contains(health.tunnel())) return;
  if (health.healthy()) return events_.on_health(health.tunnel(), nullptr);
  const Error failure = from_wire(health.failure());
  events_.on_health(health.tunnel(), &failure);
}

void Server::welcome(std::string_view session, std::string_view credential_name,
                     const Secret& credential) {
  if (state_ != State::asked) return;
  state_ = State::welcomed;
  proto::Control message;
  proto::Welcome& welcome = *message.mutable_welcome();
  welcome.set_version(kVersion);
  welcome.set_session(printable(session, kNameText));
  welcome.set_software("leat/" LEAT_VERSION);
  welcome.set_credential_name(printable(credential_name, kNameText));
  welcome.add_features(std::string(kPolicyFeature));
  if (!credential.empty()) welcome.set_credential(std::string(credential.reveal()));
  append_message(message, out_);
}

void Server::bound(std::uint32_t request, const TunnelBound& tunnel) {
  if (state_ != State::welcomed || asked_.erase(request) == 0) return;
  bound_.insert(tunnel.id);
  proto::Control message;
  proto::Bound& bound = *message.mutable_bound();
  bound.set_request(request);
  bound.set_tunnel(tunnel.id);
  for (const std::string& url : tunnel.urls) bound.add_urls(url);
  bound.set_remote_port(tunnel.remote_port);
  append_message(message, out_);
}

void Server::refused(std::uint32_t request, const Error& error) {
  if (state_ != State::welcomed || asked_.erase(request) == 0) return;
  proto::Control message;
  proto::Bound& bound = *message.mutable_bound();
  bound.set_request(request);
  *bound.mutable_failure() = to_wire(error);
  append_message(message, out_);
}

void Server::drain(std::string_view reason, std::uint32_t retry_after_ms,
                   std::uint32_t deadline_ms) {
  if (state_ == State::failed) return;
  proto::Control message;
  proto::Drain& drain = *message.mutable_drain();
  drain.set_reason(printable(reason, kReasonText));
  drain.set_retry_after_ms(retry_after_ms);
  drain.set_deadline_ms(deadline_ms);
  append_message(message, out_);
}

void Server::notice(const Error& error, const std::string& lost) {
  if (state_ != State::welcomed) return;
  proto::Control message;
  *message.mutable_notice()->mutable_failure() = to_wire(error);
  message.mutable_notice()->set_tunnel(lost);
  append_message(message, out_);
}

void Server::shared(const std::string& tunnel, std::uint32_t agents) {
  if (state_ != State::welcomed) return;
  proto::Control message;
  message.mutable_shared()->set_tunnel(tunnel);
  message.mutable_shared()->set_agents(agents);
  append_message(message, out_);
}

void Server::fail(const Error& error) {
  if (state_ == State::failed) return;
  error_ = error;
  state_ = State::failed;
  proto::Control message;
  *message.mutable_failure() = to_wire(error_);
  append_message(message, out_);
}

std::string Server::take_output() { return std::exchange(out_, {}); }

}  // namespace leat::control
