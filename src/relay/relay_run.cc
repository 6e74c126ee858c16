#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "relay/agent_session.h"
#include "relay/bare_agent.h"
#include "relay/http_visitor.h"
#include "relay/relay_impl.h"
#include "relay/sealed_visitor.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {
namespace {

// For how long an app that registered itself may be unused, and how soon it goes then.
constexpr auto kAppUnused = std::chrono::days(30);
constexpr auto kAppSweep = std::chrono::hours(1);
constexpr auto kDrainPoll = std::chrono::milliseconds(20);

}  // namespace

void RelayImpl::poll_store() {
  if (store().changed()) {
    unchecked_ = true;
    common_->accounting.look_at_owners();
  }
  if (unchecked_.exchange(false)) {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      common_->post(i, [this](Context& context) {
        // check_credential() closes by and by; it releases nothing here.
        context.sessions.for_each([](AgentSession& session) { session.check_credential(); });
        context.bare_agents.for_each([](BareAgent& agent) { agent.check_credential(); });
        // Who could not be looked up stays, and is looked up again.
        if (!context.store.is_live(0)) unchecked_ = true;
      });
    }
  }
  store_timer_.arm_in(kStorePoll);
}

// By the wall clock, which may be set: no visitor has a timer for it.
void RelayImpl::poll_expiry() {
  const auto now =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    common_->post(i, [now](Context& context) {
      context.http_visitors.for_each([&](HttpVisitor& visitor) { visitor.expire(now); });
    });
  }
  expiry_timer_.arm_in(kExpiryPoll);
}

void RelayImpl::forget_apps() {
  std::vector<std::int64_t> in_use;
  for (const std::string& token : common_->token_sessions.keys()) {
    in_use.push_back(std::stoll(token));
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (const auto gone = store().forget_apps(now - kAppUnused, in_use); !gone) {
    log::write(log::Level::warn, "unused apps are kept", gone.error());
  }
  apps_timer_.arm_in(kAppSweep);
}

// --- drain ---

namespace {

// Who is there, of all shards.
struct Present {
  std::size_t http_visitors = 0, tcp_visitors = 0, sealed_visitors = 0, agents = 0, bare_agents = 0;

  void add(const Context& context) {
    http_visitors += context.http_visitors.size();
    tcp_visitors += context.tcp_visitors.size();
    sealed_visitors += context.sealed_visitors.size();
    agents += context.sessions.size();
    bare_agents += context.bare_agents.size();
  }
};

}  // namespace

void RelayImpl::drain(std::function<void()> done) {
  if (std::exchange(draining_, true)) return;
  drained_ = std::move(done);
  forget_state();
  Present present;
  common_->everywhere([&](Context& context) { present.add(context); });
  log::info("draining", {{"http_visitors", present.http_visitors},
                         {"tcp_visitors", present.tcp_visitors},
                         {"agents", present.agents},
                         {"bare_agents", present.bare_agents}});
  common_->everywhere([&](Context& context) {
    context.draining = true;
    (context.index == 0 ? *part_ : *workers_[context.index - 1]->part).close_doors();
    context.sessions.for_each([](AgentSession& session) { session.drain(); });
    std::vector<HttpVisitor*> visitors;
    context.http_visitors.for_each([&](HttpVisitor& visitor) { visitors.push_back(&visitor); });
    for (HttpVisitor* visitor : visitors) visitor->drain();
  });
  drain_deadline_ = shard_.now() + limits::kDrain - std::chrono::seconds(3);
  drain_timer_.arm_in(kDrainPoll);
}

void RelayImpl::poll_drain() {
  Present present;
  common_->everywhere([&](Context& context) { present.add(context); });
  const bool idle = common_->travelling.size() == 0 && present.http_visitors == 0 &&
                    present.tcp_visitors == 0 && present.sealed_visitors == 0;
  const bool late = shard_.now() >= drain_deadline_;
  if (!closing_ && (idle || late)) {
    closing_ = true;
    common_->everywhere([](Context& context) {
      std::vector<AgentSession*> sessions;
      context.sessions.for_each([&](AgentSession& session) { sessions.push_back(&session); });
      for (AgentSession* session : sessions) {
        session->close(Error{Code::DRAINING, "the relay is shutting down"});
      }
      // Not before: many of them take a go-away for the end of everything.
      context.bare_agents.for_each([](BareAgent& agent) {
        agent.close(Error{Code::DRAINING, {}});
      });
    });
  }
  if (closing_ && present.agents == 0 && present.bare_agents == 0) {
    log::info("drained", {{"cut", late}});
    return drained_();
  }
  drain_timer_.arm_in(kDrainPoll);
}

}  // namespace leat::relay
