// A string that must not be seen: it has no conversion, no stream operator and no log field,
// compares in constant time and is wiped when it goes.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace leat {

// Zeros all that the string has room for, and empties it: for texts that hold a secret where a
// Secret cannot stand.
void wipe(std::string& text);

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value);
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  bool empty() const { return value_.empty(); }
  // The one way to the text; callers are few and can be listed with grep.
  std::string_view reveal() const { return value_; }
  friend bool operator==(const Secret& a, const Secret& b);

 private:
  std::string value_;
};

}  // namespace leat
