// The table behind a configuration struct: each key, and how its text becomes a field. For the .cc
// files of this folder.
#pragma once

#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "config/settings.h"

namespace leat::config {

template <typename Config>
struct Key {
  std::string_view name;
  std::string_view group;  // one source may give one key of a group; empty: of none
  Result<void> (*set)(Config& config, std::string_view value);
};

// The setter of a key that is one field.
template <auto field, auto parse, typename Config>
Result<void> set(Config& config, std::string_view text) {
  auto value = parse(text);
  if (!value) return tl::unexpected(std::move(value.error()));
  config.*field = std::move(*value);
  return {};
}

template <typename Config>
const Key<Config>* find_key(std::span<const Key<Config>> keys, std::string_view name) {
  for (const Key<Config>& key : keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

// The settings of one source. After an error `config` may hold some of them.
template <typename Config>
Result<void> apply_keys(Config& config, std::span<const Key<Config>> keys,
                        std::span<const Setting> settings, Code code) {
  std::vector<const Key<Config>*> given;
  for (const Setting& setting : settings) {
    const Key<Config>* const key = find_key(keys, setting.key);
    if (key == nullptr) {
      std::string names;
      for (const Key<Config>& each : keys)
        names.append(names.empty() ? "" : ", ").append(each.name);
      return fail(code, setting.where + ": unknown key, expected one of " + names);
    }
    for (const Key<Config>* other : given) {
      if (other == key) return fail(code, setting.where + ": is given twice");
      if (!key->group.empty() && other->group == key->group) {
        return fail(code,
                    setting.where + ": cannot be given together with " + std::string(other->name));
      }
    }
    given.push_back(key);
    if (const auto set = key->set(config, setting.value); !set) {
      return fail(code, setting.where + ": " + set.error().detail);
    }
  }
  return {};
}

// LEAT_STATE_DIR for state_dir: what the environment has of the keys and is not empty.
template <typename Config>
std::vector<Setting> environment_of(std::span<const Key<Config>> keys) {
  std::vector<Setting> settings;
  for (const Key<Config>& key : keys) {
    std::string variable = "LEAT_";
    for (const char c : key.name) variable += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    const char* const value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0') {
      settings.push_back({std::string(key.name), value, variable});
    }
  }
  return settings;
}

}  // namespace leat::config
