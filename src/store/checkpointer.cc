#include "store/checkpointer.h"

#include <chrono>
#include <utility>

namespace leat::store {
namespace {

constexpr int kPages = 1000;  // of the log, from which on it is due: what SQLite takes by default
// Where the disk refuses, it is asked once a second.
constexpr auto kAgain = std::chrono::seconds(1);

}  // namespace

Result<std::unique_ptr<Checkpointer>> Checkpointer::start(const std::string& path,
                                                          Database& watched) {
  auto own = Database::open(path);
  if (!own) return tl::unexpected(own.error());
  if (auto set = own->run("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL"); !set) {
    return tl::unexpected(set.error());
  }
  return std::unique_ptr<Checkpointer>(new Checkpointer(std::move(*own), watched));
}

Checkpointer::Checkpointer(Database own, Database& watched)
    : own_(std::move(own)), watched_(watched), thread_([this] { run(); }) {
  watched_.on_commit([this](int pages) {
    if (pages < kPages) return;
    {
      const std::lock_guard lock(mutex_);
      due_ = true;
    }
    wake_.notify_one();
  });
}

Checkpointer::~Checkpointer() {
  watched_.on_commit(nullptr);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Checkpointer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return due_ || closing_; });
    if (closing_) return;
    due_ = false;
    lock.unlock();
    const Result<void> done = checkpoint();
    lock.lock();
    if (!done) wake_.wait_for(lock, kAgain, [&] { return closing_; });
  }
}

// PASSIVE waits for no reader or writer and holds up none. Where nothing is left, the next commit
// begins the log anew, and syncs its header: that commit is made here too. If others have come
// meanwhile it is one more of them, and the next time does it.
Result<void> Checkpointer::checkpoint() {
  const auto left = own_.checkpoint();
  if (!left) return tl::unexpected(left.error());
  if (*left != 0) return {};
  const auto version = own_.number("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  const std::string same = "PRAGMA user_version = " + std::to_string(*version);
  return own_.run(same.c_str());
}

}  // namespace leat::store
