// A stream of one session as the transport of another: what a sealed session runs over at the
// agent. Nothing is queued between the two. What the session outside receives is offered to the one
// inside while it is being delivered, and what that does not take keeps its credit; when the
// session outside is asked for a frame, it asks on through on_room(), so that the inside is framed
// no earlier than the outside.
//
//   received: Session::feed -> deliver -> on_transport -> read: a copy out of the frame
//   sent:     Session::pull -> produce -> on_room -> write: a copy into the frame; what a short
//             frame does not take, of one record, waits for the next
#pragma once

#include <memory>
#include <string>

#include "mux/session.h"
#include "net/transport.h"

namespace leat::net {

// `prefix` goes out first. `peer` is what peer() says. The session outlives the transport, unless
// it has ended all its streams first. Takes both directions of the stream.
std::unique_ptr<Transport> make_stream_transport(mux::Session& session, mux::StreamHandle stream,
                                                 std::string prefix, std::string peer);

}  // namespace leat::net
