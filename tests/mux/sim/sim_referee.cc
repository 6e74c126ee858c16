#include "mux/sim/sim_referee.h"

#include <algorithm>

namespace leat::mux::sim {
namespace {

constexpr unsigned kData = 0, kUpdate = 1, kPing = 2, kGoAway = 3;
constexpr unsigned kSyn = 1, kAck = 2, kFin = 4, kRst = 8;

}  // namespace

void Frames::feed(Bytes bytes, const std::function<void(const Frame&)>& on_frame) {
  while (!bytes.empty()) {
    if (payload_left > 0) {
      const std::size_t n = std::min<std::uint64_t>(payload_left, bytes.size());
      payload_left -= n;
      bytes = bytes.subspan(n);
      continue;
    }
    const std::size_t n = std::min(12 - header.size(), bytes.size());
    header += as_chars(bytes.first(n));
    bytes = bytes.subspan(n);
    if (header.size() < 12) return;
    const auto at = [&](int i) {
      return static_cast<std::uint8_t>(header[static_cast<std::size_t>(i)]);
    };
    const auto word = [&](int i) {
      std::uint32_t w = 0;
      for (int k = 0; k < 4; ++k) w = w << 8 | at(i + k);
      return w;
    };
    check(at(0) == 0 && at(1) <= 3 && at(2) == 0, "a header that does not belong to yamux");
    const Frame frame{at(1), at(3), word(4), word(8)};
    header.clear();
    if (frame.type == kData) payload_left = frame.length;
    on_frame(frame);
  }
}

void Referee::sent(Bytes bytes) {
  served_.clear();
  out_.feed(bytes, [this](const Frames::Frame& f) { on_sent(f); });
  check(out_.header.empty() && out_.payload_left == 0, "pull cut a frame");
}

void Referee::received(Bytes bytes) {
  ponged_ = refused_ = 0;
  in_.feed(bytes, [this](const Frames::Frame& f) { on_received(f); });
}

void Referee::move(Stream& stream, StreamEvent event) {
  const auto to = next(stream.state, event);
  check(to.has_value(), "a frame the state table does not list");
  ++coverage_.events[static_cast<std::size_t>(event)];
  stream.state = *to;
  ++coverage_.states[static_cast<std::size_t>(stream.state)];
}

void Referee::answer(Stream& stream) {
  if (stream.waits) --unanswered_;
  stream.waits = false;
}

void Referee::nothing_left() const {
  check(unanswered_ == 0, "a stream neither acknowledged nor refused");
  check(highest_own_ < 0xfffffffe || go_away_sent_, "the last id is used, and no go-away sent");
}

bool Referee::answered(std::uint32_t id) const {
  const auto it = streams_.find(id);
  return it != streams_.end() && it->second.heard;
}

bool Referee::may_send(std::uint32_t id) const {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return false;
  const Stream& s = it->second;
  const bool ours = (id % 2 == 1) == client_;
  return s.may_send > 0 && !s.over && !s.fin && (ours ? s.opened : s.acked);
}

std::uint64_t Referee::since_credit(std::uint32_t id) const {
  const auto it = streams_.find(id);
  return it == streams_.end() ? 0 : it->second.since_credit;
}

void Referee::on_sent(const Frames::Frame& f) {
  ++coverage_.frames;
  check((f.flags & (f.flags - 1)) == 0, "two flags on a frame of ours");
  if (f.type == kPing) {
    if (f.flags == kSyn) {
      check(!ping_sent_, "a second ping before the answer to the first");
      ping_sent_ = true;
      ping_value_ = f.length;
      return;
    }
    check(!pings_.empty() && pings_.front() == f.length,
          "a pong nobody asked for, or out of order");
    pings_.pop_front();
    check(++ponged_ <= 32, "more pongs had been waiting than may");
    return;
  }
  if (f.type == kGoAway) {
    check(f.length == (dead_ ? 1u : 0u), "go-away with the wrong code");
    check(dead_ || !go_away_sent_, "two go-aways");
    go_away_sent_ = true;
    return;
  }
  check(f.id != 0, "a stream frame without stream");
  check(f.flags == 0 || (f.type == kUpdate && f.length == 0), "a flag on a frame that carries");
  Stream& s = streams_[f.id];
  const bool ours = (f.id % 2 == 1) == client_;
  check(!s.fin || f.type == kUpdate, "data after FIN");
  check(!s.rst, "a frame after RST");
  // What was decided before the peer's RST came may still leave, but nothing more is granted or
  // sent.
  check(!s.over || f.flags == kRst || (f.flags == kFin && s.peer_fin),
        "a frame on a stream that is over");
  if (f.flags == kSyn) {
    check(ours && !s.opened, "SYN on a stream that is there");
    check(f.id > highest_own_, "our ids must rise");
    highest_own_ = f.id;
    s.ours = s.opened = true;
    return move(s, StreamEvent::send_syn);
  }
  check(s.opened, "a frame before the SYN");
  if (f.flags == kAck) {
    check(!ours && !s.acked, "a second ACK, or one for a stream of ours");
    s.acked = true;
    return answer(s);
  }
  if (f.flags == kRst) {
    if (!ours && !s.acked)
      check(++refused_ <= refusals_, "more refusals had been waiting than may");
    s.rst = true;
    answer(s);
    if (!s.over) move(s, StreamEvent::send_rst);
    s.over = true;
    return;
  }
  check(ours || s.acked, "something before the ACK");
  if (f.flags == kFin) {
    check(!s.fin, "a second FIN");
    s.fin = true;
    if (!s.over) move(s, StreamEvent::send_fin);
    s.over |= s.peer_fin;
    return;
  }
  if (f.type == kUpdate) {
    check(f.length > 0, "a window update that grants nothing");
    s.may_receive += f.length;
    check(s.may_receive <= window_, "more credit promised than the window is wide");
    return;
  }
  check(f.length > 0, "an empty data frame");
  check(served_.insert(f.id).second, "two data frames of one stream in one pull");
  check(f.length <= s.may_send, "more sent than granted");
  s.may_send -= f.length;
  s.since_credit += f.length + 12;
}

void Referee::on_received(const Frames::Frame& f) {
  if (f.type == kPing) {
    if (f.flags == kSyn) {
      ++asked_.pings;
      pings_.push_back(f.length);
    } else {
      check(ping_sent_ && f.length == ping_value_, "an answer to no ping");
      ping_sent_ = false;
    }
    return;
  }
  const std::uint32_t little = f.length < 64 ? 64 - f.length : 0;
  if (f.type == kGoAway) {
    asked_.most_waste += 64;
    return;
  }
  Stream& s = streams_[f.id];
  if (f.flags == kSyn) {
    ++asked_.opens;
    highest_theirs_ = std::max(highest_theirs_, f.id);
    s.opened = s.waits = true;
    ++unanswered_;
    ++coverage_.streams;
    ++coverage_.states[static_cast<std::size_t>(StreamState::unknown)];
    return move(s, StreamEvent::recv_syn);
  }
  s.heard = true;
  if (f.flags == kRst) {
    ++asked_.resets;
  } else {
    asked_.most_waste += f.type == kData ? little : 64;
    if (f.flags == 0) asked_.least_waste += little;
  }
  if (f.type == kData) {
    check(f.length <= s.may_receive, "more received than granted");
    s.may_receive -= f.length;
  } else {
    if (s.may_send == 0 && f.length > 0) s.since_credit = 0;
    s.may_send += f.length;
  }
  if (s.over) return;
  if (f.flags == kRst) {
    s.over = true;
    answer(s);
    return move(s, StreamEvent::recv_rst);
  }
  if (f.flags == kAck) move(s, StreamEvent::recv_ack);
  if (f.flags == 0) move(s, f.type == kData ? StreamEvent::recv_data : StreamEvent::recv_window);
  if (f.flags == kFin) {
    s.peer_fin = true;
    move(s, StreamEvent::recv_fin);
    s.over |= s.fin;
  }
}

void Referee::all_acknowledged() const {
  for (const auto& [id, s] : streams_) {
    const bool ours = (id % 2 == 1) == client_;
    if (!ours && s.opened && !s.rst && !s.over) check(s.acked, "a stream was never acknowledged");
    if (!ours && s.fin) check(s.acked, "FIN without ACK");
  }
}

}  // namespace leat::mux::sim
