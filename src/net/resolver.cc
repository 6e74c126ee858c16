#include "net/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/limits.h"

namespace leat::net {
namespace {

struct Answer {
  std::vector<SocketAddress> addresses;
  std::string why;
};

Answer look_up(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error == EAI_SYSTEM) return {{}, std::generic_category().message(errno)};
  if (error != 0) return {{}, ::gai_strerror(error)};
  Answer answer;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    answer.addresses.push_back(SocketAddress::of(each->ai_addr, each->ai_addrlen));
  }
  ::freeaddrinfo(found);
  return answer;
}

// The questions of all shards, and the threads that answer them: one lookup of a name at a time, so
// that a dead name holds one thread however often it is asked for.
class Desk {
 public:
  // A shard outlives those who wait on it, who take themselves out under the lock: what is posted
  // under it has somewhere to go.
  struct Waiter {
    Shard* shard;
    const void* key;
    std::function<void(const Answer&)> tell;
  };

  void ask(const std::string& host, std::uint16_t port, const std::string& question,
           Waiter waiter) {
    const std::lock_guard lock(mutex_);
    const auto [found, first] = lookups_.try_emplace(question, Lookup{host, std::to_string(port)});
    found->second.waiters.push_back(std::move(waiter));
    if (!first) return;
    queue_.push_back(question);
    if (threads_ < limits::kLookups) start_thread();
  }

  void forget(const std::string& question, const void* key) {
    const std::lock_guard lock(mutex_);
    const auto found = lookups_.find(question);
    if (found == lookups_.end()) return;
    std::erase_if(found->second.waiters, [key](const Waiter& each) { return each.key == key; });
  }

 private:
  struct Lookup {
    std::string host, port;
    std::vector<Waiter> waiters = {};
  };

  void start_thread() {
    // Signals are for the threads that know what to do about them.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([this] { work(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {
      // Another thread, or the next question, comes to it; who waits has a deadline.
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!queue_.empty()) {
      const std::string question = std::move(queue_.front());
      queue_.pop_front();
      auto found = lookups_.find(question);
      if (!found->second.waiters.empty()) {
        const std::string host = found->second.host, port = found->second.port;
        lock.unlock();
        const Answer answer = look_up(host, port);
        lock.lock();
        found = lookups_.find(question);
        for (const Waiter& waiter : found->second.waiters) {
          waiter.shard->post([tell = waiter.tell, answer] { tell(answer); });
        }
      }
      lookups_.erase(found);
    }
    --threads_;
  }

  std::mutex mutex_;
  std::map<std::string, Lookup> lookups_;  // waiting or under way, by question
  std::deque<std::string> queue_;          // … waiting
  std::size_t threads_ = 0;
};

// Never destroyed: a thread may come back to it while the process ends.
Desk& desk() {
  static Desk* const made = new Desk;
  return *made;
}

}  // namespace

Resolver::~Resolver() { forget(); }

void Resolver::ask(Shard& shard, const std::string& host, std::uint16_t port) {
  question_ = HostPort{host, port}.text();
  self_ = std::make_shared<Resolver*>(this);
  desk().ask(host, port, question_,
             {&shard, self_.get(), [handle = std::weak_ptr(self_)](const Answer& answer) {
                const auto self = handle.lock();
                if (!self) return;
                Resolver& resolver = **self;
                resolver.self_.reset();
                resolver.on_resolved(answer.addresses, answer.why);
              }});
}

void Resolver::forget() {
  if (!self_) return;
  desk().forget(question_, self_.get());
  self_.reset();
}

}  // namespace leat::net
