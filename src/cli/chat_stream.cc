#include "cli/chat_stream.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace leat::cli {
namespace {

using Json = nlohmann::ordered_json;

// The member, or null where there is none.
Json member(const Json& json, const char* key) {
  return json.is_object() ? json.value(key, Json(nullptr)) : Json(nullptr);
}

}  // namespace

std::vector<ChatToken> ChatStream::feed(std::string_view content) {
  std::vector<ChatToken> tokens;
  for (const char c : content) {
    if (c != '\n') {
      line_ += c;
      continue;
    }
    const std::string line = std::exchange(line_, {});
    std::string_view data = line;
    if (data.ends_with('\r')) data.remove_suffix(1);
    if (!data.starts_with("data:")) continue;  // blank lines, comments, other fields
    data.remove_prefix(5);
    if (data.starts_with(' ')) data.remove_prefix(1);
    take_event(data, tokens);
  }
  return tokens;
}

void ChatStream::take_event(std::string_view data, std::vector<ChatToken>& tokens) {
  if (data == "[DONE]") {
    complete_ = true;
    return;
  }
  const Json json = Json::parse(data, nullptr, false);
  if (const Json error = member(json, "error"); !error.is_null()) error_ = error.dump();
  const Json choices = member(json, "choices");
  if (!choices.is_array() || choices.empty()) return;
  const Json delta = member(choices[0], "delta");
  // Reasoning models think aloud in a field of their own first.
  for (const char* key : {"content", "reasoning_content", "reasoning"}) {
    const Json text = member(delta, key);
    if (!text.is_string() || text.get_ref<const std::string&>().empty()) continue;
    ChatToken token{.text = text.get<std::string>(), .sent_us = std::nullopt};
    const Json sent = member(json, "leat_sent_us");
    if (sent.is_number_unsigned()) token.sent_us = sent.get<std::uint64_t>();
    tokens.push_back(std::move(token));
  }
}

std::string chat_request(std::string_view model, std::string_view question, unsigned tokens) {
  Json json = {{"model", model},
               {"stream", true},
               {"messages", Json::array({{{"role", "user"}, {"content", question}}})}};
  if (tokens > 0) json["max_tokens"] = tokens;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::string> first_model(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  for (const auto& [list, key] : {std::pair{"data", "id"}, std::pair{"models", "name"}}) {
    const Json models = member(json, list);
    if (!models.is_array() || models.empty()) continue;
    const Json name = member(models[0], key);
    if (name.is_string()) return name.get<std::string>();
  }
  return std::nullopt;
}

}  // namespace leat::cli
