#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "net/ring.h"
#include "net/socket_transport.h"
#include "net/tls_internal.h"
#include "net/tls_records.h"

namespace leat::net {
namespace {

// Around the plaintext of one record: header, explicit nonce (TLS 1.2) or content type (1.3), tag.
constexpr std::size_t kRecordOverhead = 5 + 8 + 16;
// Kept free for what goes before a record (KeyUpdate) or behind the last one (alerts).
constexpr std::size_t kReserve = 128;

constexpr char kExporterLabel[] = "EXPORTER-leat-open";
constexpr std::size_t kExporterSize = 32;

class TlsTransport final : public SocketTransport, private Deferred {
 public:
  TlsTransport(Shard& shard, int fd, SSL_CTX* context, std::string name)
      : SocketTransport(shard, fd),
        context_(context),
        settings_(tls_settings(context)),
        name_(std::move(name)),
        received_(shard.rings()),
        unsent_(shard.rings()) {
    SSL_CTX_up_ref(context);
  }
  ~TlsTransport() override {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }

  bool established() const override { return established_; }
  IoResult read(MutableBytes into) override;
  bool readable() const override {
    return lost() || (established_ && (ended_ || Watched::readable() || pending()));
  }
  IoResult write(Bytes from) override;
  IoResult write_pieces(std::span<const Bytes> pieces) override;
  std::size_t write_room() const override;
  bool make_room() override {
    send_unsent(true);
    return write_room() > 0;
  }
  std::size_t unsent() const override { return unsent_.size(); }
  bool flush() override;
  void finish() override;
  void abort() override;
  bool leave() override;
  bool join(Shard& shard) override;

  bool secure() const override { return true; }
  std::string alpn() const override;
  std::string sni() const override;
  std::string channel_binding() const override;

 private:
  void on_ready() override;
  void on_deferred() override;

  // Nothing more can be read; where only sending has failed, what had come can.
  bool lost() const { return failed() && !mute_; }
  bool hello_arrived();
  bool start();
  void shake_hands();
  bool accept_peer();
  void take_over();
  bool receive_more();
  bool pending() const {
    return records_ ? records_->openable(received_) : !received_.empty() || SSL_pending(ssl_) > 0;
  }
  TlsRecords::Opened open(MutableBytes into, std::size_t& n);
  bool has_record_room() const;
  std::size_t seal(Bytes record);
  void send_unsent(bool more = false);
  void say_goodbye();
  void update_key();
  void fail_tls();
  Error handshake_error() const;

  static const BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* got);
  static int bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* put);
  static long bio_control(BIO* bio, int command, long number, void* pointer);

  SSL_CTX* const context_;
  const TlsSettings& settings_;
  const std::string name_;
  SSL* ssl_ = nullptr;
  std::unique_ptr<TrafficSecrets> secrets_;  // while hands are shaken
  std::optional<TlsRecords> records_;        // behind the handshake of leat/1, in place of ssl_
  struct {
    std::string alpn, sni, channel_binding;
  } told_;         // by libssl, before it went
  Ring received_;  // ciphertext on its way to libssl, and from it
  Ring unsent_;
  std::vector<std::uint8_t> part_;  // of a record, from who may be a stranger: in place of a ring
  std::uint64_t brought_ = 0;       // plaintext bytes that were read
  bool tell_failure_ = false;       // met where the owner does not see it
  std::uint64_t under_key_ = 0;     // plaintext bytes sent under the present key
  bool mute_ = false;               // a send has failed, and receiving has not yet
  bool established_ = false;
  bool ended_ = false;         // close_notify received
  bool finishing_ = false;     // finish() was called
  bool said_goodbye_ = false;  // close_notify is in the ring or sent
  bool shut_down_ = false;     // FIN sent
};

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

void TlsTransport::on_ready() {
  if (lost()) return;
  if (!established_) return shake_hands();
  send_unsent();
  notify();
}

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

void TlsTransport::fail_tls() {
  Error error;
  if (records_) {
    error = {Code::PROTOCOL, SSL_alert_desc_string_long(records_->fault())};
    if (records_->told_fault()) error.detail += ", says the other end";
    if (!said_goodbye_) records_->say_fault(unsent_);
  } else {
    error = established_ ? Error{Code::PROTOCOL, openssl_error()} : handshake_error();
  }
  send_unsent();  // the alert, as far as it goes
  mute_ = false;
  fail(error.code, "TLS: " + std::move(error.detail));
}

// --- received ---

// Refills the ring, of which nothing or part of a record is left, with one system call. False:
// nothing came, or the connection is cut.
bool TlsTransport::receive_more() {
  if (!Watched::readable()) return false;
  received_.write(std::exchange(part_, {}));
  const IoResult result = receive(received_.prepare());
  received_.committed(result.n);
  if (result.status == IoStatus::end || result.status == IoStatus::failed) mute_ = false;
  if (result.status == IoStatus::end) {
    fail(Code::CARRIER_CUT,
         established_ ? "closed without close_notify" : "closed during the TLS handshake");
  }
  return result.status == IoStatus::ok;
}

TlsRecords::Opened TlsTransport::open(MutableBytes into, std::size_t& n) {
  if (records_) return records_->open(received_, into, n);
  ERR_clear_error();
  if (SSL_read_ex(ssl_, into.data(), into.size(), &n) == 1) return TlsRecords::Opened::data;
  switch (SSL_get_error(ssl_, 0)) {
    case SSL_ERROR_WANT_READ:
      return TlsRecords::Opened::dry;
    case SSL_ERROR_ZERO_RETURN:
      return TlsRecords::Opened::end;
    default:
      return TlsRecords::Opened::fault;
  }
}

IoResult TlsTransport::read(MutableBytes into) {
  if (lost()) return {IoStatus::failed};
  if (!established_) return {IoStatus::would_block};
  if (ended_) return {IoStatus::end};
  std::size_t total = 0;
  while (total < into.size()) {
    std::size_t n = 0;
    const TlsRecords::Opened opened = open(into.subspan(total), n);
    if (opened == TlsRecords::Opened::data) {
      total += n;
      continue;
    }
    if (opened == TlsRecords::Opened::dry && receive_more()) continue;
    if (opened == TlsRecords::Opened::end) ended_ = true;
    if (opened == TlsRecords::Opened::fault) fail_tls();
    break;
  }
  brought_ += total;
  // A thousand that have said next to nothing (kHandshakes) shall not hold a ring each.
  if (records_ && !received_.empty() && !pending() && brought_ < limits::kRing) {
    const Bytes part = received_.front();
    part_.assign(part.begin(), part.end());
    received_.clear();
  }
  // What came before an end or a failure is handed over first; the next call tells of it.
  if (total > 0) return {IoStatus::ok, total};
  if (lost()) return {IoStatus::failed};
  return {ended_ ? IoStatus::end : IoStatus::would_block};
}

// --- sent ---

bool TlsTransport::has_record_room() const {
  return unsent_.room() >= limits::kTlsRecord + kRecordOverhead + kReserve;
}

std::size_t TlsTransport::write_room() const {
  if (!established_ || failed() || finishing_ || !has_record_room()) return 0;
  const std::size_t records = (unsent_.room() - kReserve) / (limits::kTlsRecord + kRecordOverhead);
  return records * limits::kTlsRecord;
}

IoResult TlsTransport::write(Bytes from) {
  if (failed()) return {IoStatus::failed};
  if (!established_) return {IoStatus::would_block};
  assert(!finishing_ || from.empty());
  std::size_t total = 0;
  while (total < from.size()) {
    if (!has_record_room()) send_unsent(true);
    if (failed() || !has_record_room()) break;
    if (under_key_ >= settings_.key_update || (records_ && records_->key_update_is_due())) {
      update_key();
    }
    const Bytes record = from.subspan(total, std::min(from.size() - total, limits::kTlsRecord));
    const std::size_t n = seal(record);
    if (n == 0) {
      fail_tls();
      break;
    }
    total += n;
    under_key_ += n;
  }
  if (!unsent_.empty()) shard_->defer(*this);
  if (total > 0) return {IoStatus::ok, total};
  return {failed() ? IoStatus::failed : IoStatus::would_block};
}

// A record never joins two pieces, and the ring sends them together.
IoResult TlsTransport::write_pieces(std::span<const Bytes> pieces) {
  std::size_t total = 0;
  for (const Bytes piece : pieces) {
    const IoResult result = write(piece);
    total += result.n;
    if (result.status == IoStatus::ok && result.n == piece.size()) continue;
    if (total == 0) return result;
    break;
  }
  return {IoStatus::ok, total};
}

// How much of it: all, or as much as a peer takes in one record. 0: a failure.
std::size_t TlsTransport::seal(Bytes record) {
  if (records_) {
    records_->seal(unsent_, record);
    return record.size();
  }
  ERR_clear_error();
  std::size_t n = 0;
  return SSL_write_ex(ssl_, record.data(), record.size(), &n) == 1 ? n : 0;
}

// The peer changes its own keys for what it sends. TLS 1.2 has no such thing.
void TlsTransport::update_key() {
  under_key_ = 0;
  if (records_) return records_->update_key(unsent_);
  if (SSL_version(ssl_) >= TLS1_3_VERSION) SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED);
}

void TlsTransport::send_unsent(bool more) {
  std::array<iovec, 2> pieces;
  while (!unsent_.empty() && writable()) {
    const IoResult result = send(std::span(pieces).first(unsent_.pieces(pieces)), more);
    if (result.status == IoStatus::failed) {
      // Whoever asked may not have been the owner, or not ask again. A peer that resets has often
      // answered before.
      mute_ = established_;
      tell_failure_ = true;
      shard_->defer(*this);
      return unsent_.clear();
    }
    unsent_.consume(result.n);
  }
  if (!more) push();
  if (said_goodbye_ && unsent_.empty() && !std::exchange(shut_down_, true)) shut_down();
}

bool TlsTransport::flush() {
  if (failed()) return true;
  send_unsent();
  return !failed() && unsent_.empty();
}

// Nothing stays in the ring because somebody forgot it there.
void TlsTransport::on_deferred() {
  if (!failed()) send_unsent();
  if (std::exchange(tell_failure_, false)) notify();
}

void TlsTransport::finish() {
  if (std::exchange(finishing_, true) || !established_ || failed()) return;
  say_goodbye();
  flush();
}

void TlsTransport::say_goodbye() {
  if (records_) {  // kReserve is its room
    records_->say_close_notify(unsent_);
  } else {
    ERR_clear_error();
    SSL_shutdown(ssl_);
  }
  said_goodbye_ = true;
}

void TlsTransport::abort() {
  unsent_.clear();
  received_.clear();
  part_ = std::vector<std::uint8_t>();
  mute_ = false;
  SocketTransport::abort();
}

// --- from one shard to another ---

bool TlsTransport::leave() {
  push();
  Shard::cancel(*this);
  received_.leave();
  unsent_.leave();
  return SocketTransport::leave();
}

bool TlsTransport::join(Shard& shard) {
  received_.join(shard.rings());
  unsent_.join(shard.rings());
  if (!SocketTransport::join(shard)) return false;
  if (!unsent_.empty() || tell_failure_) shard.defer(*this);
  return true;
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

}  // namespace

std::unique_ptr<Transport> make_tls_transport(Shard& shard, int fd, const TlsContext& context,
                                              const std::string& name) {
  auto transport = std::make_unique<TlsTransport>(shard, fd, context.get(), name);
  if (!transport->watch()) return nullptr;
  return transport;
}

}  // namespace leat::net
