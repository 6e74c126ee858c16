// Small files read and written whole: keys, tokens, the state that other programs read. Writing
// replaces the file at once, so that a reader never sees half of it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secret.h"

namespace leat {

inline constexpr std::size_t kSmallFile = 1024 * 1024;  // bytes; larger ones are refused

// Errors carry `code` and "PATH: reason".
Result<std::string> read_file(const std::string& path, Code code);
// Refuses a file that group or others may read or write.
Result<Secret> read_private_file(const std::string& path, Code code);
// Through a temporary file beside it and a rename; the data is on disk before the name is.
Result<void> write_file(const std::string& path, std::string_view data, mode_t mode, Code code);
// The same, but an existing file stays: false.
Result<bool> create_file(const std::string& path, std::string_view data, mode_t mode, Code code);
// With its parents; mode 0700 for what is made.
Result<void> make_directory(const std::string& path, Code code);

}  // namespace leat
