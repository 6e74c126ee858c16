// The sealed carrier (docs/protocol.md §7.3): the records of a crypto::Channel over any ordered
// byte pipe, as a net::Transport, so that a session runs over it as over TLS. The pipe belongs to
// an enemy: whatever does not open ends both directions as a failure, and an end is an end only if
// it was sealed.
//
//   written: the session's record is copied once, into the sealed one (where TLS would copy too)
//   read:    pipe into a buffer, decrypted where it lies, copied to the reader
//
// Rekeys by itself, by count, bytes and hour. Nothing is allocated per record.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "crypto/channel.h"
#include "net/shard.h"
#include "net/transport.h"
#include "sealed/opening.h"

namespace leat::sealed {

class SealedTransport final : public net::Transport,
                              private net::TransportOwner,
                              private net::Deferred {
 public:
  // How much each record, the last one and rekeys too, is filled up with zeros, for those who watch
  // sizes: to a power of two of at least 256, or to all that a record carries.
  enum class Padding : std::uint8_t { none, power_of_two };

  // `pipe` has brought the handshake; `surplus`, at most kSurplus bytes, came behind it.
  SealedTransport(net::Shard& shard, std::unique_ptr<net::Transport> pipe, crypto::Channel channel,
                  Bytes surplus, Padding padding = Padding::none);
  ~SealedTransport() override { pipe_->set_owner(nullptr); }

  static constexpr std::size_t kSurplus = crypto::kMaxRecord;

  // confirmed() and peer() of it say who is there.
  const crypto::Channel& channel() const { return channel_; }
  // Client: the agent's answer to open_chunk() (opening.h) is taken off what is received, and
  // `done` called when it has come, from inside read(). Another answer is the failure of the
  // transport.
  void expect_opened(std::function<void()> done);
  // Seals up to a record, whether there is room for it or not: for the few bytes a session begins
  // with. Before the first write().
  void write_first(Bytes content);

  bool established() const override { return true; }
  net::IoResult read(MutableBytes into) override;
  bool readable() const override {
    return failed_ || ended_ || !content_.empty() || begin_ < end_ || pipe_->readable();
  }
  net::IoResult write(Bytes from) override;
  // So that the record fits a data frame of the session outside.
  std::size_t best_write() const override {
    return limits::kMaxFrameNative - crypto::kRecordOverhead;
  }
  std::size_t write_room() const override {
    if (failed_ || finishing_ || !rest_.empty()) return 0;
    return pipe_->write_room() / limits::kMaxFrameNative * best_write();
  }
  bool make_room() override { return send_rest() && pipe_->make_room() && write_room() > 0; }
  bool flush() override;
  void finish() override;
  void abort() override;

  int fd() const override { return pipe_->fd(); }
  std::string peer() const override { return pipe_->peer(); }
  std::string peer_host() const override { return pipe_->peer_host(); }
  Error error() const override { return error_; }
  bool broken() const override { return pipe_->broken(); }
  const net::IoCounters& counters() const override { return pipe_->counters(); }
  bool secure() const override { return true; }

 private:
  void on_transport() override;
  void on_room() override;
  void on_deferred() override;

  net::IoStatus open_next();
  bool take_opened();
  bool seal(Bytes content);
  void put(Bytes records);
  bool send_rest();
  std::size_t padding(std::size_t content) const;
  void fail(Error why);
  void fail(crypto::Fault fault);

  net::Shard& shard_;
  const std::unique_ptr<net::Transport> pipe_;
  crypto::Channel channel_;
  const Padding padding_;
  // Received and not yet opened, from begin_ to end_; content_, not yet read, lies before it.
  std::array<std::uint8_t, 2 * crypto::kMaxRecord> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  Bytes content_;
  int idle_rekeys_ = 0;                 // one after the other
  int opened_now_ = 0;                  // records, since others had their turn
  std::optional<OpenedReader> opened_;  // until it has come
  std::function<void()> on_opened_;
  std::string rest_;  // of records, what the pipe has not taken
  bool finishing_ = false, shut_ = false;
  bool ended_ = false, failed_ = false;
  Error error_{Code::CARRIER_CUT, {}};
};

}  // namespace leat::sealed
