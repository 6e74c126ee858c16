// The relay's own TLS: the certificate that the operator gave, or one that the relay signs itself,
// and those for other names.
#pragma once

#include <string>

#include "base/error.h"
#include "net/tls.h"
#include "relay/options.h"

namespace leat::relay {

// In `certificate` the file that its pin is made of. LEAT_KEY_FILE.
Result<net::TlsContext> load_tls(const Options& options, std::string& certificate);

}  // namespace leat::relay
