#include "config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "base/names.h"

namespace leat::config {
namespace {

template <typename T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// A whole number and its unit, multiplied; nullopt also beyond `most`.
template <typename Units>
std::optional<std::uint64_t> quantity(std::string_view text, const Units& units,
                                      std::uint64_t most) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = number<std::uint64_t>(text.substr(0, digits));
  for (const auto& [unit, factor] : units) {
    if (count && text.substr(digits) == unit && *count <= most / factor) return *count * factor;
  }
  return std::nullopt;
}

bool visible(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

template <typename T, std::size_t N>
Result<T> choice(std::string_view text, const std::array<std::pair<std::string_view, T>, N>& all) {
  std::string names;
  for (std::size_t i = 0; i < N; ++i) {
    if (all[i].first == text) return all[i].second;
    names.append(i == 0 ? "" : i + 1 == N ? " or " : ", ").append(all[i].first);
  }
  return expected(names, text);
}

struct Url {
  std::string_view scheme;
  std::string_view authority;  // HOST[:PORT]
  std::string_view rest;       // from the first '/', '?' or '#'
};

std::optional<Url> split_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == text.npos || !visible(text)) return std::nullopt;
  const std::string_view after = text.substr(colon + 3);
  const std::size_t end = std::min(after.find_first_of("/?#"), after.size());
  return Url{text.substr(0, colon), after.substr(0, end), after.substr(end)};
}

// 0: a port must be there.
Result<HostPort> with_default_port(std::string_view authority, std::uint16_t port) {
  const bool has_port = authority.find(':') != authority.npos && !authority.ends_with(']');
  if (has_port || port == 0) return parse_host_port(authority);
  return parse_host_port(std::string(authority) + ":" + std::to_string(port));
}

}  // namespace

tl::unexpected<Error> expected(std::string_view what, std::string_view found) {
  std::string detail("expected ");
  detail.append(what);
  if (found.empty()) {
    detail.append(", found nothing");
  } else {
    detail.append(", found \"").append(found).append("\"");
  }
  return fail(Code::CONFIG, std::move(detail));
}

Result<Duration> parse_duration(std::string_view text) {
  using std::chrono::nanoseconds;
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> kUnits = {
      {{"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}}};
  constexpr std::uint64_t kMost = nanoseconds(std::chrono::years(100)).count();
  const auto value = quantity(text, kUnits, kMost);
  if (!value) return expected("a duration such as 500ms, 30s, 5m or 1h", text);
  return nanoseconds(*value);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 7> kUnits = {
      {{"", 1},
       {"KiB", 1 << 10},
       {"MiB", 1 << 20},
       {"GiB", 1 << 30},
       {"kB", 1'000},
       {"MB", 1'000'000},
       {"GB", 1'000'000'000}}};
  const auto value = quantity(text, kUnits, std::numeric_limits<std::uint64_t>::max());
  if (!value) return expected("a size such as 4096, 64KiB, 16MiB, 1GiB or 500MB", text);
  return *value;
}

Result<std::uint64_t> parse_memory(std::string_view text) {
  auto size = parse_size(text);
  if (!size || *size >= 64 << 20) return size;
  return expected("64MiB or more", text);
}

namespace {

Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) {
    return expected("a number from 0 to " + std::to_string(most), text);
  }
  return value;
}

}  // namespace

Result<std::uint64_t> parse_days(std::string_view text) { return parse_count(text, 3650); }

Result<std::uint64_t> parse_rows(std::string_view text) { return parse_count(text, 1'000'000'000); }

Result<std::uint64_t> parse_threads(std::string_view text) {
  const auto threads = number<std::uint64_t>(text);
  if (!threads || *threads == 0 || *threads > 64) return expected("a number from 1 to 64", text);
  return *threads;
}

Result<bool> parse_on_off(std::string_view text) {
  if (text != "on" && text != "off") return expected("on or off", text);
  return text == "on";
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "1" || text == "0") return text == "1";
  return choice<bool, 2>(text, {{{"true", true}, {"false", false}}});
}

Result<std::uint16_t> parse_port(std::string_view text) {
  const auto port = number<std::uint16_t>(text);
  if (!port || *port == 0) return expected("a port from 1 to 65535", text);
  return *port;
}

Result<log::Level> parse_level(std::string_view text) {
  return choice<log::Level, 5>(text, {{{"debug", log::Level::debug},
                                       {"info", log::Level::info},
                                       {"warn", log::Level::warn},
                                       {"error", log::Level::error},
                                       {"off", log::Level::off}}});
}

Result<log::Format> parse_format(std::string_view text) {
  return choice<log::Format, 2>(text, {{{"text", log::Format::text}, {"json", log::Format::json}}});
}

Result<std::string> parse_path(std::string_view text) {
  if (text.empty() || text.find('\0') != text.npos) return expected("a path", text);
  return std::string(text);
}

Result<std::string> parse_host(std::string_view text) {
  const bool address = text.find(':') != text.npos;  // IPv6, here without brackets
  const auto parsed =
      parse_host_port((address ? "[" : "") + std::string(text) + (address ? "]:1" : ":1"));
  if (!parsed) return expected("a host name or an address", text);
  return parsed->host;
}

Result<std::string> parse_tunnel_id(std::string_view text) {
  if (valid_tunnel_id(text)) return std::string(text);
  return expected("1 to 63 of a-z, 0-9 and '-', not '-' at the ends", text);
}

Result<HostPort> parse_listen(std::string_view text) {
  return parse_host_port(text.starts_with(':') ? "[::]" + std::string(text) : std::string(text),
                         true);
}

Result<PortRange> parse_port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto low = parse_port(text.substr(0, dash));
  const auto high = dash == text.npos ? low : parse_port(text.substr(dash + 1));
  if (!low || !high || *low > *high) return expected("LO-HI within 1 to 65535", text);
  return PortRange{*low, *high};
}

Result<std::string> parse_public_url(std::string_view text) {
  const auto url = split_url(text);
  const bool good = url && (url->scheme == "https" || url->scheme == "http") &&
                    with_default_port(url->authority, 443) &&
                    url->rest.find_first_of("?#") == url->rest.npos;
  if (!good) return expected("https://HOST[:PORT] or http://HOST[:PORT]", text);
  return std::string(text.substr(0, text.size() - text.ends_with('/')));
}

Result<HostPort> parse_url_address(std::string_view text) {
  const auto url = split_url(text);
  if (!url) return expected("a URL", text);
  return with_default_port(url->authority, url->scheme == "http" ? 80 : 443);
}

Result<RelayAddress> parse_relay(std::string_view text) {
  using Carrier = RelayAddress::Carrier;
  Carrier carrier = Carrier::tls;
  std::string_view authority = text;
  if (const auto url = split_url(text)) {
    if (url->scheme != "wss" && url->scheme != "https" && url->scheme != "ws") {
      return expected("HOST:PORT, wss://HOST or ws://HOST", text);
    }
    carrier = url->scheme == "ws" ? Carrier::plain_websocket : Carrier::websocket;
    authority = url->authority;
  }
  const auto address = with_default_port(authority, carrier == Carrier::plain_websocket ? 80 : 443);
  if (!address) return expected("HOST:PORT of the relay", text);
  return RelayAddress{*address, carrier};
}

namespace {

// RFC 3986 §2.1; nullopt for a '%' that begins no pair of hex digits.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

}  // namespace

Result<ProxyAddress> parse_proxy(std::string_view text) {
  const auto refuse = [] {
    return fail(Code::CONFIG, "expected http://[USER:PASSWORD@]HOST[:PORT] or none");
  };
  ProxyAddress proxy;
  if (text == "none") return proxy;
  std::string_view authority = text;
  if (const std::size_t scheme = text.find("://"); scheme != text.npos) {
    if (text.substr(0, scheme) != "http") return refuse();
    authority = text.substr(scheme + 3);
  }
  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
    auto credentials = percent_decode(authority.substr(0, at));
    if (!credentials || credentials->find(':') == credentials->npos) return refuse();
    proxy.credentials = Secret(std::move(*credentials));
    authority = authority.substr(at + 1);
  }
  const auto address = with_default_port(authority, 80);
  if (!address) return refuse();
  proxy.address = *address;
  return proxy;
}

bool exempt_from_proxy(std::string_view list, std::string_view host) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view entry = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    if (entry == "*") return true;
    while (entry.starts_with('.')) entry.remove_prefix(1);
    if (entry.empty() || !host.ends_with(entry)) continue;
    if (host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.') return true;
  }
  return false;
}

namespace {

Result<std::string> parse_tunnel_host(std::string_view text) {
  std::string name(text);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (valid_host_name(name)) return name;
  return expected("a DNS name such as chat.example.com", text);
}

Result<CertificatePair> parse_certificate(std::string_view text) {
  const std::size_t colon = text.find(':');
  CertificatePair pair;
  if (colon != text.npos) {
    pair = {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  }
  if (pair.certificate.empty() || pair.key.empty()) return expected("CERT:KEY, two files", text);
  return pair;
}

}  // namespace

Result<std::vector<std::string>> parse_hosts(std::string_view text) {
  auto hosts = parse_list<std::string>(text, parse_tunnel_host);
  if (hosts && hosts->size() > limits::kTunnelHosts) return expected("16 names at most", text);
  return hosts;
}

Result<std::vector<Cidr>> parse_networks(std::string_view text) {
  return parse_list<Cidr>(text, Cidr::parse);
}

Result<std::vector<CertificatePair>> parse_certificates(std::string_view text) {
  return parse_list<CertificatePair>(text, parse_certificate);
}

Result<Duration> parse_idle(std::string_view text) {
  const auto duration = parse_duration(text);
  if (duration && *duration >= limits::kLeastIdle && *duration <= limits::kMostIdle) {
    return duration;
  }
  return expected("a time from 1s to 168h", text);
}

Result<int> parse_proxy_version(std::string_view text) {
  return choice<int, 3>(text, {{{"none", 0}, {"v1", 1}, {"v2", 2}}});
}

constexpr std::array<std::pair<std::string_view, Kind>, 4> kKinds = {
    {{"http", Kind::http}, {"tcp", Kind::tcp}, {"ws", Kind::ws}, {"tls", Kind::tls}}};

std::string_view name(Kind kind) { return kKinds[static_cast<std::size_t>(kind)].first; }

Result<Kind> parse_kind(std::string_view text) { return choice(text, kKinds); }

Result<Target> parse_target(std::string_view text) {
  constexpr struct {
    std::string_view scheme;
    Kind kind;
    bool tls;
    std::uint16_t port;
  } kSchemes[] = {{"http", Kind::http, false, 80}, {"https", Kind::http, true, 443},
                  {"ws", Kind::ws, false, 80},     {"wss", Kind::ws, true, 443},
                  {"tcp", Kind::tcp, false, 0},    {"tls", Kind::tls, false, 443}};
  constexpr std::string_view kForms = "PORT, HOST:PORT or a URL such as http://HOST:PORT";
  const auto url = split_url(text);
  if (!url) {
    const auto address = parse_host_port(text);
    if (!address) return expected(kForms, text);
    return Target{*address, std::nullopt, false};
  }
  if (url->rest.size() > 1) return expected("a URL without a path", text);
  for (const auto& [scheme, kind, tls, port] : kSchemes) {
    if (scheme != url->scheme) continue;
    const auto address = with_default_port(url->authority, port);
    if (!address) break;
    return Target{*address, kind, tls};
  }
  return expected(kForms, text);
}

Result<std::vector<std::string>> parse_allow(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(", \t", at), text.size());
    const std::string_view each = text.substr(at, end - at);
    at = end + 1;
    if (each.empty()) continue;
    if (const auto network = Cidr::parse(each); !network) return tl::unexpected(network.error());
    out.emplace_back(each);
  }
  if (out.empty()) return expected("networks such as 192.0.2.0/24", text);
  return out;
}

Result<std::string> parse_host_policy(std::string_view text) {
  if (visible(text) && text != "remove") return std::string(text);
  return expected("rewrite, preserve or a value to send", text);
}

Result<std::string> parse_origin_policy(std::string_view text) {
  if (visible(text)) return std::string(text);
  return expected("rewrite, preserve, remove or a value to send", text);
}

Result<std::vector<std::string>> parse_origins(std::string_view text) {
  std::vector<std::string> origins;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view origin = text.substr(at, end - at);
    origin.remove_prefix(std::min(origin.find_first_not_of(' '), origin.size()));
    while (origin.ends_with(' ')) origin.remove_suffix(1);
    at = end + 1;
    // RFC 6454 §6.1: scheme "://" host [":" port], which is what browsers send and compare.
    const std::size_t host = origin.find("://");
    if (!visible(origin) || host == origin.npos || host == 0 ||
        origin.find_first_of("/?#@", host + 3) != origin.npos || origin.size() == host + 3) {
      return expected("origins like https://app.example.com, with commas between", text);
    }
    origins.emplace_back(origin);
  }
  return origins;
}

}  // namespace leat::config
