// A local HTTP/1.1 connection to a sealed http service: each request becomes a stream of the sealed
// session (docs/protocol.md §5, the client in the relay's place), one after the other.
//
//   head ──▶ reply ──▶ response head ─┬─▶ body ──▶ done ──▶ head (keep-alive), or over
//                                     └─▶ raw (101) ─────▶ over
//
// A local port is open to every page in a browser beside it, under any name whose owner lets it
// point here (DNS rebinding), and a service behind it can no longer tell, for the agent writes Host
// and Origin anew. So a name that somebody else could own is refused here.
//
// Before the first byte of an answer a failure is answered with its code; after it, only a cut
// connection tells the truth.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/wire.h"
#include "http/head.h"
#include "mux/endpoint.h"
#include "net/http_io.h"
#include "net/session_driver.h"
#include "net/shard.h"
#include "net/transport.h"

namespace leat::connect {

class LocalHttp final : private net::TransportOwner,
                        private net::Deferred,
                        private mux::Source,
                        private mux::Sink {
 public:
  class Owner {
   public:
    // Called once, never from inside start(); give it to Shard::dispose.
    virtual void on_http_end(LocalHttp& http) = 0;

   protected:
    ~Owner() = default;
  };

  // `listens_on`: the one name that requests may have in Host, beside localhost and addresses;
  // empty if no port is open. The driver outlives it.
  LocalHttp(net::SessionDriver& driver, std::unique_ptr<net::Transport> local, std::string service,
            std::string_view listens_on, Owner& owner);
  ~LocalHttp() override;
  void start() { driver_.shard().defer(*this); }

 private:
  enum class Phase : std::uint8_t { idle, reply, head, body, raw, done, closing, over };

  void on_transport() override;
  void on_deferred() override;
  void read_head();
  void open(http::Request request);

  // request
  mux::Produced produce(MutableBytes out) override;
  // response
  std::size_t deliver(Bytes data) override;
  std::size_t step(Bytes data);
  std::size_t read_reply(Bytes data);
  std::size_t read_response(Bytes data);
  void end() override;
  void reset(mux::ResetReason reason) override;

  bool running() const { return phase_ >= Phase::reply && phase_ <= Phase::done; }
  bool answered() const { return phase_ >= Phase::body; }
  void settle();
  void fail(Code code);
  void answer(Code code);
  void close();
  void over(bool abort);

  net::SessionDriver& driver_;
  const std::unique_ptr<net::Transport> local_;
  const std::string service_, listens_on_;
  Owner& owner_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  net::Timer linger_;
  Phase phase_ = Phase::idle;

  // of the exchange
  mux::StreamHandle stream_;
  std::string opening_;  // OpenStream and head, from sent_ on
  std::size_t sent_ = 0;
  std::string method_;
  int minor_ = 1;
  bool upgrade_ = false, keep_alive_ = true;
  bool request_done_ = false, stream_ended_ = false, finished_ = false;
  int interim_ = 0;
  std::optional<control::MessageReader> reply_;
  http::HeadReader head_;
};

}  // namespace leat::connect
