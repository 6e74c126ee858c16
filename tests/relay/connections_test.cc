// Visits become rows of the connection log, whatever their kind and end; what may be a secret does
// not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "relay/openapi.h"
#include "relay/visit.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr char kKey[] = "an-admin-key-of-32-characters-ok";

class Connections : public World {
 protected:
  void configure(Options& options) override {
    options.admin_listen = HostPort{"127.0.0.1", 0};
    options.admin_key = Secret(kKey);
  }
  json ask(const std::string& query = {}) {
    Visitor client(loop, *relay->info().admin_listen, nullptr);
    client.get("/api/v1/connections" + query,
               std::string("Connection: close\r\nX-Admin-Key: ") + kKey + "\r\n");
    EXPECT_TRUE(until([&] { return client.over(); }));
    EXPECT_TRUE(client.has("HTTP/1.1 200 ")) << client.text();
    test::expect_described("GET", "/api/v1/connections" + query, 200, client.body());
    return json::parse(client.body(), nullptr, false).value("connections", json::array());
  }
  // Rows are written within a second of their end.
  json rows(std::size_t n, const std::string& query = {}) {
    json found = ask(query);
    for (int i = 0; i < 50 && found.size() < n; ++i) {
      pass(100ms);
      found = ask(query);
    }
    EXPECT_EQ(found.size(), n) << found.dump();
    while (found.size() < n) found.push_back(json::object());
    return found;
  }
};

TEST_F(Connections, AnExchangeIsARow) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  const auto guest = visitor();
  guest->get("/tunnel/web/some/path?token=very-secret&x=1");
  ASSERT_TRUE(until([&] { return guest->has("hello"); }));
  const json row = rows(1)[0];
  EXPECT_EQ(row.at("tunnel"), "web");
  EXPECT_EQ(row.at("owner"), "first");
  EXPECT_EQ(row.at("kind"), "http");
  EXPECT_EQ(row.at("method"), "GET");
  EXPECT_EQ(row.at("path"), "/some/path");
  EXPECT_EQ(row.at("address"), "127.0.0.1");
  EXPECT_EQ(row.at("status"), 200);
  EXPECT_EQ(row.at("reason"), "");
  EXPECT_GT(row.at("bytes_in"), 20);
  EXPECT_GT(row.at("bytes_out"), 5);
  EXPECT_TRUE(row.at("first_byte_ms").is_number());
  EXPECT_TRUE(guest->has("X-Request-Id: " + row.at("request_id").get<std::string>()));
}

TEST_F(Connections, SaysHowTheyEnded) {
  const auto agent = online({http(), tcp("raw", ports.low)});
  agent->on_served = [](Served& served) {
    if (served.has("\r\n\r\n") && served.unsent() == 0) {
      served.reply().send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun");
    }
  };
  const auto leaver = visitor();
  leaver->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return leaver->has("begun"); }));
  leaver->abort();
  const json cut = rows(1)[0];
  EXPECT_EQ(cut.at("reason"), "cut");
  EXPECT_EQ(cut.at("status"), 200);

  // Who leaves with the whole answer was served, though the agent's stream has not ended yet.
  agent->on_served = [](Served& served) {
    if (served.has("\r\n\r\n") && served.unsent() == 0) {
      served.reply().send("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nwhole");
    }
  };
  const auto content = visitor();
  content->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return content->has("whole"); }));
  content->abort();
  const json whole = rows(2)[0];
  EXPECT_EQ(whole.at("reason"), "");
  EXPECT_EQ(whole.at("status"), 201);

  const auto raw = tcp_visitor(ports.low);
  raw->send("bytes");
  ASSERT_TRUE(until([&] { return raw->ready(); }));
  raw->abort();
  const json tunnel_rows = rows(1, "?tunnel=raw");
  EXPECT_EQ(tunnel_rows[0].at("kind"), "tcp");
  EXPECT_EQ(tunnel_rows[0].at("status"), nullptr);
  EXPECT_EQ(tunnel_rows[0].at("path"), "");
}

TEST_F(Connections, StrangersCannotFillTheLogWithNames) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  for (int i = 0; i < 3; ++i) {
    const auto stranger = visitor();
    stranger->get("/tunnel/none" + std::to_string(i) + "/");
    ASSERT_TRUE(until([&] { return stranger->has("LEAT_AGENT_OFFLINE"); }));
  }
  expect_served();
  EXPECT_EQ(rows(1)[0].at("tunnel"), "web");
}

TEST_F(Connections, AreSearched) {
  const auto agent = online({http("a"), http("b")});
  answer_all(*agent, kHello);
  expect_served("a");
  expect_served("b");
  rows(2);
  EXPECT_EQ(ask("?tunnel=a").size(), 1u);
  EXPECT_EQ(ask("?text=GET").size(), 2u);
  EXPECT_EQ(ask("?text=nothing").size(), 0u);
  EXPECT_EQ(ask("?address=127.").size(), 2u);
  EXPECT_EQ(ask("?since=2020-01-01").size(), 2u);
  EXPECT_EQ(ask("?until=2020-01-01T00:00:00Z").size(), 0u);
  EXPECT_EQ(ask("?limit=1").size(), 1u);
}

class ConnectionsWithoutPaths : public Connections {
 protected:
  void configure(Options& options) override {
    Connections::configure(options);
    options.connection_paths = false;
  }
};

TEST_F(ConnectionsWithoutPaths, NoPathIsKept) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  expect_served();
  const json row = rows(1)[0];
  EXPECT_EQ(row.at("path"), "");
  EXPECT_EQ(row.at("method"), "GET");
}

class ConnectionLogDamaged : public World {
 protected:
  void configure(Options& options) override {
    std::filesystem::create_directory(options.state_dir + "/connections.db");
  }
};

TEST_F(ConnectionLogDamaged, TrafficGoesOn) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  expect_served();
}

TEST(PathForLog, KeepsWhatTellsWhereAndNoSecret) {
  EXPECT_EQ(path_for_log("/v1/chat/completions?key=secret"), "/v1/chat/completions");
  EXPECT_EQ(path_for_log("/"), "/");
  EXPECT_EQ(path_for_log("/reset/3f9a8b7c6d5e4f3a2b1c"), "/reset/…");
  EXPECT_EQ(path_for_log("/reset/3f9a8b7c6d5e4f3a2b1c/done"), "/reset/…/done");
  EXPECT_EQ(path_for_log("/s/AbCdEfGhIjKlMnOpQrSt"), "/s/…");
  EXPECT_EQ(path_for_log("/eyJhbGciOiJIUzI1NiJ9.e30.abc/x"), "/…/x");
  EXPECT_EQ(path_for_log("/a;jsessionid=1/b"), "/…/b");
  EXPECT_EQ(path_for_log("/" + std::string(60, 'a')), "/…");
  EXPECT_EQ(path_for_log("/documentation/getting-started"), "/documentation/getting-started");
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "/abc";
  EXPECT_LE(path_for_log(deep).size(), 256u + 60);
  EXPECT_THAT(path_for_log(deep), HasSubstr("…"));
}

}  // namespace
}  // namespace leat::relay
