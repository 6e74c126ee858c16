// Where a request goes is decided from its canonical target and from nothing else (threat 16).
#include "relay/route.h"

#include <gtest/gtest.h>

#include <string>

namespace leat::relay {
namespace {

Route routed(const std::string& target, bool tunnels = true) {
  http::Request request;
  request.method = "GET";
  request.target = target;
  return route(request, tunnels);
}

TEST(Route, TakesThePrefixOff) {
  for (const char* door : {"/tunnel/", "/t/"}) {
    const Route way = routed(std::string(door) + "abc/v1/models?x=1");
    EXPECT_EQ(way.kind, Route::Kind::tunnel);
    EXPECT_EQ(way.tunnel, "abc");
    EXPECT_EQ(way.target, "/v1/models?x=1");
    EXPECT_EQ(way.prefix, std::string(door) + "abc");
  }
}

// The directory of "/tunnel/abc" is that of every tunnel, so that no service may answer there: as a
// service worker's script it would have all of them in its scope.
TEST(Route, TheRootWithoutItsSlashIsTheRelays) {
  EXPECT_EQ(routed("/tunnel/abc/").target, "/");
  EXPECT_EQ(routed("/tunnel/abc/?q").target, "/?q");
  const std::pair<const char*, const char*> kRoots[] = {{"/tunnel/abc", "/tunnel/abc/"},
                                                        {"/tunnel/abc?sw.js", "/tunnel/abc/?sw.js"},
                                                        {"/t/abc", "/t/abc/"},
                                                        {"/%74unnel/%61bc?/x", "/tunnel/abc/?/x"},
                                                        {"/tunnel/abc/x/..", "/tunnel/abc/"}};
  for (const auto& [root, slash] : kRoots) {
    const Route way = routed(root);
    if (way.kind == Route::Kind::tunnel) {
      EXPECT_EQ(way.prefix + way.target, slash) << root;
      continue;
    }
    EXPECT_EQ(way.kind, Route::Kind::slash) << root;
    EXPECT_EQ(way.target, slash) << root;
    EXPECT_TRUE(way.tunnel.empty()) << root;
  }
}

TEST(Route, IsDecidedByTheCanonicalForm) {
  EXPECT_EQ(routed("/%74unnel/abc/x").tunnel, "abc");
  EXPECT_EQ(routed("/tunnel/abc/../def/x").tunnel, "def");
  EXPECT_EQ(routed("/tunnel/abc/%2e%2e/def/x").tunnel, "def");
  EXPECT_EQ(routed("/tunnel/../healthz").kind, Route::Kind::health);
  EXPECT_EQ(routed("/tunnel/abc/..%2f..%2fhealthz").kind, Route::Kind::invalid);
  EXPECT_EQ(routed("/../x").kind, Route::Kind::invalid);
  EXPECT_EQ(routed("/tunnel/abc/%00").kind, Route::Kind::invalid);
}

TEST(Route, RefusesWhatIsNoId) {
  for (const char* id : {"", "ABC", "-a", "a-", "a.b", "a%2Fb", "a_b"}) {
    EXPECT_EQ(routed("/tunnel/" + std::string(id) + "/x").kind, Route::Kind::none) << id;
  }
  EXPECT_EQ(routed("/tunnel/" + std::string(64, 'a') + "/").kind, Route::Kind::none);
  EXPECT_EQ(routed("/tunnel/" + std::string(63, 'a') + "/").kind, Route::Kind::tunnel);
}

TEST(Route, HealthIsEverywhereAndTunnelsAreNot) {
  for (const char* path : {"/healthz", "/readyz", "/health", "/ready", "/healthz?verbose"}) {
    EXPECT_EQ(routed(path).kind, Route::Kind::health) << path;
    EXPECT_EQ(routed(path, false).kind, Route::Kind::health) << path;
  }
  EXPECT_EQ(routed("/tunnel/abc/", false).kind, Route::Kind::none);
  EXPECT_EQ(routed("/healthz/x").kind, Route::Kind::none);
  EXPECT_EQ(routed("/").kind, Route::Kind::none);
  EXPECT_EQ(routed("*").kind, Route::Kind::none);
}

TEST(Misdirected, WhereTwoNamesDiffer) {
  for (const char* host :
       {"a.example", "A.Example", "a.example:8443", "a.example.", "a.example.:1"}) {
    EXPECT_FALSE(misdirected(host, "a.example")) << host;
    EXPECT_FALSE(misdirected(host, "A.EXAMPLE.")) << host;
    EXPECT_TRUE(misdirected(host, "b.example")) << host;
    EXPECT_TRUE(misdirected(host, "example")) << host;
    for (const char* none : {"", "192.0.2.1", "::1"}) EXPECT_FALSE(misdirected(host, none));
  }
  EXPECT_FALSE(misdirected("", "a.example")) << "HTTP/1.0";
  EXPECT_TRUE(misdirected("192.0.2.1", "a.example"));
  EXPECT_TRUE(misdirected("[::1]:443", "a.example"));
}

}  // namespace
}  // namespace leat::relay
