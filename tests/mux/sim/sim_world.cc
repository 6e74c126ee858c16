#include "mux/sim/sim_world.h"

#include <algorithm>

#include "mux/sim/sim_replay.h"

namespace leat::mux::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kSparse = 2000;          // who sends less beside bulk does it bit by bit
constexpr std::size_t kRecorded = 64 * 1024;   // bytes of the wire kept for the replay
constexpr std::uint32_t kLastId = 0xfffffffe;  // of a server; a client's is one more

}  // namespace

// --- Node ---

Node::Node(World& at, const Config& chosen)
    : world(at),
      config(chosen),
      client(chosen.role == Role::client),
      session(chosen, *this, Time{}),
      // Those of the queue, and a mark on each stream.
      referee(client, widest(), config.control_queue / 12 + config.max_streams, at.coverage) {}

std::uint32_t Node::widest() const {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(
      config.max_window, config.initial_window + config.receive_budget / 2));
}

void Node::compare_windows(bool may_grow) {
  std::uint64_t grown = 0;
  bool up = false, down = false;
  for (const auto& [id, owner] : owners) {
    if (!session.alive(owner->stream)) {
      windows.erase(id);
      continue;
    }
    const std::uint32_t now = session.window(owner->stream);
    const std::uint32_t was = windows.emplace(id, config.initial_window).first->second;
    check(now >= config.initial_window && now <= widest(), "a window out of its bounds");
    check(now <= was || may_grow, "a window grew when it should not");
    grown += now - config.initial_window;
    up |= now > was;
    down |= now < was;
    windows[id] = now;
  }
  check(grown == session.stats().grown, "the count of what windows have grown by is off");
  check(grown <= config.receive_budget / 2, "windows grew beyond what they may share");
  if (up) world.coverage.hit(Fault::window_grown);
  if (down) world.coverage.hit(Fault::window_shrunk);
  if (up && down) world.coverage.hit(Fault::share_moved);
}

void Node::on_open(StreamHandle stream) {
  if (ignores_opens) return;
  const std::uint32_t id = session.id(stream);
  check(owners.count(id) == 0, "a second on_open for one id");
  Owner& owner = *(owners[id] = std::make_unique<Owner>(*this, stream, id, world.random_total()));
  switch (world.random.below(10)) {
    case 0:
      break;  // attached later
    case 1:
      owner.abandon();
      world.coverage.hit(Fault::own_reset);
      break;
    default:
      owner.attach(owner.first);
  }
}

void Node::on_want_pull() {
  if (pulling) {
    check(!wanted_in_pull, "on_want_pull twice in one pull");
    wanted_in_pull = true;
    return;
  }
  check(idle, "on_want_pull again before a pull that found nothing");
  idle = false;
}

void Node::on_want_feed() {
  check(session.wants_feed(), "on_want_feed but not wants_feed");
  feed_waits = false;
  paused_since.reset();
}

Owner* Node::open() {
  if (world.streams_left_ == 0 || ended) return nullptr;
  const auto stream = session.open(world.now);
  told = world.now;
  if (!stream) return nullptr;
  --world.streams_left_;
  const std::uint32_t id = session.id(*stream);
  if (id >= kLastId) {
    world.coverage.hit(Fault::ids_used_up);
    check(!session.open(world.now), "an id after the last");
  }
  Owner& owner = *(owners[id] = std::make_unique<Owner>(*this, *stream, id, world.random_total()));
  if (world.random.chance(90)) owner.attach(owner.first);
  return &owner;
}

Fatal Node::feed(Bytes bytes) {
  if (wire.size() < kRecorded) wire += as_chars(bytes);
  last_byte = told = world.now;
  referee.received(bytes);
  if (wire.size() < kRecorded && referee.between_frames()) wire_frames = wire.size();
  const std::uint64_t refused = session.stats().refused;
  fed_upon = session.stats().held;
  fed = bytes.size();
  Bytes rest = bytes;
  Fatal fault = Fatal::none;
  // The data of several feeds may come as one.
  while (fault == Fatal::none && !rest.empty() && world.random.chance(60)) {
    const std::size_t n = world.random.spread(1, rest.size());
    fault = session.feed(rest.first(n), world.now, true);
    rest = rest.subspan(n);
  }
  if (fault == Fatal::none) fault = session.feed(rest, world.now);
  if (!session.wants_feed() && !paused_since) paused_since = world.now;
  if (fault != Fatal::none) {
    died(fault);
    return fault;
  }
  check_guard();
  if (session.stats().refused > refused) world.coverage.hit(Fault::stream_refused);
  check(session.stats().held * 10 < config.receive_budget * 9 || !session.wants_feed(),
        "reading goes on at 90 %");
  return Fatal::none;
}

std::size_t Node::pull() {
  check(out.staged.empty(), "a pull over bytes not yet sent");
  std::string& staged = out.staged;
  staged.resize(world.record_);
  const bool roomy = session.stats().held * 2 < config.receive_budget &&
                     (config.memory == nullptr || !config.memory->scarce());
  compare_windows(false);
  last_pull = told = world.now;
  pulling = true;
  wanted_in_pull = false;
  const std::size_t n =
      session.pull({reinterpret_cast<std::uint8_t*>(staged.data()), staged.size()}, world.now);
  pulling = false;
  check(n <= staged.size(), "pull wrote past its room");
  compare_windows(roomy);
  check(n == 0 || !wanted_in_pull, "on_want_pull in a pull that found something");
  idle = n == 0 && !wanted_in_pull;
  staged.resize(n);
  referee.sent(as_bytes(staged));
  if (idle) referee.nothing_left();
  return n;
}

std::size_t Node::fresh() const {
  std::size_t n = 0;
  for (const auto& [id, owner] : owners) {
    const std::uint64_t sent = std::min(owner->since_stir, referee.since_credit(id));
    if (sent < config.max_frame + 12) ++n;
  }
  return n;
}

// Whether the bytes being fed may be more than there was room for.
bool Node::near_cap() const {
  constexpr std::size_t kUnused = 20 * 1024;  // of blocks, and what is left below the smallest
  return config.memory != nullptr || fed_upon + fed + kUnused >= config.receive_budget;
}

Duration Node::paused_for() const { return paused_since ? world.now - *paused_since : Duration{}; }

// --- World ---

World::World(std::uint64_t seed, Coverage& covered)
    : random(seed),
      coverage(covered),
      bare_(random.chance(30)),
      small_(random.chance(30)),
      trickle_(!small_ && random.chance(6)),
      pressed_(trickle_ || (!small_ && random.chance(30))),
      large_(!small_ && !pressed_ && random.chance(35)),
      crowded_(large_ && random.chance(40)),
      guarded_(random.chance(10)),
      last_ids_(random.chance(6)),
      streams_left_(crowded_   ? random.between(6, 16)
                    : large_   ? random.between(2, 7)
                    : trickle_ ? random.between(8, 20)
                               : random.spread(1, 60)),
      record_(pressed_ || large_ || random.chance(50) ? 16381 : random.spread(13, 65536)),
      budget_(std::make_shared<MemoryBudget>(random.spread(20'000, 2'000'000))),
      a_(*this, random_config(Role::client)),
      b_(*this, random_config(Role::server)) {
  a_.peer = &b_;
  b_.peer = &a_;
  for (Node* node : {&a_, &b_}) {
    node->out.capacity = small_ ? random.spread(1, 200) : random.spread(100, 200'000);
    node->out.delay = std::chrono::microseconds(random.spread(0, 500'000));
    node->session.set_rtt(std::chrono::microseconds(random.spread(0, 500'000)));
    if (large_ || trickle_) {
      node->out.capacity = random.between(20'000, 1'000'000);
      node->out.delay = std::chrono::microseconds(random.spread(0, 20'000));
    }
    if (node->out.capacity == 1) coverage.hit(Fault::one_byte_capacity);
    if (node->out.delay > 100ms) coverage.hit(Fault::long_delay);
  }
}

Config World::random_config(Role role) {
  Config config = bare_ ? Config::bare(role) : Config::native(role);
  config.max_frame =
      pressed_ || large_ || random.chance(50) ? config.max_frame : random.spread(1, 16384);
  if (large_ && random.chance(20)) {
    config.max_window = static_cast<std::uint32_t>(random.between(256 * 1024, 1 << 20));
  }
  if (random.chance(30)) {
    config.initial_window = static_cast<std::uint32_t>(random.spread(256 * 1024, 4 << 20));
  }
  config.initial_window =
      std::clamp(config.initial_window, limits::kInitialWindow, config.max_window);
  if (random.chance(40)) config.max_streams = static_cast<std::uint32_t>(random.spread(1, 40));
  if (pressed_ || random.chance(20)) config.receive_budget = random.spread(8 * 1024, 128 * 1024);
  if (crowded_) {
    config.receive_budget = random.between(700'000, 1'300'000);
  } else if (large_ && random.chance(70)) {
    config.receive_budget = random.between(600'000, 2'500'000);
  }
  if (!trickle_ && random.chance(pressed_ || large_ ? 30 : 10)) config.memory = &memory_;
  if (bare_ && random.chance(20)) {
    config.write_timeout = std::chrono::milliseconds(random.between(300, 5000));
  }
  config.guard.waste = {1 << 30, 1 << 20};  // frames of one byte are what some seeds are about
  if (guarded_) {
    const auto few = [this](std::size_t most) {
      return limits::Rate{static_cast<std::uint32_t>(random.between(1, most)), 1};
    };
    switch (random.below(4)) {
      case 0:
        config.guard.opens = few(5);
        break;
      case 1:
        config.guard.resets = few(3);
        break;
      case 2:
        config.guard.pings = few(2);
        break;
      default:
        config.guard.waste = {static_cast<std::uint32_t>(random.between(64, 800)), 10};
    }
  }
  if (last_ids_) {
    config.first_id =
        kLastId + (role == Role::client ? 1 : 0) - 2 * static_cast<std::uint32_t>(random.below(6));
  }
  return config;
}

// Bytes for one direction of a stream.
std::size_t World::random_total() {
  if (large_) return random.chance(30) ? random.below(kSparse) : random.between(200'000, 3'000'000);
  if (pressed_) return random.between(trickle_ ? 20'000 : 0, 60'000);
  return random.spread(0, small_ ? 500 : 300'000);
}

void World::run() {
  const std::size_t steps = trickle_ ? 3000 : random.spread(200, 4000);
  const std::size_t cut_at = random.chance(10) ? random.below(steps) : steps;
  for (std::size_t i = 0; i < steps && !over_; ++i) {
    if (i == cut_at) return cut();
    step();
  }
  if (!over_) settle();
  if (!over_) check_outcome();
  if (random.chance(40)) check_chunking(a_);
  if (random.chance(40)) check_chunking(b_);
  if (!over_ && !guarded_) last_word(random.chance(50) ? a_ : b_);
}

void World::step() {
  ++coverage.steps;
  Node& node = random.chance(50) ? a_ : b_;
  switch (random.below(10)) {
    case 0:
    case 1:
      move_time();
      break;
    case 2:
    case 3:
    case 4:
      pump(node);
      break;
    case 5:
    case 6:
    case 7:
      arrive(node, true);
      break;
    case 8:
      owner_acts(node);
      break;
    case 9:
      node_acts(node);
      break;
  }
  for (Node* each : {&a_, &b_}) {
    if (!over_) check_deadlines(*each);
    if (!over_) invariants(*each);
  }
}

// Never past anything that is due, so that nothing is late but what the links make late.
Time World::next_event() {
  Time next = kNever;
  for (Node* node : {&a_, &b_}) {
    next = std::min(next, node->session.next_deadline());
    // What the receiver leaves in the carrier is not late.
    if (!node->out.flying.empty() && !node->peer->feed_waits) {
      next = std::min(next, std::max(node->out.flying.front().arrives, node->out.paused_until));
    }
  }
  return std::max(next, now);
}

void World::move_time() {
  const Time limit = next_event();
  Time to = now + std::chrono::microseconds(random.below(2000));
  if (random.chance(trickle_ ? 80 : 30)) {
    to = now + std::chrono::milliseconds(random.spread(1, 20'000));
  }
  now = std::min(to, limit);
  if (!trickle_) return;
  for (Node* node : {&a_, &b_}) {
    for (auto& [id, owner] : node->owners) owner->sip();
  }
}

// Takes a pull's worth if the last is gone, and puts on the link what it has room for.
bool World::pump(Node& from) {
  Pipe& pipe = from.out;
  if (pipe.staged.empty() && from.pull() == 0) return false;
  const std::size_t n = std::min(pipe.capacity - pipe.in_flight, pipe.staged.size());
  if (n == 0) return false;
  pipe.flying.push_back({now + pipe.delay, pipe.staged.substr(0, n)});
  pipe.staged.erase(0, n);
  pipe.in_flight += n;
  return true;
}

// Hands over what has arrived, in pieces.
bool World::arrive(Node& at, bool tricky) {
  Pipe& pipe = at.peer->out;
  bool moved = false;
  while (!pipe.flying.empty() && pipe.flying.front().arrives <= now && pipe.paused_until <= now) {
    at.feed_waits |= !at.session.wants_feed();
    if (at.feed_waits) {
      coverage.hit(Fault::feed_pause);
      if (!tricky || trickle_ || !random.chance(10)) return moved;
      coverage.hit(Fault::feed_pause_ignored);
    }
    std::string& bytes = pipe.flying.front().bytes;
    std::size_t n = bytes.size();
    if (tricky && random.chance(50)) n = random.spread(1, n);
    if (n == 1) coverage.hit(Fault::one_byte_chunks);
    const std::string piece = bytes.substr(0, n);
    bytes.erase(0, n);
    pipe.in_flight -= n;
    if (bytes.empty()) pipe.flying.pop_front();
    moved = true;
    if (at.feed(as_bytes(piece)) != Fatal::none) {
      perish(at);
      return moved;
    }
    if (tricky && random.chance(20)) break;
  }
  return moved;
}

void World::owner_acts(Node& node) {
  if (node.owners.empty()) return;
  auto it = node.owners.begin();
  std::advance(it, random.below(node.owners.size()));
  Owner& owner = *it->second;
  if (owner.over || !node.session.alive(owner.stream)) return;
  if (owner.face == nullptr) {
    if (random.chance(50)) owner.attach(random.chance(50) ? owner.first : owner.second);
    return;
  }
  switch (random.below(12)) {
    case 0:
      if (!random.chance(30)) break;
      owner.abandon();
      coverage.hit(Fault::own_reset);
      break;
    case 1:
      owner.detach();
      coverage.hit(Fault::detached);
      break;
    case 2:
      owner.attach(owner.face == &owner.first ? owner.second : owner.first);
      coverage.hit(Fault::handed_over_outside);
      break;
    case 3:
    case 4:
    case 5:
    case 6:
      if (owner.stubborn || trickle_) break;
      owner.room = random.chance(30) ? SIZE_MAX : random.spread(0, 100'000);
      owner.refused = false;
      node.session.resume(owner.stream);
      break;
    default:
      owner.available =
          std::min(owner.total - owner.sent,
                   owner.available + random.spread(1, owner.total < kSparse ? 20 : 100'000));
      if (!owner.asleep && random.chance(80)) break;  // nobody waits for it
      owner.wake();
  }
}

void World::node_acts(Node& node) {
  if (guarded_ && random.chance(30)) node.session.ping(now);
  switch (random.below(20)) {
    case 0:
      node.session.ping(now);
      break;
    case 4:
      node.session.set_rtt(std::chrono::microseconds(random.spread(0, 300'000)));
      break;
    case 1:
      if (!random.chance(3)) break;
      node.session.go_away(GoAway::normal);
      check(!node.session.open(now), "opened after go-away");
      coverage.hit(Fault::go_away);
      break;
    case 2:
      if (!random.chance(30)) break;
      node.out.paused_until = now + std::chrono::milliseconds(random.spread(1, 30'000));
      coverage.hit(Fault::link_pause);
      break;
    case 3:
      if (node.stale.empty()) break;
      {
        const StreamHandle stale = node.stale[random.below(node.stale.size())];
        Session& s = node.session;
        check(!s.alive(stale) && s.id(stale) == 0 && s.buffered(stale) == 0 && !s.wake(stale) &&
                  !s.resume(stale) && !s.detach(stale) && !s.attach(stale, nullptr, nullptr) &&
                  !s.reset(stale),
              "a stale handle reached something");
        coverage.hit(Fault::stale_handle);
      }
      break;
    default:
      node.open();
  }
}

void World::invariants(Node& node) {
  check(a_.drawn() + b_.drawn() + budget_->free() <= budget_->total(), "memory out of nowhere");
  if (memory_.scarce()) coverage.hit(Fault::memory_scarce);
  if (memory_.allowance() < 1024) coverage.hit(Fault::memory_gone);
  const Stats& stats = node.session.stats();
  check(stats.held <= node.config.receive_budget, "more held than the budget allows");
  if (stats.held * 2 >= node.config.receive_budget) coverage.hit(Fault::stop_growth);
  check(stats.streams <= node.config.max_streams, "more streams than allowed");
  check(node.session.wants_feed() || node.config.memory != nullptr ||
            stats.held * 4 >= node.config.receive_budget * 3,
        "a pause that goes on");
  std::size_t buffered = 0;
  for (const auto& [id, owner] : node.owners) {
    buffered += node.session.buffered(owner->stream);
    // Nobody is told of the end of a stream that has no sink.
    if (owner->face == nullptr && !node.session.alive(owner->stream)) owner->over = true;
  }
  check(buffered == stats.buffered, "the count of buffered bytes is off");
  check(buffered <= stats.held, "more buffered than held");
  check(!node.idle || !node.session.wants_pull(), "work that was not announced");
}

// No more tricks and no more faults: everything under way must come to its end.
void World::settle() {
  for (Node* node : {&a_, &b_}) {
    node->out.paused_until = Time{};
    for (auto& [id, owner] : node->owners) owner->settle_down();
  }
  streams_left_ = 0;
  // What there is to deliver is finite, so a run that ends nowhere is one that delivers nothing,
  // for longer than a reset needs to reach whoever sends in vain.
  std::uint64_t delivered = coverage.bytes;
  Time since = now;
  for (int rounds = 0;; ++rounds) {
    if (delivered != coverage.bytes) {
      rounds = 0;
      since = now;
    }
    delivered = coverage.bytes;
    check(rounds < 100'000 || now - since < 3s, "no end in sight");
    now += 1us;  // one direction being busy must not hold up the other
    bool moved = false;
    for (Node* node : {&a_, &b_}) {
      moved |= pump(*node);
      moved |= arrive(*node, false);
      for (auto& [id, owner] : node->owners) {
        if (!owner->calm) owner->settle_down();  // opened by what was under way
      }
      check_deadlines(*node);
      if (over_) return;
    }
    if (moved) continue;
    bool flying = false, waiting = false;
    for (Node* node : {&a_, &b_}) {
      flying |= !node->out.flying.empty();
      waiting |= !node->out.staged.empty() || node->session.wants_pull();
    }
    if (!flying && !waiting) break;
    if (!flying) continue;
    now = next_event();
  }
}

void World::check_outcome() {
  ++coverage.whole;
  for (Node* node : {&a_, &b_}) {
    invariants(*node);
    check(!node->session.wants_pull(), "something left to send");
    check(node->session.stats().streams == 0, "a stream that never ended");
    check(node->session.stats().held == 0, "bytes that nobody took");
    node->referee.all_acknowledged();
    for (const auto& [id, owner] : node->owners) {
      check(!node->session.alive(owner->stream), "a slot that was not freed");
      if (owner->over) continue;
      const auto other = node->peer->owners.find(id);
      check(other != node->peer->owners.end(), "a stream that ended well at one end only");
      check(owner->said_end && owner->heard_end, "neither ended nor reset");
      check(other->second->sent == owner->received, "bytes are missing");
    }
  }
}

void World::check_chunking(const Node& node) {
  const std::uint64_t opened = node.session.stats().opened_by_us;
  const std::string wire = node.wire.substr(0, node.wire_frames);
  const Replay whole(node.config, opened, wire, random.next(), 0);
  const Replay bytes(node.config, opened, wire, whole.tail_seed, 1);
  const Replay mixed(node.config, opened, wire, whole.tail_seed, 1000);
  check(whole.trace == bytes.trace && whole.trace == mixed.trace,
        "events depend on how the input was cut");
}

}  // namespace leat::mux::sim
