#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/crypto_util.h"

namespace leat {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<Error> fail_errno(Code code, const std::string& path) {
  return fail(code, path + ": " + std::generic_category().message(errno));
}

enum class Readers : bool { anyone, owner };

Result<Secret> read_all(const std::string& path, Readers readers, Code code) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status;
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return fail_errno(code, path);
  if (S_ISDIR(status.st_mode)) return fail(code, path + ": is a directory");
  if (readers == Readers::owner && S_ISREG(status.st_mode) && (status.st_mode & 077) != 0) {
    std::array<char, 8> mode;
    std::snprintf(mode.data(), mode.size(), "%04o", status.st_mode & 07777u);
    return fail(code, path + ": has mode " + mode.data() + ", expected 0600");
  }
  // Kept in one buffer, wiped on every way out: what is read may be a key.
  std::string data;
  data.reserve(kSmallFile + 1);
  data.resize(kSmallFile + 1);
  std::size_t size = 0;
  ssize_t got = 1;
  while (size < data.size() && got > 0) {
    got = ::read(file.get(), data.data() + size, data.size() - size);
    if (got > 0) size += static_cast<std::size_t>(got);
    if (got < 0 && errno == EINTR) got = 1;
  }
  const int reason = errno;
  data.resize(size);
  Secret out(std::move(data));
  if (got < 0) {
    errno = reason;
    return fail_errno(code, path);
  }
  if (size > kSmallFile) return fail(code, path + ": larger than 1 MiB");
  return out;
}

bool write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd, data.data(), data.size());
    if (put < 0 && errno != EINTR) return false;
    if (put > 0) data.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

// PATH.tmp, held for as long as the descriptor is, so that a process that was killed leaves one
// file behind and not one for each time; -1 while somebody else writes there.
int take_usual(const std::string& name, mode_t mode) {
  const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return -1;
  // What was opened may have become PATH itself before it was locked.
  struct stat held, named;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &held) == 0 &&
      ::lstat(name.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_nlink == 1 &&
      ::ftruncate(fd, 0) == 0) {
    return fd;
  }
  ::close(fd);
  return -1;
}

// Writes a complete file beside `path`, to be renamed by `finish` while nobody else may take its
// name.
template <typename Finish>
auto write_beside(const std::string& path, std::string_view data, mode_t mode, Code code,
                  Finish finish) -> decltype(finish(path)) {
  std::string name = path + ".tmp";
  int fd = take_usual(name, mode);
  if (fd < 0) {
    name = path + "." + random_id() + ".tmp";
    fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  }
  const Descriptor file(fd);
  if (file.get() < 0) return fail_errno(code, path);
  // fchmod: the mode asked for, whatever the umask.
  if (::fchmod(file.get(), mode) != 0 || !write_all(file.get(), data) || ::fsync(file.get()) != 0) {
    auto error = fail_errno(code, path);
    ::unlink(name.c_str());
    return error;
  }
  return finish(name);
}

}  // namespace

Result<std::string> read_file(const std::string& path, Code code) {
  return read_all(path, Readers::anyone, code).map([](const Secret& data) {
    return std::string(data.reveal());
  });
}

Result<Secret> read_private_file(const std::string& path, Code code) {
  return read_all(path, Readers::owner, code);
}

Result<void> write_file(const std::string& path, std::string_view data, mode_t mode, Code code) {
  return write_beside(path, data, mode, code, [&](const std::string& name) -> Result<void> {
    if (::rename(name.c_str(), path.c_str()) == 0) return {};
    auto error = fail_errno(code, path);
    ::unlink(name.c_str());
    return error;
  });
}

Result<bool> create_file(const std::string& path, std::string_view data, mode_t mode, Code code) {
  return write_beside(path, data, mode, code, [&](const std::string& name) -> Result<bool> {
    const bool made = ::link(name.c_str(), path.c_str()) == 0;
    Result<bool> result = made;
    if (!made && errno != EEXIST) result = fail_errno(code, path);
    ::unlink(name.c_str());
    return result;
  });
}

Result<void> make_directory(const std::string& path, Code code) {
  for (std::size_t end = path.find('/', 1); end != path.npos; end = path.find('/', end + 1)) {
    ::mkdir(path.substr(0, end).c_str(), 0700);  // the last one reports what went wrong
  }
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  struct stat status;
  const int reason = errno;
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  errno = reason == EEXIST ? ENOTDIR : reason;
  return fail_errno(code, path);
}

}  // namespace leat
