// How a run ends before its time: the carrier is cut, or one session declares the other, or itself,
// dead. And what a session answers when its peer breaks the rules.

#include <algorithm>
#include <vector>

#include "mux/sim/sim_world.h"

namespace leat::mux::sim {
namespace {

constexpr unsigned kData = 0, kUpdate = 1, kPing = 2;
constexpr unsigned kSyn = 1, kAck = 2, kFin = 4;
constexpr std::uint32_t kImplicit = 256 * 1024;

std::string header(unsigned type, unsigned flags, std::uint32_t id, std::uint32_t length) {
  std::string out(12, '\0');
  out[1] = static_cast<char>(type);
  out[3] = static_cast<char>(flags);
  for (unsigned i = 0; i < 4; ++i) {
    out[4 + i] = static_cast<char>(id >> (24 - 8 * i));
    out[8 + i] = static_cast<char>(length >> (24 - 8 * i));
  }
  return out;
}

// More than a bucket holds, and gets back in that time.
bool beyond(std::uint64_t n, limits::Rate rate, Duration in) {
  const std::uint64_t token = 1'000'000'000 / rate.per_second;
  return n * token > rate.burst * token + static_cast<std::uint64_t>(in.count());
}

}  // namespace

// The carrier is gone for good: every owner that has not seen the end of everything is told.
void Node::end() {
  ended = true;
  session.end_all();
  for (auto& [id, owner] : owners) {
    check(!session.alive(owner->stream), "alive after end_all");
    const bool complete = owner->said_end && owner->heard_end;
    check(owner->over || complete || owner->face == nullptr,
          "an owner that was not told of the end");
  }
  check(session.stats().buffered == 0 && session.stats().held == 0, "buffers left after end_all");
}

void Node::died(Fatal reason) {
  check(reason == Fatal::go_away ? peer->fatal != Fatal::none : reason == Fatal::flood && flooded(),
        name(reason));
  fatal = reason;
  referee.died();
}

bool Node::flooded() const {
  const Referee::Asked& asked = referee.asked();
  const GuardLimits& guard = config.guard;
  const auto flood = [this](bool so, Fault fault) {
    if (so) world.coverage.hit(fault);
    return so;
  };
  // One more reset than it has sent: the one that was not to be.
  return flood(asked.opens > guard.opens.burst, Fault::flood_of_opens) ||
         flood(asked.resets + session.stats().resets_out + 1 > guard.resets.burst,
               Fault::flood_of_resets) ||
         flood(asked.pings > guard.pings.burst, Fault::flood_of_pings) ||
         flood(asked.most_waste > guard.waste.burst, Fault::flood_of_waste);
}

void Node::check_guard() const {
  const Referee::Asked& asked = referee.asked();
  const Duration in = world.now - Time{};
  check(!beyond(asked.opens, config.guard.opens, in) &&
            !beyond(asked.resets, config.guard.resets, in) &&
            !beyond(asked.pings, config.guard.pings, in) &&
            !beyond(asked.least_waste, config.guard.waste, in),
        "a flood that was let through");
}

void World::check_deadlines(Node& node) {
  if (node.session.next_deadline() > now) return;
  node.in_deadline = true;
  node.told = now;
  const Fatal fault = node.session.on_deadline(now);
  node.in_deadline = false;
  if (fault == Fatal::none) {
    check(node.session.next_deadline() > now, "a deadline that stays");
    return;
  }
  if (fault == Fatal::write_timeout) {
    check(!node.idle && now - node.last_pull >= node.config.write_timeout, "stuck too early");
    coverage.hit(Fault::write_timeout);
    return cut();
  }
  if (fault == Fatal::flood) {
    node.died(fault);
    return perish(node);
  }
  check(fault == Fatal::ping_timeout, name(fault));
  check(node.session.wants_feed(), "declared dead while its bytes were left in the carrier");
  check(now - node.last_byte >= node.config.ping_timeout, "declared dead while bytes arrived");
  coverage.hit(Fault::ping_timeout);
  cut();
}

void World::cut() {
  coverage.hit(Fault::cut);
  end();
}

void World::end() {
  a_.end();
  b_.end();
  over_ = true;
}

// The session of `node` has found a reason to end. It says so after all that has left before, and
// the peer ends with it.
void World::perish(Node& node) {
  Pipe& pipe = node.out;
  std::string last;
  for (const Pipe::Packet& packet : pipe.flying) last += packet.bytes;
  last += pipe.staged;
  pipe.flying.clear();
  pipe.staged.clear();
  check(node.pull() == 12 && !node.session.wants_pull(), "an end that is not a go-away alone");
  last += pipe.staged;
  pipe.staged.clear();
  const Fatal answer = node.peer->feed(as_bytes(last));
  check(answer != Fatal::none, "a go-away that was overheard");
  if (answer == Fatal::go_away) coverage.hit(Fault::go_away_error);
  end();
}

// After everything has ended well: what the peer may never send ends the session for the reason
// that docs/protocol.md §1 gives.
void World::last_word(Node& at) {
  struct Word {
    std::string bytes;
    Fatal fault;
  };
  const std::uint32_t used = at.referee.highest_theirs();
  const std::uint32_t own = at.client ? 1 : 2, first = 3 - own;
  std::vector<Word> words{
      {'\1' + header(kUpdate, 0, first, 0).substr(1), Fatal::bad_version},
      {header(4, 0, 0, 0), Fatal::bad_type},
      {header(kData, 16, first, 0), Fatal::bad_flags},
      {header(kPing, kSyn | kAck, 0, 0), Fatal::bad_flags},
      {header(kData, 0, 0, 0), Fatal::bad_stream_id},
      {header(kUpdate, kSyn, own, 0), Fatal::bad_stream_id},
  };
  if (used != 0) words.push_back({header(kUpdate, kSyn, used, 0), Fatal::bad_stream_id});
  if (used < 0xfffffffe && at.config.memory == nullptr && !at.referee.leaving()) {
    const std::uint32_t id = used == 0 ? first : used + 2;
    const std::string syn = header(kUpdate, kSyn, id, 0), fin = header(kUpdate, kFin, id, 0);
    words.insert(words.end(), {{syn + syn, Fatal::bad_state},
                               {syn + fin + fin, Fatal::bad_state},
                               {syn + fin + header(kUpdate, kAck, id, 0), Fatal::bad_state},
                               {syn + fin + header(kData, 0, id, 1), Fatal::bad_state},
                               {syn + header(kData, 0, id, kImplicit + 1), Fatal::window_exceeded},
                               {header(kData, kSyn, id, kImplicit + 1), Fatal::window_exceeded},
                               {syn + header(kUpdate, 0, id, 0xffffffff), Fatal::window_overflow},
                               {header(kUpdate, kSyn, id, 0xffffffff), Fatal::window_overflow}});
  }
  const Word word = words[random.below(words.size())];
  at.ignores_opens = true;
  Fatal fault = Fatal::none;
  for (Bytes rest = as_bytes(word.bytes); fault == Fatal::none && !rest.empty();) {
    const std::size_t n = random.between(1, rest.size());
    fault = at.session.feed(rest.first(n), now);
    rest = rest.subspan(n);
  }
  check(fault == word.fault, "a word that no peer may say was taken otherwise");
  coverage.hit(Fault::bad_last_word);
  at.fatal = fault;
  at.referee.died();
  perish(at);
}

}  // namespace leat::mux::sim
