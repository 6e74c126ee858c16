// The visitor's side of a measurement: opens the connections, lets them run through a warm-up and a
// window, and says what happened in the window. Only bytes that were received and found right
// count.
#pragma once

#include <cstdint>
#include <string>

#include "base/address.h"

namespace leat::bench {

struct Plan {
  HostPort to;
  unsigned download = 0, upload = 0;  // bulk streams
  bool http = false;                  // … as bodies of HTTP messages
  unsigned tokens = 0, notes = 0;     // token streams from and to the backend
  unsigned pings = 0;                 // 64 bytes there and back, one at a time
  unsigned events = 0;                // token streams as server-sent events
  // One after another, so many at once: connections that are answered and closed, HTTP requests on
  // kept connections, HTTP requests on a new connection each.
  unsigned connects = 0, requests = 0, new_requests = 0;
  unsigned held = 0;                // connections that have been used once and then stand idle
  unsigned spread = 1;              // over so many ports, from that of `to` on
  std::string path = "/";           // before the names of HTTP requests; ends in '/'
  std::uint32_t token_bytes = 100;  // 16 to 16384
  double every_ms = 20;
  double warmup = 3, window = 10;  // seconds
  std::uint32_t sample = 1;        // of so many blocks of bulk one is checked
  unsigned threads = 1;            // for bulk
  std::uint64_t seed = 1;
  std::string trace;   // file for every token's time and delay; "": none
  bool marks = false;  // "begin NS" and "end NS" on standard output as the window begins and ends
};

// Prints the report as JSON on standard output. 0 when everything was as it should be.
int run_client(const Plan& plan);

}  // namespace leat::bench
