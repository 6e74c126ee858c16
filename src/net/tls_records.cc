#include "net/tls_records.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/limits.h"
#include "net/tls.h"

namespace leat::net {
namespace {

// RFC 8446 §5.1 and §6.
constexpr std::uint8_t kAlert = 21, kHandshake = 22, kData = 23;
constexpr std::uint8_t kWarning = 1, kFatal = 2;
constexpr std::size_t kCiphertextMax = limits::kTlsRecord + 256;  // §5.2

// What is no larger is opened where it lies and copied: tokens, and all that is not data.
constexpr std::size_t kSmall = 1024;
// Of records in a row without data, each costs its sender less than us. As many as libssl takes.
constexpr int kWithoutDataMax = 32;

// What cannot fail with sound arguments and enough memory.
void must(int result) {
  if (result != 1) std::abort();
}

int length_of(Bytes data) { return static_cast<int>(data.size()); }

const EVP_CIPHER* cipher_of(const SSL_CIPHER* suite) {
  switch (SSL_CIPHER_get_protocol_id(suite)) {
    case 0x1301:
      return EVP_aes_128_gcm();
    case 0x1302:
      return EVP_aes_256_gcm();
    case 0x1303:
      return EVP_chacha20_poly1305();
    default:
      std::abort();  // tls_context.cc offers no other
  }
}

}  // namespace

TrafficSecrets::~TrafficSecrets() { OPENSSL_cleanse(this, sizeof *this); }

void keep_traffic_secret(const SSL* ssl, const char* line) {
  auto* const secrets = static_cast<TrafficSecrets*>(SSL_get_app_data(ssl));
  const unsigned char* alpn = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &size);
  if (secrets == nullptr || as_chars({alpn, size}) != kAlpnLeat) return;
  const bool client = std::string_view(line).starts_with("CLIENT_TRAFFIC_SECRET_0 ");
  if (!client && !std::string_view(line).starts_with("SERVER_TRAFFIC_SECRET_0 ")) return;
  TrafficSecrets::Secret& secret = client ? secrets->client : secrets->server;
  // Label, client_random, and last the secret, which is copied nowhere else.
  const int found = OPENSSL_hexstr2buf_ex(secret.bytes.data(), secret.bytes.size(), &secret.size,
                                          std::strrchr(line, ' ') + 1, '\0');
  if (found != 1) secret.size = 0;
}

// --- one direction ---

void RecordKey::Free::operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }

RecordKey::RecordKey(const SSL_CIPHER* suite, Bytes secret, bool sealing)
    : context_(EVP_CIPHER_CTX_new()),
      digest_(EVP_MD_get0_name(SSL_CIPHER_get_handshake_digest(suite))) {
  if (!context_) std::abort();
  assert(secret.size() <= kTrafficSecretMax);
  std::copy(secret.begin(), secret.end(), secret_.bytes.begin());
  secret_.size = secret.size();
  must(EVP_CipherInit_ex(context_.get(), cipher_of(suite), nullptr, nullptr, nullptr, sealing));
  set_key();
}

RecordKey::~RecordKey() {
  OPENSSL_cleanse(&secret_, sizeof secret_);
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

// HKDF-Expand-Label(secret, label, "", out.size()), §7.1.
void RecordKey::derive(const char* label, MutableBytes out) const {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "TLS13-KDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  if (context == nullptr) std::abort();
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  const auto octets = [](const char* name, Bytes value) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()),
                                             value.size());
  };
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(digest_), 0),
      octets(OSSL_KDF_PARAM_KEY, secret_.view()),
      octets(OSSL_KDF_PARAM_PREFIX, as_bytes("tls13 ")),
      octets(OSSL_KDF_PARAM_LABEL, as_bytes(label)),
      OSSL_PARAM_construct_end(),
  };
  must(EVP_KDF_derive(context, out.data(), out.size(), parameters));
  EVP_KDF_CTX_free(context);
}

void RecordKey::set_key() {
  std::array<std::uint8_t, EVP_MAX_KEY_LENGTH> key;
  const auto size = static_cast<std::size_t>(EVP_CIPHER_CTX_get_key_length(context_.get()));
  derive("key", MutableBytes(key).first(size));
  derive("iv", iv_);
  must(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, key.data(), nullptr, -1));
  OPENSSL_cleanse(key.data(), key.size());
  sequence_ = 0;
}

void RecordKey::replace() {
  TrafficSecrets::Secret next;
  derive("traffic upd", MutableBytes(next.bytes).first(secret_.size));
  secret_.bytes = next.bytes;
  OPENSSL_cleanse(&next, sizeof next);
  set_key();
}

void RecordKey::begin(Bytes header) {
  std::array<std::uint8_t, 12> nonce = iv_;
  std::array<std::uint8_t, 8> sequence;
  store_be64(sequence.data(), sequence_++);
  for (std::size_t i = 0; i < sequence.size(); ++i) nonce[4 + i] ^= sequence[i];
  must(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1));
  int done = 0;
  must(EVP_CipherUpdate(context_.get(), nullptr, &done, header.data(), length_of(header)));
}

void RecordKey::pass(Bytes in, std::uint8_t* out) {
  int done = 0;
  if (in.empty()) return;  // without an output it would be associated data
  must(EVP_CipherUpdate(context_.get(), out, &done, in.data(), length_of(in)));
}

void RecordKey::make_tag(MutableBytes tag) {
  int done = 0;
  must(EVP_CipherFinal_ex(context_.get(), tag.data(), &done));  // writes nothing, makes the tag
  must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, length_of(tag), tag.data()));
}

bool RecordKey::check_tag(Bytes tag) {
  std::array<std::uint8_t, TlsRecords::kTag> expected, rest;  // the latter stays empty
  std::copy(tag.begin(), tag.end(), expected.begin());
  must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, length_of(tag), expected.data()));
  int done = 0;
  return EVP_CipherFinal_ex(context_.get(), rest.data(), &done) == 1;
}

// --- both ---

TlsRecords::TlsRecords(const SSL_CIPHER* suite, const TrafficSecrets& secrets, bool server)
    : sealing_(suite, (server ? secrets.server : secrets.client).view(), true),
      opening_(suite, (server ? secrets.client : secrets.server).view(), false) {}

// --- sent ---

void TlsRecords::seal(Ring& out, Bytes data) { seal(out, kData, data); }

void TlsRecords::seal(Ring& out, std::uint8_t type, Bytes content) {
  assert(content.size() <= limits::kTlsRecord);
  assert(out.room() >= kHeader + content.size() + 1 + kTag);
  std::array<std::uint8_t, kHeader> header{kData, 3, 3};
  store_be16(&header[3], static_cast<std::uint16_t>(content.size() + 1 + kTag));
  sealing_.begin(header);
  out.write(header);
  for (const MutableBytes piece : out.ahead(content.size())) {
    sealing_.pass(content.first(piece.size()), piece.data());
    content = content.subspan(piece.size());
    out.committed(piece.size());
  }
  std::array<std::uint8_t, 1 + kTag> trailer{type};
  sealing_.pass(Bytes(trailer).first(1), trailer.data());
  sealing_.make_tag(MutableBytes(trailer).subspan(1));
  out.write(trailer);
}

void TlsRecords::update_key(Ring& out) {
  constexpr std::uint8_t message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, SSL_KEY_UPDATE_NOT_REQUESTED};
  seal(out, kHandshake, message);
  sealing_.replace();
  update_due_ = false;
}

void TlsRecords::say_alert(Ring& out, std::uint8_t level, std::uint8_t description) {
  const std::uint8_t alert[] = {level, description};
  seal(out, kAlert, alert);
}

void TlsRecords::say_close_notify(Ring& out) { say_alert(out, kWarning, SSL_AD_CLOSE_NOTIFY); }

void TlsRecords::say_fault(Ring& out) {
  if (!told_fault_) say_alert(out, kFatal, fault_);
}

// --- received ---

bool TlsRecords::openable(const Ring& in) const {
  if (opened_ > 0) return true;
  const Bytes held = in.front();
  if (held.size() < kHeader) return false;
  const std::size_t length = load_be16(&held[3]);
  return held.size() >= kHeader + length || length > kCiphertextMax;
}

TlsRecords::Opened TlsRecords::open(Ring& in, MutableBytes into, std::size_t& n) {
  while (opened_ == 0) {
    if (!openable(in)) return Opened::dry;
    const Opened opened = open_record(in, into, n);
    if (opened != Opened::data || n > 0) return opened;
  }
  n = std::min(into.size(), opened_);
  const Bytes data = in.front().first(n);
  std::copy(data.begin(), data.end(), into.begin());
  opened_ -= n;
  in.consume(n);
  if (opened_ == 0) in.consume(trailer_);
  return Opened::data;
}

// One whole record. `data` with n = 0: see opened_, or it had none.
TlsRecords::Opened TlsRecords::open_record(Ring& in, MutableBytes into, std::size_t& n) {
  n = 0;
  const Bytes header = in.front().first(kHeader);
  const std::size_t length = load_be16(&header[3]);
  if (length > kCiphertextMax) return refuse(SSL_AD_RECORD_OVERFLOW);
  if (header[0] != kData) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
  if (length < kTag) return refuse(SSL_AD_BAD_RECORD_MAC);
  const MutableBytes body = in.front().subspan(kHeader, length - kTag);
  // A text that is handed over as it is opened: `into` has its beginning, the ring what is left.
  const std::size_t straight = body.size() > kSmall ? std::min(into.size(), body.size()) : 0;
  opening_.begin(header);
  opening_.pass(body.first(straight), into.data());
  opening_.pass(body.subspan(straight), body.data() + straight);
  if (!opening_.check_tag(in.front().subspan(kHeader + body.size(), kTag))) {
    OPENSSL_cleanse(into.data(), straight);  // both hold what the forger wanted them to
    OPENSSL_cleanse(body.data(), body.size());
    return refuse(SSL_AD_BAD_RECORD_MAC);
  }
  // §5.4: behind the content its type, which is not 0, and zeros.
  const auto at = [&](std::size_t i) { return i < straight ? into[i] : body[i]; };
  std::size_t size = body.size();
  while (size > 0 && at(size - 1) == 0) --size;
  if (size-- == 0) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
  if (size > limits::kTlsRecord) return refuse(SSL_AD_RECORD_OVERFLOW);
  const std::uint8_t type = at(size);
  if (type == kData && size > 0) {
    without_data_ = 0;
    n = std::min(size, straight);
    opened_ = size - n;
    trailer_ = length - size;
    in.consume(kHeader + n);
    if (opened_ == 0) in.consume(trailer_);
    return Opened::data;
  }
  if (++without_data_ > kWithoutDataMax) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
  Opened opened = Opened::data;
  if (type != kData) {
    // What comes between two of leat is a few bytes.
    if (straight > 0) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
    if (type == kAlert) {
      opened = take_alert(body.first(size));
    } else if (type == kHandshake) {
      opened = take_handshake(body.first(size));
    } else {
      return refuse(SSL_AD_UNEXPECTED_MESSAGE);
    }
  }
  in.consume(kHeader + length);
  return opened;
}

// §6.
TlsRecords::Opened TlsRecords::take_alert(Bytes content) {
  if (content.size() != 2) return refuse(SSL_AD_DECODE_ERROR);
  if (content[1] == SSL_AD_CLOSE_NOTIFY) return Opened::end;
  if (content[1] == SSL_AD_USER_CANCELLED) return Opened::data;  // close_notify follows
  told_fault_ = true;
  return refuse(content[1]);
}

// Whole messages. A KeyUpdate ends its record (§5.1).
TlsRecords::Opened TlsRecords::take_handshake(Bytes content) {
  constexpr std::size_t kMessageHeader = 4;
  if (content.empty()) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
  while (!content.empty()) {
    if (content.size() < kMessageHeader) return refuse(SSL_AD_DECODE_ERROR);
    const std::uint8_t type = content[0];
    const std::size_t size = load_be32(content.data()) & 0xff'ffff;
    if (content.size() - kMessageHeader < size) return refuse(SSL_AD_DECODE_ERROR);
    const Bytes message = content.subspan(kMessageHeader, size);
    content = content.subspan(kMessageHeader + size);
    if (type == SSL3_MT_NEWSESSION_TICKET) continue;  // nobody resumes (docs/adr/0022)
    if (type != SSL3_MT_KEY_UPDATE) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
    if (!content.empty()) return refuse(SSL_AD_UNEXPECTED_MESSAGE);
    if (size != 1) return refuse(SSL_AD_DECODE_ERROR);
    if (message[0] > SSL_KEY_UPDATE_REQUESTED) return refuse(SSL_AD_ILLEGAL_PARAMETER);
    update_due_ = update_due_ || message[0] == SSL_KEY_UPDATE_REQUESTED;
    opening_.replace();
  }
  return Opened::data;
}

}  // namespace leat::net
