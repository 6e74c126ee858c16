// PROXY headers as haproxy and nginx write them, and as somebody who is no proxy might.
#include "http/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"

namespace leat::http {
namespace {

using namespace std::string_literals;
using State = ProxyHeader::State;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

// Read whole, with bytes behind it, and cut at every byte: never decided a byte too early.
ProxyHeader read(const std::string& bytes) {
  const ProxyHeader whole = read_proxy_header(as_bytes(bytes));
  if (whole.state == State::done) {
    for (std::size_t n = 0; n < whole.size; ++n) {
      EXPECT_EQ(read_proxy_header(as_bytes(bytes).first(n)).state, State::more) << n;
    }
    const ProxyHeader more = read_proxy_header(as_bytes(bytes + "GET / HTTP/1.1\r\n"));
    EXPECT_EQ(more.size, whole.size);
    EXPECT_EQ(more.source, whole.source);
  }
  return whole;
}

TEST(ProxyProtocol, LinesOfVersionOne) {
  const struct {
    const char* line;
    std::optional<HostPort> source;
  } kCases[] = {
      {"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", HostPort{"192.0.2.1", 56324}},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
       HostPort{"255.255.255.255", 65535}},
      {"PROXY TCP6 2001:DB8::1 ::1 0 443\r\n", HostPort{"2001:db8::1", 0}},
      {"PROXY UNKNOWN\r\n", std::nullopt},
      {"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", std::nullopt},
      {"PROXY UNKNOWN a b c d e f g h\r\n", std::nullopt},
  };
  for (const auto& each : kCases) {
    const ProxyHeader header = read(each.line);
    EXPECT_EQ(header.state, State::done) << each.line << header.why;
    EXPECT_EQ(header.size, std::string(each.line).size());
    EXPECT_EQ(header.source, each.source) << each.line;
  }
}

TEST(ProxyProtocol, LinesThatAreRefused) {
  for (const std::string& line :
       {"GET / HTTP/1.1\r\n"s, "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n"s, "\x16\x03\x01"s, "\r\n\r\nx"s,
        "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n"s, "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n"s,
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n"s, "PROXY TCP4 ::1 ::2 1 2\r\n"s,
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n"s, "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n"s,
        "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n"s, "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n"s,
        "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n"s, "PROXY TCP4 host 2.2.2.2 1 2\r\n"s,
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n"s, "PROXY UNKNOWNX\r\n"s,
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n" + std::string(80, 'x'),
        "PROXY UNKNOWN " + std::string(100, 'x')}) {
    EXPECT_EQ(read_proxy_header(as_bytes(line)).state, State::error) << line;
  }
}

std::string binary(char command, char family, std::string body) {
  std::string out = kSignature + command + family;
  out += static_cast<char>(body.size() >> 8u);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

TEST(ProxyProtocol, HeadersOfVersionTwo) {
  const std::string v4 = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"s;
  const std::string tlv = "\x04\x00\x03xyz"s;
  for (const std::string& body : {v4, v4 + tlv, v4 + std::string(2000, '\0')}) {
    const ProxyHeader header = read(binary('\x21', '\x11', body));
    EXPECT_EQ(header.state, State::done) << header.why;
    EXPECT_EQ(header.source, (HostPort{"192.0.2.1", 56324}));
    EXPECT_EQ(header.size, 16 + body.size());
  }
  const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01" +
                         std::string(15, '\0') + "\x01" + "\x00\x50\x01\xbb"s;
  EXPECT_EQ(read(binary('\x21', '\x21', v6)).source, (HostPort{"2001:db8::1", 80}));
  // The proxy's own, and what is no TCP connection.
  for (const auto& none :
       {binary('\x20', '\0', ""), binary('\x20', '\x11', v4), binary('\x21', '\0', tlv),
        binary('\x21', '\x12', v4), binary('\x21', '\x31', std::string(216, 'u'))}) {
    const ProxyHeader header = read(none);
    EXPECT_EQ(header.state, State::done) << header.why;
    EXPECT_FALSE(header.source);
  }
  for (const auto& bad :
       {binary('\x31', '\x11', v4), binary('\x22', '\x11', v4), binary('\x01', '\x11', v4),
        binary('\x21', '\x11', v4.substr(1)), binary('\x21', '\x21', v6.substr(1)),
        binary('\x21', '\x11', v4 + std::string(limits::kProxyHeader, '\0'))}) {
    EXPECT_EQ(read_proxy_header(as_bytes(bad)).state, State::error);
  }
}

TEST(ProxyProtocol, WhatIsWrittenIsRead) {
  const HostPort v4{"192.0.2.1", 5000}, v6{"2001:db8::1", 6000}, local{"127.0.0.1", 80};
  EXPECT_EQ(proxy_header(1, v4, local), "PROXY TCP4 192.0.2.1 127.0.0.1 5000 80\r\n");
  EXPECT_EQ(proxy_header(1, v6, local), "PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 6000 80\r\n");
  EXPECT_EQ(proxy_header(1, std::nullopt, local), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(proxy_header(1, HostPort{"local", 0}, local), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(proxy_header(2, v4, local),
            kSignature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00"s + "\x00\x01\x13\x88\x00\x50"s);
  EXPECT_EQ(proxy_header(2, std::nullopt, local), kSignature + "\x20\0\0\0"s);
  for (const int version : {1, 2}) {
    for (const HostPort& source : {v4, v6}) {
      EXPECT_EQ(read(proxy_header(version, source, source)).source, source);
    }
    EXPECT_FALSE(read(proxy_header(version, std::nullopt, local)).source);
    EXPECT_EQ(read(proxy_header(version, v4, v6)).source, (HostPort{"::ffff:192.0.2.1", 5000}));
  }
}

}  // namespace
}  // namespace leat::http
