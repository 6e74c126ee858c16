#include "base/error.h"

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>

namespace leat {
namespace {

constexpr std::array kCodes = {
#define LEAT_ERROR(name, status, meaning, next) CodeInfo{"LEAT_" #name, status, meaning, next},
#include "base/error_codes.inc"
#undef LEAT_ERROR
};

}  // namespace

const CodeInfo& info(Code code) { return kCodes.at(static_cast<std::size_t>(code)); }

std::optional<Code> code_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (kCodes[i].name == name) return static_cast<Code>(i);
  }
  return std::nullopt;
}

std::string Error::text() const {
  const CodeInfo& about = info(code);
  std::string out(about.name);
  out.append(": ").append(about.meaning);
  if (!detail.empty()) out.append(": ").append(detail);
  out.append(out.ends_with('?') ? " " : ". ");
  const std::size_t sentence = out.size();
  out.append(about.next).append(".");
  if (out[sentence] >= 'a' && out[sentence] <= 'z') out[sentence] -= 'a' - 'A';
  return out;
}

std::string Error::json(Code code, std::string_view request_id) {
  const CodeInfo& about = info(code);
  nlohmann::ordered_json error = {
      {"code", about.name}, {"message", about.meaning}, {"next", about.next}};
  if (!request_id.empty()) error["request_id"] = request_id;
  const nlohmann::ordered_json body = {{"error", std::move(error)}};
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace leat
