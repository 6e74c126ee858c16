// A byte pipe inside binary WebSocket messages (RFC 6455), for carriers that have to pass where
// only HTTPS does. Message boundaries mean nothing: what one write made one message may arrive as
// any number of reads. No extension, no text.
//
//   write: one frame of at most a TLS record with its header, built in one piece (the one copy)
//   read:  frames are unmasked where they were read and moved together over their headers
//
// An end is a close frame; a connection that goes without one has been cut.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/websocket.h"
#include "net/shard.h"
#include "net/transport.h"

namespace leat::net {

// Of agents that speak the link's protocol inside (docs/protocol.md §2).
inline constexpr char kCarrierSubprotocol[] = "leat.1";

// `inner` has completed the upgrade; `surplus` are bytes received behind its head. Never fails.
// `abort_code`: abort() says this in a close frame, for visitors to whom no close is an end; 0: it
// resets.
std::unique_ptr<Transport> make_websocket_transport(Shard& shard, std::unique_ptr<Transport> inner,
                                                    http::ws::Role role, std::string surplus,
                                                    std::uint16_t abort_code = 0);

// Closes `transport`, one of the above, for a reason of at most 123 bytes.
void close_websocket(Transport& transport, std::uint16_t code, std::string_view reason);

}  // namespace leat::net
