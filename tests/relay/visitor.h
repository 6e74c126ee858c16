// Somebody who comes to the relay from outside, over TLS or plain, byte by byte.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tls.h"
#include "net/transport.h"

namespace leat::relay {

class Visitor final : private net::TransportOwner {
 public:
  // `tls` null: plain. `receive_buffer`: of the socket; 0: the system's. `from`: an address of this
  // machine's, such as 127.0.0.2.
  Visitor(net::Loop& loop, const HostPort& address, const net::TlsContext* tls,
          int receive_buffer = 0, const char* from = nullptr)
      : loop_(loop) {
    if (from != nullptr) {
      connected(dial_from(from, address), tls, receive_buffer);
      return;
    }
    dial_ = net::Dial::start(loop.shard, address, std::chrono::seconds(10),
                             [this, tls, receive_buffer](Result<net::Fd> fd) {
                               connected(std::move(fd), tls, receive_buffer);
                             });
  }
  ~Visitor() {
    if (transport_) transport_->set_owner(nullptr);
  }

  Visitor& send(std::string_view text) {
    to_send_ += text;
    if (transport_) on_transport();
    return *this;
  }
  Visitor& get(const std::string& target, std::string_view fields = {}) {
    return send("GET " + target + " HTTP/1.1\r\nHost: relay.test\r\n" + std::string(fields) +
                "\r\n");
  }
  Visitor& forget() {  // what it has read so far
    text_.clear();
    return *this;
  }
  void finish() { transport_->finish(); }
  void abort() { transport_->abort(); }
  void pause(bool paused) {
    paused_ = paused;
    if (!paused && transport_) on_transport();
  }

  bool refused() const { return refused_; }  // no connection at all
  bool ready() const { return transport_ && transport_->established(); }
  const std::string& text() const { return text_; }
  bool has(std::string_view part) const { return text_.find(part) != text_.npos; }
  std::size_t count(std::string_view part) const {
    std::size_t n = 0;
    for (std::size_t at = text_.find(part); at != text_.npos; at = text_.find(part, at + 1)) ++n;
    return n;
  }
  std::string body() const {
    const std::size_t head = text_.find("\r\n\r\n");
    return head == text_.npos ? std::string() : text_.substr(head + 4);
  }
  bool ended() const { return ended_; }    // in good order
  bool failed() const { return failed_; }  // reset, or TLS without close_notify
  bool over() const { return ended_ || failed_ || refused_; }

 private:
  // The kernel of this machine completes the connection at once.
  static Result<net::Fd> dial_from(const char* from, const HostPort& address) {
    auto source = net::SocketAddress::numeric({from, 0}).value();
    auto target = net::SocketAddress::numeric(address).value();
    net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(fd.get(), source.get(), source.size) != 0 ||
        ::connect(fd.get(), target.get(), target.size) != 0) {
      return fail(Code::RELAY_UNREACHABLE, from);
    }
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
  }
  void connected(Result<net::Fd> fd, const net::TlsContext* tls, int receive_buffer) {
    loop_.shard.dispose(std::move(dial_));
    if (!fd) {
      refused_ = true;
      return loop_.poke();
    }
    if (receive_buffer > 0) {
      ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    transport_ = tls != nullptr
                     ? net::make_tls_transport(loop_.shard, fd->release(), *tls, "127.0.0.1")
                     : net::make_plain_transport(loop_.shard, fd->release());
    transport_->set_owner(this);
    on_transport();
  }
  void on_transport() override {
    while (!to_send_.empty()) {
      const net::IoResult result = transport_->write(as_bytes(to_send_));
      if (result.status != net::IoStatus::ok) break;
      to_send_.erase(0, result.n);
    }
    transport_->flush();
    std::array<std::uint8_t, 16384> buffer;
    while (!paused_ && !over()) {
      const net::IoResult result = transport_->read(buffer);
      if (result.status == net::IoStatus::would_block) break;
      ended_ = result.status == net::IoStatus::end;
      failed_ = result.status == net::IoStatus::failed;
      text_ += as_chars(Bytes(buffer).first(result.n));
    }
    loop_.poke();
  }

  net::Loop& loop_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  std::string to_send_, text_;
  bool paused_ = false, refused_ = false, ended_ = false, failed_ = false;
};

}  // namespace leat::relay
