#include "cli/agent_settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/address.h"
#include "base/file.h"
#include "cli/paths.h"
#include "net/tls.h"

namespace leat::cli {
namespace {

tl::unexpected<Error> usage(std::string_view flag, std::string_view why) {
  return fail(Code::USAGE, std::string(flag).append(": ").append(why));
}

Result<Secret> read_token(const AgentArguments& arguments) {
  Secret token;
  if (arguments.token_file) {
    auto read = read_private_file(*arguments.token_file, Code::CONFIG_FILE);
    if (!read) return read;
    std::string_view text = read->reveal();
    constexpr std::string_view kBlank = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
    text = text.substr(0, text.find_last_not_of(kBlank) + 1);
    token = Secret(std::string(text));
    if (token.empty()) return fail(Code::NO_TOKEN, *arguments.token_file + " is empty");
  } else if (const char* value = std::getenv("LEAT_TOKEN"); value != nullptr) {
    token = Secret(value);
  }
  if (token.empty()) return fail(Code::NO_TOKEN);
  return token;
}

Result<net::TlsContext::Trust> trust(const AgentArguments& arguments) {
  net::TlsContext::Trust out;
  if (arguments.pin) {
    auto pin = net::parse_pin(*arguments.pin);
    if (!pin) return usage("--pin", pin.error().detail);
    out.pin = std::move(*pin);
  }
  out.ca_file = arguments.ca;
  return out;
}

// Two agents must not share a directory, for it holds their identity; so each target has its own.
std::string agent_state_dir(const AgentArguments& arguments) {
  if (arguments.kind == AgentArguments::Kind::file) return default_state_dir("agent");
  std::string leaf = arguments.kind == AgentArguments::Kind::http ? "http-" : "tcp-";
  for (const char c : arguments.target) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    leaf += plain || c == '.' ? c : '-';
  }
  return default_state_dir(leaf);
}

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Result<agent::Service> service(const AgentArguments& arguments) {
  const bool http = arguments.kind == AgentArguments::Kind::http;
  auto out =
      parse_target(arguments.target, http ? control::TunnelKind::http : control::TunnelKind::tcp);
  if (!out) return out;
  out->id = arguments.id.value_or("");
  out->is_public = arguments.is_public.value_or(false);
  out->remote_port = arguments.remote_port.value_or(0);
  if (arguments.host_header) out->host_header = agent::FieldPolicy::parse(*arguments.host_header);
  if (arguments.origin) out->origin = agent::FieldPolicy::parse(*arguments.origin);
  return out;
}

}  // namespace

Result<HostPort> parse_relay(std::string_view text) {
  const bool has_port = text.find(':') != text.npos && !text.ends_with(']');
  return parse_host_port(has_port ? std::string(text) : std::string(text).append(":443"));
}

Result<agent::Service> parse_target(std::string_view text, control::TunnelKind kind) {
  agent::Service out;
  out.kind = kind;
  std::string address(text);
  const std::size_t scheme_end = text.find("://");
  if (scheme_end != text.npos) {
    const std::string_view scheme = text.substr(0, scheme_end);
    out.target_tls = scheme == "https";
    if (kind != control::TunnelKind::http || (scheme != "http" && !out.target_tls)) {
      return usage("TARGET", kind == control::TunnelKind::http
                                 ? "expected http:// or https://, found \"" + address + "\""
                                 : "expected PORT or HOST:PORT, found \"" + address + "\"");
    }
    address = text.substr(scheme_end + 3);
    const std::size_t path = address.find('/');
    if (path != address.npos && path + 1 < address.size()) {
      return usage("TARGET", "expected a URL without a path, found \"" + std::string(text) + "\"");
    }
    address.resize(std::min(path, address.size()));
    const bool has_port = address.find(':') != address.npos && !address.ends_with(']');
    if (!has_port) address += out.target_tls ? ":443" : ":80";
  }
  const auto target = parse_host_port(address);
  if (!target) return usage("TARGET", target.error().detail);
  out.target = *target;
  return out;
}

Result<agent::Options> agent_options(const AgentArguments& arguments) {
  agent::Options out;
  if (!arguments.relay) return usage("--relay", "expected HOST:PORT of the relay");
  const auto relay = parse_relay(*arguments.relay);
  if (!relay) return usage("--relay", relay.error().detail);
  out.relay = *relay;
  auto trusted = trust(arguments);
  if (!trusted) return tl::unexpected(trusted.error());
  out.trust = std::move(*trusted);
  auto published = service(arguments);
  if (!published) return tl::unexpected(published.error());
  out.services.push_back(std::move(*published));
  auto token = read_token(arguments);
  if (!token) return tl::unexpected(token.error());
  out.token = std::move(*token);
  out.state_dir = arguments.state_dir.value_or(agent_state_dir(arguments));
  out.host_name = machine_name();
  return out;
}

}  // namespace leat::cli
