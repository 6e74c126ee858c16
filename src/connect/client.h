// What `leat connect` does: keeps a sealed session with an agent while somebody uses it, and joins
// local connections (a listening port, or standard input and output) to the agent's service.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connect/known_agent.h"
#include "connect/local_http.h"
#include "connect/local_pipe.h"
#include "connect/session.h"
#include "net/shard.h"
#include "net/socket.h"

namespace leat::connect {

struct Options {
  std::string directory;     // of known agents
  std::optional<Link> link;  // pair by it, unless that has been done
  std::string agent;         // else: the name of a known one
  std::string device;        // what this device calls itself
  std::string service;       // empty: what the agent takes for it
  std::optional<HostPort> listen;
  net::Fd stdio;                 // else: the one local connection there is
  std::vector<HostPort> direct;  // beside those known
  bool by_relay = true, by_direct = true;
  // On the way to a relay of this name.
  std::function<std::optional<net::Proxy>(std::string_view host)> proxy;
  crypto::Suite suite = crypto::Suite::aesgcm;
  bool padding = false;  // of what is sent
};

class Client final : private Session::Owner, private LocalPipe::Owner, private LocalHttp::Owner {
 public:
  class Listener {
   public:
    virtual void on_listening(const HostPort& address) = 0;
    // Each time there is a session. `agent`: the name by which it is kept, and found again.
    virtual void on_connected(const std::string& agent, const std::string& way) = 0;
    // It cannot be, or (`why` null) the one local connection has ended.
    virtual void on_over(const Error* why) = 0;

   protected:
    ~Listener() = default;
  };

  static Result<std::unique_ptr<Client>> create(net::Shard& shard, Options options,
                                                Listener& events);
  ~Client();

  void start();
  void stop(std::function<void()> done);

 private:
  Client(net::Shard& shard, Options options, KnownAgent known, net::TlsContext tls,
         Listener& events);

  void on_usable() override;
  void on_connected(const std::string& way) override;
  void on_session_end(const Error& why) override;
  void on_pipe_end(LocalPipe& pipe, const Error* why) override;
  void on_http_end(LocalHttp& http) override;

  std::vector<Attempt::Way> ways() const;
  void connect();
  void on_accept(net::Fd socket);
  const Service* service() const;
  void join(std::unique_ptr<net::Transport> local);
  void remember(const std::string& way);
  void over(const Error* why);

  net::Shard& shard_;
  Options options_;
  KnownAgent known_;
  const net::TlsContext tls_;
  Listener& events_;
  Credential credential_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<Session> session_;
  net::Backoff backoff_;
  net::Timer retry_;
  std::vector<std::unique_ptr<net::Transport>> waiting_;  // for a session
  std::vector<std::unique_ptr<LocalPipe>> pipes_;         // after the session: they detach from it
  std::vector<std::unique_ptr<LocalHttp>> https_;
  std::function<void()> stopped_;
  bool connected_ = false;  // once, at least
  bool http_ = false;       // what a service is that the agent has not listed
  bool over_ = false;
};

// Codes after which trying again cannot help, if they are true.
bool is_final(Code code);

}  // namespace leat::connect
