// The sample server: a small HTTP/1.1 server on the relay's own parts that speaks the APIs of
// cli/sample_api.h at a steady token pace. It is what `leat demo` and the end-to-end tests put
// behind the agent where no model is at hand.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/address.h"
#include "base/error.h"
#include "base/limits.h"
#include "net/shard.h"
#include "net/socket.h"

namespace leat::cli {

inline constexpr std::size_t kSampleBody = 4 * limits::MiB;  // bytes of a request's body; else 413

class SampleServer {
 public:
  struct Options {
    HostPort listen;
    double tokens_per_second = 20;  // above 0
    unsigned tokens = 0;            // of an answer the request does not limit; 0: the text once
  };
  static Result<std::unique_ptr<SampleServer>> start(net::Shard& shard, const Options& options);
  ~SampleServer();

  HostPort address() const { return listener_->address(); }
  std::size_t connections() const { return connections_.size(); }
  std::size_t generating() const { return generating_; }  // answers in the making
  std::size_t waiting() const;  // those of them whose client reads more slowly than they are made

  // Accepts no more, closes idle connections, lets the others end their answer. `done` is called
  // once, when the last has gone.
  void drain(std::function<void()> done);

 private:
  class Connection;
  SampleServer(net::Shard& shard, const Options& options);
  void accept(net::Fd fd);
  void drop(Connection& connection);

  net::Shard& shard_;
  Options options_;
  std::unique_ptr<net::Listener> listener_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::size_t generating_ = 0;
  std::function<void()> drained_;  // set: draining
};

}  // namespace leat::cli
