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

TEST(Route, ARoomIsNamedByTheQuery) {
  const struct {
    const char *asked, *seen;
  } kVisitors[] = {
      {"/client?room=notes", "/"},
      {"/client/?room=notes", "/"},
      {"/client/doc?room=notes", "/doc"},
      {"/client/a/b?x=1&room=notes&y", "/a/b?x=1&y"},
      {"/%63lient/../client/doc?&room=notes&", "/doc"},
      {"/client?xroom=b&room=notes&roomx=c&room", "/?xroom=b&roomx=c&room"},
      {"/client/doc?room=notes&q=?/", "/doc?q=?/"},
  };
  for (const auto& [asked, seen] : kVisitors) {
    const Route way = routed(asked);
    EXPECT_EQ(way.kind, Route::Kind::room) << asked;
    EXPECT_EQ(way.tunnel, "notes") << asked;
    EXPECT_EQ(way.target, seen) << asked;
    EXPECT_EQ(way.prefix, "/client") << asked;
  }
}

TEST(Route, ARoomIsNamedOnceOrNotAtAll) {
  for (const char* none : {"/client", "/client/room=notes", "/client?room", "/client?Room=notes",
                           "/client?room=a&room=b", "/client?room=a&room=a", "/clientx?room=a"}) {
    EXPECT_EQ(routed(none).kind, Route::Kind::none) << none;
  }
  EXPECT_EQ(routed("/client?room=a", false).kind, Route::Kind::none);
  for (const char* impossible : {"", "A", "a%62", "-", "a_b"}) {
    const Route way = routed(std::string("/client?room=") + impossible);
    EXPECT_EQ(way.kind, Route::Kind::room) << impossible;
    EXPECT_EQ(way.tunnel, "") << impossible;
  }
}

TEST(Route, AnAgentMayNameItsRoomAndToken) {
  EXPECT_EQ(routed("/agent").kind, Route::Kind::agent);
  EXPECT_EQ(routed("/agent").tunnel, "");
  const Route way = routed("/agent?token=leat_x&room=notes");
  EXPECT_EQ(way.kind, Route::Kind::agent);
  EXPECT_EQ(way.tunnel, "notes");
  EXPECT_EQ(way.token.reveal(), "leat_x");
  const Route twice = routed("/agent?token=a&token=b&room=c&room=d");
  EXPECT_TRUE(twice.tunnel.empty());
  EXPECT_TRUE(twice.token.empty());
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
