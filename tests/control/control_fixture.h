// Control messages built and read with the generated code alone, and owners that write down what
// they are told.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/client.h"
#include "control/server.h"
#include "control/wire.h"
#include "proto/control.pb.h"

namespace leat::control::test {

inline PublicKey key(std::uint8_t fill = 7) {
  PublicKey out;
  out.fill(fill);
  return out;
}

inline std::string framed(const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  std::string out;
  std::size_t length = body.size();
  for (; length >= 128; length /= 128) out += static_cast<char>(length % 128 + 128);
  return out + static_cast<char>(length) + body;
}

inline std::vector<proto::Control> messages(std::string_view bytes) {
  std::vector<proto::Control> out;
  while (!bytes.empty()) {
    std::size_t length = 0, at = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(bytes.at(at++));
      length |= std::size_t{byte & 0x7fu} << shift;
      if (byte < 128) break;
    }
    out.emplace_back();
    if (!out.back().ParseFromString(std::string(bytes.substr(at, length)))) std::abort();
    bytes.remove_prefix(at + length);
  }
  return out;
}

inline std::string hello(const PublicKey& identity = key(), const std::string& token = "t0ken") {
  proto::Control message;
  message.mutable_hello()->set_version_min(1);
  message.mutable_hello()->set_version_max(1);
  message.mutable_hello()->set_identity(std::string(as_chars(identity)));
  message.mutable_hello()->set_token(token);
  return framed(message);
}
inline std::string welcome(std::uint32_t version = 1) {
  proto::Control message;
  message.mutable_welcome()->set_version(version);
  message.mutable_welcome()->set_session("s1");
  message.mutable_welcome()->set_credential_name("home");
  return framed(message);
}
inline std::string bind(std::uint32_t request, const std::string& tunnel,
                        proto::Kind kind = proto::KIND_HTTP, std::uint32_t port = 0) {
  proto::Control message;
  message.mutable_bind()->set_request(request);
  message.mutable_bind()->set_tunnel(tunnel);
  message.mutable_bind()->set_kind(kind);
  message.mutable_bind()->set_remote_port(port);
  return framed(message);
}
inline std::string bound(std::uint32_t request, const std::string& tunnel) {
  proto::Control message;
  message.mutable_bound()->set_request(request);
  message.mutable_bound()->set_tunnel(tunnel);
  return framed(message);
}
inline std::string unbind(const std::string& tunnel) {
  proto::Control message;
  message.mutable_unbind()->set_tunnel(tunnel);
  return framed(message);
}
inline std::string leave() {
  proto::Control message;
  message.mutable_leave();
  return framed(message);
}
inline std::string drain(std::uint32_t retry_after_ms = 250) {
  proto::Control message;
  message.mutable_drain()->set_reason("update");
  message.mutable_drain()->set_retry_after_ms(retry_after_ms);
  message.mutable_drain()->add_relays("other:443");
  return framed(message);
}
inline std::string notice() {
  proto::Control message;
  message.mutable_notice()->mutable_failure()->set_code("LEAT_REVOKED");
  message.mutable_notice()->mutable_failure()->set_text("soon");
  return framed(message);
}
inline std::string health(const std::string& tunnel, const char* code = nullptr) {
  proto::Control message;
  message.mutable_health()->set_tunnel(tunnel);
  message.mutable_health()->set_healthy(code == nullptr);
  if (code != nullptr) message.mutable_health()->mutable_failure()->set_code(code);
  return framed(message);
}
inline std::string shared(const std::string& tunnel, std::uint32_t agents) {
  proto::Control message;
  message.mutable_shared()->set_tunnel(tunnel);
  message.mutable_shared()->set_agents(agents);
  return framed(message);
}
inline std::string failure(const std::string& code = "LEAT_BAD_TOKEN") {
  proto::Control message;
  message.mutable_failure()->set_code(code);
  message.mutable_failure()->set_text("no");
  return framed(message);
}
// Field 99 of a later version, in an otherwise empty Control.
inline std::string newer() { return std::string("\5\x9a\6\2hi", 6); }

struct ClientLog final : ClientEvents {
  void on_welcome(const std::string& session, const std::string& name) override {
    log.push_back("welcome " + session + " " + name);
    if (then) then();
  }
  void on_bound(std::size_t index, const TunnelBound& tunnel) override {
    std::string line = "bound " + std::to_string(index) + " " + tunnel.id;
    for (const std::string& url : tunnel.urls) line += " " + url;
    if (tunnel.remote_port != 0) line += " " + std::to_string(tunnel.remote_port);
    log.push_back(line);
    if (then) then();
  }
  void on_bind_failed(std::size_t index, const Error& error) override {
    log.push_back("failed " + std::to_string(index) + " " + std::string(info(error.code).name));
  }
  void on_drain(const std::string& reason, std::uint32_t retry_after_ms,
                const std::vector<std::string>& relays) override {
    std::string line = "drain " + reason + " " + std::to_string(retry_after_ms);
    for (const std::string& relay : relays) line += " " + relay;
    log.push_back(line);
  }
  void on_notice(const Error& error) override {
    log.push_back("notice " + std::string(info(error.code).name) + " " + error.detail);
  }
  void on_taken(const std::string& tunnel, const Error& why) override {
    log.push_back("lost " + tunnel + " " + std::string(info(why.code).name));
  }
  void on_shared(const std::string& tunnel, std::uint32_t agents) override {
    log.push_back("shared " + tunnel + " " + std::to_string(agents));
  }
  std::vector<std::string> log;
  std::function<void()> then;
};

struct ServerLog final : ServerEvents {
  void on_hello(HelloInfo hello) override {
    log.push_back("hello " + std::string(hello.credential.reveal()));
    last_hello = std::move(hello);
    if (on_hello_then) on_hello_then();
  }
  void on_bind(std::uint32_t request, const TunnelRequest& tunnel) override {
    log.push_back("bind " + std::to_string(request) + " " + tunnel.id + " " + name(tunnel.kind) +
                  " " + std::to_string(tunnel.remote_port) + (tunnel.is_public ? " public" : ""));
    if (on_bind_then) on_bind_then(request, tunnel);
  }
  void on_unbind(const std::string& tunnel) override { log.push_back("unbind " + tunnel); }
  void on_health(const std::string& tunnel, const Error* failure) override {
    log.push_back("health " + tunnel + " " +
                  (failure ? std::string(info(failure->code).name) : "well"));
  }
  void on_leave() override { log.push_back("leave"); }

  std::vector<std::string> log;
  HelloInfo last_hello;
  std::function<void()> on_hello_then;
  std::function<void(std::uint32_t, const TunnelRequest&)> on_bind_then;
};

}  // namespace leat::control::test
