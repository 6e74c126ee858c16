#include "relay/context.h"

#include <algorithm>
#include <future>
#include <memory>
#include <string_view>
#include <utility>

#include "relay/agent_session.h"
#include "relay/arrival.h"
#include "relay/bare_agent.h"
#include "relay/event_stream.h"
#include "relay/http_visitor.h"
#include "relay/knock.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"
#include "relay/url_parts.h"

namespace leat::relay {

Common::Common(std::vector<net::Shard*> all, store::Store& store, Options o)
    : options(std::move(o)),
      accounting(*all.front(), store, options.plans),
      directory(all.size()),
      journal(*all.front()),
      ports(options.tcp_ports,
            [this](std::size_t shard, std::shared_ptr<net::Listener> listener) {
              post(shard, [listener = std::move(listener)](Context&) {});
            }),
      budget(options.memory),
      shards(std::move(all)) {
  for (std::size_t i = 0; i < shards.size(); ++i) inboxes_.push_back(std::make_unique<Inbox>());
}

// What is under way belongs to the inbox, not to the shard, which may be there for longer than all
// that the work refers to.
void Common::post(std::size_t shard, std::function<void(Context&)> work) {
  Inbox& inbox = *inboxes_[shard];
  {
    const std::lock_guard lock(inbox.mutex);
    inbox.work.push_back(std::move(work));
    if (inbox.work.size() > 1) return;  // it has been told
  }
  shards[shard]->post([context = inbox.context] {
    if (*context != nullptr) (*context)->common.open_inbox(**context);
  });
}

void Common::open_inbox(Context& context) {
  Inbox& inbox = *inboxes_[context.index];
  std::vector<std::function<void(Context&)>> all;
  {
    const std::lock_guard lock(inbox.mutex);
    all.swap(inbox.work);
  }
  for (const auto& work : all) work(context);
}

void Common::everywhere(const std::function<void(Context&)>& work) {
  work(**inboxes_.front()->context);
  for (std::size_t i = 1; i < shards.size(); ++i) {
    const auto done = std::make_shared<std::promise<void>>();
    std::future<void> is_done = done->get_future();
    post(i, [&work, done](Context& context) {
      work(context);
      done->set_value();
    });
    is_done.wait();
  }
}

std::string Common::url_of(const std::string& host) const {
  const UrlParts parts = parts_of(public_url);
  return std::string(parts.scheme).append(host).append(parts.port);
}

Context::Context(net::Shard& s, store::Store& st, Common& c, std::size_t i)
    : shard(s),
      store(st),
      common(c),
      index(i),
      options(c.options),
      credentials(store, options),
      accounting(c.accounting),
      held_back(s),
      registry(c.directory, i,
               [&c](std::size_t there, const std::string& id) {
                 c.post(there, [id](Context& context) { context.registry.tell(id); });
               }),
      rooms(st),
      tries(c.tries),
      journal(c.journal),
      ports(c.ports),
      names(c.names),
      memory(c.budget),
      event_streams(s),
      sessions(s),
      bare_agents(s),
      knocks(s),
      arrivals(s),
      tcp_visitors(s),
      sealed_visitors(s),
      http_visitors(s) {
  journal.watch(metrics);
  *common.inboxes_[index]->context = this;
}

Context::~Context() { *common.inboxes_[index]->context = nullptr; }

std::size_t Context::place_of(const std::string& tunnel, control::TunnelKind kind,
                              std::size_t hops) const {
  if (common.shards.size() == 1 || hops >= common.shards.size()) return index;
  const std::size_t turn = hops > 0 ? index : common.directory.turn(tunnel, kind).value_or(index);
  if (turn != index || registry.well(tunnel, kind)) return turn;
  return common.directory.instead(tunnel, kind, index).value_or(index);
}

// Whoever holds connections open by the thousand leaves descriptors for other visitors, those of
// one kind for the other, and all of them for agents.
bool Context::crowded(const Crowd& kind, const std::string& network) const {
  const std::size_t all = options.descriptors;
  const Crowd &spliced = common.spliced, &http = common.http;
  return kind.size() >= all - all / 4 || spliced.size() + http.size() >= all - all / 8 ||
         spliced.of(network) + http.of(network) >= all / 2;
}

}  // namespace leat::relay
