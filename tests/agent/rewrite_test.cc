#include "agent/rewrite.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace leat::agent {
namespace {

Service to(HostPort target, bool tls = false) {
  Service service;
  service.target = std::move(target);
  service.target_tls = tls;
  return service;
}

std::string field(const http::Fields& fields, std::string_view name) {
  const std::string* value = fields.find(name);
  return value ? *value : "(none)";
}

// What of Host and Origin arrives at the service.
struct Sent {
  std::string host, origin;
};
Sent sent(const Service& service, std::optional<std::string> origin,
          std::string_view visitor_host = "app.relay.test") {
  http::Request request;
  request.method = "GET";
  request.target = "/";
  request.fields.add("Host", "app.relay.test");
  if (origin) request.fields.add("Origin", *origin);
  Rewrite(service).request(request, visitor_host);
  return {field(request.fields, "Host"), field(request.fields, "Origin")};
}

std::string location(const Service& service, std::string_view value) {
  http::Response response;
  response.status = 302;
  response.fields.add("Location", value);
  Rewrite(service).response(response);
  return field(response.fields, "Location");
}

TEST(Rewrite, TheDefaultPortOfTheSchemeIsLeftOut) {
  EXPECT_EQ(Rewrite(to({"nas", 8080})).authority(), "nas:8080");
  EXPECT_EQ(Rewrite(to({"nas", 80})).authority(), "nas");
  EXPECT_EQ(Rewrite(to({"nas", 80}, true)).authority(), "nas:80");
  EXPECT_EQ(Rewrite(to({"nas", 443}, true)).authority(), "nas");
  EXPECT_EQ(Rewrite(to({"::1", 80})).authority(), "[::1]");
  EXPECT_EQ(Rewrite(to({"nas", 443}, true)).origin(), "https://nas");
  EXPECT_EQ(Rewrite(to({"nas", 8080})).origin(), "http://nas:8080");
}

TEST(Rewrite, HostFollowsItsPolicy) {
  Service service = to({"nas", 8080});
  EXPECT_EQ(sent(service, {}).host, "nas:8080");
  service.host_header = FieldPolicy::parse("preserve");
  EXPECT_EQ(sent(service, {}).host, "app.relay.test");
  service.host_header = FieldPolicy::parse("intern.example");
  EXPECT_EQ(sent(service, {}).host, "intern.example");
  service.host_header = FieldPolicy::parse("remove");
  EXPECT_EQ(sent(service, {}).host, "nas:8080") << "a request must have one";
}

TEST(Rewrite, ASameOriginRequestStaysOne) {
  const Service service = to({"nas", 8080});
  EXPECT_EQ(sent(service, "https://app.relay.test").origin, "http://nas:8080");
  EXPECT_EQ(sent(service, "https://APP.relay.test").origin, "http://nas:8080");
  EXPECT_EQ(sent(service, "http://h:81", "h:81").origin, "http://nas:8080");
  EXPECT_EQ(sent(service, {}).origin, "(none)");
}

// Threat 21: the service decides about foreign pages, so it must see them.
TEST(Rewrite, AForeignOriginStaysForeign) {
  const Service service = to({"nas", 8080});
  for (const char* foreign : {"https://evil.test", "null", "https://app.relay.test.evil.test",
                              "https://app.relay.test:444", "https://", "app.relay.test"}) {
    EXPECT_EQ(sent(service, foreign).origin, foreign);
  }
  EXPECT_EQ(sent(service, "https://", "").origin, "https://");
}

TEST(Rewrite, OriginFollowsItsPolicy) {
  Service service = to({"nas", 8080});
  service.origin = FieldPolicy::parse("preserve");
  EXPECT_EQ(sent(service, "https://app.relay.test").origin, "https://app.relay.test");
  service.origin = FieldPolicy::parse("remove");
  EXPECT_EQ(sent(service, "https://app.relay.test").origin, "(none)");
  service.origin = FieldPolicy::parse("http://localhost");
  EXPECT_EQ(sent(service, "https://evil.test").origin, "http://localhost");
  EXPECT_EQ(sent(service, {}).origin, "(none)") << "nothing is claimed that was not";
}

TEST(Rewrite, ALocationInsideTheTargetBecomesRelative) {
  const Service service = to({"nas", 8080});
  EXPECT_EQ(location(service, "http://nas:8080/login?x"), "/login?x");
  EXPECT_EQ(location(service, "HTTP://NAS:8080/login"), "/login");
  EXPECT_EQ(location(service, "http://nas:8080"), "/");
}

TEST(Rewrite, ALocationInsideTheHostThatItWasGivenBecomesRelative) {
  Service service = to({"nas", 8443}, true);
  service.host_header = FieldPolicy::parse("intern.example");
  EXPECT_EQ(location(service, "https://Intern.example/login"), "/login");
  EXPECT_EQ(location(service, "https://intern.example.evil.test/"),
            "https://intern.example.evil.test/");
  EXPECT_EQ(location(service, "http://intern.example/"), "http://intern.example/");
  service.host_header = FieldPolicy::parse("remove");
  EXPECT_EQ(location(service, "https://nas:8443/login"), "/login") << "Host is the target's then";
}

TEST(Rewrite, OtherLocationsStay) {
  const Service service = to({"nas", 8080});
  for (const char* other : {"/login", "http://nas:80801/", "http://nas:8080.evil.test/",
                            "https://nas:8080/", "http://nas:8080//evil.test/", "http://nas"}) {
    EXPECT_EQ(location(service, other), other);
  }
  Service named = service;
  named.host_header = FieldPolicy::parse("intern.example");
  EXPECT_EQ(location(named, "http://nas:8080/"), "http://nas:8080/");
  Service preserving = service;
  preserving.host_header = FieldPolicy::parse("preserve");
  EXPECT_EQ(location(preserving, "http://nas:8080/"), "http://nas:8080/");
}

TEST(Rewrite, HopByHopFieldsEndAndFramingIsSetAnew) {
  http::Request request;
  request.method = "POST";
  request.target = "/";
  request.body = http::BodyKind::chunked;
  request.fields.add("Host", "h");
  request.fields.add("Connection", "X-Private");
  request.fields.add("X-Private", "1");
  request.fields.add("Transfer-Encoding", "chunked");
  Rewrite(to({"nas", 8080})).request(request, "h");
  EXPECT_EQ(field(request.fields, "X-Private"), "(none)");
  EXPECT_EQ(field(request.fields, "Connection"), "(none)");
  EXPECT_EQ(request.fields.count("Transfer-Encoding"), 1u);
}

TEST(Service, TargetsAreNamedByTheirScheme) {
  Service service = to({"nas", 8080});
  EXPECT_EQ(service.target_text(), "http://nas:8080");
  service.target_tls = true;
  EXPECT_EQ(service.target_text(), "https://nas:8080");
  service.kind = control::TunnelKind::tcp;
  EXPECT_EQ(service.target_text(), "tls+tcp://nas:8080");
  service.target_tls = false;
  EXPECT_EQ(service.target_text(), "tcp://nas:8080");
  service.kind = control::TunnelKind::ws;
  EXPECT_EQ(service.target_text(), "ws://nas:8080");
  service.target_tls = true;
  EXPECT_EQ(service.target_text(), "wss://nas:8080");
}

}  // namespace
}  // namespace leat::agent
