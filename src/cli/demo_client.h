// One HTTPS request as a visitor of the relay sends it, over the relay's own network parts, its
// answer handed on as it arrives.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/error.h"
#include "cli/dechunk.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::cli {

class DemoClient final : private net::TransportOwner {
 public:
  struct Request {
    HostPort relay;
    std::string host;  // SNI and Host
    std::string method;
    std::string target;
    std::string body;  // JSON; empty: none
  };
  // Content of the answer, chunk framing taken off; the status comes with each call.
  using OnContent = std::function<void(int status, std::string_view content)>;
  // The status, once the answer is complete; or why it is not. Called once, from the shard; the
  // client may be destroyed from here through Shard::dispose.
  using OnDone = std::function<void(Result<int>)>;

  // `tls` outlives the client.
  DemoClient(net::Shard& shard, const net::TlsContext& tls, Request request, OnContent on_content,
             OnDone on_done);
  ~DemoClient();

 private:
  void connected(Result<net::Fd> fd);
  void on_transport() override;
  void send_request();
  bool read_head();  // true: go on
  void read_content();
  void done(Result<int> result);
  void fail_cut(const char* when);

  net::Shard& shard_;
  const net::TlsContext& tls_;
  Request request_;
  OnContent on_content_;
  OnDone on_done_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  Dechunker dechunker_;
  bool sent_ = false;
  int status_ = 0;  // 0: no head yet
  net::Timer patience_;
};

}  // namespace leat::cli
