// A variable of the environment for the time of a test.
#pragma once

#include <stdlib.h>

#include <optional>
#include <string>

namespace leat::test {

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {  // nullptr: not set
    if (const char* before = ::getenv(name)) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) const {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }

  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace leat::test
