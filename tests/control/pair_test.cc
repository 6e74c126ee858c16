// Both sides against each other, one byte at a time.
#include <gtest/gtest.h>

#include "control/control_fixture.h"

namespace leat::control {
namespace {

using namespace test;

TEST(ControlPair, FromHelloToDrain) {
  ClientLog agent;
  ServerLog relay;
  Client client(agent, key(), Secret("t0ken"), "attic",
                {{"chat", TunnelKind::http, true, 0},
                 {"", TunnelKind::tcp, false, 0},
                 {"taken", TunnelKind::ws, true, 0}});
  Server server(relay, key());
  relay.on_hello_then = [&] { server.welcome("s1", "home"); };
  relay.on_bind_then = [&](std::uint32_t request, const TunnelRequest& tunnel) {
    if (tunnel.id == "taken") return server.refused(request, {Code::TUNNEL_TAKEN, "taken"});
    const bool tcp = tunnel.kind == TunnelKind::tcp;
    server.bound(request, {tcp ? "made" : tunnel.id, {}, static_cast<std::uint16_t>(tcp ? 7 : 0)});
  };

  const auto exchange = [&] {
    while (client.has_output() || server.has_output()) {
      for (const char byte : client.take_output()) {
        ASSERT_TRUE(server.feed(as_bytes({&byte, 1})));
      }
      for (const char byte : server.take_output()) {
        ASSERT_TRUE(client.feed(as_bytes({&byte, 1})));
      }
    }
  };
  exchange();
  const Error down{Code::SERVICE_REFUSED, "refused"};
  client.health("made", &down);
  client.health("made", nullptr);
  client.bind(3, {"more", TunnelKind::http, true, 0});
  server.shared("chat", 2);
  client.unbind("chat");
  server.drain("update", 100, 30000);
  client.leave();
  exchange();
  EXPECT_EQ(agent.log,
            (std::vector<std::string>{"welcome s1 home", "bound 0 chat", "bound 1 made 7",
                                      "failed 2 LEAT_TUNNEL_TAKEN", "shared chat 2",
                                      "drain update 100", "bound 3 more"}));
  EXPECT_EQ(relay.log,
            (std::vector<std::string>{"hello t0ken", "bind 1 chat http 0 public", "bind 2  tcp 0",
                                      "bind 3 taken ws 0 public",
                                      "health made LEAT_SERVICE_REFUSED", "health made well",
                                      "bind 4 more http 0 public", "unbind chat", "leave"}));
}

TEST(ControlPair, HostsTimesAndOriginsArriveAsTheyWereAskedFor) {
  using std::chrono::milliseconds;
  ClientLog agent;
  ServerLog relay;
  TunnelRequest asked{"shop",
                      TunnelKind::http,
                      true,
                      0,
                      {"shop.example", "www.shop.example"},
                      milliseconds(1500),
                      std::chrono::hours(168)};
  asked.cors = {"https://chat.example", "https://www.chat.example:8443"};
  Client client(agent, key(), Secret("t0ken"), "attic", {asked, {}});
  Server server(relay, key());
  relay.on_hello_then = [&] { server.welcome("s1", "home"); };
  std::vector<TunnelRequest> arrived;
  relay.on_bind_then = [&](std::uint32_t, const TunnelRequest& tunnel) {
    arrived.push_back(tunnel);
  };
  while (client.has_output() || server.has_output()) {
    ASSERT_TRUE(server.feed(as_bytes(client.take_output())));
    ASSERT_TRUE(client.feed(as_bytes(server.take_output())));
  }
  ASSERT_EQ(arrived.size(), 2u);
  EXPECT_EQ(arrived[0].hosts, asked.hosts);
  EXPECT_EQ(arrived[0].first_byte, asked.first_byte);
  EXPECT_EQ(arrived[0].idle, asked.idle);
  EXPECT_EQ(arrived[0].cors, asked.cors);
  EXPECT_TRUE(arrived[1].hosts.empty());
  EXPECT_EQ(arrived[1].first_byte, milliseconds(0)) << "as the relay says";
  EXPECT_EQ(arrived[1].idle, milliseconds(0));
}

}  // namespace
}  // namespace leat::control
