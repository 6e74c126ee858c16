#include "load/flows.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace leat::bench {
namespace {

constexpr std::int64_t kReportEvery = 20'000'000;  // ns

bool again() { return errno == EAGAIN || errno == EINTR; }

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

// Calls `take` with every whole record of `size` bytes in what has come; false when the connection
// is over or `take` says so.
template <typename Take>
bool read_records(int fd, MutableBytes scratch, std::size_t size,
                  std::vector<std::uint8_t>& partial, Take take) {
  const ssize_t n = ::recv(fd, scratch.data(), scratch.size(), 0);
  if (n < 0) return again();
  if (n == 0) return false;
  Bytes data = scratch.first(static_cast<std::size_t>(n));
  while (!data.empty()) {
    if (partial.empty() && data.size() >= size) {
      if (!take(data.first(size))) return false;
      data = data.subspan(size);
      continue;
    }
    const std::size_t more = std::min(size - partial.size(), data.size());
    partial.insert(partial.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(more));
    data = data.subspan(more);
    if (partial.size() < size) continue;
    const bool good = take(Bytes(partial));
    partial.clear();
    if (!good) return false;
  }
  return true;
}

}  // namespace

bool send_small(int fd, Bytes data) {
  return ::send(fd, data.data(), data.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(data.size());
}

// --- bulk ---

BulkSender::BulkSender(int fd, const Request& request, std::shared_ptr<Progress> progress)
    : Flow(fd), content_(request.seed), progress_(std::move(progress)) {}

void BulkSender::on_ready(std::uint32_t events) {
  if ((events & ~EPOLLOUT) != 0 && !read_reports()) {
    progress_->ended = true;
    loop().end(*this);
    return;
  }
  if (events & EPOLLOUT) send();
}

bool BulkSender::read_reports() {
  return read_records(fd(), loop().scratch(), 8, partial_, [this](Bytes record) {
    std::uint64_t checked;
    std::memcpy(&checked, record.data(), sizeof checked);
    if (checked == kBroken) {
      progress_->broken = true;
      return false;
    }
    progress_->bytes.store(checked, std::memory_order_relaxed);
    return true;
  });
}

void BulkSender::send() {
  std::array<iovec, 16> parts;
  std::uint64_t end = offset_;
  for (iovec& part : parts) {
    const Bytes slice = content_.at(end);
    part = {const_cast<std::uint8_t*>(slice.data()), slice.size()};
    end += slice.size();
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t n = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
  if (n > 0) {
    offset_ += static_cast<std::uint64_t>(n);
  } else if (!again()) {
    progress_->ended = true;
    loop().end(*this);
  }
}

BulkReceiver::BulkReceiver(int fd, const Request& request, std::shared_ptr<Progress> progress,
                           bool report)
    : Flow(fd),
      content_(request.seed, request.sample),
      progress_(std::move(progress)),
      report_(report) {}

void BulkReceiver::on_ready(std::uint32_t) {
  const MutableBytes buffer = loop().scratch();
  const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
  if (n < 0 && again()) return;
  if (n <= 0) return finish();
  const auto size = static_cast<std::size_t>(n);
  if (content_.wrong(offset_, buffer.first(size))) {
    progress_->broken = true;
    if (report_) say(kBroken);
    return finish();
  }
  offset_ += size;
  progress_->bytes.store(offset_, std::memory_order_relaxed);
  if (report_ && !timer_) {
    timer_ = true;
    loop().at(*this, now_ns() + kReportEvery);
  }
}

void BulkReceiver::on_time(std::int64_t) {
  timer_ = false;
  if (offset_ != reported_) say(offset_);
}

void BulkReceiver::say(std::uint64_t value) {
  if (send_small(fd(), bytes_of(value))) reported_ = value;
}

void BulkReceiver::finish() {
  progress_->ended = true;
  loop().end(*this);
}

// --- tokens ---

TokenSender::TokenSender(int fd, const Request& request, std::shared_ptr<TokenLog> log)
    : Flow(fd), request_(request), content_(request.seed), log_(std::move(log)) {}

void TokenSender::on_start(std::int64_t now) {
  due_ = now;
  loop().at(*this, due_);
}

void TokenSender::append(const TokenHead& head, std::vector<std::uint8_t>& out) {
  const std::size_t body = request_.token_bytes - sizeof head;
  const Bytes fill = content_.at(head.sequence * Content::kBlock).first(body);
  const Bytes start = bytes_of(head);
  out.insert(out.end(), start.begin(), start.end());
  out.insert(out.end(), fill.begin(), fill.end());
}

void TokenSender::on_time(std::int64_t now) {
  // From the plan, not from now: neither the pace nor a token's delay is flattered by a sender that
  // was kept from running.
  append({.sequence = sequence_++, .sent_ns = due_}, queued_);
  due_ += std::int64_t{request_.every_us} * 1000;
  loop().at(*this, std::max(due_, now));
  send();
}

void TokenSender::send() {
  const ssize_t n =
      ::send(fd(), queued_.data() + queued_at_, queued_.size() - queued_at_, MSG_NOSIGNAL);
  if (n < 0 && !again()) {
    if (log_) log_->ended = true;
    return loop().end(*this);
  }
  queued_at_ += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
  // Moved together only once half of it has gone: each byte is moved once, however long it waits.
  if (queued_at_ >= queued_.size() - queued_at_) {
    queued_.erase(queued_.begin(), queued_.begin() + static_cast<std::ptrdiff_t>(queued_at_));
    queued_at_ = 0;
  }
  loop().want(*this, queued_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void TokenSender::on_ready(std::uint32_t events) {
  if ((events & ~EPOLLOUT) != 0 && !read_receipts()) {
    if (log_) log_->ended = true;
    return loop().end(*this);
  }
  if ((events & EPOLLOUT) != 0 && !queued_.empty()) send();
}

bool TokenSender::read_receipts() {
  return read_records(fd(), loop().scratch(), sizeof(Receipt), partial_, [this](Bytes record) {
    Receipt receipt;
    std::memcpy(&receipt, record.data(), sizeof receipt);
    if (log_) log_->seen.push_back({receipt.sequence, receipt.sent_ns, receipt.received_ns});
    return true;
  });
}

TokenReceiver::TokenReceiver(int fd, const Request& request, std::shared_ptr<TokenLog> log,
                             bool report)
    : Flow(fd), request_(request), content_(request.seed), log_(std::move(log)), report_(report) {}

void TokenReceiver::on_ready(std::uint32_t) {
  const std::int64_t now = now_ns();
  if (read_records(fd(), loop().scratch(), request_.token_bytes, partial_,
                   [this, now](Bytes token) { return take(token, now); })) {
    return;
  }
  log_->ended = true;
  loop().end(*this);
}

bool TokenReceiver::take(Bytes token, std::int64_t now) {
  TokenHead head;
  std::memcpy(&head, token.data(), sizeof head);
  const Bytes body = token.subspan(sizeof head);
  if (head.sequence != expected_ || content_.wrong(head.sequence * Content::kBlock, body)) {
    log_->broken = true;
    return false;
  }
  ++expected_;
  if (report_) {
    return send_small(fd(), bytes_of(Receipt{head.sequence, head.sent_ns, now}));
  }
  log_->seen.push_back({head.sequence, head.sent_ns, now});
  return true;
}

// --- there and back ---

void Echo::on_ready(std::uint32_t) {
  const MutableBytes buffer = loop().scratch();
  const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
  if (n < 0 && again()) return;
  if (n <= 0 || !send_small(fd(), buffer.first(static_cast<std::size_t>(n)))) loop().end(*this);
}

void Ping::on_start(std::int64_t now) {
  sent_ = now;
  got_ = 0;
  if (!send_small(fd(), content_.at(sequence_ * kSize).first(kSize))) log_->ended = true;
}

void Ping::on_ready(std::uint32_t) {
  const MutableBytes buffer = loop().scratch();
  const ssize_t n = ::recv(fd(), buffer.data(), kSize - got_, 0);
  if (n < 0 && again()) return;
  if (n <= 0) {
    log_->ended = true;
    return loop().end(*this);
  }
  const auto size = static_cast<std::size_t>(n);
  if (content_.wrong(sequence_ * kSize + got_, buffer.first(size))) {
    log_->broken = true;
    return loop().end(*this);
  }
  got_ += size;
  if (got_ < kSize) return;
  const std::int64_t now = now_ns();
  log_->seen.push_back({sequence_++, sent_, now});
  on_start(now);
}

}  // namespace leat::bench
