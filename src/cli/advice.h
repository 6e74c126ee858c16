// Next steps that fit better than the one every error of a code has: what a person meets who runs a
// relay as the wrong user.
#pragma once

#include <string>

#include "base/error.h"

namespace leat::cli {

struct Advice {
  Error error;
  std::string next;  // empty: the code's own
};
// `error` is of a relay or of its database in `state_dir`.
Advice advise(Error error, const std::string& state_dir);

// Prints it as report() does.
int report(const Advice& advice);

}  // namespace leat::cli
