// The opening handshake of RFC 6455 §4, as far as heads go. No extension is offered or accepted.
#pragma once

#include <string>
#include <string_view>

#include "http/head.h"

namespace leat::http::ws {

// --- server ---

enum class Offer : std::uint8_t {
  ok,
  none,     // not a WebSocket request
  bad,      // 400: broken in method, version of HTTP, or key
  version,  // 426 with Sec-WebSocket-Version: 13
};

Offer check_request(const Request& request);
// Whether the client offers this subprotocol; names compare with case (§4.1).
bool offers(const Fields& fields, std::string_view subprotocol);
// The 101 to a request that is ok; an empty subprotocol selects none.
Response accept(const Request& request, std::string_view subprotocol);

// --- client ---

std::string new_key();  // 16 random bytes in base64
// Turns the request (method, target and Host are the caller's) into an offer.
void offer(Request& request, std::string_view key, std::string_view subprotocol);
// nullptr: the server accepted, with exactly the subprotocol offered (none if empty). Else why not.
const char* check_response(const Response& response, std::string_view key,
                           std::string_view subprotocol);

// Sec-WebSocket-Accept for a key (§4.2.2).
std::string accept_value(std::string_view key);

}  // namespace leat::http::ws
