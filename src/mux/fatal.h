// Why a session ended. The receiving half returns these; the driver logs them and closes the
// carrier.
#pragma once

#include <cstdint>

namespace leat::mux {

// `none` while the session lives. docs/protocol.md §1 says which frame gives which.
enum class Fatal : std::uint8_t {
  none,
  bad_version,
  bad_type,
  bad_flags,
  bad_stream_id,    // wrong parity, zero, or used before
  bad_state,        // the state table has no entry for this frame
  window_exceeded,  // more data than granted (threat 1)
  window_overflow,  // credit beyond 2^32-1 (threat 2)
  flood,            // the guard's verdict (threats 2 to 5)
  // From here on there is nobody to tell.
  go_away,        // the peer sent go-away with an error code
  ping_timeout,   // silence
  write_timeout,  // the carrier takes nothing (threat 8)
};

const char* name(Fatal reason);

}  // namespace leat::mux
