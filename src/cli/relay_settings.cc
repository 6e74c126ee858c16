#include "cli/relay_settings.h"

#include <charconv>
#include <tuple>
#include <utility>

#include "base/address.h"
#include "cli/paths.h"

namespace leat::cli {
namespace {

tl::unexpected<Error> usage(std::string_view flag, std::string_view why) {
  return fail(Code::USAGE, std::string(flag).append(": ").append(why));
}

}  // namespace

Result<relay::PortRange> parse_ports(std::string_view text) {
  relay::PortRange range;
  const char* const end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, range.low);
  range.high = range.low;
  if (error == std::errc() && at != end && *at == '-') {
    std::tie(at, error) = [&] {
      const auto high = std::from_chars(at + 1, end, range.high);
      return std::pair(high.ptr, high.ec);
    }();
  }
  if (error != std::errc() || at != end || range.low == 0 || range.high < range.low) {
    return fail(Code::USAGE,
                "expected LO-HI within 1 to 65535, found \"" + std::string(text) + "\"");
  }
  return range;
}

Result<relay::Options> relay_options(const RelayArguments& arguments) {
  relay::Options out;
  const auto listening = [](const char* flag, const std::string& text) -> Result<HostPort> {
    auto address = parse_host_port(text, true);
    if (!address) return usage(flag, address.error().detail);
    return address;
  };
  const auto listen = listening("--listen", arguments.listen.value_or("0.0.0.0:443"));
  if (!listen) return tl::unexpected(listen.error());
  out.listen = *listen;
  if (arguments.plain_listen) {
    const auto address = listening("--plain-listen", *arguments.plain_listen);
    if (!address) return tl::unexpected(address.error());
    out.plain_listen = *address;
  }
  if (arguments.admin_listen) {
    const auto address = listening("--admin-listen", *arguments.admin_listen);
    if (!address) return tl::unexpected(address.error());
    out.admin_listen = *address;
  }
  if (arguments.tcp_ports) {
    const auto ports = parse_ports(*arguments.tcp_ports);
    if (!ports) return usage("--tcp-ports", ports.error().detail);
    out.tcp_ports = *ports;
  }
  out.domain = arguments.domain.value_or("");
  out.public_url = arguments.public_url.value_or("");
  if (!out.public_url.empty() && !out.public_url.starts_with("https://") &&
      !out.public_url.starts_with("http://")) {
    return usage("--public-url", "expected http://… or https://…");
  }
  out.state_dir = arguments.state_dir.value_or(default_state_dir());
  out.certificate_file = arguments.cert.value_or("");
  out.key_file = arguments.key.value_or("");
  return out;
}

}  // namespace leat::cli
