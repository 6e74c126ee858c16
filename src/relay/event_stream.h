// An open event stream of the admin API (server-sent events): each second what moved and which
// visits ended, and a word whenever the lists of agents, tunnels or tokens may be others. What a
// slow reader has not taken is not queued behind: seconds are left out until it has.
//
//   event: history  data: [SECOND, …]           at first
//   event: second   data: {…, "ended": […]}      each second
//   event: changed  data: {}                     look at the lists anew
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_io.h"
#include "net/shard.h"
#include "net/transport.h"
#include "relay/context.h"

namespace leat::relay {

class EventStream final : private net::TransportOwner, private Journal::Listener {
 public:
  static constexpr std::size_t kStreams = 16;
  static constexpr int kMissed = 30;  // seconds, and a reader has gone

  // `head`: of the answer, sent first. `session`: the browser's, with which it ends.
  static void start(Context& context, std::unique_ptr<net::Transport> transport,
                    std::string_view head, std::optional<Sha256> session);
  ~EventStream();
  void end();

 private:
  EventStream(Context& context, std::unique_ptr<net::Transport> transport,
              std::optional<Sha256> session);
  void on_transport() override;
  void on_second(const Journal::Second& second,
                 const std::vector<store::Connection>& visits) override;
  void send(std::string_view event, const std::string& data);
  std::string lists(std::size_t& agents) const;

  Context& context_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpWriter writer_;
  const std::optional<Sha256> session_;
  int missed_ = 0;    // seconds that the reader has not taken, one after the other
  std::string seen_;  // the lists when they were last spoken of
  bool over_ = false;
};

}  // namespace leat::relay
