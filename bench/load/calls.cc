#include "load/calls.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "load/http.h"
#include "load/socket.h"

namespace leat::bench {

void Caller::begin(Loop& loop, std::shared_ptr<const CallPlan> plan, std::shared_ptr<CallLog> log) {
  const std::int64_t now = now_ns();
  const int fd = begin_connect(plan->to);
  if (fd < 0) {
    log->error = std::string("connect: ") + std::strerror(errno);
    return;
  }
  loop.add(std::unique_ptr<Caller>(new Caller(fd, now, std::move(plan), std::move(log))));
}

Caller::Caller(int fd, std::int64_t began, std::shared_ptr<const CallPlan> plan,
               std::shared_ptr<CallLog> log)
    : Flow(fd), plan_(std::move(plan)), log_(std::move(log)), began_(began) {}

void Caller::on_ready(std::uint32_t) {
  if (connected_) return read();
  connected_ = true;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(std::string("connect: ") + std::strerror(error));
  loop().want(*this, EPOLLIN);
  send();
}

void Caller::send() {
  if (!send_small(fd(), as_bytes(plan_->request))) fail("a request could not be sent");
}

void Caller::read() {
  const MutableBytes buffer = loop().scratch();
  const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    if (answered_ || !take(buffer.first(static_cast<std::size_t>(n))))
      return fail("a wrong answer");
    return;
  }
  if (!answered_) return fail("closed before the answer");
  begin(loop(), plan_, log_);
  loop().end(*this);
}

bool Caller::take(Bytes data) {
  if (!plan_->http) {
    if (data.size() != 1 || data[0] != '!') return false;
    answered();
    return true;
  }
  const bool good = answer_.feed(data, [this](Bytes part) {
    const auto expected = as_bytes(small_body()).subspan(body_);
    if (part.size() > expected.size() ||
        std::memcmp(expected.data(), part.data(), part.size()) != 0) {
      return false;
    }
    body_ += part.size();
    return true;
  });
  if (!good || (answer_.complete() && body_ != small_body().size())) return false;
  if (answer_.complete()) answered();
  return true;
}

void Caller::answered() {
  const std::int64_t now = now_ns();
  log_->seen.push_back({log_->seen.size(), began_, now});
  if (!plan_->keep) {
    answered_ = true;
    return;
  }
  answer_.begin();
  body_ = 0;
  began_ = now;
  send();
}

void Caller::fail(const std::string& what) {
  if (log_->error.empty()) log_->error = what;
  loop().end(*this);
}

}  // namespace leat::bench
