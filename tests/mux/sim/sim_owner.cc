#include <algorithm>

#include "mux/sim/sim_world.h"

namespace leat::mux::sim {
namespace {

constexpr Duration kSip = std::chrono::seconds(1);

}  // namespace

Owner::Owner(Node& at, StreamHandle handle, std::uint32_t stream_id, std::size_t bytes)
    : node(at), stream(handle), id(stream_id), total(bytes) {
  Random& random = node.world.random;
  available = random.chance(50) ? total : random.below(total + 1);
  if (node.world.large_ && total < 2000) available = 0;
  room = random.chance(node.world.pressed_ ? 10 : 50) ? SIZE_MAX : random.spread(0, 20000);
  stubborn = random.chance(node.world.crowded_ ? 60 : node.world.large_ ? 10 : 0);
  if (stubborn || node.world.trickle_) room = 0;
  will_break = random.chance(5);
  took = node.world.now;
}

void Owner::attach(Face& to) {
  face = &to;
  asleep = refused = false;
  since_stir = 0;
  served_by.reset();
  check(node.session.attach(stream, face, face), "attach refused on a live stream");
}

void Owner::detach() {
  check(node.session.detach(stream), "detach refused on a live stream");
  face = nullptr;
}

void Owner::abandon() {
  check(node.session.reset(stream), "reset refused on a live stream");
  check(!node.session.alive(stream), "alive after reset");
  over = true;
  node.stale.push_back(stream);
}

// Wakes a source that slept. If it slept for as long as any round of the others can last, it is
// served once before those that did not (docs/protocol.md §1.8).
void Owner::wake() {
  const Stats& stats = node.session.stats();
  const std::uint64_t quantum = node.config.max_frame + 12;
  const std::uint64_t round = 2 * quantum * (node.owners.size() + 1);
  since_stir = quantum;
  if (asleep && !node.pulling && node.referee.may_send(id) && stats.data_out - slept_at > round) {
    served_by = stats.data_out + 2 * quantum * node.fresh();
    node.world.coverage.hit(Fault::sparse_wake);
  }
  since_stir = 0;
  asleep = false;
  check(node.session.wake(stream), "wake refused on a live stream");
}

// One byte, if it has taken none for a while.
void Owner::sip() {
  if (over || calm || node.world.now - took < kSip || !node.session.alive(stream)) return;
  room = 1;
  if (face == nullptr) return attach(first);
  refused = false;
  check(node.session.resume(stream), "resume refused on a live stream");
}

// From here on it sends what it has, takes what comes, and plays no tricks.
void Owner::settle_down() {
  calm = true;
  room = SIZE_MAX;
  available = total - sent;
  if (over || !node.session.alive(stream)) return;
  if (face == nullptr) return attach(first);
  // Only what it owes: a session that forgot to ask, or to offer, is found out.
  if (refused) {
    refused = false;
    node.session.resume(stream);
  }
  if (asleep && !over && node.session.alive(stream)) wake();
}

Produced Owner::produce(Face& at, MutableBytes out) {
  World& world = node.world;
  check(!over, "produce after the stream was over");
  check(!said_end, "produce after the end");
  check(&at == face, "produce on a source that was taken off");
  check(!out.empty(), "produce with no room");
  check(!served_by || node.session.stats().data_out <= *served_by, "a sparse stream waited");
  served_by.reset();
  if (!calm && world.random.chance(2)) {
    abandon();
    world.coverage.hit(Fault::reset_in_produce);
    return world.random.chance(50) ? Produced::not_ready() : Produced::bytes(1);
  }
  if (!calm && world.random.chance(3)) node.session.wake(stream);
  if (sent == total) {
    if (will_break) {
      over = true;
      node.stale.push_back(stream);
      world.coverage.hit(Fault::source_error);
      return Produced::error();
    }
    said_end = true;
    return Produced::end();
  }
  if (available == 0) {
    asleep = true;
    slept_at = node.session.stats().data_out;
    return Produced::not_ready();
  }
  std::size_t n = std::min(out.size(), available);
  if (!calm && world.random.chance(20)) n = world.random.between(1, n);
  for (std::size_t i = 0; i < n; ++i) out[i] = content(id, node.client, sent + i);
  sent += n;
  available -= n;
  since_stir += n + 12;
  if (!calm && world.random.chance(2)) attach(face == &first ? second : first);
  return Produced::bytes(n);
}

std::size_t Owner::deliver(Face& at, Bytes data) {
  World& world = node.world;
  check(!over, "deliver after the stream was over");
  check(!heard_end, "deliver after the end");
  check(&at == face, "deliver to a sink that was taken off");
  check(!data.empty(), "deliver of nothing");
  const std::size_t n = std::min(room, data.size());
  for (std::size_t i = 0; i < n; ++i) {
    check(data[i] == content(id, !node.client, received + i), "a wrong byte");
  }
  received += n;
  if (n > 0) took = node.told;
  if (room != SIZE_MAX) room -= n;
  world.coverage.bytes += n;
  if (n < data.size()) {
    refused = true;
    world.coverage.hit(Fault::stalled_sink);
  }
  if (calm) return n;

  switch (world.random.below(60)) {
    case 0:
      abandon();
      world.coverage.hit(Fault::reset_in_deliver);
      break;
    case 1:
    case 2:
      attach(face == &first ? second : first);
      world.coverage.hit(Fault::handed_over_in_deliver);
      break;
    case 3:
      detach();
      world.coverage.hit(Fault::detached);
      break;
    case 4:
      if (n == 0 || world.trickle_) break;
      room = world.random.spread(0, 20000);
      refused = false;
      node.session.resume(stream);
      break;
    case 5:
      node.open();
      break;
    default:
      break;
  }
  return n;
}

void Owner::end(Face& at) {
  check(!over && !heard_end, "a second end, or one after a reset");
  check(&at == face, "end at a sink that was taken off");
  const auto other = node.peer->owners.find(id);
  check(other != node.peer->owners.end(), "the end of a stream the peer does not have");
  check(other->second->said_end, "an end that the peer did not send");
  check(received == other->second->sent, "the end before the last byte");
  heard_end = true;
  if (!calm && node.world.random.chance(5)) abandon();
}

void Owner::reset(Face& at, ResetReason reason) {
  World& world = node.world;
  check(!over, "reset of a stream that was over");
  check(&at == face, "reset at a sink that was taken off");
  check(!node.session.alive(stream), "alive in Sink::reset");
  check(!(heard_end && said_end), "reset after both ends");
  over = true;
  node.stale.push_back(stream);
  switch (reason) {
    case ResetReason::open_timeout:
      check(!node.referee.answered(id), "given up after the peer had answered");
      world.coverage.hit(Fault::open_timeout);
      break;
    case ResetReason::pressure: {
      // Who took something lately is reset after a long pause, or at the cap, which is reached by
      // what is fed and not by time.
      const bool stalled = world.now - took >= limits::kStalled;
      const bool at_cap = !node.in_deadline && node.near_cap();
      check(stalled || at_cap || node.paused_for() >= limits::kFeedPause, "reset for no reason");
      world.coverage.hit(stalled  ? Fault::pressure_reset_stalled
                         : at_cap ? Fault::pressure_reset_full
                                  : Fault::pressure_reset_paused);
      break;
    }
    case ResetReason::session_end:
      check(node.ended, "session_end in a live session");
      break;
    case ResetReason::peer: {
      const auto other = node.peer->owners.find(id);
      // The peer refused it, or ended it in one of the ways that send RST.
      check(other == node.peer->owners.end() || other->second->over ||
                !node.peer->session.alive(other->second->stream),
            "reset by a peer that did not");
      break;
    }
  }
}

}  // namespace leat::mux::sim
