// The relay as it is made (relay.cc), what may change while it runs (relay_reload.cc), and what it
// looks at by the clock until it ends (relay_run.cc).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/tls.h"
#include "relay/context.h"
#include "relay/part.h"
#include "relay/relay.h"

namespace leat::relay {

// How soon a revocation, made by another process, is seen.
inline constexpr auto kStorePoll = std::chrono::milliseconds(300);
// How soon the end of a visitor's JWT is.
inline constexpr auto kExpiryPoll = std::chrono::seconds(1);

// A shard beside the first, with the thread that runs it.
struct Worker {
  net::Shard shard;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Part> part;
  std::thread thread;
};

class RelayImpl final : public Relay {
 public:
  RelayImpl(net::Shard& shard, Options options) : shard_(shard) {
    std::vector<net::Shard*> shards = {&shard};
    for (std::size_t i = 1; i < options.shards; ++i) {
      shards.push_back(&workers_.emplace_back(std::make_unique<Worker>())->shard);
    }
    shards_ = std::move(shards);
    options_ = std::move(options);
  }

  // Each shard's part ends on its own thread, the first one's last.
  ~RelayImpl() override {
    forget_state();
    for (const auto& worker : workers_) {
      if (!worker->thread.joinable()) {  // a start that failed
        worker->part.reset();
        continue;
      }
      worker->shard.post([&worker = *worker] {
        worker.part.reset();
        worker.shard.stop();
      });
      worker->thread.join();
    }
  }

  const Info& info() const override { return info_; }

  Result<void> open(net::TlsContext tls, const std::string& certificate_file);
  Result<std::vector<std::string>> reload(const Options& options) override;
  void drain(std::function<void()> done) override;
  void on_drain_asked(std::function<void()> ask) override { ask_ = std::move(ask); }
  void set_plans(Plans plans) override {
    common_->accounting.set_plans(std::move(plans));
    mention_lost_plans();
  }
  Result<void> reload_keys() override;

 private:
  Result<void> start_parts();
  Result<void> prepare_workers();
  void start_workers();
  Result<void> listen();
  void set_public_url();
  bool names_lead_here() const;
  bool every_visitor_is_the_proxy() const;
  std::string state_file() const { return options().state_dir + "/relay.json"; }
  const Options& options() const { return common_ ? common_->options : options_; }
  Context& first() const { return part_->context; }
  store::Store& store() const { return first().store; }
  Result<void> write_state(const std::string& pin, const Plans& plans);
  void take_keys(const std::shared_ptr<const auth::KeySet>& keys);
  void keep_first_token();
  void forget_state();
  void open_journal();
  void mention_lost_plans();
  void poll_store();
  void poll_expiry();
  void forget_apps();
  void poll_drain();

  net::Shard& shard_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<net::Shard*> shards_;
  Options options_;  // until there is a Common
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Common> common_;
  std::unique_ptr<Part> part_;  // the first
  Info info_;
  net::Timer store_timer_{shard_, [this] { poll_store(); }};
  net::Timer expiry_timer_{shard_, [this] { poll_expiry(); }};
  net::Timer apps_timer_{shard_, [this] { forget_apps(); }};
  net::Timer drain_timer_{shard_, [this] { poll_drain(); }};
  net::Timer ask_timer_{shard_, [this] { ask_(); }};
  std::function<void()> drained_, ask_ = [this] { drain([] {}); };
  Time drain_deadline_ = kNever;
  bool draining_ = false, closing_ = false;
  std::atomic<bool> unchecked_ = false;  // a credential may have been revoked
  bool stated_ = false;                  // relay.json is ours
};

}  // namespace leat::relay
