#include "cli/metrics_server.h"

#include <map>
#include <utility>

#include "base/limits.h"
#include "net/http_io.h"
#include "net/tls.h"
#include "net/transport.h"

namespace leat::cli {
namespace {

constexpr std::size_t kConnections = 16;  // at once
constexpr auto kPatience = limits::kHeadTimeout;

// One request, one answer.
class Connection final : private net::TransportOwner {
 public:
  Connection(net::Shard& shard, std::unique_ptr<net::Transport> transport,
             const std::function<std::string()>& page, std::function<void(Connection&)> over)
      : transport_(std::move(transport)),
        page_(page),
        over_(std::move(over)),
        limit_(shard, [this] { over_(*this); }) {
    transport_->set_owner(this);
    limit_.arm_in(kPatience);
  }
  ~Connection() { transport_->set_owner(nullptr); }
  void start() { on_transport(); }

 private:
  void on_transport() override {
    if (!answered_ && !read()) return;
    if (writer_.failed()) return over_(*this);
    if (!writer_.flush(*transport_)) return;
    if (!std::exchange(finished_, true)) transport_->finish();
    // Until the other end has closed too, so that no unread byte makes a reset of the answer's end.
    if (reader_.peer_gone(*transport_)) over_(*this);
  }

  // True: there is an answer.
  bool read() {
    switch (reader_.read_head(*transport_)) {
      case net::HttpReader::Head::more:
        return false;
      case net::HttpReader::Head::end:
      case net::HttpReader::Head::failed:
        over_(*this);
        return false;
      case net::HttpReader::Head::bad:
        answer(400, "not valid HTTP/1.1\n");
        return true;
      case net::HttpReader::Head::done:
        break;
    }
    const auto request = reader_.head().take_request();
    if (!request) {
      answer(400, "not valid HTTP/1.1\n");
    } else if (request->target != "/metrics") {
      answer(404, "see /metrics\n");
    } else if (request->method != "GET") {
      answer(405, "use GET\n");
    } else {
      answer(200, page_());
    }
    return true;
  }

  void answer(int status, const std::string& body) {
    answered_ = true;
    std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
    text.append(http::reason_phrase(status)).append("\r\nConnection: close\r\n");
    if (status == 405) text += "Allow: GET\r\n";
    text += "Content-Type: text/plain; version=0.0.4\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body;
    writer_.write(*transport_, text);
  }

  std::unique_ptr<net::Transport> transport_;
  const std::function<std::string()>& page_;
  std::function<void(Connection&)> over_;
  net::Timer limit_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  bool answered_ = false, finished_ = false;
};

class Server final : public MetricsServer {
 public:
  Server(net::Shard& shard, std::function<std::string()> page)
      : shard_(shard), page_(std::move(page)) {}

  Result<void> listen(const HostPort& address) {
    auto opened =
        net::Listener::open(shard_, address, [this](net::Fd socket) { accept(std::move(socket)); });
    if (!opened) return tl::unexpected(opened.error());
    listener_ = std::move(*opened);
    return {};
  }
  HostPort address() const override { return listener_->address(); }

 private:
  void accept(net::Fd socket) {
    if (connections_.size() >= kConnections) return;
    auto transport = net::make_plain_transport(shard_, socket.release());
    if (!transport) return;
    auto made = std::make_unique<Connection>(shard_, std::move(transport), page_,
                                             [this](Connection& connection) {
                                               const auto found = connections_.find(&connection);
                                               if (found == connections_.end()) return;
                                               shard_.dispose(std::move(found->second));
                                               connections_.erase(found);
                                             });
    Connection& connection = *made;
    connections_.emplace(&connection, std::move(made));
    connection.start();
  }

  net::Shard& shard_;
  const std::function<std::string()> page_;
  std::map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(net::Shard& shard,
                                                            const HostPort& listen,
                                                            std::function<std::string()> page) {
  auto server = std::make_unique<Server>(shard, std::move(page));
  if (Result<void> listening = server->listen(listen); !listening) {
    return tl::unexpected(listening.error());
  }
  return server;
}

}  // namespace leat::cli
