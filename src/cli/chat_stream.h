// The tokens in a streamed chat answer: server-sent events (WHATWG HTML §9.2) with OpenAI's JSON in
// them. Sans-I/O; used on the client's side, to show that tokens arrive one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leat::cli {

struct ChatToken {
  std::string text;
  std::optional<std::uint64_t> sent_us;  // "leat_sent_us", where the server adds it
};

class ChatStream {
 public:
  // Content in any cutting; the tokens that are complete with it.
  std::vector<ChatToken> feed(std::string_view content);
  bool complete() const { return complete_; }  // "[DONE]" was seen
  // What the server says went wrong, if it said so inside the stream.
  const std::string& error() const { return error_; }

 private:
  void take_event(std::string_view data, std::vector<ChatToken>& tokens);

  std::string line_;
  bool complete_ = false;
  std::string error_;
};

// A chat request for one streamed answer. `tokens`: at most so many; 0: as many as the model likes.
std::string chat_request(std::string_view model, std::string_view question, unsigned tokens);
// The first model in the answer of /v1/models or /api/tags; nullopt if there is none.
std::optional<std::string> first_model(std::string_view json);

}  // namespace leat::cli
