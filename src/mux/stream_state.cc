#include "mux/stream_state.h"

#include <array>

namespace leat::mux {
namespace {

using S = StreamState;
constexpr S none = static_cast<S>(0xff);

// clang-format off
constexpr S table[kStreamStates][kStreamEvents] = {
    //                   recv: SYN      ACK          data         window            FIN               RST           send: SYN   FIN                 RST
    /* unknown */          {S::open, S::unknown,  S::unknown,  S::unknown,       S::unknown,       S::unknown,  S::opening, none,                none},
    /* opening */          {none,    S::open,     S::open,     S::open,          S::peer_finished, S::closed,   none,       S::opening_finished, S::closed},
    /* opening_finished */ {none,    S::finished, S::finished, S::finished,      S::closed,        S::closed,   none,       none,                S::closed},
    /* open */             {none,    S::open,     S::open,     S::open,          S::peer_finished, S::closed,   none,       S::finished,         S::closed},
    /* finished */         {none,    S::finished, S::finished, S::finished,      S::closed,        S::closed,   none,       none,                S::closed},
    /* peer_finished */    {none,    none,        none,        S::peer_finished, none,             S::closed,   none,       S::closed,           S::closed},
    /* closed */           {none,    none,        none,        none,             none,             none,        none,       none,                none},
};
// clang-format on

}  // namespace

std::optional<StreamState> next(StreamState state, StreamEvent event) {
  const S to = table[static_cast<int>(state)][static_cast<int>(event)];
  if (to == none) return std::nullopt;
  return to;
}

const char* name(StreamState state) {
  constexpr std::array names{"unknown",       "opening", "opening_finished", "open", "finished",
                             "peer_finished", "closed"};
  static_assert(names.size() == kStreamStates);
  return names[static_cast<std::size_t>(state)];
}

const char* name(StreamEvent event) {
  constexpr std::array names{"recv SYN", "recv ACK", "recv data", "recv window", "recv FIN",
                             "recv RST", "send SYN", "send FIN",  "send RST"};
  static_assert(names.size() == kStreamEvents);
  return names[static_cast<std::size_t>(event)];
}

}  // namespace leat::mux
