// The service behind whatever is measured: listens, reads each connection's Request and becomes the
// other end of it. Tokens and accepting share one thread, bulk has its own, so that checking bulk
// does not make tokens late.
#pragma once

#include <cstdint>

#include "base/address.h"

namespace leat::bench {

// Prints {"listen":"HOST:PORT"} on standard output once it serves; returns only on failure.
int run_backend(const HostPort& listen, unsigned bulk_threads);

}  // namespace leat::bench
