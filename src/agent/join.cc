#include "agent/join.h"

#include <utility>

#include "agent/connection.h"
#include "base/file.h"
#include "base/signature.h"
#include "net/tls.h"

namespace leat::agent {
namespace {

class JoinImpl final : public Join, private Connection::Owner {
 public:
  JoinImpl(net::Shard& shard, Options options, Secret code, Done done, SigningKey key,
           net::TlsContext tls, net::TlsContext web_tls)
      : shard_(shard),
        options_(std::move(options)),
        code_(std::move(code)),
        done_(std::move(done)),
        key_(std::move(key)),
        tls_(std::move(tls)),
        web_tls_(std::move(web_tls)) {}

  void connect(bool websocket) {
    websocket_ = websocket;
    const net::TlsContext* tls = websocket ? &web_tls_ : &tls_;
    if (options_.carrier == Carrier::plain_websocket) tls = nullptr;
    const Connection::Relay relay{options_.relay, tls, websocket, options_.proxy, key_};
    Connection::Owner& owner = *this;
    connection_ = std::make_unique<Connection>(
        shard_, relay,
        control::Client(*this, key_.public_key(), control::Credential::code(code_),
                        options_.host_name, {}),
        owner);
    connection_->start();
  }

 private:
  std::shared_ptr<Egress> find_egress(std::string_view) override { return nullptr; }
  SealedGate* gate() override { return nullptr; }
  void on_credential(const Secret& credential) override { joined_.credential = credential; }
  void on_welcome(const std::string&, const std::string& name) override {
    joined_.name = name;
    connection_->close(Code::DRAINING, "joined");
  }
  void on_bound(std::size_t, const control::TunnelBound&) override {}
  void on_bind_failed(std::size_t, const Error&) override {}
  void on_drain(const std::string&, std::uint32_t, const std::vector<std::string>&) override {}
  void on_notice(const Error&) override {}

  void on_lost(const Error& why) override {
    shard_.dispose(std::move(connection_));
    if (!joined_.credential.empty()) {
      joined_.relay = options_.relay.text();
      return done_(std::move(joined_));
    }
    const bool other = why.code == Code::ALPN_REFUSED && options_.carrier == Carrier::tls;
    if (other && !websocket_) return connect(true);
    done_(tl::unexpected(why));
  }

  net::Shard& shard_;
  const Options options_;
  const Secret code_;
  const Done done_;
  const SigningKey key_;
  const net::TlsContext tls_, web_tls_;
  std::unique_ptr<Connection> connection_;
  bool websocket_ = false;
  JoinedRelay joined_;
};

}  // namespace

Result<std::unique_ptr<Join>> Join::start(net::Shard& shard, Options options, Secret code,
                                          Done done) {
  if (auto made = make_directory(options.state_dir, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  auto key = SigningKey::load_or_create(options.state_dir + "/identity.pem");
  if (!key) return tl::unexpected(key.error());
  auto tls = net::TlsContext::client(options.trust, {net::kAlpnLeat});
  if (!tls) return tl::unexpected(tls.error());
  auto web_tls = net::TlsContext::client(options.trust, {net::kAlpnHttp});
  if (!web_tls) return tl::unexpected(web_tls.error());
  const bool websocket = options.carrier != Carrier::tls;
  auto join =
      std::make_unique<JoinImpl>(shard, std::move(options), std::move(code), std::move(done),
                                 std::move(*key), std::move(*tls), std::move(*web_tls));
  join->connect(websocket);
  return join;
}

}  // namespace leat::agent
