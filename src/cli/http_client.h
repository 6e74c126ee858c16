// One HTTP request over the relay's own network parts, its answer handed on as it arrives: a
// visitor's, or one to the admin API.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/error.h"
#include "base/limits.h"
#include "cli/dechunk.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::cli {

class HttpClient final : private net::TransportOwner {
 public:
  struct Request {
    HostPort address;
    std::string host;  // SNI and Host
    std::string method;
    std::string target;
    std::string body = {};                   // JSON; empty: none
    std::string fields = {};                 // each line ending in CRLF
    Duration patience = limits::kFirstByte;  // with an answer that stands still
  };
  // Content of the answer, chunk framing taken off; the status comes with each call.
  using OnContent = std::function<void(int status, std::string_view content)>;
  // The status, once the answer is complete; or why it is not. Called once, from the shard; the
  // client may be destroyed from here through Shard::dispose.
  using OnDone = std::function<void(Result<int>)>;

  // `tls` outlives the client; null: plain.
  HttpClient(net::Shard& shard, const net::TlsContext* tls, Request request, OnContent on_content,
             OnDone on_done);
  ~HttpClient();

 private:
  void connected(Result<net::Fd> fd);
  void on_transport() override;
  void send_request();
  bool read_head();  // true: go on
  void read_content();
  void done(Result<int> result);
  void fail_cut(const char* when);

  net::Shard& shard_;
  const net::TlsContext* const tls_;
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
