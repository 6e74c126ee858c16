#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/crypto_util.h"
#include "http/head.h"
#include "net/socket.h"

namespace leat::net {
namespace {

class ProxyDial final : public Dial, private Watched {
 public:
  ProxyDial(Shard& shard, const Proxy& proxy, const HostPort& address, Duration timeout,
            OnDone on_done);
  ~ProxyDial() override { shard_.unwatch(*this); }

 private:
  void on_connected(Result<Fd> fd);
  void on_ready() override;
  bool send_request();
  void read_answer();
  void refuse(std::string why) { done(fail(Code::PROXY_REFUSED, proxy_ + ": " + std::move(why))); }
  void done(Result<Fd> result);  // may destroy this

  Shard& shard_;
  const std::string proxy_;  // for messages
  std::string request_;
  std::size_t sent_ = 0;
  OnDone on_done_;
  std::unique_ptr<Dial> dial_;
  Fd fd_;
  http::HeadReader head_;
  Timer timeout_;
};

ProxyDial::ProxyDial(Shard& shard, const Proxy& proxy, const HostPort& address, Duration timeout,
                     OnDone on_done)
    : shard_(shard),
      proxy_("proxy " + proxy.address.text()),
      on_done_(std::move(on_done)),
      timeout_(shard, [this] { refuse("no answer in time"); }) {
  request_ = "CONNECT " + address.text() + " HTTP/1.1\r\nHost: " + address.text() + "\r\n";
  if (!proxy.credentials.empty()) {
    request_ += "Proxy-Authorization: Basic ";
    request_ += base64(as_bytes(proxy.credentials.reveal()));
    request_ += "\r\n";
  }
  request_ += "\r\n";
  timeout_.arm_in(timeout);
  dial_ = Dial::start(shard, proxy.address, timeout,
                      [this](Result<Fd> fd) { on_connected(std::move(fd)); });
}

void ProxyDial::on_connected(Result<Fd> fd) {
  shard_.dispose(std::move(dial_));
  if (!fd) return done(fail(fd.error().code, "proxy " + fd.error().detail));
  fd_ = std::move(*fd);
  if (!shard_.watch(fd_.get(), *this)) refuse("out of memory");
}

void ProxyDial::on_ready() {
  if (!on_done_ || !send_request()) return;
  if (readable()) read_answer();
}

// False: over.
bool ProxyDial::send_request() {
  while (sent_ < request_.size() && writable()) {
    const ssize_t n =
        ::send(fd_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (n >= 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      clear_writable();
    } else if (errno != EINTR) {
      refuse(std::generic_category().message(errno));
      return false;
    }
  }
  return true;
}

// Takes the head and not a byte of what follows it, which belongs to whoever asked.
void ProxyDial::read_answer() {
  std::array<std::uint8_t, 4096> buffer;
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return clear_readable();
    if (n <= 0) return refuse(n == 0 ? "closed" : std::generic_category().message(errno));
    std::size_t used = 0;
    const auto state = head_.feed(Bytes(buffer).first(static_cast<std::size_t>(n)), used);
    if (state == http::HeadReader::State::error) return refuse("an answer that is not HTTP");
    if (used > 0) ::recv(fd_.get(), buffer.data(), used, 0);  // there, as the peek has shown
    if (state == http::HeadReader::State::more) continue;
    const std::optional<http::Response> response = head_.take_response("CONNECT");
    if (!response) return refuse("an answer that is not HTTP");
    if (response->interim()) continue;
    if (response->status < 200 || response->status > 299) {
      return refuse("HTTP " + std::to_string(response->status) + " " + response->reason);
    }
    shard_.unwatch(*this);
    return done(std::move(fd_));
  }
}

void ProxyDial::done(Result<Fd> result) {
  timeout_.disarm();
  shard_.unwatch(*this);
  shard_.dispose(std::move(dial_));
  if (const OnDone on_done = std::exchange(on_done_, nullptr)) on_done(std::move(result));
}

}  // namespace

std::unique_ptr<Dial> Dial::start_through(Shard& shard, const Proxy& proxy, const HostPort& address,
                                          Duration timeout, OnDone on_done) {
  return std::make_unique<ProxyDial>(shard, proxy, address, timeout, std::move(on_done));
}

}  // namespace leat::net
