// The program itself, as a child process: exit codes, what goes to which stream, signals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The binary with standard output and error on pipes; killed with the object if it still runs.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
    arguments.insert(arguments.begin(), "leat");
    environment.emplace_back("TMPDIR=" +
                             std::string(::getenv("TMPDIR") ? ::getenv("TMPDIR") : "/tmp"));
    environment.push_back("XDG_STATE_HOME=" + state_.path());
    for (std::array<int, 2>* pipe : {&out_, &err_}) EXPECT_EQ(::pipe2(pipe->data(), O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(out_[1], STDOUT_FILENO);
      ::dup2(err_[1], STDERR_FILENO);
      ::execve(LEAT_BINARY, pointers(arguments).data(), pointers(environment).data());
      ::_exit(127);
    }
    ::close(out_[1]);
    ::close(err_[1]);
  }
  ~Program() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_[0]);
    ::close(err_[0]);
  }

  void signal(int number) { ::kill(pid_, number); }
  // Reads standard output until it holds `text`, for 30 s at most.
  bool says(std::string_view text) {
    return pump([&] { return out.find(text) != std::string::npos; });
  }
  bool logs(std::string_view text) {
    return pump([&] { return err.find(text) != std::string::npos; });
  }
  // The exit code, once it has ended; 128 + N for signal N.
  int wait() {
    EXPECT_TRUE(pump([] { return false; })) << "did not end within 30 s";
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string out, err;

 private:
  static std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> all;
    all.reserve(strings.size() + 1);
    for (std::string& text : strings) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  }

  // Reads both streams until `enough` says so, or both have ended; false after 30 s.
  template <typename F>
  bool pump(F enough) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::array<pollfd, 2> ends = {{{out_[0], POLLIN, 0}, {err_[0], POLLIN, 0}}};
    while (!enough()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || ::poll(ends.data(), 2, static_cast<int>(left.count())) <= 0)
        return false;
      for (pollfd& end : ends) {
        if (end.revents == 0) continue;
        std::array<char, 4096> buffer;
        const ssize_t n = ::read(end.fd, buffer.data(), buffer.size());
        std::string& into = end.fd == out_[0] ? out : err;
        if (n > 0) into.append(buffer.data(), static_cast<std::size_t>(n));
        if (n <= 0) end.fd = -1;
      }
      if (ends[0].fd < 0 && ends[1].fd < 0) {
        // Ended, or about to: the pipes close a moment before the process can be waited for.
        siginfo_t info;
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
        return true;
      }
    }
    return true;
  }

  pid_t pid_ = -1;
  const test::TempDir state_;
  std::array<int, 2> out_{}, err_{};
};

TEST(Binary, UsageErrorsExitWithTwoAndSaySo) {
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"nonsense"},
      {"relay", "--nonsense"},
      {"relay", "--listen", "nowhere"},
      {"relay", "--listen", "8443"},  // it would not say who may come
      {"help", "bogus"},
      {"http"},
      {"http", "80"},
      {"token", "create"},
      {"sample", "--log-level", "loud"},
      {"demo", "--target", "nowhere://x"},
  };
  for (const auto& arguments : cases) {
    Program leat(arguments);
    EXPECT_EQ(leat.wait(), 2) << testing::PrintToString(arguments);
    EXPECT_THAT(leat.err, StartsWith("LEAT_USAGE: ")) << testing::PrintToString(arguments);
    EXPECT_EQ(leat.out, "");
  }
}

TEST(Binary, HelpAndVersionGoToStandardOutput) {
  Program help({"--help"});
  EXPECT_EQ(help.wait(), 0);
  EXPECT_THAT(help.out, HasSubstr("relay"));
  Program version({"version"});
  EXPECT_EQ(version.wait(), 0);
  EXPECT_THAT(version.out, testing::MatchesRegex("leat [0-9.]+\n"));
  EXPECT_EQ(help.err + version.err, "");
}

TEST(Binary, ConfigCheckNamesFileLineAndKey) {
  const test::TempDir directory;
  const std::string path = directory.path() + "/leat.yaml";
  ASSERT_TRUE(write_file(path, "listen: 127.0.0.1:0\ntcp_ports: many\n", 0600, Code::CONFIG));
  Program bad({"config", "check", path});
  EXPECT_EQ(bad.wait(), 2);
  EXPECT_THAT(bad.err, StartsWith("LEAT_CONFIG: "));
  EXPECT_THAT(bad.err, HasSubstr("leat.yaml:2: tcp_ports: expected"));

  ASSERT_TRUE(write_file(path, "listen: 127.0.0.1:0\n", 0600, Code::CONFIG));
  Program good({"config", "check", path});
  EXPECT_EQ(good.wait(), 0);
  ASSERT_TRUE(write_file(path, "services:\n  - target: 80\n    visitor_tokens: /nowhere\n", 0600,
                         Code::CONFIG));
  Program names_a_file({"config", "check", path});
  EXPECT_EQ(names_a_file.wait(), 2);
  EXPECT_THAT(names_a_file.err, HasSubstr("/nowhere"));
  Program missing({"config", "check", path + ".none"});
  EXPECT_EQ(missing.wait(), 2);
  EXPECT_THAT(missing.err, StartsWith("LEAT_CONFIG_FILE: "));
}

TEST(Binary, APairingLinkThatOthersCanReadIsRefused) {
  const test::TempDir directory;
  const std::string path = directory.path() + "/link";
  ASSERT_TRUE(write_file(path, "leat://pair\n", 0644, Code::CONFIG));
  Program connect({"connect", "--link-file", path, "--local", "0"});
  EXPECT_EQ(connect.wait(), 1);
  EXPECT_THAT(connect.err, StartsWith("LEAT_BAD_LINK: "));
  EXPECT_THAT(connect.err, HasSubstr("0600"));
}

TEST(Binary, APlanThatTheRelayDoesNotHaveIsRefused) {
  const test::TempDir directory;
  const std::string plans = directory.path() + "/plans.yaml", state = directory.path() + "/state";
  ASSERT_TRUE(write_file(plans, "default: pro\nplans:\n  - name: pro\n  - name: team\n", 0600,
                         Code::CONFIG));
  Program relay({"relay", "--listen", "127.0.0.1:0", "--state-dir", state, "--plans", plans});
  ASSERT_TRUE(relay.says("--pin sha256:"));
  for (const char* verb : {"create", "invite"}) {
    Program known({"token", verb, "a", "--plan", "pro", "--state-dir", state});
    EXPECT_EQ(known.wait(), 0) << known.err;
    Program unknown({"token", verb, "b", "--plan", "gold", "--state-dir", state});
    EXPECT_EQ(unknown.wait(), 2);
    EXPECT_THAT(unknown.err, HasSubstr("no plan called gold, but pro, team"));
  }
  Program other({"token", "plan", "a", "--plan", "gold", "--state-dir", state});
  EXPECT_EQ(other.wait(), 2);
  Program given({"token", "plan", "a", "--plan", "team", "--state-dir", state});
  EXPECT_EQ(given.wait(), 0) << given.err;
  Program list({"token", "list", "--state-dir", state});
  EXPECT_EQ(list.wait(), 0);
  EXPECT_THAT(list.out, testing::ContainsRegex("\na +team "));
  ASSERT_TRUE(write_file(plans, "default: gold\nplans:\n  - name: gold\n", 0600, Code::CONFIG));
  relay.signal(SIGHUP);
  ASSERT_TRUE(relay.logs("config.reloaded")) << relay.err;
  Program known({"token", "create", "b", "--plan", "gold", "--state-dir", state});
  EXPECT_EQ(known.wait(), 0) << known.err;
}

// Every example of docs/configuration.md is a file that can be used as it stands.
TEST(Binary, TheDocumentedConfigurationsAreValid) {
  const test::TempDir directory;
  const std::string path = directory.path() + "/leat.yaml";
  const std::string page = read_file(LEAT_CONFIGURATION_PAGE, Code::CONFIG).value();
  const std::string begin = "```yaml\n";
  std::vector<std::string> kinds;
  for (std::size_t at = 0; (at = page.find(begin, at)) != page.npos;) {
    at += begin.size();
    ASSERT_TRUE(write_file(path, page.substr(at, page.find("```", at) - at), 0600, Code::CONFIG));
    Program check({"config", "check", path});
    EXPECT_EQ(check.wait(), 0) << check.err;
    const std::string first = check.out.substr(0, check.out.find('\n') + 1);
    kinds.push_back(first.substr(first.rfind(' ') + 1));
  }
  EXPECT_EQ(kinds, (std::vector<std::string>{"relay\n", "agent\n"}));
}

TEST(Binary, TokensAreMadeListedAndRevoked) {
  const test::TempDir directory;
  const std::string state = directory.path() + "/state";
  const std::vector<std::string> verbs = {"revoke", "list"};
  for (const std::string& verb : verbs) {
    std::vector<std::string> words = {"token", verb, "--state-dir", state};
    if (verb != "list") words.emplace_back("phone");
    Program early(words);
    EXPECT_EQ(early.wait(), 1);
    EXPECT_THAT(early.err, HasSubstr("no relay has run here: " + state));
    EXPECT_FALSE(std::filesystem::exists(state)) << verb;
  }
  // A directory that is named may be prepared before its relay has ever run.
  Program first({"token", "create", "--state-dir", state, "--name", "laptop"});
  EXPECT_EQ(first.wait(), 0);
  EXPECT_THAT(first.out, testing::MatchesRegex("leat_[A-Za-z0-9_-]+\n"));
  Program relay({"relay", "--listen", "127.0.0.1:0", "--state-dir", state});
  ASSERT_TRUE(relay.says("--pin sha256:"));
  EXPECT_THAT(relay.out, testing::Not(HasSubstr("LEAT_TOKEN=leat_")));
  relay.signal(SIGTERM);
  EXPECT_EQ(relay.wait(), 0);

  Program create({"token", "create", "--state-dir", state, "--name", "phone"});
  EXPECT_EQ(create.wait(), 0);
  EXPECT_THAT(create.out, testing::MatchesRegex("leat_[A-Za-z0-9_-]+\n")) << "the token alone";
  EXPECT_EQ(create.err, "");

  // What a container's environment has is for its relay: a command goes by its own arguments.
  const std::string fresh = directory.path() + "/fresh", key = "LEAT_ADMIN_KEY_FILE=/nowhere";
  Program before({"token", "create", "--state-dir", fresh, "--name", "laptop"}, {key});
  EXPECT_EQ(before.wait(), 0) << before.err;
  Program listed({"token", "list", "--state-dir", fresh}, {key});
  EXPECT_EQ(listed.wait(), 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr("laptop"));
  Program gone({"token", "revoke", "laptop", "--state-dir", fresh}, {key});
  EXPECT_EQ(gone.wait(), 0) << gone.err;

  Program again({"token", "create", "--name", "phone"}, {"LEAT_STATE_DIR=" + state});
  EXPECT_EQ(again.wait(), 1);
  EXPECT_THAT(again.err, StartsWith("LEAT_TOKEN_EXISTS: "));

  Program revoke({"token", "revoke", "phone", "--state-dir", state}, {"LEAT_STATE_DIR=/nowhere"});
  EXPECT_EQ(revoke.wait(), 0);
  Program list({"token", "list", "--state-dir", state});
  EXPECT_EQ(list.wait(), 0);
  EXPECT_THAT(list.out, HasSubstr("phone"));
  EXPECT_THAT(list.out, HasSubstr("revoked"));
  EXPECT_THAT(list.out, testing::Not(HasSubstr(create.out.substr(0, create.out.size() - 1))));
  Program unknown({"token", "revoke", "--state-dir", state, "--name", "other"});
  EXPECT_EQ(unknown.wait(), 1);
  EXPECT_THAT(unknown.err, StartsWith("LEAT_NO_SUCH_TOKEN: "));
}

TEST(Binary, RelayShowsTheAgentsCommandAndEndsOnTerm) {
  const test::TempDir directory;
  const std::vector<std::string> arguments = {"relay", "--listen", "127.0.0.1:0", "--state-dir",
                                              directory.path()};
  Program first(arguments);
  EXPECT_TRUE(first.says("leat token invite"));
  EXPECT_THAT(first.out, HasSubstr("--pin sha256:"));
  EXPECT_THAT(first.out, HasSubstr(directory.path() + "/first-token"));
  EXPECT_THAT(first.out, testing::Not(HasSubstr("leat_"))) << "most likely a log";
  EXPECT_THAT(first.out, HasSubstr("the relay sees"));
  EXPECT_THAT(first.out, testing::Not(HasSubstr("\033["))) << "no colour where nobody looks";
  EXPECT_TRUE(std::filesystem::exists(directory.path() + "/relay.json"));
  first.signal(SIGHUP);
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 0);

  Program second(arguments);
  EXPECT_TRUE(second.says("--pin sha256:"));
  second.signal(SIGINT);
  EXPECT_EQ(second.wait(), 0);
  EXPECT_THAT(second.out, testing::Not(HasSubstr("leat_")));
  EXPECT_THAT(second.out, HasSubstr("leat token create --state-dir " + directory.path()));
}

TEST(Binary, AStartThatFailsUsesUpNoToken) {
  const test::TempDir directory;
  Program other({"sample", "--state-dir", directory.path()});
  ASSERT_TRUE(other.says("\n"));
  const std::string taken = other.out.substr(other.out.rfind('/') + 1);
  const std::string state = directory.path() + "/relay";
  Program failed({"relay", "--listen", "127.0.0.1:0", "--plain-listen",
                  taken.substr(0, taken.find('\n')), "--state-dir", state});
  EXPECT_EQ(failed.wait(), 1);
  EXPECT_THAT(failed.err, StartsWith("LEAT_LISTEN: "));
  Program first({"relay", "--listen", "127.0.0.1:0", "--state-dir", state});
  EXPECT_TRUE(first.says(state + "/first-token"));
}

TEST(Binary, ASecondRelayOnTheSameStateIsRefusedUntilTheFirstDrains) {
  const test::TempDir directory;
  const std::vector<std::string> arguments = {"relay", "--listen", "127.0.0.1:0", "--state-dir",
                                              directory.path()};
  Program first(arguments);
  ASSERT_TRUE(first.says("--pin sha256:"));
  const auto state = [&] {
    return read_file(directory.path() + "/relay.json", Code::STATE_DIR).value();
  };
  const auto before = state();
  Program second(arguments);
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.err, StartsWith("LEAT_STATE_DIR: "));
  EXPECT_THAT(second.err, HasSubstr("another --state-dir"));
  EXPECT_EQ(state(), before);
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 0);
  Program third(arguments);
  EXPECT_TRUE(third.says("--pin sha256:")) << third.err;
}

TEST(Binary, TheAgentsCommandSaysHowTheRelayIsReached) {
  const struct {
    std::vector<std::string> arguments;
    const char* command;
  } kCases[] = {
      {{"--domain", "203.0.113.7"}, "--relay 203.0.113.7:"},
      {{"--public-url", "https://r.example:8443"}, "--relay r.example:8443 --pin"},
      {{"--public-url", "https://r.example", "--plain-listen", "127.0.0.1:0"},
       "--relay r.example:"},
      {{"--public-url", "https://r.example", "--plain-listen", "127.0.0.1:0", "--listen",
        "127.0.0.1:0"},
       "--relay wss://r.example:443\n"},
  };
  for (const auto& each : kCases) {
    const test::TempDir directory;
    std::vector<std::string> words = {"relay", "--state-dir", directory.path()};
    words.insert(words.end(), each.arguments.begin(), each.arguments.end());
    if (std::ranges::find(words, "--listen") == words.end()) {
      words.insert(words.end(), {"--listen", ":0"});
    }
    Program relay(words);
    EXPECT_TRUE(relay.says(each.command)) << relay.out << relay.err;
    EXPECT_THAT(relay.out, testing::Not(HasSubstr("guess")));
  }
  const test::TempDir directory;
  Program relay({"relay", "--listen", ":0", "--state-dir", directory.path()});
  EXPECT_TRUE(relay.says("--domain YOUR-PUBLIC-NAME-OR-IP"));
}

// What the relay was told, and what it makes of that, are two things.
TEST(Binary, AnInvitationLeadsWhereTheRelaysOwnCommandDoes) {
  const std::vector<std::vector<std::string>> kCases = {
      {}, {"--plain-listen", "127.0.0.1:0"}, {"--domain", "r.example"}};
  for (const std::vector<std::string>& each : kCases) {
    const test::TempDir directory;
    std::vector<std::string> words = {"relay", "--listen", "127.0.0.1:0", "--state-dir",
                                      directory.path()};
    words.insert(words.end(), each.begin(), each.end());
    Program relay(words);
    ASSERT_TRUE(relay.says("leat token invite"));
    Program invite({"token", "invite", "laptop", "--state-dir", directory.path()});
    EXPECT_EQ(invite.wait(), 0) << invite.err;
    const std::size_t address = relay.out.find("--relay ") + 8;
    const std::string there = relay.out.substr(address, relay.out.find(' ', address) - address);
    EXPECT_THAT(invite.out, HasSubstr("leat join https://" + there + "/join#"));
    EXPECT_THAT(invite.out, testing::ContainsRegex("#[a-z2-7-]+\\.[A-Za-z0-9_-]+"));  // CODE.PIN
  }
}

TEST(Binary, ADomainAddedLaterGetsIntoTheCertificateAndKeepsThePin) {
  const test::TempDir directory;
  const std::string certificate = directory.path() + "/cert.pem";
  std::string pins[3], certificates[3];
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> words = {"relay", "--listen", "127.0.0.1:0", "--state-dir",
                                      directory.path()};
    if (i > 0) words.insert(words.end(), {"--domain", "relay.example"});
    Program relay(words);
    ASSERT_TRUE(relay.says("--pin sha256:"));
    pins[i] = relay.out.substr(relay.out.find("--pin sha256:"), 77);
    certificates[i] = read_file(certificate, Code::KEY_FILE).value();
  }
  EXPECT_EQ(pins[0], pins[1]);
  EXPECT_NE(certificates[0], certificates[1]);
  EXPECT_EQ(certificates[1], certificates[2]);

  const auto mine = certificates[2] + "\n";  // as if its owner had put another one there
  ASSERT_TRUE(write_file(certificate, mine, 0644, Code::KEY_FILE));
  Program relay({"relay", "--listen", "127.0.0.1:0", "--state-dir", directory.path()});
  ASSERT_TRUE(relay.says("--pin sha256:"));
  EXPECT_EQ(read_file(certificate, Code::KEY_FILE), mine);
}

// Runs the sample server on a terminal of its own, which is then closed; gives the exit code.
int closed_terminal() {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  EXPECT_EQ(::grantpt(terminal) + ::unlockpt(terminal), 0);
  const std::string name = ::ptsname(terminal);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();
    const int mine = ::open(name.c_str(), O_RDWR);  // becomes the session's
    for (const int fd : {0, 1, 2}) ::dup2(mine, fd);
    ::execl(LEAT_BINARY, "leat", "sample", nullptr);
    ::_exit(127);
  }
  std::string out;
  std::array<char, 256> buffer;
  for (ssize_t n = 1; n > 0 && out.find("http://") == out.npos;) {
    n = ::read(terminal, buffer.data(), buffer.size());
    out.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
  ::close(terminal);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Binary, AClosedTerminalEndsWhatWasStartedFromIt) { EXPECT_EQ(closed_terminal(), 0); }

TEST(Binary, SampleWritesItsAddress) {
  const test::TempDir directory;
  Program sample({"sample", "--state-dir", directory.path()});
  EXPECT_TRUE(sample.says("http://127.0.0.1:"));
  const auto state = read_file(directory.path() + "/sample.json", Code::STATE_DIR);
  ASSERT_TRUE(state);
  EXPECT_THAT(*state, HasSubstr("\"address\": \"127.0.0.1:"));
  sample.signal(SIGTERM);
  EXPECT_EQ(sample.wait(), 0);
}

TEST(Binary, DemoOnceStreamsAndLeavesNothing) {
  const test::TempDir directory;
  Program demo({"demo", "--once", "--tokens", "4"}, {"TMPDIR=" + directory.path()});
  EXPECT_EQ(demo.wait(), 0) << demo.err;
  EXPECT_THAT(demo.out, HasSubstr("4 tokens in "));
  EXPECT_THAT(demo.out, HasSubstr("added delay p50 "));
  EXPECT_EQ(demo.err, "");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Binary, DemoStaysUntilItIsInterrupted) {
  const test::TempDir directory;
  Program demo({"demo", "--tokens", "1"}, {"TMPDIR=" + directory.path()});
  ASSERT_TRUE(demo.says("Ctrl-C ends"));
  EXPECT_THAT(demo.out, HasSubstr("curl -N --cacert "));
  demo.signal(SIGINT);
  EXPECT_EQ(demo.wait(), 0) << demo.err;
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Binary, DemoFailsWhereTheTargetDoes) {
  const test::TempDir directory;
  Program demo({"demo", "--once", "--target", "http://127.0.0.1:1"},
               {"TMPDIR=" + directory.path()});
  EXPECT_EQ(demo.wait(), 1);
  EXPECT_THAT(demo.err, HasSubstr("LEAT_SERVICE_REFUSED"));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace leat::cli
