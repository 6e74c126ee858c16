// Brings what a database's write-ahead log has gathered into the database, on a thread of its own:
// SQLite would do it within some commit, and there wait for the disk twice. For the .cc files of
// this folder.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "store/sqlite.h"

namespace leat::store {

class Checkpointer {
 public:
  // `watched`: whose commits from now on wait for no checkpoint; outlives this.
  static Result<std::unique_ptr<Checkpointer>> start(const std::string& path, Database& watched);
  ~Checkpointer();

 private:
  Checkpointer(Database own, Database& watched);
  void run();
  Result<void> checkpoint();

  Database own_, &watched_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool due_ = false, closing_ = false;
  std::thread thread_;
};

}  // namespace leat::store
