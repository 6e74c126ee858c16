#include "agent/service_dial.h"

#include <utility>

#include "base/limits.h"

namespace leat::agent {

ServiceDial::ServiceDial(net::Shard& shard, const HostPort& target, const net::TlsContext* tls,
                         OnDone on_done)
    : shard_(shard),
      name_(target.host),
      tls_(tls),
      on_done_(std::move(on_done)),
      dial_(net::Dial::start(shard, target, limits::kDialTimeout,
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
  transport_ = tls_ ? net::make_tls_transport(shard_, fd->release(), *tls_, name_)
                    : net::make_plain_transport(shard_, fd->release());
  if (!transport_) return done(fail(Code::SERVICE_UNREACHABLE, "out of descriptors or memory"));
  transport_->set_owner(this);
  on_transport();
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
