// How many of something there are, in all and for each key (an address, a token): bounds that hold
// for the whole relay, whichever shard has whom. Any thread.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace leat::relay {

class Crowd {
 public:
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return size_;
  }
  std::size_t of(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = of_.find(key);
    return found == of_.end() ? 0 : found->second;
  }
  std::vector<std::string> keys() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> keys;
    for (const auto& [key, count] : of_) keys.push_back(key);
    return keys;
  }

 private:
  friend class Counted;
  void add(const std::string& key) {
    const std::lock_guard lock(mutex_);
    ++size_;
    if (!key.empty()) ++of_[key];
  }
  void remove(const std::string& key) {
    const std::lock_guard lock(mutex_);
    --size_;
    const auto found = of_.find(key);
    if (found != of_.end() && --found->second == 0) of_.erase(found);
  }

  mutable std::mutex mutex_;
  std::size_t size_ = 0;
  absl::flat_hash_map<std::string, std::size_t> of_;  // those that have none are not in it
};

// One of a crowd, as long as it lives; also on another shard than the one where it began.
class Counted {
 public:
  explicit Counted(Crowd& crowd, std::string key = {}) : crowd_(&crowd), key_(std::move(key)) {
    crowd_->add(key_);
  }
  Counted(Counted&& other) noexcept
      : crowd_(std::exchange(other.crowd_, nullptr)), key_(std::move(other.key_)) {}
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    if (crowd_ != nullptr) crowd_->remove(key_);
  }

 private:
  Crowd* crowd_;
  std::string key_;
};

}  // namespace leat::relay
