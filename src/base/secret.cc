#include "base/secret.h"

#include <openssl/crypto.h>

#include <utility>

#include "base/crypto_util.h"

namespace leat {

// The whole capacity: a short string lies inside the object and a move leaves it there.
void wipe(std::string& value) {
  value.resize(value.capacity());
  OPENSSL_cleanse(value.data(), value.size());
  value.clear();
}

Secret::Secret(std::string value) : value_(std::move(value)) { wipe(value); }

Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { wipe(other.value_); }

Secret& Secret::operator=(const Secret& other) { return *this = Secret(other); }

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(value_);
    value_.swap(other.value_);
  }
  return *this;
}

Secret::~Secret() { wipe(value_); }

bool operator==(const Secret& a, const Secret& b) {
  return constant_time_equal(as_bytes(a.value_), as_bytes(b.value_));
}

}  // namespace leat
