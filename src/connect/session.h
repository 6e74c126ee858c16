// One sealed session with an agent: every way to it is tried at once, the first on which the agent
// shows that it is the agent is taken, and on it runs a session whose streams reach its services.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "connect/attempt.h"
#include "connect/known_agent.h"
#include "control/client.h"
#include "net/session_driver.h"
#include "net/shard.h"
#include "net/tls.h"
#include "sealed/sealed_transport.h"

namespace leat::connect {

struct Service {
  std::string id;
  control::TunnelKind kind;
};

class Session final : private Attempt::Owner, private net::SessionDriver::Owner {
 public:
  class Owner {
   public:
    // It is the agent who answers: there is a driver, and what is sent on it goes at once.
    virtual void on_usable() = 0;
    // The agent has opened the session. `way`: "relay relay.example.com:443" or "direct
    // 192.0.2.7:4443".
    virtual void on_connected(const std::string& way) = 0;
    // It could not be made, or has ended. Called once; give it to Shard::dispose.
    virtual void on_session_end(const Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  // All of it outlives the session.
  struct Plan {
    const KnownAgent& known;
    const Credential& credential;
    std::vector<Attempt::Way> ways;
  };

  Session(net::Shard& shard, Plan plan, Owner& owner);
  ~Session();

  void start();
  // Null before on_usable.
  net::SessionDriver* driver() { return driver_.get(); }
  // What the agent said: its services that this device may use, and its own addresses.
  const std::vector<Service>& services() const { return services_; }
  const std::vector<std::string>& direct() const { return direct_; }
  void close();

 private:
  // Attempt::Owner
  void on_ready(Attempt& attempt) override;
  void on_replied(Attempt& attempt) override;
  void on_failed(Attempt& attempt, const Error& why) override;
  void ask_next();
  void release(Attempt& attempt);

  void on_stream(mux::StreamHandle stream) override;
  void on_ended(const Error& why) override;
  void end(const Error& why);

  net::Shard& shard_;
  const Plan plan_;
  Owner& owner_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::vector<Attempt*> ready_;  // … and not asked, while another is
  std::size_t asking_ = 0;
  std::optional<Error> told_;  // the best reason so far
  bool told_by_agent_ = false;
  std::string way_;
  std::vector<Service> services_;
  std::vector<std::string> direct_;
  net::Timer deadline_;
  std::unique_ptr<net::SessionDriver> driver_;
  bool over_ = false;
};

}  // namespace leat::connect
