#include "cli/demo.h"

#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "cli/terminal.h"
#include "store/store.h"

namespace leat::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);  // for a process to be up
constexpr auto kPoll = std::chrono::milliseconds(5);
constexpr unsigned kTokens = 24;  // of the sample server: a screenful
constexpr char kQuestion[] = "What is a leat?";

// The state another process has written, once it has.
std::optional<nlohmann::json> read_state(const std::string& path) {
  const auto text = read_file(path, Code::STATE_DIR);
  if (!text) return std::nullopt;
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

std::string text_of(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

std::uint64_t unix_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) c == '\'' ? out.append("'\\''") : out.append(1, c);
  return out + "'";
}

void step(std::string_view what, std::string_view detail) {
  std::string label(what);
  label.resize(9, ' ');
  print(bold(label) + std::string(detail) + "\n");
}

}  // namespace

Demo::Demo(net::Shard& shard, Daemon& daemon, DemoArguments arguments)
    : shard_(shard),
      daemon_(daemon),
      arguments_(std::move(arguments)),
      timer_(shard, [this] { poll(); }) {
  if (arguments_.target.empty() && arguments_.tokens == 0) arguments_.tokens = kTokens;
}

Demo::~Demo() {
  children_.clear();  // before what they write to
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

Result<void> Demo::begin() {
  const char* temporary = ::getenv("TMPDIR");
  std::string name = std::string(temporary != nullptr && *temporary == '/' ? temporary : "/tmp") +
                     "/leat-demo-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return fail(Code::STATE_DIR, name);
  directory_ = name;
  if (auto made = make_directory(file("relay"), Code::STATE_DIR); !made) return made;
  const auto store = store::Store::open(file("relay/leat.db"));
  if (!store) return tl::unexpected(store.error());
  const auto token = (*store)->create_token("demo");
  if (!token) return tl::unexpected(token.error());
  token_ = token->reveal();

  // By name, because the certificate the relay makes is for one.
  const auto relay = start("relay", {"relay", "--listen", "127.0.0.1:0", "--domain", "localhost",
                                     "--state-dir", file("relay")});
  if (!relay) return tl::unexpected(relay.error());
  await(**relay, [this] { return relay_ready(); });
  return {};
}

// --- processes ---

Result<Child*> Demo::start(std::string name, std::vector<std::string> arguments,
                           std::vector<std::string> environment) {
  auto child = Child::start(shard_, std::move(name), std::move(arguments), std::move(environment),
                            [this](Child& ended) { exited(ended); });
  if (!child) return tl::unexpected(child.error());
  children_.push_back(std::move(*child));
  return children_.back().get();
}

void Demo::await(Child& child, std::function<bool()> ready) {
  waiting_ = {&child, std::move(ready), shard_.now() + kPatience};
  timer_.arm_in(kPoll);
}

void Demo::poll() {
  if (!waiting_ || stopped_) return;
  const Waiting waiting = *waiting_;
  waiting_.reset();
  if (waiting.ready()) return;
  if (shard_.now() > waiting.deadline) {
    return fail_with("the " + waiting.child->name() + " is not ready after 20 s", waiting.child);
  }
  waiting_ = waiting;
  timer_.arm_in(kPoll);
}

void Demo::exited(Child& child) {
  if (stopped_) return end_next_child();
  fail_with("the " + child.name() + " ended with exit code " + std::to_string(child.exit_code()),
            &child);
}

void Demo::stop(Daemon::Done done) {
  stopped_ = std::move(done);
  waiting_.reset();
  shard_.dispose(std::move(client_));
  end_next_child();
}

void Demo::end_next_child() {
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if ((*child)->running()) return (*child)->terminate();
  }
  std::exchange(stopped_, nullptr)();
}

void Demo::fail_with(const std::string& what, const Child* child) {
  if (stopped_) return;
  std::fprintf(stderr, "leat demo: %s\n", what.c_str());
  for (const auto& each : children_) {
    if (child != nullptr && each.get() != child) continue;
    std::fprintf(stderr, "--- log of the %s\n%s", each->name().c_str(), each->output().c_str());
  }
  daemon_.stop(kExitFailed);
}

// --- the steps ---

bool Demo::relay_ready() {
  const auto state = read_state(file("relay/relay.json"));
  if (!state) return false;
  const auto listen = parse_host_port(text_of(*state, "listen"));
  pin_ = text_of(*state, "fingerprint");
  const auto pin = net::parse_pin(pin_);
  if (!listen || !pin) {
    fail_with("relay.json is not understood");
    return true;
  }
  auto tls = net::TlsContext::client({.pin = *pin, .ca_file = std::nullopt}, {net::kAlpnHttp});
  if (!tls) {
    fail_with(tls.error().text());
    return true;
  }
  relay_ = *listen;
  tls_ = std::move(*tls);
  step("relay", relay_.text());
  start_service();
  return true;
}

void Demo::start_service() {
  if (!arguments_.target.empty()) {
    target_ = arguments_.target;
    step("service", target_);
    return start_agent();
  }
  const auto sample = start("sample server", {"sample", "--state-dir", file("sample")});
  if (!sample) return fail_with(sample.error().text());
  await(**sample, [this] { return service_ready(); });
}

bool Demo::service_ready() {
  const auto state = read_state(file("sample/sample.json"));
  if (!state) return false;
  target_ = "http://" + text_of(*state, "address");
  step("service", target_ + ", the sample server");
  start_agent();
  return true;
}

void Demo::start_agent() {
  const auto agent = start(
      "agent",
      {"http", target_, "--relay", relay_.text(), "--pin", pin_, "--state-dir", file("agent")},
      {"LEAT_TOKEN=" + token_});
  if (!agent) return fail_with(agent.error().text());
  await(**agent, [this] { return agent_ready(); });
}

bool Demo::agent_ready() {
  const auto state = read_state(file("agent/agent.json"));
  if (!state || text_of(*state, "state") != "online") return false;
  const auto& tunnels = state->value("tunnels", nlohmann::json::array());
  if (tunnels.empty() || !tunnels[0].is_object()) return false;
  const auto& urls = tunnels[0].value("urls", nlohmann::json::array());
  if (urls.empty() || !urls[0].is_string()) return false;
  url_ = urls[0].get<std::string>();
  while (url_.ends_with('/')) url_.pop_back();
  const std::size_t host = url_.find("://") + 3;
  const std::size_t path = std::min(url_.find('/', host), url_.size());
  host_ = url_.substr(host, std::min(url_.find(':', host), path) - host);
  prefix_ = url_.substr(path);
  step("agent", "online: " + url_);
  find_model("/v1/models");
  return true;
}

void Demo::find_model(const char* path) {
  other_content_.clear();
  const bool openai = std::string_view(path) == "/v1/models";
  request(
      "GET", path, {}, [this](int, std::string_view content) { other_content_.append(content); },
      [this, openai](const Result<int>& status) {
        if (!status) return fail_with(status.error().text());
        const auto model = *status == 200 ? first_model(other_content_) : std::nullopt;
        if (model) return model_found(*model);
        if (openai) return find_model("/api/tags");
        fail_with("the service lists no model at /v1/models (OpenAI) or /api/tags (Ollama): " +
                  other_content_.substr(0, 300));
      });
}

void Demo::model_found(const std::string& model) {
  model_ = model;
  step("request", "POST " + prefix_ + "/v1/chat/completions, model " + model_);
  print("\n");
  other_content_.clear();
  report_.begin(std::chrono::steady_clock::now());
  request(
      "POST", "/v1/chat/completions", chat_request(model_, kQuestion, arguments_.tokens),
      [this](int status, std::string_view content) { take_tokens(status, content); },
      [this](Result<int> status) { answer_ended(std::move(status)); });
}

void Demo::take_tokens(int status, std::string_view content) {
  if (status != 200) {
    other_content_.append(content);
    return;
  }
  const Time now = std::chrono::steady_clock::now();
  const std::uint64_t now_us = unix_us();
  for (const ChatToken& token : stream_.feed(content)) {
    print(report_.token(token.text, now, now_us, token.sent_us));
  }
}

void Demo::answer_ended(Result<int> status) {
  if (!status) return fail_with(status.error().text());
  if (*status != 200) {
    return fail_with("the answer was " + std::to_string(*status) + ": " + other_content_);
  }
  if (!stream_.error().empty()) return fail_with("the service says: " + stream_.error());
  if (report_.tokens() == 0) return fail_with("the answer had no tokens");
  answered_ = true;
  print("\n" + report_.summary());
  if (arguments_.once) {
    print(
        "\nNext: the same without --once stays for you to try, and README.md says how to publish "
        "a\n"
        "service of your own.\n");
    return daemon_.stop(kExitStopped);
  }
  stay();
}

void Demo::stay() {
  print("\n" + box("leat demo", {{"public", url_},
                                 {"OpenAI base", url_ + "/v1"},
                                 {"service", target_},
                                 {"the relay sees", "requests and answers in the clear"},
                                 {"fingerprint", pin_}}));
  print("\nTry it:\n\n  curl -N --cacert " + shell_quoted(file("relay/cert.pem")) + " " +
        shell_quoted(url_ + "/v1/chat/completions") + " -H 'Content-Type: application/json' -d " +
        shell_quoted(chat_request(model_, kQuestion, arguments_.tokens)) +
        "\n\nCtrl-C ends relay, agent and service.\n");
}

void Demo::request(std::string method, const std::string& path, std::string body,
                   HttpClient::OnContent on_content, HttpClient::OnDone on_done) {
  shard_.dispose(std::move(client_));
  client_ = std::make_unique<HttpClient>(
      shard_, &*tls_,
      HttpClient::Request{relay_, host_, std::move(method), prefix_ + path, std::move(body)},
      std::move(on_content), std::move(on_done));
}

}  // namespace leat::cli
