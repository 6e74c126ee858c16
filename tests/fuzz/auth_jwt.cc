// Tokens, key files and claims of a stranger's making. The first byte chooses: 0 a token as it is,
// 1 a file of keys, 2 header and payload (split at the first newline) under a good signature, so
// that the readers behind it are reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "auth/claims.h"
#include "auth/signer.h"

namespace {

using namespace leat::auth;

const std::string kSecret(32, 's');

const KeySet& keys() {
  static const KeySet set = KeySet::parse(kSecret).value();
  return set;
}

void judge(std::string_view token) {
  const auto signature = verify_jws(token, keys());
  const auto claims = verify_jwt(token, keys(), {.audience = "relay", .issuer = {}},
                                 std::chrono::seconds(1'700'000'000));
  if (claims && (!signature || claims->subject.empty())) std::abort();
  if (claims) (void)claims->allows(claims->subject);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      judge(text);
      break;
    case 1:
      if (const auto set = KeySet::parse(text); set && set->keys().empty()) std::abort();
      break;
    case 2: {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view payload = text.substr(std::min(end + 1, text.size()));
      judge(test::Signer::hmac(kSecret).sign(text.substr(0, end), payload));
      break;
    }
  }
  return 0;
}
