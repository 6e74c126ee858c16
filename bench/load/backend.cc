#include "load/backend.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <limits>
#include <string>
#include <thread>

#include "load/flows.h"
#include "load/http.h"
#include "load/socket.h"

namespace leat::bench {
namespace {

class Backend {
 public:
  explicit Backend(unsigned bulk_threads) {
    for (unsigned i = 0; i < bulk_threads; ++i) {
      Loop& loop = bulk_.emplace_back();
      std::thread([&loop] { loop.run(std::numeric_limits<std::int64_t>::max()); }).detach();
    }
  }

  Loop& main() { return main_; }
  void begin(int fd, const Request& request);

 private:
  Loop main_;
  std::deque<Loop> bulk_;
  std::size_t next_ = 0;
};

void Backend::begin(int fd, const Request& request) {
  Loop& bulk = bulk_[next_ % bulk_.size()];
  switch (request.kind) {
    case Kind::download:
      ++next_;
      return bulk.add(std::make_unique<BulkSender>(fd, request, std::make_shared<Progress>()));
    case Kind::upload:
      ++next_;
      return bulk.add(
          std::make_unique<BulkReceiver>(fd, request, std::make_shared<Progress>(), true));
    case Kind::tokens:
      return main_.add(std::make_unique<TokenSender>(fd, request, nullptr));
    case Kind::notes:
      return main_.add(
          std::make_unique<TokenReceiver>(fd, request, std::make_shared<TokenLog>(), true));
    case Kind::echo:
      return main_.add(std::make_unique<Echo>(fd));
    case Kind::touch:
      break;
  }
}

class Opening final : public Flow {
 public:
  Opening(int fd, Backend& backend) : Flow(fd), backend_(backend) {}
  std::uint32_t wanted() const override { return EPOLLIN; }

  void on_ready(std::uint32_t) override {
    auto* bytes = reinterpret_cast<std::uint8_t*>(&request_);
    const ssize_t n = ::recv(fd(), bytes + got_, sizeof request_ - got_, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    got_ += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    if (n > 0 && (bytes[0] == 'G' || bytes[0] == 'P')) {  // of GET, POST; no Request begins so
      Loop& here = loop();
      std::string begun(reinterpret_cast<const char*>(bytes), got_);
      return here.add(std::make_unique<HttpService>(here.release(*this), std::move(begun)));
    }
    if (n > 0 && got_ < sizeof request_) return;
    if (n <= 0 || !sane()) return loop().end(*this);
    if (request_.kind == Kind::touch) {
      send_small(fd(), as_bytes("!"));
      return loop().end(*this);
    }
    backend_.begin(loop().release(*this), request_);
  }

 private:
  bool sane() const {
    const bool tokens = request_.kind == Kind::tokens || request_.kind == Kind::notes;
    return request_.magic == Request{}.magic && request_.kind <= Kind::touch &&
           request_.sample > 0 &&
           (!tokens || (request_.token_bytes >= sizeof(TokenHead) &&
                        request_.token_bytes <= Content::kBlock && request_.every_us > 0));
  }

  Backend& backend_;
  Request request_;
  std::size_t got_ = 0;
};

class Listener final : public Flow {
 public:
  Listener(int fd, Backend& backend) : Flow(fd), backend_(backend) {}
  std::uint32_t wanted() const override { return EPOLLIN; }

  void on_ready(std::uint32_t) override {
    int fd;
    while ((fd = ::accept4(this->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
      prepare(fd);
      loop().add(std::make_unique<Opening>(fd, backend_));
    }
  }

 private:
  Backend& backend_;
};

}  // namespace

int run_backend(const HostPort& listen, unsigned bulk_threads) {
  const int fd = listen_on(listen);
  if (fd < 0) {
    std::fprintf(stderr, "%s: %s\n", listen.text().c_str(), std::strerror(errno));
    return 1;
  }
  std::printf("{\"listen\":\"%s\"}\n", bound_address(fd).text().c_str());
  std::fflush(stdout);
  Backend backend(bulk_threads);
  backend.main().add(std::make_unique<Listener>(fd, backend));
  backend.main().run(std::numeric_limits<std::int64_t>::max());
  return 0;
}

}  // namespace leat::bench
