#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/limits.h"
#include "net/tls_transport_impl.h"

namespace leat::net {
namespace {

// Around the plaintext of one record: header, explicit nonce (TLS 1.2) or content type (1.3), tag.
constexpr std::size_t kRecordOverhead = 5 + 8 + 16;
// Kept free for what goes before a record (KeyUpdate) or behind the last one (alerts).
constexpr std::size_t kReserve = 128;

}  // namespace

void TlsTransport::on_ready() {
  if (lost()) return;
  if (!established_) return shake_hands();
  send_unsent();
  notify();
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

std::unique_ptr<Transport> make_tls_transport(Shard& shard, int fd, const TlsContext& context,
                                              const std::string& name) {
  auto transport = std::make_unique<TlsTransport>(shard, fd, context.get(), name);
  if (!transport->watch()) return nullptr;
  return transport;
}

}  // namespace leat::net
