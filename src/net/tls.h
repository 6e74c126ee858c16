// TLS over our own BIO on rings: one recv of up to 96 KiB feeds many records, many records leave in
// one send. Rings are borrowed from the shard's pool while they hold bytes, so that an idle
// connection costs its SSL object only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/names.h"
#include "net/shard.h"
#include "net/transport.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace leat::net {

inline constexpr char kAlpnLeat[] = "leat/1";
inline constexpr char kAlpnHttp[] = "http/1.1";

// An SSL_CTX with our settings. Shared by all connections of one listener or dialer; one per shard.
// No compression, no renegotiation, no early data; AES-128-GCM first where the processor has AES.
class TlsContext {
 public:
  // Relay side: TLS 1.2 or newer for visitors, 1.3 where leat/1 is chosen. `alpn` in the order of
  // our preference. PEM files, the key readable by its owner only; LEAT_KEY_FILE.
  static Result<TlsContext> server(const std::string& certificate_file, const std::string& key_file,
                                   std::vector<std::string> alpn);
  // Server: another certificate, for the names it bears, wildcards included; the first one of a
  // name counts, a whole name more than a wildcard. Whoever asks for none of them gets server()'s.
  Result<void> add_certificate(const std::string& certificate_file, const std::string& key_file);

  // TLS 1.3 where leat/1 is asked for (it is then demanded: ALPN_REFUSED), else 1.2 or newer.
  // Exactly one way to trust: a pin (32 bytes, SHA-256 of the peer's SubjectPublicKeyInfo), a CA
  // file, or, with neither, the system's CAs; the last two check the name. LEAT_KEY_FILE for the CA
  // file.
  struct Trust {
    std::optional<std::string> pin;  // 32 raw bytes
    std::optional<std::string> ca_file;
    bool insecure = false;  // whoever answers: for services whose configuration says so
  };
  static Result<TlsContext> client(const Trust& trust, std::vector<std::string> alpn);

  // Bytes sent under one key before it is replaced (TLS 1.3). RFC 8446 §5.5 allows AES-GCM about
  // 380 GB.
  void set_key_update(std::uint64_t bytes);

  SSL_CTX* get() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const;
  };
  TlsContext() = default;
  std::unique_ptr<SSL_CTX, Free> context_;
};

// Takes the descriptor (connected, non-blocking) and starts the handshake; on_transport tells its
// end. On the server no TLS state exists before the first record of a ClientHello has arrived
// (threat 15). `name`: SNI and the name to verify; ignored on the server. nullptr: out of memory or
// the shard cannot watch the descriptor, which has then been closed.
std::unique_ptr<Transport> make_tls_transport(Shard& shard, int fd, const TlsContext& context,
                                              const std::string& name);
std::unique_ptr<Transport> make_plain_transport(Shard& shard, int fd);

// Makes an ECDSA P-256 key and a self-signed certificate for `names` (DNS names and addresses, at
// least one; ten years; key 0600) unless both files are there. A key that is there is kept, and
// with it the pin. LEAT_KEY_FILE.
Result<void> ensure_self_signed(const std::string& certificate_file, const std::string& key_file,
                                const std::vector<std::string>& names);
// A new certificate for the key that is there, in place of any other: all of it is written or none.
Result<void> self_sign(const std::string& certificate_file, const std::string& key_file,
                       const std::vector<std::string>& names);
// Two thirds of its life are over. LEAT_KEY_FILE.
Result<bool> certificate_is_due(const std::string& certificate_file);
// SHA-256 of the SubjectPublicKeyInfo of a certificate file, as the pin is written: "sha256:" and
// 64 hex digits. LEAT_KEY_FILE.
Result<std::string> certificate_pin(const std::string& certificate_file);
using leat::parse_pin;  // reads it back
// The DNS names of a certificate file, in lower case. LEAT_KEY_FILE.
Result<std::vector<std::string>> certificate_names(const std::string& certificate_file);

}  // namespace leat::net
