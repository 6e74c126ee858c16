#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <memory>
#include <utility>

#include "base/crypto_util.h"
#include "base/file.h"
#include "net/tls_internal.h"
#include "net/tls_records.h"

namespace leat::net {
namespace {

// 64 GiB, a sixth of what RFC 8446 §5.5 allows for AES-GCM.
constexpr std::uint64_t kKeyUpdate = std::uint64_t{1} << 36;

bool processor_has_aes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
  return (::getauxval(AT_HWCAP) & 8) != 0;  // HWCAP_AES
#else
  return false;
#endif
}

void free_settings(void*, void* settings, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<TlsSettings*>(settings);
}

int settings_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_settings);
  return index;
}

std::string alpn_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const auto& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

// Our order decides. leat/1 is for TLS 1.3 only: its handshake signs the exporter of RFC 8446 §7.5.
int choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned int offered_size, void* settings) {
  for (const auto& ours : static_cast<const TlsSettings*>(settings)->alpn) {
    if (ours == kAlpnLeat && SSL_version(ssl) < TLS1_3_VERSION) continue;
    for (unsigned int at = 0; at < offered_size; at += 1u + offered[at]) {
      const Bytes theirs(offered + at + 1, offered[at]);
      if (as_chars(theirs) != ours) continue;
      *out = theirs.data();
      *out_size = offered[at];
      // The first record behind the handshake is TlsRecords', and nobody resumes (docs/adr/0022).
      if (ours == kAlpnLeat) SSL_set_num_tickets(ssl, 0);
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol, RFC 7301 §3.2
}

// RFC 6066 §3. Everything but certificate and key stays as the first context has it.
int choose_certificate(SSL* ssl, int*, void* settings) {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name != nullptr) {
    SSL_CTX* const other = static_cast<const TlsSettings*>(settings)->find(name);
    if (other != nullptr) SSL_set_SSL_CTX(ssl, other);
  }
  return SSL_TLSEXT_ERR_OK;
}

// Replaces the verification of the chain: the key alone counts, not who vouches for it.
int verify_pin(X509_STORE_CTX* chain, void* settings) {
  const X509* const certificate = X509_STORE_CTX_get0_cert(chain);
  const Sha256 pin = public_key_hash(certificate);
  if (constant_time_equal(pin, as_bytes(*static_cast<const TlsSettings*>(settings)->pin))) {
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

SSL_CTX* make_context(const SSL_METHOD* method, std::unique_ptr<TlsSettings> settings) {
  SSL_CTX* const context = SSL_CTX_new(method);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_ciphersuites(
      context, processor_has_aes()
                   ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
                   : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
  // AEAD only: kRecordOverhead in tls_transport.cc counts on it.
  SSL_CTX_set_cipher_list(context, "ECDHE+AES128+AESGCM:ECDHE+CHACHA20:ECDHE+AESGCM");
  SSL_CTX_set_keylog_callback(context, keep_traffic_secret);
  SSL_CTX_set_ex_data(context, settings_index(), settings.release());
  return context;
}

Result<void> use_certificate(SSL_CTX* context, const std::string& certificate_file,
                             const std::string& key_file) {
  if (const auto there = read_file(certificate_file, Code::KEY_FILE); !there) {
    return tl::unexpected(there.error());
  }
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    return fail(Code::KEY_FILE, certificate_file + ": " + openssl_error());
  }
  const auto pem = read_private_file(key_file, Code::KEY_FILE);
  if (!pem) return tl::unexpected(pem.error());
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(
      BIO_new_mem_buf(pem->reveal().data(), static_cast<int>(pem->reveal().size())), BIO_free);
  // A key under a passphrase is refused: a daemon has nobody to ask.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr), EVP_PKEY_free);
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return fail(Code::KEY_FILE, key_file + ": " + openssl_error());
  }
  return {};
}

}  // namespace

const TlsSettings& tls_settings(const SSL_CTX* context) {
  return *static_cast<const TlsSettings*>(SSL_CTX_get_ex_data(context, settings_index()));
}

std::string openssl_error() {
  const unsigned long error = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(error);
  std::string text = reason != nullptr ? reason : "unknown error";
  ERR_clear_error();
  return text;
}

void TlsSettings::Free::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

SSL_CTX* TlsSettings::find(std::string name) const {
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  auto found = by_name.find(name);
  // A wildcard stands for one label (RFC 6125 §6.4.3).
  if (found == by_name.end() && name.find('.') != name.npos) {
    found = by_name.find("*" + name.substr(name.find('.')));
  }
  return found == by_name.end() ? nullptr : found->second;
}

void TlsContext::Free::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

Result<TlsContext> TlsContext::server(const std::string& certificate_file,
                                      const std::string& key_file, std::vector<std::string> alpn) {
  ERR_clear_error();
  TlsContext result;
  auto settings = std::make_unique<TlsSettings>(
      TlsSettings{.server = true, .alpn = std::move(alpn), .key_update = kKeyUpdate});
  TlsSettings* const shared = settings.get();
  SSL_CTX* const context = make_context(TLS_server_method(), std::move(settings));
  result.context_.reset(context);
  // A visitor whose processor has no AES says so by putting ChaCha20 first.
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_alpn_select_cb(context, choose_alpn, shared);
  if (auto used = use_certificate(context, certificate_file, key_file); !used) {
    return tl::unexpected(used.error());
  }
  const auto names = certificate_names(certificate_file);
  if (!names) return tl::unexpected(names.error());
  for (const std::string& name : *names) shared->by_name.emplace(name, nullptr);
  return result;
}

Result<void> TlsContext::add_certificate(const std::string& certificate_file,
                                         const std::string& key_file) {
  auto& settings =
      *static_cast<TlsSettings*>(SSL_CTX_get_ex_data(context_.get(), settings_index()));
  auto other = server(certificate_file, key_file, settings.alpn);
  if (!other) return tl::unexpected(other.error());
  const auto names = certificate_names(certificate_file);
  if (!names) return tl::unexpected(names.error());
  if (names->empty()) return fail(Code::KEY_FILE, certificate_file + ": bears no DNS name");
  SSL_CTX* const added = other->context_.release();
  settings.others.emplace_back(added);
  for (const std::string& name : *names) settings.by_name.emplace(name, added);
  SSL_CTX_set_tlsext_servername_callback(context_.get(), choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(context_.get(), &settings);
  return {};
}

Result<TlsContext> TlsContext::client(const Trust& trust, std::vector<std::string> alpn) {
  ERR_clear_error();
  const bool leat = std::find(alpn.begin(), alpn.end(), kAlpnLeat) != alpn.end();
  const std::string wire = alpn_wire(alpn);
  TlsContext result;
  auto settings = std::make_unique<TlsSettings>(TlsSettings{
      .server = false, .alpn = std::move(alpn), .pin = trust.pin, .key_update = kKeyUpdate});
  TlsSettings* const shared = settings.get();
  SSL_CTX* const context = make_context(TLS_client_method(), std::move(settings));
  result.context_.reset(context);
  if (leat) SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_alpn_protos(context, as_bytes(wire).data(), static_cast<unsigned>(wire.size()));
  SSL_CTX_set_verify(context, trust.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (trust.pin) {
    SSL_CTX_set_cert_verify_callback(context, verify_pin, shared);
  } else if (trust.ca_file) {
    if (const auto there = read_file(*trust.ca_file, Code::KEY_FILE); !there) {
      return tl::unexpected(there.error());
    }
    if (SSL_CTX_load_verify_file(context, trust.ca_file->c_str()) != 1) {
      return fail(Code::KEY_FILE, *trust.ca_file + ": " + openssl_error());
    }
  } else {
    SSL_CTX_set_default_verify_paths(context);
  }
  return result;
}

void TlsContext::set_key_update(std::uint64_t bytes) {
  static_cast<TlsSettings*>(SSL_CTX_get_ex_data(context_.get(), settings_index()))->key_update =
      bytes;
}

}  // namespace leat::net
