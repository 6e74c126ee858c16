#include "http/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "base/limits.h"

namespace leat::http {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);  // §2.2
constexpr std::size_t kFixed = 16;                                  // with version, family, length
constexpr std::size_t kLine = 107;  // §2.1: the longest line of version 1, CRLF included
constexpr std::uint8_t kLocal = 0x20, kProxy = 0x21, kTcp4 = 0x11, kTcp6 = 0x21;

ProxyHeader refuse(const char* why) { return {State::error, 0, std::nullopt, why}; }

// --- addresses ---

struct Address {
  bool v4 = false;
  std::array<std::uint8_t, 16> bytes{};  // the first four of IPv4
  std::uint16_t port = 0;
};

std::optional<Address> parse(const HostPort& text) {
  Address out;
  out.port = text.port;
  out.v4 = ::inet_pton(AF_INET, text.host.c_str(), out.bytes.data()) == 1;
  if (!out.v4 && ::inet_pton(AF_INET6, text.host.c_str(), out.bytes.data()) != 1) {
    return std::nullopt;
  }
  return out;
}

std::string digits(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.v4 ? AF_INET : AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

Address as_v6(Address address) {
  if (!address.v4) return address;
  std::array<std::uint8_t, 16> mapped{};
  mapped[10] = mapped[11] = 0xff;
  std::copy_n(address.bytes.begin(), 4, mapped.begin() + 12);
  return {false, mapped, address.port};
}

// --- reading ---

std::optional<std::uint16_t> port(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && (text == "0" || !text.starts_with('0')) ? std::optional(value) : std::nullopt;
}

// §2.1: PROXY TCP4 SOURCE DESTINATION SPORT DPORT, single spaces between.
ProxyHeader read_line(std::string_view received) {
  const std::size_t end = received.substr(0, kLine).find("\r\n");
  if (end == received.npos) {
    if (received.size() >= kLine) return refuse("a line of more than 107 bytes");
    return {};
  }
  ProxyHeader header{State::done, end + 2, std::nullopt, ""};
  const std::string_view unknown = "PROXY UNKNOWN";  // whatever follows
  if (received.starts_with(unknown) && (end == unknown.size() || received[unknown.size()] == ' ')) {
    return header;
  }
  std::array<std::string_view, 6> words;
  std::size_t count = 0;
  for (std::string_view rest = received.substr(0, end); count < words.size();) {
    const std::size_t space = rest.find(' ');
    words[count++] = rest.substr(0, space);
    if (space == rest.npos) break;
    if (count == words.size()) return refuse("more than six words");
    rest.remove_prefix(space + 1);
  }
  if (count != words.size()) return refuse("fewer than six words");
  const auto source_port = port(words[4]), destination_port = port(words[5]);
  if (!source_port || !destination_port) return refuse("no port");
  const auto source = parse({std::string(words[2]), *source_port});
  const auto destination = parse({std::string(words[3]), *destination_port});
  const bool v4 = words[1] == "TCP4";
  if (!v4 && words[1] != "TCP6") return refuse("neither TCP4, TCP6 nor UNKNOWN");
  if (!source || !destination || source->v4 != v4 || destination->v4 != v4) {
    return refuse("no address of the family");
  }
  header.source = HostPort{digits(*source), *source_port};
  return header;
}

// §2.2: signature, version and command, family, length, addresses, TLVs, which nobody asks for.
ProxyHeader read_binary(Bytes received) {
  if (received.size() < kFixed) return {};
  const std::uint8_t command = received[12], family = received[13];
  const std::size_t length = load_be16(&received[14]);
  if (command != kLocal && command != kProxy) return refuse("an unknown version or command");
  if (kFixed + length > limits::kProxyHeader) return refuse("a header of more than 4 KiB");
  const std::size_t needed = family == kTcp4 ? 12 : family == kTcp6 ? 36 : 0;
  if (command == kProxy && length < needed) return refuse("too short for its addresses");
  if (received.size() < kFixed + length) return {};
  ProxyHeader header{State::done, kFixed + length, std::nullopt, ""};
  if (command == kLocal || needed == 0) return header;
  Address source;
  source.v4 = family == kTcp4;
  const std::size_t size = source.v4 ? 4 : 16;
  std::copy_n(received.begin() + kFixed, size, source.bytes.begin());
  header.source = HostPort{digits(source), load_be16(&received[kFixed + 2 * size])};
  return header;
}

}  // namespace

ProxyHeader read_proxy_header(Bytes received) {
  constexpr std::string_view kWord = "PROXY ";
  const std::string_view text = as_chars(received);
  const auto begins = [text](std::string_view with) {
    return text.substr(0, with.size()) == with.substr(0, std::min(text.size(), with.size()));
  };
  if (begins(kSignature)) return read_binary(received);
  if (begins(kWord)) return text.size() < kWord.size() ? ProxyHeader{} : read_line(text);
  return refuse("no PROXY header");
}

// --- writing ---

namespace {

std::string write_line(const std::optional<Address>& source, const Address& destination) {
  if (!source) return "PROXY UNKNOWN\r\n";
  std::string out = source->v4 ? "PROXY TCP4 " : "PROXY TCP6 ";
  out.append(digits(*source)).append(" ").append(digits(destination)).append(" ");
  out.append(std::to_string(source->port)).append(" ").append(std::to_string(destination.port));
  return out.append("\r\n");
}

std::string write_binary(const std::optional<Address>& source, const Address& destination) {
  const auto byte = [](unsigned value) { return static_cast<char>(value & 0xff); };
  std::string out(kSignature);
  if (!source) return out.append({byte(kLocal), 0, 0, 0});
  const std::size_t size = source->v4 ? 4 : 16;
  out.append({byte(kProxy), byte(source->v4 ? kTcp4 : kTcp6), 0,
              byte(static_cast<unsigned>(2 * size + 4))});
  out.append(as_chars(Bytes(source->bytes).first(size)));
  out.append(as_chars(Bytes(destination.bytes).first(size)));
  for (const std::uint16_t port : {source->port, destination.port}) {
    out.append({byte(port >> 8u), byte(port)});
  }
  return out;
}

}  // namespace

std::string proxy_header(int version, const std::optional<HostPort>& source,
                         const HostPort& destination) {
  std::optional<Address> from = source ? parse(*source) : std::nullopt;
  std::optional<Address> to = parse(destination);
  if (from && to && from->v4 != to->v4) {
    from = as_v6(*from);
    to = as_v6(*to);
  }
  if (!to) from.reset();
  return version == 1 ? write_line(from, to.value_or(Address{}))
                      : write_binary(from, to.value_or(Address{}));
}

}  // namespace leat::http
