// What changes in message heads between the relay and a service: Host and Origin, so that a service
// that only answers to its own name answers; hop-by-hop fields and framing, because every hop sets
// its own.
#pragma once

#include <string>
#include <string_view>

#include "agent/service.h"
#include "http/head.h"

namespace leat::agent {

class Rewrite {
 public:
  explicit Rewrite(const Service& service);

  // `visitor_host`: the authority the visitor asked for. Under `rewrite`, an Origin that names that
  // authority becomes the target's, since it was same-origin and stays so; any other Origin stays
  // what it is, so that the service can still tell a foreign page from its own (threat 21).
  void request(http::Request& request, std::string_view visitor_host) const;

  // A page of another origin whose requests the configuration allows (http/cors.h): under
  // `rewrite` the service is shown its own. Before request().
  void disguise(http::Request& request) const;

  // A Location inside the origin that the service was asked for becomes relative, for the visitor
  // knows it by another name. A preserved Host is the visitor's own: there the relay sees to it.
  void response(http::Response& response) const;

  const std::string& authority() const {
    return authority_;
  }                                                      // "127.0.0.1:8080", default port left out
  const std::string& origin() const { return origin_; }  // "http://127.0.0.1:8080"

 private:
  FieldPolicy host_policy_, origin_policy_;
  std::string authority_;
  std::string origin_;
};

}  // namespace leat::agent
