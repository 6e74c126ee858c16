#include "relay/event_stream.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "relay/admin_json.h"
#include "relay/agent_session.h"

namespace leat::relay {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Journal::Second& second) {
  const auto milliseconds = [](const std::optional<Duration>& time) {
    return time ? Json(std::chrono::duration<double, std::milli>(*time).count()) : Json(nullptr);
  };
  return {{"at", second.at.time_since_epoch().count()},
          {"bytes_in", second.bytes_in},
          {"bytes_out", second.bytes_out},
          {"visits", second.visits},
          {"first_byte_p50_ms", milliseconds(second.half)},
          {"first_byte_p95_ms", milliseconds(second.most)}};
}

}  // namespace

void EventStream::start(Context& context, std::unique_ptr<net::Transport> transport,
                        std::string_view head, std::optional<Sha256> session) {
  EventStream& stream = context.event_streams.add(
      std::unique_ptr<EventStream>(new EventStream(context, std::move(transport), session)));
  stream.writer_.write(*stream.transport_, head);
  Json history = Json::array();
  for (const Journal::Second& second : context.journal.seconds()) {
    history.push_back(to_json(second));
  }
  std::size_t agents = 0;
  stream.seen_ = stream.lists(agents);
  stream.send("history", history.dump());
}

EventStream::EventStream(Context& context, std::unique_ptr<net::Transport> transport,
                         std::optional<Sha256> session)
    : context_(context), transport_(std::move(transport)), session_(session) {
  transport_->set_owner(this);
  context_.journal.listen(*this);
}

EventStream::~EventStream() {
  context_.journal.forget(*this);
  transport_->set_owner(nullptr);
}

void EventStream::end() {
  if (std::exchange(over_, true)) return;
  context_.event_streams.release(*this);
}

// Nothing is to come from the reader but its end.
void EventStream::on_transport() {
  if (over_) return;
  writer_.flush(*transport_);
  std::array<std::uint8_t, 1024> scratch;
  for (int i = 0; i < 16 && !writer_.failed(); ++i) {
    const net::IoResult result = transport_->read(scratch);
    if (result.status == net::IoStatus::would_block) return;
    if (result.status != net::IoStatus::ok) break;
  }
  end();  // it has gone, or says what nobody asked for
}

void EventStream::on_second(const Journal::Second& second,
                            const std::vector<store::Connection>& visits) {
  if (over_) return;
  if (session_ && !context_.door.is_open(*session_, context_.shard.now())) return end();
  if (!writer_.flush(*transport_)) {
    if (++missed_ == kMissed) end();
    return;
  }
  missed_ = 0;
  Json data = to_json(second);
  std::size_t agents = 0;
  std::string now = lists(agents);
  data["agents"] = agents;
  std::string text = data.dump();
  text.pop_back();
  send("second", text + ",\"ended\":" + connections_json(visits) + "}");
  if (now != seen_) {
    seen_ = std::move(now);
    send("changed", "{}");
  }
}

void EventStream::send(std::string_view event, const std::string& data) {
  if (over_) return;
  std::string text = "event: ";
  text.append(event).append("\ndata: ").append(data).append("\n\n");
  writer_.write(*transport_, text);
  if (writer_.failed()) return end();
  writer_.flush(*transport_);
}

std::string EventStream::lists(std::size_t& agents) const {
  std::string out = context_.draining ? "draining" : "";
  context_.common.everywhere([&](const Context& shard) {
    agents += shard.registry.sessions().size();
    for (AgentSession* session : shard.registry.sessions()) {
      const AgentSession::About about = session->about();
      out.append(" ").append(about.peer).append(" ").append(session->credential_name());
      for (const std::string& tunnel : about.tunnels) out.append(",").append(tunnel);
    }
  });
  return out;
}

}  // namespace leat::relay
