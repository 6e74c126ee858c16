// What the sample server says: OpenAI's chat API and Ollama's, with a fixed text in place of a
// model. Sans-I/O: a request goes in, an answer or a Generation comes out; the server gives that
// its pace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leat::cli {

inline constexpr char kSampleModel[] = "leat-sample";

// One answer in the making. Every call of next() generates one token.
class Generation {
 public:
  enum class Api : std::uint8_t { openai, ollama };
  struct Options {
    Api api = Api::openai;
    bool stream = false;
    bool include_usage = false;  // OpenAI: a last event with the token counts
    unsigned tokens = 1;         // how many there will be, at least 1
    bool cut = false;            // ended by the request's limit rather than by itself
    unsigned prompt_tokens = 0;
    std::string id;
    std::string model;
  };

  // `now_us`: unix microseconds.
  Generation(Options options, std::uint64_t now_us);

  bool streamed() const { return options_.stream; }
  const char* content_type() const;
  bool finished() const { return sent_ == options_.tokens; }
  // What to send for the next token: an SSE event (WHATWG HTML §9.2) or a line of JSON, with the
  // time in its field "leat_sent_us"; the last brings along what ends the answer. If the answer is
  // not streamed, empty until the last, which is the whole of it.
  std::string next(std::uint64_t now_us);

 private:
  std::string openai_event(std::string_view token, std::uint64_t now_us) const;
  std::string openai_end() const;
  std::string openai_whole(std::uint64_t now_us) const;
  std::string ollama_line(std::string_view token, std::uint64_t now_us) const;
  std::string ollama_end(std::string_view text, std::uint64_t now_us) const;

  Options options_;
  std::uint64_t begun_us_;
  unsigned sent_ = 0;
  std::string text_;
};

struct SampleRequest {
  std::string_view method;
  std::string_view path;  // without the query
  std::string_view body;
};

struct SampleAnswer {
  int status = 200;
  std::string content_type{};
  std::string body{};
  std::string allow{};                     // for 405
  std::optional<Generation> generation{};  // instead of content_type and body
};

// `tokens`: the length of an answer that the request does not limit; 0: the sample text once.
SampleAnswer answer(const SampleRequest& request, unsigned tokens, std::uint64_t now_us);
// An error as OpenAI's clients expect it.
SampleAnswer sample_error(int status, std::string_view message, std::string_view param = {},
                          std::string_view code = {});

// The `index`-th token of the text, which repeats without end.
std::string sample_token(unsigned index);

}  // namespace leat::cli
