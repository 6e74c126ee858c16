// Which host leads where, and that no path of a tunnel's host is the relay's (threat 16).
#include "relay/names.h"

#include <gtest/gtest.h>

#include <string>

#include "relay/route.h"

namespace leat::relay {
namespace {

TEST(Names, TheRelaysOwn) {
  Names names;
  names.set("relay.test", {"other.test"});
  for (const char* own : {"", "relay.test", "other.test", "localhost", "192.0.2.1", "[::1]"}) {
    EXPECT_TRUE(names.own(own)) << own;
  }
  for (const char* other : {"a.relay.test", "xrelay.test", "a.test", "test", "1.a"}) {
    EXPECT_FALSE(names.own(other)) << other;
  }
}

TEST(Names, WithoutADomainEveryHostIsTheRelays) {
  for (const char* domain : {"", "192.0.2.1", "2001:db8::1"}) {
    Names names;
    names.set(domain, {});
    EXPECT_FALSE(names.has_domain());
    EXPECT_TRUE(names.own("shop.example.com"));
    EXPECT_EQ(names.tunnel("a." + std::string(domain)), "");
  }
}

TEST(Names, BelowTheDomainALabelIsATunnel) {
  Names names;
  names.set("relay.test", {});
  EXPECT_EQ(names.tunnel("photos.relay.test"), "photos");
  EXPECT_EQ(names.host_of("photos"), "photos.relay.test");
  for (const char* none : {"a.b.relay.test", ".relay.test", "_.relay.test", "-a.relay.test",
                           "relay.test", "photosrelay.test", "photos.relay.test.", "photos"}) {
    EXPECT_EQ(names.tunnel(none), "") << none;
  }
}

TEST(Names, OfSeveralHoldsTheNewestCounts) {
  Names names;
  names.set("relay.test", {});
  auto first = names.hold("shop.example", "one");
  auto second = names.hold("shop.example", "two");
  EXPECT_EQ(names.tunnel("shop.example"), "two");
  auto again = names.hold("shop.example", "two");
  second.reset();
  EXPECT_EQ(names.tunnel("shop.example"), "two");
  again.reset();
  EXPECT_EQ(names.tunnel("shop.example"), "one");
  first.reset();
  EXPECT_EQ(names.tunnel("shop.example"), "");
}

// What is below the domain leads to the tunnel of that name, whatever anybody holds.
TEST(Names, NobodyTakesANameBelowTheDomain) {
  Names names;
  names.set("relay.test", {});
  const auto hold = names.hold("photos.relay.test", "thief");
  EXPECT_EQ(names.tunnel("photos.relay.test"), "photos");
}

TEST(RouteHost, NoPathIsTheRelays) {
  http::Request request;
  request.method = "GET";
  for (const char* path : {"/", "/healthz", "/agent", "/tunnel/other/x", "/t/other", "/a%2Fb?c"}) {
    request.target = path;
    const Route way = route_host(request, "photos");
    EXPECT_EQ(way.kind, Route::Kind::tunnel) << path;
    EXPECT_EQ(way.tunnel, "photos");
    EXPECT_EQ(way.target, path);
    EXPECT_EQ(way.prefix, "");
  }
  request.target = "/client/doc?room=other";
  EXPECT_EQ(route_host(request, "notes", true).kind, Route::Kind::room);
  EXPECT_EQ(route_host(request, "notes", true).tunnel, "notes");
  EXPECT_EQ(route_host(request, "notes", true).target, request.target);
  request.target = "/x/%2e%2E/./healthz";
  EXPECT_EQ(route_host(request, "photos").target, "/healthz");
  request.target = "/../x";
  EXPECT_EQ(route_host(request, "photos").kind, Route::Kind::invalid);
  request.method = "OPTIONS";
  request.target = "*";
  EXPECT_EQ(route_host(request, "photos").target, "*");
}

TEST(RouteUnclaimed, HasTheDoorOfAgentsAndNothingElse) {
  http::Request request;
  request.method = "GET";
  request.upgrade = true;
  request.target = "/agent?room=notes";
  EXPECT_EQ(route_unclaimed(request).kind, Route::Kind::agent);
  EXPECT_EQ(route_unclaimed(request).tunnel, "notes");
  for (const char* path : {"/", "/healthz", "/agent/", "/tunnel/other/x", "/client?room=notes"}) {
    request.target = path;
    EXPECT_EQ(route_unclaimed(request).kind, Route::Kind::tunnel) << path;
    EXPECT_EQ(route_unclaimed(request).tunnel, "") << path;
  }
  request.target = "/agent";
  request.upgrade = false;
  EXPECT_EQ(route_unclaimed(request).kind, Route::Kind::tunnel);
}

}  // namespace
}  // namespace leat::relay
