#include "mux/fatal.h"

namespace leat::mux {

const char* name(Fatal reason) {
  switch (reason) {
    case Fatal::none:
      return "none";
    case Fatal::bad_version:
      return "bad_version";
    case Fatal::bad_type:
      return "bad_type";
    case Fatal::bad_flags:
      return "bad_flags";
    case Fatal::bad_stream_id:
      return "bad_stream_id";
    case Fatal::bad_state:
      return "bad_state";
    case Fatal::window_exceeded:
      return "window_exceeded";
    case Fatal::window_overflow:
      return "window_overflow";
    case Fatal::flood:
      return "flood";
    case Fatal::go_away:
      return "go_away";
    case Fatal::ping_timeout:
      return "ping_timeout";
    case Fatal::write_timeout:
      return "write_timeout";
  }
  return "?";
}

}  // namespace leat::mux
