#include "agent/state_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::agent {
namespace {

using Json = nlohmann::json;

constexpr char kRelay[] = "relay.test:443";

Service service(std::uint16_t port, control::TunnelKind kind = control::TunnelKind::http) {
  Service made;
  made.kind = kind;
  made.target = {"127.0.0.1", port};
  return made;
}

TEST(StateFile, SaysAllOfIt) {
  test::TempDir dir;
  Status status;
  status.state = Status::State::online;
  status.relay = kRelay;
  status.since = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
  status.tunnels.push_back({"web",
                            control::TunnelKind::http,
                            {"https://x/"},
                            0,
                            "http://127.0.0.1:80",
                            {},
                            Health::State::down,
                            Error{Code::SERVICE_REFUSED, "80"}});
  status.tunnels.push_back({"ssh",
                            control::TunnelKind::tcp,
                            {},
                            2222,
                            "tcp://127.0.0.1:22",
                            Error{Code::PORT_TAKEN, "2222"}});
  status.notice = Error{Code::QUOTA_DAY, "it resets in 60 s"};
  status.last_error = Error{Code::CARRIER_CUT, "not UTF-8: \xff"};
  status.ways = Status::Ways{"wss://relay.test:443", "aa", "home", {{"192.0.2.7", 4443}}};
  ASSERT_TRUE(write_state(dir.path(), status));

  const Json read = Json::parse(read_file(dir / "agent.json", Code::STATE_DIR).value());
  const Json expected = {
      {"state", "online"},
      {"pid", ::getpid()},
      {"relay", kRelay},
      {"since", "2001-09-09T01:46:40Z"},
      {"tunnels",
       {{{"id", "web"},
         {"kind", "http"},
         {"urls", {"https://x/"}},
         {"remote_port", 0},
         {"target", "http://127.0.0.1:80"},
         {"error", nullptr},
         {"health", "down"},
         {"health_error", {{"code", "LEAT_SERVICE_REFUSED"}, {"detail", "80"}}}},
        {{"id", "ssh"},
         {"kind", "tcp"},
         {"urls", Json::array()},
         {"remote_port", 2222},
         {"target", "tcp://127.0.0.1:22"},
         {"error", {{"code", "LEAT_PORT_TAKEN"}, {"detail", "2222"}}},
         {"health", "unknown"},
         {"health_error", nullptr}}}},
      {"ways",
       {{"relay", "wss://relay.test:443"},
        {"pin", "YWE"},
        {"name", "home"},
        {"direct", {"192.0.2.7:4443"}}}},
      {"last_error", {{"code", "LEAT_CARRIER_CUT"}, {"detail", "not UTF-8: \xef\xbf\xbd"}}},
      {"notice", {{"code", "LEAT_QUOTA_DAY"}, {"detail", "it resets in 60 s"}}},
      {"noticed", "1970-01-01T00:00:00Z"}};
  EXPECT_EQ(read, expected);
  struct stat about {};
  ASSERT_EQ(::stat((dir / "agent.json").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u) << "a generated id is a capability";
}

TEST(StateFile, ADirectoryThatIsGoneIsAnError) {
  const auto written = write_state("/nonexistent/leat", Status{});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::STATE_DIR);
}

TEST(KeptIds, SurviveARestart) {
  test::TempDir dir;
  {
    KeptIds kept = KeptIds::load(dir.path());
    EXPECT_EQ(kept.find(kRelay, service(80), 0), "");
    ASSERT_TRUE(kept.keep(kRelay, service(80), 0, "aaaa"));
    ASSERT_TRUE(kept.keep(kRelay, service(80), 1, "bbbb"));
    ASSERT_TRUE(kept.keep("other:443", service(80), 0, "cccc"));
    ASSERT_TRUE(kept.keep(kRelay, service(80, control::TunnelKind::tcp), 0, "dddd"));
    ASSERT_TRUE(kept.keep(kRelay, service(80), 1, "eeee"));
    ASSERT_TRUE(kept.keep(kRelay, service(81), 0, "ffff"));
    ASSERT_TRUE(kept.keep(kRelay, service(81), 0, ""));
  }
  const KeptIds kept = KeptIds::load(dir.path());
  EXPECT_EQ(kept.find(kRelay, service(80), 0), "aaaa");
  EXPECT_EQ(kept.find(kRelay, service(80), 1), "eeee");
  EXPECT_EQ(kept.find("other:443", service(80), 0), "cccc");
  EXPECT_EQ(kept.find(kRelay, service(80, control::TunnelKind::tcp), 0), "dddd");
  EXPECT_EQ(kept.find(kRelay, service(81), 0), "");
}

TEST(KeptIds, ADamagedFileKeepsNothing) {
  for (const char* damaged : {"", "{", "[]", R"({"tunnels":[{"relay":1}]})", R"({"tunnels":3})",
                              R"({"tunnels":[{"relay":"relay.test:443","kind":"http",)"
                              R"("target":"http://127.0.0.1:80","nth":"0","id":"a"}]})"}) {
    test::TempDir dir;
    ASSERT_TRUE(write_file(dir / "tunnels.json", damaged, 0600, Code::STATE_DIR));
    KeptIds kept = KeptIds::load(dir.path());
    EXPECT_EQ(kept.find(kRelay, service(80), 0), "") << damaged;
    ASSERT_TRUE(kept.keep(kRelay, service(80), 0, "aaaa"));
    EXPECT_EQ(KeptIds::load(dir.path()).find(kRelay, service(80), 0), "aaaa");
  }
}

}  // namespace
}  // namespace leat::agent
