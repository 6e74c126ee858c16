// TLS on one socket: how hands are shaken (tls_handshake.cc), and what follows (tls_transport.cc).
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/ring.h"
#include "net/socket_transport.h"
#include "net/tls_internal.h"
#include "net/tls_records.h"

namespace leat::net {

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

}  // namespace leat::net
