// Sees that another process has written a small file: by number, time and size, for write_file()
// makes a new file each time. Made to be asked a few times a second.
#pragma once

#include <string>
#include <utility>

namespace leat {

class FileWatch {
 public:
  explicit FileWatch(std::string path) : path_(std::move(path)) {}
  // Whether it is another than at the last call, or the first; none is one, too.
  bool changed();

 private:
  const std::string path_;
  std::string seen_;
};

}  // namespace leat
