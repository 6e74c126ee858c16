#include <algorithm>
#include <cassert>
#include <charconv>

#include "http/chars.h"
#include "http/head.h"

namespace leat::http {

bool valid_field_name(std::string_view name) { return is_token(name); }

bool valid_field_value(std::string_view value) { return detail::all(detail::kText, value); }

const std::string* Fields::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (iequal(field.name, name)) return &field.value;
  }
  return nullptr;
}

std::size_t Fields::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      fields_.begin(), fields_.end(), [&](const Field& f) { return iequal(f.name, name); }));
}

void Fields::add(std::string_view name, std::string_view value) {
  assert(valid_field_name(name) && valid_field_value(value));
  fields_.push_back({std::string(name), std::string(value)});
}

void Fields::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Fields::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& f) { return iequal(f.name, name); });
}

bool Fields::has_token(std::string_view name, std::string_view token) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const Field& f) {
    return iequal(f.name, name) &&
           any_element(f.value, [&](std::string_view element) { return iequal(element, token); });
  });
}

void remove_hop_by_hop(Fields& fields) {
  // What Connection names goes too, but not Host, without which the message would be another one.
  std::vector<std::string> names;
  for (const Field& field : fields.all()) {
    if (!iequal(field.name, "Connection")) continue;
    any_element(field.value, [&](std::string_view name) {
      if (!iequal(name, "Host") && !iequal(name, "TE")) names.emplace_back(name);
      return false;
    });
  }
  const bool te_trailers = fields.has_token("TE", "trailers");

  static constexpr std::string_view kHopByHop[] = {
      "Connection",        "Keep-Alive", "Proxy-Connection",   "TE",
      "Transfer-Encoding", "Upgrade",    "Proxy-Authenticate", "Proxy-Authorization",
      "HTTP2-Settings"};
  std::erase_if(fields.all(), [&](const Field& f) {
    const auto same = [&](std::string_view name) { return iequal(f.name, name); };
    return std::any_of(std::begin(kHopByHop), std::end(kHopByHop), same) ||
           std::any_of(names.begin(), names.end(), same);
  });
  if (te_trailers) fields.add("TE", "trailers");
}

void set_framing(Fields& fields, BodyKind body, std::uint64_t length) {
  fields.remove("Content-Length");
  fields.remove("Transfer-Encoding");
  if (body == BodyKind::chunked) fields.add("Transfer-Encoding", "chunked");
  if (body == BodyKind::length) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, length).ptr;
    fields.add("Content-Length", {digits, static_cast<std::size_t>(end - digits)});
  }
}

}  // namespace leat::http
