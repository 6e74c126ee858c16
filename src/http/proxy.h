// What happens to a head at each hop it is forwarded over (docs/protocol.md §5, threats 16 and 17).
// The same at relay and agent; what only one of them adds is theirs.
#pragma once

#include "http/head.h"

namespace leat::http {

// Makes a parsed head one that may be sent to the next hop: hop-by-hop fields removed, framing set
// from body and length, Connection written anew for what goes on (an upgrade, TE: trailers). A
// request keeps its version, so that a service does not answer 1.0 with chunked; a response becomes
// HTTP/1.1. Call it before adding fields of one's own: Connection may name any of them.
void forward(Request& request);
// The Content-Length of a response without a body (HEAD, 304) says what a GET would bring, and
// stays.
void forward(Response& response);

// Removes what a client may claim about where it comes from: Forwarded, X-Forwarded-*, X-Real-IP
// and the like, '_' counting as '-' because CGI cannot tell them apart.
void remove_forwarded(Fields& fields);

}  // namespace leat::http
