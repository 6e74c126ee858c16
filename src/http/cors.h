// Cross-origin requests (the Fetch Standard, "HTTP extensions") for services that know nothing of
// them: the agent answers preflights of the origins its configuration names and says in answers
// that their pages may read them. A service is then shown its own origin or none, as for any
// visitor, so that it does not refuse what the configuration has allowed. Any other origin is left
// to the service. Credentials of browsers (cookies) are never allowed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/service.h"
#include "http/head.h"

namespace leat::agent {

class Cors {
 public:
  explicit Cors(const Service& service) : allowed_(service.cors) {}

  // The Origin of a request as its visitor sent it, if it is one of those allowed.
  std::optional<std::string> origin(const http::Request& request) const;
  // The answer to a preflight from an allowed origin; nullopt: `request` is none.
  std::optional<http::Response> preflight(const http::Request& request,
                                          const std::string& origin) const;
  // Makes an answer readable for that origin.
  void allow(http::Response& response, const std::string& origin) const;

 private:
  std::vector<std::string> allowed_;
};

}  // namespace leat::agent
