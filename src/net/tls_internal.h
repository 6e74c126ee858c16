// What the parts of TLS in this folder share: the settings that hang on an SSL_CTX, and names for
// what OpenSSL complains of.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto_util.h"
#include "net/tls.h"

typedef struct x509_st X509;

namespace leat::net {

// Lives as long as its SSL_CTX, which connections hold beyond the TlsContext.
struct TlsSettings {
  bool server = false;
  std::vector<std::string> alpn;
  std::optional<std::string> pin = std::nullopt;
  std::uint64_t key_update = 0;

  // Certificates by name, "*.example.com" among them; of a server with more than one. Null: that of
  // the context itself.
  struct Free {
    void operator()(SSL_CTX* context) const;
  };
  std::map<std::string, SSL_CTX*, std::less<>> by_name = {};
  std::vector<std::unique_ptr<SSL_CTX, Free>> others = {};
  SSL_CTX* find(std::string name) const;  // null: none but the context itself
};

const TlsSettings& tls_settings(const SSL_CTX* context);

// SHA-256 of the DER SubjectPublicKeyInfo.
Sha256 public_key_hash(const X509* certificate);

// Words for the newest entry of the error queue, which is emptied.
std::string openssl_error();

}  // namespace leat::net
