#include "net/http_io.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace leat::net {
namespace {

constexpr std::size_t kHold = 16 * 1024;

}  // namespace

// --- from the transport ---

IoStatus HttpReader::hold_more(Transport& transport) {
  if (held_at_ == held_.size()) {
    held_.clear();
    held_at_ = 0;
  }
  const std::size_t before = held_.size();
  if (before >= kHold) return IoStatus::would_block;
  held_.resize(kHold);
  const IoResult result =
      transport.read({reinterpret_cast<std::uint8_t*>(held_.data()) + before, kHold - before});
  held_.resize(before + (result.status == IoStatus::ok ? result.n : 0));
  if (held_.empty()) held_.shrink_to_fit();  // an idle connection keeps no buffer
  return result.status;
}

std::size_t HttpReader::take_held(MutableBytes out) {
  const std::size_t n = std::min(out.size(), held());
  std::memcpy(out.data(), held_.data() + held_at_, n);
  held_at_ += n;
  return n;
}

HttpReader::Head HttpReader::read_head(Transport& transport) {
  for (;;) {
    if (has_held()) {
      std::size_t used = 0;
      const auto state = head_.feed(as_bytes(held_).subspan(held_at_), used);
      held_at_ += used;
      if (state == http::HeadReader::State::done) return Head::done;
      if (state == http::HeadReader::State::error) return Head::bad;
    }
    if (gone_ != IoStatus::ok) return gone_ == IoStatus::end ? Head::end : Head::failed;
    switch (hold_more(transport)) {
      case IoStatus::ok:
        break;
      case IoStatus::would_block:
        return Head::more;
      case IoStatus::end:
        return Head::end;
      case IoStatus::failed:
        return Head::failed;
    }
  }
}

void HttpReader::begin_body(http::BodyKind kind, std::uint64_t length) {
  body_ = http::BodyScanner(kind, length);
  trailers_sent_ = 0;
  bad_framing_ = false;
}

mux::Produced HttpReader::produce_body(Transport& transport, MutableBytes out) {
  for (;;) {
    if (body_.done()) {
      const std::string& trailers = body_.trailers();
      if (trailers_sent_ == trailers.size()) return mux::Produced::end();
      const std::size_t n = std::min(out.size(), trailers.size() - trailers_sent_);
      std::memcpy(out.data(), trailers.data() + trailers_sent_, n);
      trailers_sent_ += n;
      return mux::Produced::bytes(n);
    }
    std::size_t n = take_held(out);
    if (n == 0) {
      const IoResult result = gone_ != IoStatus::ok ? IoResult{gone_} : transport.read(out);
      if (result.status == IoStatus::would_block) return mux::Produced::not_ready();
      if (result.status == IoStatus::end && body_.complete_at_close()) return mux::Produced::end();
      if (result.status != IoStatus::ok) return mux::Produced::error();
      n = result.n;
    }
    std::size_t used = 0, forward = 0;
    const auto state = body_.feed(out.first(n), used, forward);
    if (state == http::BodyScanner::State::error) {
      bad_framing_ = true;
      return mux::Produced::error();
    }
    if (used < n) {
      // The next message's first bytes came along: they go back in front of what is held.
      held_.replace(0, held_at_, reinterpret_cast<const char*>(out.data()) + used, n - used);
      held_at_ = 0;
    }
    if (forward > 0) return mux::Produced::bytes(forward);
  }
}

mux::Produced HttpReader::produce_raw(Transport& transport, MutableBytes out) {
  if (const std::size_t n = take_held(out); n > 0) return mux::Produced::bytes(n);
  const IoResult result = gone_ != IoStatus::ok ? IoResult{gone_} : transport.read(out);
  switch (result.status) {
    case IoStatus::ok:
      return mux::Produced::bytes(result.n);
    case IoStatus::would_block:
      return mux::Produced::not_ready();
    case IoStatus::end:
      return mux::Produced::end();
    case IoStatus::failed:
      break;
  }
  return mux::Produced::error();
}

bool HttpReader::peer_gone(Transport& transport) {
  while (gone_ == IoStatus::ok) {
    const IoStatus status = hold_more(transport);
    if (status == IoStatus::would_block) return false;
    gone_ = status;
  }
  return true;
}

// --- to the transport ---

void HttpWriter::write(Transport& transport, std::string_view text) {
  queue_.append(text);
  flush(transport);
}

bool HttpWriter::flush(Transport& transport) {
  while (!queue_.empty()) {
    const IoResult result = transport.write(as_bytes(queue_));
    if (result.status == IoStatus::failed) failed_ = true;
    if (result.status != IoStatus::ok) break;
    queue_.erase(0, result.n);
  }
  if (queue_.empty() && queue_.capacity() > 1024) std::string().swap(queue_);
  return transport.flush() && queue_.empty();
}

void HttpWriter::begin_body(http::BodyKind kind, std::uint64_t length) {
  body_ = http::BodyScanner(kind, length);
  body_bytes_ = 0;
  bad_framing_ = false;
}

std::size_t HttpWriter::write_body(Transport& transport, std::span<const Bytes> pieces) {
  if (!queue_.empty() || body_.done()) return 0;
  // The transport may take less than is valid, so the scanner goes ahead on a copy of itself.
  http::BodyScanner ahead = body_;
  std::array<Bytes, mux::Sink::kMaxPieces> valid;  // all that is forwarded comes before trailers
  std::size_t count = 0, size = 0, taken = 0;
  for (const Bytes piece : pieces) {
    std::size_t used = 0, forward = 0;
    const auto state = ahead.feed(piece, used, forward);
    if (state == http::BodyScanner::State::error) {
      bad_framing_ = taken == 0;  // what is good in front of it goes first
      break;
    }
    if (forward > 0) valid[count++] = piece.first(forward);
    size += forward;
    taken += used;
    if (state == http::BodyScanner::State::done) break;
  }
  if (taken == 0) return 0;
  std::size_t sent = 0;
  if (size > 0) {
    const IoResult result = transport.write_pieces(std::span(valid).first(count));
    if (result.status == IoStatus::failed) failed_ = true;
    if (result.status != IoStatus::ok) return 0;
    sent = result.n;
  }
  body_bytes_ += sent;
  if (sent < size) {
    std::size_t left = sent, used = 0, forward = 0;
    for (std::size_t i = 0; left > 0; left -= used) {
      body_.feed(valid[i].first(std::min(left, valid[i].size())), used, forward);
      ++i;
    }
    return sent;
  }
  body_ = std::move(ahead);
  if (body_.done() && !body_.trailers().empty()) write(transport, body_.trailers());
  return taken;
}

std::size_t HttpWriter::write_raw(Transport& transport, std::span<const Bytes> pieces) {
  if (!queue_.empty()) return 0;
  const IoResult result = transport.write_pieces(pieces);
  if (result.status == IoStatus::failed) failed_ = true;
  return result.status == IoStatus::ok ? result.n : 0;
}

}  // namespace leat::net
