// Records of TLS 1.3 without a handshake, sound and unsound, for tests of who opens them.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "net/tls_records.h"

namespace leat::net::test {

inline constexpr char kAlert = 21, kHandshake = 22, kData = 23;

// `id` as RFC 8446 §B.4 has it.
inline const SSL_CIPHER* suite(std::uint16_t id) {
  static SSL* const ssl = SSL_new(SSL_CTX_new(TLS_method()));
  std::array<std::uint8_t, 2> wire;
  store_be16(wire.data(), id);
  return SSL_CIPHER_find(ssl, wire.data());
}

inline void set(TrafficSecrets::Secret& secret, Bytes bytes) {
  std::copy(bytes.begin(), bytes.end(), secret.bytes.begin());
  secret.size = bytes.size();
}

inline TrafficSecrets::Secret some_secret(std::size_t size, char fill) {
  TrafficSecrets::Secret secret;
  set(secret, as_bytes(std::string(size, fill)));
  return secret;
}

// Both ends' secrets for a suite.
struct Secrets : TrafficSecrets {
  explicit Secrets(std::uint16_t id = 0x1301) {
    client = some_secret(id == 0x1302 ? 48 : 32, 'c');
    server = some_secret(id == 0x1302 ? 48 : 32, 's');
  }
};

// A sender that seals what it is told, sound or not: `inner` is content, type and padding.
class Forger {
 public:
  explicit Forger(std::uint16_t id = 0x1301) : key_(suite(id), Secrets(id).client.view(), true) {}

  std::string record(std::string_view inner) {
    std::string all{kData, 3, 3};
    const std::size_t length = inner.size() + TlsRecords::kTag;
    all += static_cast<char>(length >> 8);
    all += static_cast<char>(length);
    key_.begin(as_bytes(all));
    all += inner;
    all.resize(TlsRecords::kHeader + length);
    auto* const body = reinterpret_cast<std::uint8_t*>(all.data()) + TlsRecords::kHeader;
    key_.pass(as_bytes(inner), body);
    key_.make_tag({body + inner.size(), TlsRecords::kTag});
    return all;
  }
  std::string record(std::string_view content, char type) {
    return record(std::string(content) + type);
  }
  void replace_key() { key_.replace(); }

 private:
  RecordKey key_;
};

}  // namespace leat::net::test
