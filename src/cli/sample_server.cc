#include "cli/sample_server.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/sample_connection.h"
#include "net/tls.h"

namespace leat::cli {

Result<std::unique_ptr<SampleServer>> SampleServer::start(net::Shard& shard,
                                                          const Options& options) {
  std::unique_ptr<SampleServer> server(new SampleServer(shard, options));
  auto listener = net::Listener::open(
      shard, options.listen, [self = server.get()](net::Fd fd) { self->accept(std::move(fd)); });
  if (!listener) return tl::unexpected(listener.error());
  server->listener_ = std::move(*listener);
  return server;
}

SampleServer::SampleServer(net::Shard& shard, const Options& options)
    : shard_(shard), options_(options) {}

SampleServer::~SampleServer() = default;

std::size_t SampleServer::waiting() const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const auto& entry) { return entry.second->waiting(); }));
}

void SampleServer::accept(net::Fd fd) {
  auto transport = net::make_plain_transport(shard_, fd.release());
  if (!transport) return;
  auto connection = std::make_unique<Connection>(*this, std::move(transport));
  Connection* const key = connection.get();
  connections_.emplace(key, std::move(connection));
}

void SampleServer::drop(Connection& connection) {
  auto node = connections_.extract(&connection);
  if (node.empty()) return;
  if (connection.generating()) --generating_;
  shard_.dispose(std::move(node.mapped()));
  if (drained_ && connections_.empty()) std::exchange(drained_, nullptr)();
}

void SampleServer::drain(std::function<void()> done) {
  listener_.reset();
  if (connections_.empty()) return done();
  drained_ = std::move(done);
  std::vector<Connection*> open;
  for (const auto& [key, connection] : connections_) open.push_back(key);
  for (Connection* connection : open) connection->drain();
}

}  // namespace leat::cli
