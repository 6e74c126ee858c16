// The admin API's answers, held against its description.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace leat::test {

using nlohmann::json;

inline const json& description() {
  static const json read = [] {
    std::ifstream file(LEAT_OPENAPI);
    return json::parse(file);
  }();
  return read;
}

// The operation that a request asks for; null: none is described.
inline json operation_for(std::string_view method, std::string_view target) {
  std::string key;
  for (const char c : method) key += static_cast<char>(std::tolower(c));
  const std::string_view path = target.substr(0, target.find('?'));
  for (const auto& [pattern, methods] : description().at("paths").items()) {
    const std::size_t open = std::min(pattern.find('{'), pattern.size());
    const std::size_t close = pattern.find('}');
    const std::string tail = close == pattern.npos ? "" : pattern.substr(close + 1);
    const bool fits = open == pattern.size()
                          ? path == pattern
                          : path.starts_with(pattern.substr(0, open)) && path.ends_with(tail) &&
                                path.size() > open + tail.size();
    if (!fits || !methods.contains(key)) continue;
    const std::string_view value = path.substr(open, path.size() - open - tail.size());
    if (value.find('/') == value.npos) return methods.at(key);
  }
  return {};
}

inline bool is_of(const json& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  return type == (value.is_number() ? "number" : value.type_name());
}

inline void expect_schema(const json& value, const json& schema, const std::string& where) {
  if (const auto type = schema.find("type"); type != schema.end()) {
    const json types = type->is_array() ? *type : json::array({*type});
    EXPECT_TRUE(std::ranges::any_of(
        types, [&](const json& one) { return is_of(value, one.get<std::string>()); }))
        << where << " is " << value << " and not " << *type;
  }
  if (const auto allowed = schema.find("enum"); allowed != schema.end()) {
    EXPECT_EQ(std::ranges::count(*allowed, value), 1) << where << " is " << value;
  }
  for (const json& name : schema.value("required", json::array())) {
    EXPECT_TRUE(value.contains(name.get<std::string>())) << where << " without " << name;
  }
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      const json known = schema.value("properties", json::object());
      EXPECT_TRUE(known.contains(name)) << where << "." << name << " is not described";
      if (known.contains(name)) expect_schema(member, known.at(name), where + "." + name);
    }
  }
  if (value.is_array()) {
    for (const json& each : value) expect_schema(each, schema.at("items"), where + "[]");
  }
}

inline void expect_described(const std::string& method, const std::string& target, int status,
                             const std::string& body) {
  const json operation = operation_for(method, target);
  if (operation.is_null()) return;
  const std::string where = method + " " + target + ": " + std::to_string(status);
  const json& responses = operation.at("responses");
  ASSERT_TRUE(responses.contains(std::to_string(status))) << where << " is not described";
  json response = responses.at(std::to_string(status));
  if (const auto ref = response.find("$ref"); ref != response.end()) {
    response = description().at(json::json_pointer(ref->get<std::string>().substr(1)));
  }
  if (!response.contains("content")) {
    EXPECT_EQ(body, "") << where;
  } else if (const auto& content = response.at("content"); content.contains("application/json")) {
    const json value = json::parse(body, nullptr, false);
    ASSERT_FALSE(value.is_discarded()) << where << " is no JSON: " << body;
    expect_schema(value, content.at("application/json").at("schema"), where);
  }
}

}  // namespace leat::test
