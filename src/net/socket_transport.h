// What plain and TLS transports share: the descriptor, single system calls on it with the sticky
// bits kept right, and the rule that a connection which broke once never ends cleanly.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <string>

#include "net/ring.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/transport.h"

namespace leat::net {

class SocketTransport : public Transport, protected Watched {
 public:
  SocketTransport(Shard& shard, int fd);
  ~SocketTransport() override;
  bool watch() { return shard_->watch(fd_.get(), *this); }

  void abort() override;
  bool leave() override;
  bool join(Shard& shard) override;
  bool broken() const override { return Watched::broken(); }
  int fd() const override { return fd_.get(); }
  std::string peer() const override;
  std::string peer_host() const override { return peer_.host; }
  void speak_for(const HostPort& visitor) override { peer_ = visitor; }
  Error error() const override { return error_; }

 protected:
  // recv once. `end` is a FIN.
  IoResult receive(MutableBytes into);
  // sendmsg once. With `more` the kernel keeps a last, incomplete segment back until the next send
  // or push(): what is bulk then leaves in whole segments, however it is cut into calls.
  IoResult send(std::span<const iovec> from, bool more);
  void push();
  void shut_down();  // FIN
  void reset_on_close();

  // The first failure stays.
  void fail(Code code, std::string detail);
  bool failed() const { return failed_; }
  void notify() {
    if (owner_ != nullptr) owner_->on_transport();
  }

  Shard* shard_;  // nullptr: between two

 private:
  void fail_with_errno();

  Fd fd_;
  HostPort peer_;
  bool held_back_ = false;  // the last send was one with `more`
  bool failed_ = false;
  Error error_{Code::CARRIER_CUT, {}};
};

}  // namespace leat::net
