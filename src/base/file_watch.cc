#include "base/file_watch.h"

#include <sys/stat.h>

namespace leat {

bool FileWatch::changed() {
  struct stat file {};
  std::string now = "none";
  if (::stat(path_.c_str(), &file) == 0) {
    now = std::to_string(file.st_ino) + ' ' + std::to_string(file.st_mtim.tv_sec) + ' ' +
          std::to_string(file.st_mtim.tv_nsec) + ' ' + std::to_string(file.st_size);
  }
  return std::exchange(seen_, now) != now;
}

}  // namespace leat
