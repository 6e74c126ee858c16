// A YAML file as far as leat uses it: keys with single values, and lists of such mappings. The YAML
// library is used in the one .cc file behind this.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "config/settings.h"

namespace leat::config {

struct Mapping;

struct Entry {
  std::string key;
  int line = 0;
  std::variant<std::string, std::vector<Mapping>> value;
};

struct Mapping {
  int line = 0;
  std::vector<Entry> entries;  // in the order of the file; a key may be there twice
};

struct Document {
  std::string file;
  Mapping root;

  // "leat.yaml:3: services[0].target"
  std::string where(int line, std::string_view path) const;
  // The single values of a mapping; LEAT_CONFIG for a list. `path` goes before each key; entries
  // named `except` are left out.
  Result<std::vector<Setting>> settings(const Mapping& mapping, const std::string& path,
                                        std::string_view except = {}) const;
};

// LEAT_CONFIG_FILE if it cannot be read, LEAT_CONFIG if it is not such a file.
Result<Document> load_document(const std::string& path);

}  // namespace leat::config
