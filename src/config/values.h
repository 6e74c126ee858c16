// The values that flags, variables and configuration files share, each with one parser. An error is
// LEAT_CONFIG and its detail says what was expected and what was found; whoever knows where the
// text came from puts that in front.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/cidr.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"

namespace leat::config {

// "500ms", "30s", "5m", "1h": a whole number and its unit, up to a hundred years.
Result<Duration> parse_duration(std::string_view text);

// Bytes: "4096", "64KiB", "16MiB", "1GiB"; "500MB" is 500 million.
Result<std::uint64_t> parse_size(std::string_view text);

// What a relay may hold for visitors who have not taken it: a size of 64 MiB or more.
Result<std::uint64_t> parse_memory(std::string_view text);

// Of the connection log; 0: none is kept.
Result<std::uint64_t> parse_days(std::string_view text);     // up to 3650
Result<std::uint64_t> parse_threads(std::string_view text);  // 1 to 64
Result<std::uint64_t> parse_rows(std::string_view text);     // up to a thousand million
Result<bool> parse_on_off(std::string_view text);            // on, off
Result<bool> parse_bool(std::string_view text);              // true, false, 1, 0
Result<std::uint16_t> parse_port(std::string_view text);     // 1 to 65535
Result<log::Level> parse_level(std::string_view text);       // debug, info, warn, error, off
Result<log::Format> parse_format(std::string_view text);     // text, json
Result<std::string> parse_path(std::string_view text);       // not empty
Result<std::string> parse_host(std::string_view text);       // a name or an address
Result<std::string> parse_tunnel_id(std::string_view text);
// Port 0: any; ":8443": at every address of the machine, as [::]:8443.
Result<HostPort> parse_listen(std::string_view text);

struct PortRange {
  std::uint16_t low = 0, high = 0;  // both included
  friend bool operator==(const PortRange&, const PortRange&) = default;
};
Result<PortRange> parse_port_range(std::string_view text);  // "20000-20100" or "20000"

// "https://relay.example.com/", without the last slash; nothing after the path.
Result<std::string> parse_public_url(std::string_view text);

// HOST and PORT of such a URL, with the scheme's port where it names none.
Result<HostPort> parse_url_address(std::string_view text);

struct RelayAddress {
  HostPort address;
  enum class Carrier : std::uint8_t { tls, websocket, plain_websocket } carrier = Carrier::tls;
  friend bool operator==(const RelayAddress&, const RelayAddress&) = default;
};
// "HOST" or "HOST:PORT" (443 if there is none); "wss://HOST" (or https) and "ws://HOST" choose
// the WebSocket carrier. Of a URL only scheme, host and port count: the path is always the relay's
// /agent.
Result<RelayAddress> parse_relay(std::string_view text);

struct ProxyAddress {
  HostPort address;
  Secret credentials;  // "user:password", percent-decoded, or empty
};
// "http://HOST[:PORT]" or "http://USER:PASSWORD@HOST:PORT", the scheme and a final slash may be
// left out; 80 without a port. Messages do not repeat the text, for it may hold a password.
Result<ProxyAddress> parse_proxy(std::string_view text);
// Whether NO_PROXY exempts a host: "*", the name itself, or a domain it lies in.
bool exempt_from_proxy(std::string_view list, std::string_view host);

// "A,B": what `parse` makes of each; none may be missing.
template <typename T>
Result<std::vector<T>> parse_list(std::string_view text, Result<T> (*parse)(std::string_view)) {
  std::vector<T> all;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view part = text.substr(at, end - at);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    auto one = parse(part);
    if (!one) return tl::unexpected(one.error());
    all.push_back(std::move(*one));
    at = end + 1;
  }
  return all;
}

// "chat.example.com,www.chat.example.com": names of a tunnel's own, made lower case.
Result<std::vector<std::string>> parse_hosts(std::string_view text);
// "10.0.0.0/8,::1"
Result<std::vector<Cidr>> parse_networks(std::string_view text);

struct CertificatePair {
  std::string certificate, key;
  friend bool operator==(const CertificatePair&, const CertificatePair&) = default;
};
// "CERT.pem:KEY.pem,CERT.pem:KEY.pem"
Result<std::vector<CertificatePair>> parse_certificates(std::string_view text);

// How long a tunnel may rest: 1s to 168h.
Result<Duration> parse_idle(std::string_view text);

// Of the PROXY protocol; 0: none.
Result<int> parse_proxy_version(std::string_view text);  // none, v1, v2

enum class Kind : std::uint8_t { http, tcp, ws, tls };
std::string_view name(Kind kind);
Result<Kind> parse_kind(std::string_view text);

struct Target {
  HostPort address;
  std::optional<Kind> kind;  // where a scheme said so
  bool tls = false;          // https, wss
  friend bool operator==(const Target&, const Target&) = default;
};
// "8080", "HOST:PORT", "http://HOST[:PORT]", https, ws, wss, "tcp://HOST:PORT". A path is an error:
// the visitor's is what the service sees.
Result<Target> parse_target(std::string_view text);

// "192.0.2.0/24, 2001:db8::1": networks or addresses, separated by commas or blanks.
Result<std::vector<std::string>> parse_allow(std::string_view text);

// What the Host and Origin fields become: "rewrite", "preserve", "remove" (Origin only), or the
// value itself, of visible ASCII characters.
Result<std::string> parse_host_policy(std::string_view text);
Result<std::string> parse_origin_policy(std::string_view text);

// "https://app.example.com, http://localhost:8080": web origins as browsers write them (RFC 6454
// §6.2), with commas between.
Result<std::vector<std::string>> parse_origins(std::string_view text);

// expected WHAT, found "TEXT"
tl::unexpected<Error> expected(std::string_view what, std::string_view found);

}  // namespace leat::config
