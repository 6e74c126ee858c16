#include "cli/sample_api.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/calendar.h"
#include "base/crypto_util.h"
#include "cli/version.h"

namespace leat::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kText =
    "A leat is a channel cut to bring a stream home. No model runs here: these words come from a "
    "small "
    "sample server behind the agent, one by one, at a steady pace. Each of them carries the time "
    "at "
    "which it was sent, so that you can see how little the way through the relay adds. Give the "
    "agent "
    "the address of Ollama or vLLM instead, and their answers come to you in the same way.";

const std::vector<std::string_view>& words() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> found;
    for (std::size_t at = 0; at < kText.size();) {
      const std::size_t end = std::min(kText.find(' ', at), kText.size());
      found.push_back(kText.substr(at, end - at));
      at = end + 1;
    }
    return found;
  }();
  return all;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string date(std::uint64_t unix_us) {
  return rfc3339_micros(TimeOfDay(std::chrono::microseconds(unix_us)));
}

SampleAnswer json_answer(const Json& json, int status = 200) {
  return {.status = status, .content_type = "application/json", .body = dump(json) + "\n"};
}

SampleAnswer ollama_error(int status, std::string_view message) {
  return json_answer({{"error", message}}, status);
}

// --- the requests ---

struct Fault {
  int status = 400;
  std::string message{};
  std::string param{};
  std::string code{};
};

// What both APIs ask of a chat request. "leat-sample:latest" is how Ollama's clients write the
// name.
std::optional<Fault> check_chat(const Json& request) {
  if (!request.is_object()) return Fault{.message = "the body must be a JSON object"};
  const auto model = request.find("model");
  if (model == request.end() || !model->is_string()) {
    return Fault{.message = "'model' must be a string", .param = "model"};
  }
  if (*model != kSampleModel && *model != std::string(kSampleModel) + ":latest") {
    return Fault{404, "the model '" + model->get<std::string>() + "' does not exist", "model",
                 "model_not_found"};
  }
  if (request.contains("stream") && !request["stream"].is_boolean() &&
      !request["stream"].is_null()) {
    return Fault{.message = "'stream' must be a boolean", .param = "stream"};
  }
  const auto messages = request.find("messages");
  if (messages == request.end() || !messages->is_array() || messages->empty()) {
    return Fault{.message = "'messages' must be an array with at least one message",
                 .param = "messages"};
  }
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const Json& message = (*messages)[i];
    const std::string where = "messages[" + std::to_string(i) + "]";
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) {
      return Fault{.message = "'" + where + ".role' must be a string", .param = where + ".role"};
    }
    // Content parts come as an array; an assistant's tool call has none.
    const Json content = message.value("content", Json(nullptr));
    if (!content.is_string() && !content.is_array() && !content.is_null()) {
      return Fault{.message = "'" + where + ".content' must be a string or an array of parts",
                   .param = where + ".content"};
    }
  }
  return std::nullopt;
}

// Words, which is close enough to what a tokenizer would count in a sample.
unsigned count_tokens(const Json& messages) {
  unsigned count = 0;
  for (const Json& message : messages) {
    const Json content = message.value("content", Json(nullptr));
    if (!content.is_string()) continue;
    bool inside = false;
    for (const char c : content.get_ref<const std::string&>()) {
      const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
      count += !blank && !inside;
      inside = !blank;
    }
  }
  return count;
}

// The request's limit: nullopt if it has none; a Fault if it is no positive integer.
tl::expected<std::optional<unsigned>, Fault> token_limit(const Json& object, const char* key) {
  const auto limit = object.find(key);
  if (limit == object.end() || limit->is_null()) return std::nullopt;
  if (!limit->is_number_integer() || limit->get<std::int64_t>() < 1) {
    return tl::unexpected(Fault{
        .message = "'" + std::string(key) + "' must be an integer of at least 1", .param = key});
  }
  return static_cast<unsigned>(std::min<std::int64_t>(limit->get<std::int64_t>(), 1'000'000));
}

SampleAnswer generate(Generation::Options options, const Json& request,
                      std::optional<unsigned> limit, unsigned tokens, std::uint64_t now_us) {
  options.tokens = tokens > 0 ? tokens : static_cast<unsigned>(words().size());
  options.cut = limit && *limit < options.tokens;
  if (options.cut) options.tokens = *limit;
  options.prompt_tokens = count_tokens(request["messages"]);
  options.model = request["model"];
  SampleAnswer out;
  out.generation.emplace(std::move(options), now_us);
  return out;
}

SampleAnswer openai_chat(std::string_view body, unsigned tokens, std::uint64_t now_us) {
  const Json request = Json::parse(body, nullptr, false);
  if (request.is_discarded()) return sample_error(400, "the body is not valid JSON");
  if (auto fault = check_chat(request)) {
    return sample_error(fault->status, fault->message, fault->param, fault->code);
  }
  if (const Json n = request.value("n", Json(1)); !n.is_null() && n != 1) {
    return sample_error(400, "'n' must be 1: this server makes one choice", "n");
  }
  const Json temperature = request.value("temperature", Json(1));
  if (!temperature.is_null() && (!temperature.is_number() || temperature.get<double>() < 0 ||
                                 temperature.get<double>() > 2)) {
    return sample_error(400, "'temperature' must be a number from 0 to 2", "temperature");
  }
  const Json stream = request.value("stream", Json(false));
  const Json stream_options = request.value("stream_options", Json(nullptr));
  if (!stream_options.is_null() && (!stream_options.is_object() || stream != true)) {
    return sample_error(400, "'stream_options' must be an object, and needs 'stream': true",
                        "stream_options");
  }
  std::optional<unsigned> limit;
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    const auto found = token_limit(request, key);
    if (!found) return sample_error(400, found.error().message, key);
    if (*found) limit = *found;
  }
  Generation::Options options;
  options.stream = stream == true;
  options.include_usage =
      stream_options.is_object() && stream_options.value("include_usage", Json(false)) == true;
  options.id = "chatcmpl-" + random_id();
  return generate(std::move(options), request, limit, tokens, now_us);
}

SampleAnswer ollama_chat(std::string_view body, unsigned tokens, std::uint64_t now_us) {
  const Json request = Json::parse(body, nullptr, false);
  if (request.is_discarded()) return ollama_error(400, "the body is not valid JSON");
  if (auto fault = check_chat(request)) return ollama_error(fault->status, fault->message);
  std::optional<unsigned> limit;
  const Json options = request.value("options", Json(nullptr));
  if (options.is_object() && options.value("num_predict", Json(nullptr)) != -1) {
    const auto found = token_limit(options, "num_predict");
    if (!found) return ollama_error(400, found.error().message);
    limit = *found;
  }
  Generation::Options generation;
  generation.api = Generation::Api::ollama;
  generation.stream = request.value("stream", Json(true)) != false;
  return generate(std::move(generation), request, limit, tokens, now_us);
}

// --- what there is to see ---

Json openai_model() {
  return {{"id", kSampleModel}, {"object", "model"}, {"created", 0}, {"owned_by", "leat"}};
}

SampleAnswer models(std::uint64_t) {
  return json_answer({{"object", "list"}, {"data", Json::array({openai_model()})}});
}

SampleAnswer tags(std::uint64_t now_us) {
  const std::string name = std::string(kSampleModel) + ":latest";
  const Json details = {{"format", "text"}, {"family", kSampleModel}, {"parameter_size", "0"}};
  return json_answer({{"models", Json::array({{{"name", name},
                                               {"model", name},
                                               {"modified_at", date(now_us)},
                                               {"size", kText.size()},
                                               {"digest", hex(sha256(as_bytes(kText)))},
                                               {"details", details}}})}});
}

SampleAnswer root(std::uint64_t) {
  return {
      .content_type = "text/plain; charset=utf-8",
      .body =
          "leat sample server. Try GET /v1/models, POST /v1/chat/completions, POST /api/chat.\n"};
}

SampleAnswer version(std::uint64_t) { return json_answer({{"version", version_line()}}); }

SampleAnswer healthz(std::uint64_t) {
  return {.content_type = "text/plain; charset=utf-8", .body = "ok\n"};
}

struct Page {
  std::string_view path;
  SampleAnswer (*get)(std::uint64_t now_us);
  SampleAnswer (*post)(std::string_view body, unsigned tokens, std::uint64_t now_us);
};

constexpr Page kPages[] = {
    {"/", root, nullptr},
    {"/healthz", healthz, nullptr},
    {"/v1/models", models, nullptr},
    {"/v1/chat/completions", nullptr, openai_chat},
    {"/api/version", version, nullptr},
    {"/api/tags", tags, nullptr},
    {"/api/chat", nullptr, ollama_chat},
};

}  // namespace

std::string sample_token(unsigned index) {
  std::string token(words()[index % words().size()]);
  return index == 0 ? token : token.insert(0, " ");
}

SampleAnswer sample_error(int status, std::string_view message, std::string_view param,
                          std::string_view code) {
  const auto or_null = [](std::string_view text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  return json_answer({{"error",
                       {{"message", message},
                        {"type", status < 500 ? "invalid_request_error" : "server_error"},
                        {"param", or_null(param)},
                        {"code", or_null(code)}}}},
                     status);
}

SampleAnswer answer(const SampleRequest& request, unsigned tokens, std::uint64_t now_us) {
  const bool get = request.method == "GET" || request.method == "HEAD";
  constexpr std::string_view kOneModel = "/v1/models/";
  if (request.path.starts_with(kOneModel)) {
    const std::string_view model = request.path.substr(kOneModel.size());
    if (model != kSampleModel) {
      return sample_error(404, "the model '" + std::string(model) + "' does not exist", "model",
                          "model_not_found");
    }
    if (get) return json_answer(openai_model());
    SampleAnswer refused = sample_error(405, "this path takes GET");
    refused.allow = "GET, HEAD";
    return refused;
  }
  const auto* page = std::find_if(std::begin(kPages), std::end(kPages),
                                  [&](const Page& p) { return p.path == request.path; });
  if (page == std::end(kPages)) return sample_error(404, "there is nothing at this path");
  if (page->get != nullptr && get) return page->get(now_us);
  if (page->post != nullptr && request.method == "POST") {
    return page->post(request.body, tokens, now_us);
  }
  SampleAnswer refused =
      sample_error(405, page->get != nullptr ? "this path takes GET" : "this path takes POST");
  refused.allow = page->get != nullptr ? "GET, HEAD" : "POST";
  return refused;
}

// --- the answer, token by token ---

Generation::Generation(Options options, std::uint64_t now_us)
    : options_(std::move(options)), begun_us_(now_us) {}

const char* Generation::content_type() const {
  if (!options_.stream) return "application/json";
  return options_.api == Api::openai ? "text/event-stream" : "application/x-ndjson";
}

std::string Generation::next(std::uint64_t now_us) {
  const std::string token = sample_token(sent_++);
  text_ += token;
  const bool openai = options_.api == Api::openai;
  if (!options_.stream) {
    if (!finished()) return {};
    return openai ? openai_whole(now_us) : ollama_end(text_, now_us);
  }
  std::string out = openai ? openai_event(token, now_us) : ollama_line(token, now_us);
  if (finished()) out += openai ? openai_end() : ollama_end({}, now_us);
  return out;
}

namespace {

std::string event(const Json& data) { return "data: " + dump(data) + "\n\n"; }

Json usage(unsigned prompt, unsigned completion) {
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion}};
}

Json chunk(const std::string& id, std::uint64_t begun_us, const std::string& model, Json choices) {
  return {{"id", id},
          {"object", "chat.completion.chunk"},
          {"created", begun_us / 1'000'000},
          {"model", model},
          {"choices", std::move(choices)}};
}

}  // namespace

std::string Generation::openai_event(std::string_view token, std::uint64_t now_us) const {
  Json delta = Json::object();
  if (sent_ == 1) delta["role"] = "assistant";  // the first delta names the speaker
  delta["content"] = token;
  Json json = chunk(options_.id, begun_us_, options_.model,
                    Json::array({{{"index", 0}, {"delta", delta}, {"finish_reason", nullptr}}}));
  json["leat_sent_us"] = now_us;
  return event(json);
}

std::string Generation::openai_end() const {
  std::string out =
      event(chunk(options_.id, begun_us_, options_.model,
                  Json::array({{{"index", 0},
                                {"delta", Json::object()},
                                {"finish_reason", options_.cut ? "length" : "stop"}}})));
  if (options_.include_usage) {
    Json json = chunk(options_.id, begun_us_, options_.model, Json::array());
    json["usage"] = usage(options_.prompt_tokens, sent_);
    out += event(json);
  }
  return out + "data: [DONE]\n\n";
}

std::string Generation::openai_whole(std::uint64_t now_us) const {
  return dump({{"id", options_.id},
               {"object", "chat.completion"},
               {"created", begun_us_ / 1'000'000},
               {"model", options_.model},
               {"choices", Json::array({{{"index", 0},
                                         {"message", {{"role", "assistant"}, {"content", text_}}},
                                         {"finish_reason", options_.cut ? "length" : "stop"}}})},
               {"usage", usage(options_.prompt_tokens, sent_)},
               {"leat_sent_us", now_us}}) +
         "\n";
}

std::string Generation::ollama_line(std::string_view token, std::uint64_t now_us) const {
  return dump({{"model", options_.model},
               {"created_at", date(now_us)},
               {"message", {{"role", "assistant"}, {"content", token}}},
               {"done", false},
               {"leat_sent_us", now_us}}) +
         "\n";
}

// Durations are nanoseconds, as Ollama's are.
std::string Generation::ollama_end(std::string_view text, std::uint64_t now_us) const {
  const std::uint64_t ns = (now_us - std::min(begun_us_, now_us)) * 1000;
  return dump({{"model", options_.model},
               {"created_at", date(now_us)},
               {"message", {{"role", "assistant"}, {"content", text}}},
               {"done", true},
               {"done_reason", options_.cut ? "length" : "stop"},
               {"total_duration", ns},
               {"load_duration", 0},
               {"prompt_eval_count", options_.prompt_tokens},
               {"prompt_eval_duration", 0},
               {"eval_count", sent_},
               {"eval_duration", ns},
               {"leat_sent_us", now_us}}) +
         "\n";
}

}  // namespace leat::cli
