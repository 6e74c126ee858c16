#include <algorithm>
#include <array>
#include <memory>

#include "base/limits.h"
#include "net/socket_transport.h"
#include "net/tls.h"

namespace leat::net {
namespace {

// From so many bytes on a write is taken for bulk: more is likely to follow in this batch. A token
// or a head leaves at once.
constexpr std::size_t kBulk = 4 * limits::KiB;

constexpr std::size_t kPieces = 16;  // in one system call

class PlainTransport final : public SocketTransport, private Deferred {
 public:
  using SocketTransport::SocketTransport;
  ~PlainTransport() override {
    // Without TLS only a reset tells a cut from an end.
    if (!finished_) reset_on_close();
  }

  bool established() const override { return true; }
  bool readable() const override { return Watched::readable() || receive_failed_; }
  std::size_t write_room() const override { return writable() ? limits::kRing : 0; }
  bool flush() override {
    push();
    return true;
  }

  IoResult read(MutableBytes into) override {
    if (receive_failed_) return {IoStatus::failed};
    std::size_t total = 0;
    while (total < into.size() && Watched::readable()) {
      const IoResult result = receive(into.subspan(total));
      if (result.status == IoStatus::ok) {
        total += result.n;
        continue;
      }
      receive_failed_ = result.status == IoStatus::failed;
      // What came before an end or a failure is handed over first; the next call meets it again.
      if (total == 0) return result;
      break;
    }
    if (total == 0) return {IoStatus::would_block};
    return {IoStatus::ok, total};
  }

  IoResult write(Bytes from) override { return write_pieces({&from, 1}); }

  IoResult write_pieces(std::span<const Bytes> from) override {
    if (failed()) return {IoStatus::failed};
    std::array<iovec, kPieces> pieces;
    std::size_t count = 0, size = 0;
    for (const Bytes piece : from.first(std::min(from.size(), kPieces))) {
      pieces[count++] = {const_cast<std::uint8_t*>(piece.data()), piece.size()};
      size += piece.size();
    }
    if (size == 0 || !writable()) return {IoStatus::would_block};
    const IoResult result = send(std::span(pieces).first(count), size >= kBulk);
    // What was taken in part has met a full socket: there is no second call to be made.
    if (result.status == IoStatus::ok && size >= kBulk) shard_->defer(*this);
    return result;
  }

  bool leave() override {
    push();
    Shard::cancel(*this);
    return SocketTransport::leave();
  }

  void finish() override {
    if (finished_ || fd() < 0) return;
    finished_ = true;
    shut_down();
  }

  void abort() override {
    receive_failed_ = true;
    SocketTransport::abort();
  }

 private:
  void on_ready() override { notify(); }
  void on_deferred() override { push(); }

  bool receive_failed_ = false;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_plain_transport(Shard& shard, int fd) {
  auto transport = std::make_unique<PlainTransport>(shard, fd);
  if (!transport->watch()) return nullptr;
  return transport;
}

}  // namespace leat::net
