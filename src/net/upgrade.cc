#include "net/upgrade.h"

#include <optional>
#include <utility>

#include "http/websocket_handshake.h"

namespace leat::net {

ClientUpgrade::ClientUpgrade(const HostPort& host, bool secure, const std::string& target,
                             std::string subprotocol)
    : key_(http::ws::new_key()), subprotocol_(std::move(subprotocol)) {
  http::Request request;
  request.method = "GET";
  request.target = target;
  std::string authority = host.text();
  if (host.port == (secure ? 443 : 80)) authority.resize(authority.rfind(':'));
  request.fields.add("Host", authority);
  http::ws::offer(request, key_, subprotocol_);
  http::serialise(request, request_);
}

ClientUpgrade::State ClientUpgrade::feed(Bytes in, std::size_t& used) {
  const auto state = head_.feed(in, used);
  if (state == http::HeadReader::State::more) return State::more;
  std::optional<http::Response> response;
  if (state == http::HeadReader::State::done) response = head_.take_response("GET");
  if (!response) {
    why_ = std::string("an answer that is not HTTP: ") + head_.why();
    return State::failed;
  }
  if (response->status != 101) {
    why_ = "HTTP " + std::to_string(response->status) + " " + response->reason;
    return State::failed;
  }
  if (const char* wrong = http::ws::check_response(*response, key_, subprotocol_)) {
    why_ = wrong;
    return State::failed;
  }
  return State::done;
}

}  // namespace leat::net
