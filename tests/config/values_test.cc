#include "config/values.h"

#include <gtest/gtest.h>

namespace leat::config {
namespace {

using namespace std::chrono_literals;

// Refuses each of `texts` with an error that quotes what was expected and what was found.
template <typename Parse>
void expect_refused(Parse parse, std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    const auto got = parse(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code, Code::CONFIG);
    EXPECT_TRUE(got.error().detail.starts_with("expected ")) << got.error().detail;
    const std::string found =
        text.empty() ? "found nothing" : "found \"" + std::string(text) + "\"";
    EXPECT_TRUE(got.error().detail.ends_with(found)) << got.error().detail;
  }
}

TEST(Duration, Units) {
  EXPECT_EQ(parse_duration("500ms"), Duration(500ms));
  EXPECT_EQ(parse_duration("30s"), Duration(30s));
  EXPECT_EQ(parse_duration("5m"), Duration(5min));
  EXPECT_EQ(parse_duration("1h"), Duration(1h));
  EXPECT_EQ(parse_duration("0s"), Duration(0s));
  EXPECT_EQ(parse_duration("876581h"), Duration(876581h)) << "just under a hundred years";
}

TEST(Duration, Refuses) {
  expect_refused(parse_duration,
                 {"", "30", "s", "-30s", "+30s", "1.5s", "30 s", " 30s", "30S", "30sec", "1h30m",
                  "876583h", "18446744073709551615h", "18446744073709551616ms", "0x10s"});
}

TEST(Size, Units) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64KiB"), 65536u);
  EXPECT_EQ(parse_size("16MiB"), 16u << 20);
  EXPECT_EQ(parse_size("1GiB"), 1u << 30);
  EXPECT_EQ(parse_size("18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(parse_size("17179869183GiB"), 17179869183u << 30);
}

TEST(Size, Refuses) {
  expect_refused(parse_size, {"", "KiB", "64K", "64KB", "64kib", "-1", "1.5MiB", "64 KiB",
                              "17179869184GiB", "18446744073709551616"});
}

TEST(Memory, HasALeast) {
  EXPECT_EQ(parse_memory("64MiB"), 64u << 20);
  expect_refused(parse_memory, {"", "many", "0", "65535KiB", "1"});
}

TEST(Port, Refuses) {
  EXPECT_EQ(parse_port("1"), 1);
  EXPECT_EQ(parse_port("65535"), 65535);
  expect_refused(parse_port, {"", "0", "65536", "-1", "80 ", "http"});
}

TEST(PortRange, OneOrMany) {
  EXPECT_EQ(parse_port_range("20000-20100"), (PortRange{20000, 20100}));
  EXPECT_EQ(parse_port_range("20000"), (PortRange{20000, 20000}));
  EXPECT_EQ(parse_port_range("1-65535"), (PortRange{1, 65535}));
  expect_refused(parse_port_range,
                 {"", "-", "1-", "-1", "0-10", "10-1", "1-65536", "1-2-3", "a-b", "1 - 2", "1..2"});
}

TEST(Choices, TakeTheirWordsOnly) {
  EXPECT_EQ(parse_bool("true"), true);
  EXPECT_EQ(parse_bool("false"), false);
  EXPECT_EQ(parse_bool("1"), true);
  EXPECT_EQ(parse_bool("0"), false);
  expect_refused(parse_bool, {"", "yes", "True", "2"});
  EXPECT_EQ(parse_level("debug"), log::Level::debug);
  EXPECT_EQ(parse_level("info"), log::Level::info);
  EXPECT_EQ(parse_level("warn"), log::Level::warn);
  EXPECT_EQ(parse_level("error"), log::Level::error);
  EXPECT_EQ(parse_level("off"), log::Level::off);
  expect_refused(parse_level, {"", "warning", "INFO", "trace"});
  EXPECT_EQ(parse_level("loud").error().detail,
            "expected debug, info, warn, error or off, found \"loud\"");
  EXPECT_EQ(parse_format("text"), log::Format::text);
  EXPECT_EQ(parse_format("json"), log::Format::json);
  expect_refused(parse_format, {"", "JSON", "xml"});
  for (const Kind kind : {Kind::http, Kind::tcp, Kind::ws, Kind::tls}) {
    EXPECT_EQ(parse_kind(name(kind)), kind);
  }
  expect_refused(parse_kind, {"", "https", "udp"});
}

TEST(Host, NamesAndAddresses) {
  for (const char* good : {"relay.example.com", "localhost", "192.0.2.1", "::1", "2001:db8::1"}) {
    EXPECT_EQ(parse_host(good), good);
  }
  expect_refused(parse_host, {"", "a b", "https://a", "a:80", "a/b", "[::1]", "a,b"});
}

TEST(TunnelId, Refuses) {
  EXPECT_EQ(parse_tunnel_id("my-notes-2"), "my-notes-2");
  expect_refused(parse_tunnel_id, {"", "-a", "a-", "A", "a_b", "a.b", "a b"});
}

TEST(PublicUrl, LosesItsLastSlash) {
  EXPECT_EQ(parse_public_url("https://relay.example.com/"), "https://relay.example.com");
  EXPECT_EQ(parse_public_url("http://[::1]:8080"), "http://[::1]:8080");
  EXPECT_EQ(parse_public_url("https://example.com/leat"), "https://example.com/leat");
  expect_refused(parse_public_url,
                 {"", "relay.example.com", "ftp://a", "https://", "https:///x", "https://a?b",
                  "https://a/#b", "https://u@a", "https://a b", "https://a:0", "https://a:x"});
}

TEST(Relay, CarriersAndPorts) {
  using Carrier = RelayAddress::Carrier;
  const struct {
    const char* text;
    RelayAddress want;
  } kCases[] = {
      {"relay.example.com", {{"relay.example.com", 443}, Carrier::tls}},
      {"relay.example.com:8443", {{"relay.example.com", 8443}, Carrier::tls}},
      {"[::1]", {{"::1", 443}, Carrier::tls}},
      {"[::1]:8443", {{"::1", 8443}, Carrier::tls}},
      {"wss://relay.example.com", {{"relay.example.com", 443}, Carrier::websocket}},
      {"https://relay.example.com/", {{"relay.example.com", 443}, Carrier::websocket}},
      {"wss://relay.example.com:8443/ws", {{"relay.example.com", 8443}, Carrier::websocket}},
      {"ws://host:3000/ws", {{"host", 3000}, Carrier::plain_websocket}},
      {"ws://host/agent", {{"host", 80}, Carrier::plain_websocket}},
  };
  for (const auto& each : kCases) EXPECT_EQ(parse_relay(each.text), each.want) << each.text;
  expect_refused(parse_relay, {"", "http://relay.example.com", "wss://", "wss:///ws", "relay:0",
                               "relay:", "a b", "wss://u@h", "::1"});
}

TEST(Proxy, UrlsWithAndWithoutAPassword) {
  const auto proxy = parse_proxy("http://me:p%40ss%3a@proxy.test:3128/");
  ASSERT_TRUE(proxy.has_value());
  EXPECT_EQ(proxy->address, (HostPort{"proxy.test", 3128}));
  EXPECT_EQ(proxy->credentials.reveal(), "me:p@ss:");
  EXPECT_EQ(parse_proxy("proxy.test")->address, (HostPort{"proxy.test", 80}));
  EXPECT_EQ(parse_proxy("[::1]:8080")->address, (HostPort{"::1", 8080}));
  EXPECT_TRUE(parse_proxy("none")->address.host.empty());
  for (const char* text : {"", "https://proxy.test", "socks5://proxy.test", "http://me@proxy.test",
                           "http://me:%4@proxy.test", "http://me:%zz@proxy.test", "http://a:b@"}) {
    const auto refused = parse_proxy(text);
    ASSERT_FALSE(refused.has_value()) << text;
    EXPECT_EQ(refused.error().detail.find("me:"), std::string::npos) << "a password in a message";
  }
}

TEST(Proxy, HostsThatNeedNone) {
  EXPECT_TRUE(exempt_from_proxy("*", "relay.test"));
  EXPECT_TRUE(exempt_from_proxy("a.test, relay.test", "relay.test"));
  EXPECT_TRUE(exempt_from_proxy(".relay.test", "eu.relay.test"));
  EXPECT_TRUE(exempt_from_proxy("relay.test", "eu.relay.test"));
  EXPECT_FALSE(exempt_from_proxy("relay.test", "otherrelay.test"));
  EXPECT_FALSE(exempt_from_proxy("eu.relay.test", "relay.test"));
  EXPECT_FALSE(exempt_from_proxy("", "relay.test"));
  EXPECT_FALSE(exempt_from_proxy(" , .", "relay.test"));
}

TEST(Target, SchemesAndPorts) {
  const struct {
    const char* text;
    Target want;
  } kCases[] = {
      {"11434", {{"127.0.0.1", 11434}, {}, false}},
      {"nas.local:22", {{"nas.local", 22}, {}, false}},
      {"[::1]:22", {{"::1", 22}, {}, false}},
      {"http://nas.local", {{"nas.local", 80}, Kind::http, false}},
      {"http://127.0.0.1:8080/", {{"127.0.0.1", 8080}, Kind::http, false}},
      {"https://[::1]", {{"::1", 443}, Kind::http, true}},
      {"ws://localhost:1234", {{"localhost", 1234}, Kind::ws, false}},
      {"wss://localhost", {{"localhost", 443}, Kind::ws, true}},
      {"tcp://localhost:22", {{"localhost", 22}, Kind::tcp, false}},
  };
  for (const auto& each : kCases) EXPECT_EQ(parse_target(each.text), each.want) << each.text;
  expect_refused(parse_target, {"", "host", "tcp://host", "ftp://host:21", "http://", "://x",
                                "http://h:0", "http://h:80/path", "http://h:80?q", "http://u@h"});
}

TEST(Origins, AreWhatABrowserWrites) {
  using List = std::vector<std::string>;
  EXPECT_EQ(parse_origins("https://a.test"), (List{"https://a.test"}));
  EXPECT_EQ(parse_origins("https://a.test:8443,http://[::1]:80,  app://x"),
            (List{"https://a.test:8443", "http://[::1]:80", "app://x"}));
  expect_refused(parse_origins, {"", "*", "null", "a.test", "https://", "https://a/", "https://a?x",
                                 "https://a,,https://b", "https://a,", "://a", "https://a b"});
}

TEST(FieldPolicy, CannotBreakAHead) {
  for (const char* good : {"rewrite", "preserve", "nas.local:8080", "https://a.example"}) {
    EXPECT_EQ(parse_host_policy(good), good);
    EXPECT_EQ(parse_origin_policy(good), good);
  }
  EXPECT_EQ(parse_origin_policy("remove"), "remove");
  expect_refused(parse_host_policy, {"", "remove", "a b", "a\r\nEvil: 1", "a\x7f", "\xc3\xa4"});
  expect_refused(parse_origin_policy, {"", "a b", "a\nb", "\t"});
}

}  // namespace
}  // namespace leat::config
