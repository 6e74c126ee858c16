// A setting as text, from wherever it comes: a file, the environment, a flag. Each configuration
// struct takes settings through one function that knows its keys, so that every source agrees on
// names, values and errors. Precedence is the order of calls, file, environment, flags: what is
// applied later wins.
#pragma once

#include <string>

namespace leat::config {

struct Setting {
  std::string key;    // "state_dir"
  std::string value;  // as written
  std::string
      where;  // what an error names: "--state-dir", "LEAT_STATE_DIR", "leat.yaml:3: state_dir"
};

}  // namespace leat::config
