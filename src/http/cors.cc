#include "http/cors.h"

#include <algorithm>

namespace leat::http {
namespace {

constexpr char kMethods[] = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr char kMaxAge[] = "600";  // seconds for which a browser need not ask again

// The answer to one origin is not that to another (RFC 9110 §12.5.5).
void vary(Fields& fields) {
  if (!fields.has_token("Vary", "Origin")) fields.add("Vary", "Origin");
}

}  // namespace

std::optional<std::string> Cors::origin(const Request& request) const {
  if (allowed_.empty() || request.fields.count("Origin") != 1) return std::nullopt;
  const std::string& origin = *request.fields.find("Origin");
  const auto matches = [&](const std::string& one) { return one == "*" || one == origin; };
  if (std::ranges::none_of(allowed_, matches)) return std::nullopt;
  return origin;
}

std::optional<Response> Cors::preflight(const Request& request, const std::string& origin) {
  if (request.method != "OPTIONS" || request.body != BodyKind::none ||
      request.fields.count("Access-Control-Request-Method") != 1) {
    return std::nullopt;
  }
  Response response;
  response.status = 204;
  response.reason = reason_phrase(204);
  response.fields.add("Access-Control-Allow-Methods", kMethods);
  if (const std::string* wanted = request.fields.find("Access-Control-Request-Headers")) {
    response.fields.add("Access-Control-Allow-Headers", *wanted);
    response.fields.add("Vary", "Access-Control-Request-Headers");
  }
  response.fields.add("Access-Control-Max-Age", kMaxAge);
  allow(response.fields, origin);
  return response;
}

void Cors::allow(Fields& fields, const std::string& origin) {
  // What the service says, it says of the origin it was shown.
  fields.set("Access-Control-Allow-Origin", origin);
  fields.remove("Access-Control-Allow-Credentials");
  if (fields.count("Access-Control-Expose-Headers") == 0) {
    fields.add("Access-Control-Expose-Headers", "*");
  }
  vary(fields);
}

}  // namespace leat::http
