#include "agent/service_dial.h"

#include <sys/socket.h>

#include <optional>
#include <utility>

#include "base/limits.h"
#include "http/proxy_protocol.h"
#include "net/socket_address.h"

namespace leat::agent {

ServiceDial::ServiceDial(net::Shard& shard, const Service& service, const net::TlsContext* tls,
                         std::string_view visitor, OnDone on_done)
    : shard_(shard),
      name_(service.target.host),
      proxy_protocol_(service.proxy_protocol),
      visitor_(visitor),
      tls_(tls),
      on_done_(std::move(on_done)),
      dial_(net::Dial::start(shard, service.target, limits::kDialTimeout,
                             [this](Result<net::Fd> fd) { on_connected(std::move(fd)); })),
      deadline_(shard, [this] {
        done(fail(Code::SERVICE_TIMEOUT, name_ + ": no TLS handshake in time"));
      }) {
  if (tls_ != nullptr) deadline_.arm_in(limits::kDialTimeout);
}

ServiceDial::~ServiceDial() {
  if (transport_) transport_->set_owner(nullptr);
}

void ServiceDial::on_connected(Result<net::Fd> fd) {
  if (!fd) return done(tl::unexpected(fd.error()));
  if (!introduce(fd->get())) return done(fail(Code::SERVICE_UNREACHABLE, "took no PROXY header"));
  transport_ = tls_ ? net::make_tls_transport(shard_, fd->release(), *tls_, name_)
                    : net::make_plain_transport(shard_, fd->release());
  if (!transport_) return done(fail(Code::SERVICE_UNREACHABLE, "out of descriptors or memory"));
  transport_->set_owner(this);
  on_transport();
}

// A socket that has just been connected takes so few bytes at once.
bool ServiceDial::introduce(int fd) const {
  if (proxy_protocol_ == 0) return true;
  std::optional<HostPort> source;
  if (const auto parsed = parse_host_port(visitor_, true)) source = *parsed;
  const std::string header =
      http::proxy_header(proxy_protocol_, source, net::SocketAddress::peer(fd).host_port());
  return ::send(fd, header.data(), header.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(header.size());
}

void ServiceDial::on_transport() {
  if (!on_done_) return;
  if (transport_->established()) return done(std::move(transport_));
  // Before the handshake is complete there is nothing to read but its failure.
  const net::IoResult result = transport_->read({});
  if (result.status == net::IoStatus::failed || result.status == net::IoStatus::end) {
    const Error why = transport_->error();
    done(fail(Code::SERVICE_UNREACHABLE,
              std::string("TLS: ").append(info(why.code).name).append(": ") + why.detail));
  }
}

void ServiceDial::done(Result<std::unique_ptr<net::Transport>> result) {
  deadline_.disarm();
  if (const OnDone on_done = std::exchange(on_done_, nullptr)) on_done(std::move(result));
}

}  // namespace leat::agent
