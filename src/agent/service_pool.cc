#include "agent/service_pool.h"

#include <algorithm>
#include <utility>

namespace leat::agent {
namespace {

// Between two messages a service has nothing to say: bytes are as good as an end.
bool stale(ServiceConnection& connection) {
  return connection.reader.peer_gone(*connection.transport) || connection.reader.has_held();
}

}  // namespace

void ServiceConnection::on_transport() {
  if (stale(*this)) pool_->drop(*this);
}

ServicePool::ServicePool(net::Shard& shard, Duration idle_time)
    : shard_(shard), idle_time_(idle_time), expiry_(shard, [this] { expire(); }) {
  idle_.reserve(limits::kServicePool);
}

// An end, not a reset: the service has done nothing wrong.
ServicePool::~ServicePool() {
  for (const auto& connection : idle_) connection->transport->finish();
}

std::unique_ptr<ServiceConnection> ServicePool::take() {
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    if (!stale(*connection)) {
      connection->reused = true;
      return connection;
    }
    close(std::move(connection));
  }
  return nullptr;
}

void ServicePool::put(std::unique_ptr<ServiceConnection> connection) {
  if (stale(*connection)) return close(std::move(connection));
  if (idle_.size() == limits::kServicePool) drop(*idle_.front());
  connection->pool_ = this;
  connection->idle_until_ = shard_.now() + idle_time_;
  connection->transport->set_owner(connection.get());
  idle_.push_back(std::move(connection));
  if (!expiry_.armed()) expiry_.arm(idle_.front()->idle_until_);
}

void ServicePool::drop(ServiceConnection& connection) {
  const auto at = std::ranges::find(idle_, &connection, [](const auto& p) { return p.get(); });
  auto found = std::move(*at);
  idle_.erase(at);
  close(std::move(found));
}

void ServicePool::close(std::unique_ptr<ServiceConnection> connection) {
  connection->transport->set_owner(nullptr);
  connection->transport->finish();
  shard_.dispose(std::move(connection));
}

void ServicePool::expire() {
  while (!idle_.empty() && idle_.front()->idle_until_ <= shard_.now()) drop(*idle_.front());
  if (!idle_.empty()) expiry_.arm(idle_.front()->idle_until_);
}

}  // namespace leat::agent
