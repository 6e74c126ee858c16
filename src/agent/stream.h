// A stream the relay opened, from the agent's side: what serves it, and what that asks of the
// connection the stream came on. One object serves a stream at a time; StreamIntake reads the
// preamble and hands the stream on to a Pipe, an HttpExchange or a Refusal.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "mux/session.h"
#include "net/session_driver.h"

namespace leat::http {
struct Request;
}

namespace leat::agent {

struct Egress;
class SealedGate;
class Stream;

class StreamHost {
 public:
  virtual net::SessionDriver& driver() = 0;
  // By the id the relay knows the tunnel under; null: none of ours.
  virtual Egress* find(std::string_view tunnel) = 0;
  // Whether the host is a sealed session, in which streams speak to services …
  virtual bool sealed() const { return false; }
  // … and, where it is not, who takes the pipes of such sessions; null: nobody.
  virtual SealedGate* gate() { return nullptr; }
  // A request for `egress`, before anything is done with it: a sealed one has no relay in front of
  // it that would have made it harmless. A code refuses it; `request_id` may be set.
  virtual std::optional<Code> admit(const Egress& egress, http::Request& request,
                                    std::string& request_id) {
    static_cast<void>(egress), static_cast<void>(request), static_cast<void>(request_id);
    return std::nullopt;
  }
  // `stream` has ended or been reset and is destroyed after the batch.
  virtual void retire(Stream& stream) = 0;
  // `from` has detached and is destroyed after the batch; `to` starts.
  virtual void replace(Stream& from, std::unique_ptr<Stream> to) = 0;

 protected:
  ~StreamHost() = default;
};

class Stream {
 public:
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Attaches to the stream; may be called back from inside.
  virtual void start() = 0;
  // The session may still owe the peer this stream's FIN when the stream has nothing left to do: it
  // is to tell nobody who is gone.
  void detach() { mux().detach(handle_); }

 protected:
  Stream(StreamHost& host, mux::StreamHandle handle) : host_(host), handle_(handle) {}

  mux::Session& mux() { return host_.driver().mux(); }
  net::Shard& shard() { return host_.driver().shard(); }

  StreamHost& host_;
  const mux::StreamHandle handle_;

 private:
  friend class StreamTable;
  std::size_t index_ = 0;
};

}  // namespace leat::agent
