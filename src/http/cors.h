// Cross-origin requests (the Fetch Standard, "HTTP extensions") for services that know nothing of
// them: preflights of the origins that a configuration names are answered for the service, and its
// answers say that their pages may read them. Done by the agent; by the relay where visitors are
// asked for a credential, which no preflight carries, and for answers of its own. Credentials of
// browsers (cookies) are never allowed.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/head.h"

namespace leat::http {

class Cors {
 public:
  // "https://…" each, or "*".
  explicit Cors(std::vector<std::string> allowed) : allowed_(std::move(allowed)) {}

  // The Origin of a request as its visitor sent it, if it is one of those allowed.
  std::optional<std::string> origin(const Request& request) const;
  // The answer to a preflight from an allowed origin; nullopt: `request` is none.
  static std::optional<Response> preflight(const Request& request, const std::string& origin);
  // Makes an answer with these fields readable for that origin.
  static void allow(Fields& fields, const std::string& origin);

 private:
  std::vector<std::string> allowed_;
};

}  // namespace leat::http
