// The streams of one connection, each owned by it and taken out in constant time.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "agent/stream.h"
#include "net/shard.h"

namespace leat::agent {

class StreamTable {
 public:
  explicit StreamTable(net::Shard& shard) : shard_(shard) {}

  std::size_t size() const { return streams_.size(); }
  void add(std::unique_ptr<Stream> stream);
  // Both leave alone what has been taken out before (false); it is destroyed after the batch.
  bool remove(Stream& stream);
  void replace(Stream& from, std::unique_ptr<Stream> to);

 private:
  net::Shard& shard_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace leat::agent
