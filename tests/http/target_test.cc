// Names and paths (threat 16).
#include <gtest/gtest.h>

#include "http/head.h"

namespace leat::http {
namespace {

using namespace std::string_literals;

TEST(CanonicalTarget, OneFormForEveryWriting) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"/", "/"},
      {"*", "*"},
      {"/a/b", "/a/b"},
      {"/a/b/", "/a/b/"},
      {"/%61/%7Eb", "/a/~b"},
      {"/%41%5A%30%2D%2E%5F", "/AZ0-._"},
      {"/a%2fb", "/a%2Fb"},
      {"/%c3%a9", "/%C3%A9"},
      {"/a%20b%25c", "/a%20b%25c"},
      {"/a;b=c,d", "/a;b=c,d"},
      {"/a%3bb", "/a%3Bb"},
      {"/!$&'()*+,;=:@", "/!$&'()*+,;=:@"},
      {"/{a}|\"<b>^`", "/%7Ba%7D%7C%22%3Cb%3E%5E%60"},
      {"/a\\b", "/a%5Cb"},
      {"/[a]", "/%5Ba%5D"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/../../c", "/c"},
      {"/a/.", "/a/"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/%2e/b", "/a/b"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/.", "/"},
      {"/./", "/"},
      {"/a/...", "/a/..."},
      {"/.a/..b/c.", "/.a/..b/c."},
      {"//", "//"},
      {"//a//b//", "//a//b//"},
      {"/a//../b", "/a/b"},
      {"/a/..//b", "//b"},
      {"/%252e%252e/", "/%252e%252e/"},
      {"/a?b", "/a?b"},
      {"/a?", "/a?"},
      {"/a/../b?../%2e/%zz%00?x", "/b?../%2e/%zz%00?x"},
      {"/?a=[b]|{c}", "/?a=[b]|{c}"},
  };
  for (const auto& [target, canonical] : cases) {
    EXPECT_EQ(canonical_target(target), std::string(canonical)) << target;
  }
}

TEST(CanonicalTarget, Refused) {
  const std::string cases[] = {
      "", "a", "**", "a/b", "http://a/", "/..", "/../", "/../a", "/a/../..", "/a/../../b",
      "/%2e%2e", "/%2e%2e/a", "/./..", "/a/b/../../../c", "//../../..",
      // bad encodings
      "/%", "/%2", "/%g0", "/%0g", "/a%", "/%%20", "/% 20",
      // control characters, raw and encoded
      "/%00", "/a%00.html", "/%0a", "/%0D%0ASet-Cookie:x", "/%1f", "/%7f", "/\0"s, "/\n", "/\t",
      "/a b", "/\x7f", "/\xc3\xa9", "/a?b c", "/a?b\r\n", "/a#b",
      // dot segments for whoever decodes slashes, turns backslashes or cuts parameters
      "/a/..%2f..%2fb", "/a/..%2Fb", "/a%2f..%2fb", "/a%2F..", "/a/%2e%2e%2fb", "/a/.%2fb",
      "/a/..\\b", "/a\\..\\b", "/a/..%5cb", "/a%5C..", "/a/..;/b", "/a/..;x=y/b", "/a/.;/b",
      "/a/%2e%2e;/b", "/a%2f..;x%2fb", "/a/..%3b/b", "/a/%2E%2E%3Bx=y/b", "/a/.%3B/b",
      "/a%2f..%3bx%2fb"};
  for (const std::string& target : cases) {
    EXPECT_EQ(canonical_target(target), std::nullopt) << target;
  }
}

TEST(Host, Valid) {
  for (const std::string_view host :
       {"a", "a.example", "a.example.", "A.Example:443", "a:", "a:0", "a:65535", "a:00080",
        "localhost:80", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:443", "[2001:db8::1]",
        "[::ffff:127.0.0.1]", "my_service", "xn--bcher-kva.example", "1"}) {
    EXPECT_TRUE(valid_host(host)) << host;
  }
  EXPECT_TRUE(valid_host(std::string(63, 'a')));
}

TEST(Host, Name) {
  EXPECT_EQ(host_name("A.Example:443"), "a.example");
  EXPECT_EQ(host_name("a.example."), "a.example");
  EXPECT_EQ(host_name("a.example.:80"), "a.example");
  EXPECT_EQ(host_name("[2001:DB8::1]:80"), "[2001:db8::1]");
  EXPECT_EQ(host_name("a:"), "a");
}

}  // namespace
}  // namespace leat::http
