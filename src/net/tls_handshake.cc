// What libssl does: the handshake through the rings, and what it says of the connection.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <memory>
#include <string>
#include <utility>

#include "base/limits.h"
#include "net/tls_transport_impl.h"

namespace leat::net {
namespace {

constexpr char kExporterLabel[] = "EXPORTER-leat-open";
constexpr std::size_t kExporterSize = 32;

}  // namespace

// --- between libssl and the rings ---

int TlsTransport::bio_read(BIO* bio, char* into, std::size_t size, std::size_t* got) {
  auto* const self = static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *got = self->received_.read({reinterpret_cast<std::uint8_t*>(into), size});
  if (*got > 0) return 1;
  BIO_set_retry_read(bio);
  return 0;
}

int TlsTransport::bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* put) {
  auto* const self = static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *put = self->unsent_.write({reinterpret_cast<const std::uint8_t*>(from), size});
  if (*put > 0) return 1;
  BIO_set_retry_write(bio);
  return 0;
}

long TlsTransport::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* TlsTransport::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "leat rings");
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

// --- handshake ---

// Looks without taking: until the first record is whole, a slow or silent peer costs a socket and
// no more. True also for what cannot become a ClientHello; libssl finds the words for it.
bool TlsTransport::hello_arrived() {
  constexpr std::uint8_t kHandshake = 22;
  if (hung_up()) return true;
  std::array<std::uint8_t, 5> header;
  const ssize_t n = ::recv(fd(), header.data(), header.size(), MSG_PEEK);
  if (n > 0 && header[0] != kHandshake) return true;
  if (n == static_cast<ssize_t>(header.size())) {
    const std::size_t record = header.size() + load_be16(&header[3]);
    int available = 0;
    ::ioctl(fd(), FIONREAD, &available);
    if (record > limits::kTlsRecord || static_cast<std::size_t>(available) >= record) return true;
  }
  clear_readable();  // more brings another edge
  return false;
}

bool TlsTransport::start() {
  ssl_ = SSL_new(context_);
  if (ssl_ == nullptr) return false;
  BIO* const bio = BIO_new(bio_method());
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  const auto& ours = settings_.alpn;
  if (std::find(ours.begin(), ours.end(), kAlpnLeat) != ours.end()) {
    secrets_ = std::make_unique<TrafficSecrets>();
    SSL_set_app_data(ssl_, secrets_.get());  // for keep_traffic_secret
  }
  if (settings_.server) {
    SSL_set_accept_state(ssl_);
    return true;
  }
  SSL_set_connect_state(ssl_);
  assert(settings_.pin || !name_.empty());
  X509_VERIFY_PARAM* const verify = SSL_get0_param(ssl_);
  // RFC 6066 §3: literal addresses are not sent as server names.
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, name_.c_str()) == 1) return true;
  X509_VERIFY_PARAM_set1_host(verify, name_.data(), name_.size());
  return name_.empty() || SSL_set_tlsext_host_name(ssl_, name_.c_str()) == 1;
}

void TlsTransport::shake_hands() {
  if (ssl_ == nullptr) {
    if (settings_.server && !hello_arrived()) return;
    if (!start()) {
      fail(Code::INTERNAL, "TLS could not be set up: " + openssl_error());
      return notify();
    }
  }
  ERR_clear_error();
  for (;;) {
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) break;
    const int want = SSL_get_error(ssl_, result);
    if (want == SSL_ERROR_WANT_READ) {
      send_unsent();
      if (!failed() && receive_more()) continue;
    } else if (want == SSL_ERROR_WANT_WRITE) {
      send_unsent();
      if (!failed() && writable()) continue;
    } else {
      fail_tls();
    }
    if (failed()) notify();
    return;
  }
  established_ = true;
  if (accept_peer()) {
    take_over();
    if (finishing_) say_goodbye();
    send_unsent();
  }
  notify();
}

// Whoever asks for leat/1 alone must get it.
bool TlsTransport::accept_peer() {
  if (settings_.server || settings_.alpn.size() != 1 || settings_.alpn[0] != kAlpnLeat ||
      alpn() == kAlpnLeat) {
    return true;
  }
  established_ = false;
  fail(Code::ALPN_REFUSED, "the other end chose no protocol");
  return false;
}

// libssl's part is over. Not where a peer has asked for shorter records (RFC 6066 §4), which no
// leat does.
void TlsTransport::take_over() {
  SSL_set_app_data(ssl_, nullptr);
  const auto secrets = std::move(secrets_);
  if (!secrets || secrets->client.size == 0 || secrets->server.size == 0) return;
  if (SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl_)) != 0) return;
  records_.emplace(SSL_get_current_cipher(ssl_), *secrets, settings_.server);
  told_ = {.alpn = alpn(), .sni = sni(), .channel_binding = channel_binding()};
  SSL_free(ssl_);
  ssl_ = nullptr;
}

Error TlsTransport::handshake_error() const {
  const unsigned long error = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(error);
  const long verdict = SSL_get_verify_result(ssl_);
  if (!settings_.server && verdict != X509_V_OK) {
    if (settings_.pin) return {Code::PIN_MISMATCH, "another key than the pinned one"};
    return {Code::CERTIFICATE_REFUSED, X509_verify_cert_error_string(verdict)};
  }
  const bool other_protocol =
      reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL ||
      reason == SSL_R_NO_APPLICATION_PROTOCOL || reason == SSL_R_WRONG_VERSION_NUMBER ||
      reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION;
  return {!settings_.server && other_protocol ? Code::ALPN_REFUSED : Code::PROTOCOL,
          openssl_error()};
}

// --- about the connection ---

std::string TlsTransport::alpn() const {
  if (ssl_ == nullptr) return told_.alpn;
  const unsigned char* chosen = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &chosen, &size);
  return std::string(as_chars(Bytes(chosen, size)));
}

std::string TlsTransport::sni() const {
  if (!settings_.server) return name_;
  if (ssl_ == nullptr) return told_.sni;
  const char* const name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? std::string() : std::string(name);
}

std::string TlsTransport::channel_binding() const {
  if (records_ && ssl_ == nullptr) return told_.channel_binding;
  if (!established_ || SSL_version(ssl_) < TLS1_3_VERSION) return {};
  std::array<std::uint8_t, kExporterSize> binding;
  if (SSL_export_keying_material(ssl_, binding.data(), binding.size(), kExporterLabel,
                                 sizeof kExporterLabel - 1, nullptr, 0, 0) != 1) {
    return {};
  }
  return std::string(as_chars(binding));
}

}  // namespace leat::net
