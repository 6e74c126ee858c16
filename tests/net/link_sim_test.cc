// Two links over a network in virtual time that loses carriers in every way a network can: at once,
// in silence, in one direction only, in the middle of the handshake, with an old `open` arriving
// late. Whatever happens, each side receives the other's bytes exactly once and in order
// (docs/protocol.md §2.5).
//
// LEAT_SEED=n runs one seed; LEAT_SEEDS=n runs that many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "net/link.h"
#include "net/link_fixture.h"
#include "net/link_handshake.h"

namespace leat::net {
namespace {

using namespace test;

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t n) { return n == 0 ? 0 : random() % n; }
bool chance(Random& random, unsigned percent) { return below(random, 100) < percent; }

// What the campaign has seen, so that a simulation in which nothing happens fails.
struct Coverage {
  std::uint64_t carriers = 0, resent = 0, dead = 0, stale = 0, full_logs = 0, cut_handshakes = 0;
};

// One direction of a carrier: takes bytes while there is room, gives them back later in other
// pieces.
class Wire {
 public:
  Wire(std::size_t capacity, Duration delay) : capacity_(capacity), delay_(delay) {}

  std::size_t room() const { return capacity_ - in_flight_; }
  void write(Bytes bytes, Time now) {
    in_flight_ += bytes.size();
    flying_.push_back({now + delay_, std::string(as_chars(bytes))});
  }
  void close(Time now) {
    if (closed_ == kNever) closed_ = now + delay_;
  }
  // From now on bytes are taken and never arrive, the end included.
  void swallow() { swallowing_ = true; }
  void cut() {
    swallowing_ = true;
    flying_.clear();
  }

  Time next_arrival() const {
    if (!flying_.empty()) return flying_.front().at;
    return swallowing_ ? kNever : closed_;
  }
  std::string take(Time now) {
    if (flying_.empty() || flying_.front().at > now) return {};
    std::string bytes = std::move(flying_.front().bytes);
    flying_.pop_front();
    in_flight_ -= bytes.size();
    return swallowing_ ? std::string() : bytes;
  }
  bool ended(Time now) const { return flying_.empty() && !swallowing_ && closed_ <= now; }

 private:
  struct Piece {
    Time at;
    std::string bytes;
  };
  std::size_t capacity_;
  Duration delay_;
  std::size_t in_flight_ = 0;
  std::deque<Piece> flying_;
  Time closed_ = kNever;
  bool swallowing_ = false;
};

// The session above the link: sends the pattern up to a length, checks that it receives the
// pattern.
class Upper final : public LinkUpper {
 public:
  Upper(Random& random, std::uint64_t total, std::uint64_t salt)
      : random_(random), total_(total), salt_(salt) {}

  bool on_link_data(Bytes data) override {
    EXPECT_EQ(as_chars(data), pattern(data.size(), peer_salt + received));
    received += data.size();
    return !::testing::Test::HasFailure();
  }
  std::size_t produce_link_data(MutableBytes out) override {
    if (now < ready_at) return 0;
    std::size_t n = chance(random_, 50) ? out.size() : 1 + below(random_, out.size());
    n = std::min<std::size_t>(n, total_ - sent);
    const std::string bytes = pattern(n, salt_ + sent);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    sent += n;
    if (chance(random_, 20)) ready_at = now + std::chrono::milliseconds(below(random_, 200));
    return n;
  }

  std::uint64_t sent = 0, received = 0, peer_salt = 0;
  Time now = kStart, ready_at = kStart;
  bool done() const { return sent == total_; }

 private:
  Random& random_;
  std::uint64_t total_, salt_;
};

struct Side {
  Side(Random& random, std::uint64_t total, std::uint64_t salt, std::size_t log_limit)
      : upper(random, total, salt), link(upper, Framing::chunks, log_limit) {}
  Upper upper;
  Link link;
  Bytes pending;  // pulled, not all written
};

struct Carrier {
  Wire up, down;  // agent to relay, relay to agent
  ClientHandshake client;
  ServerHandshake server;
  std::string agent_out{}, relay_out{};  // handshake bytes not yet written
  bool agent_here = true, relay_here = true;
  bool agent_open = false, relay_open = false;      // handshake done there
  Time agent_until = kNever, relay_until = kNever;  // it must be done by then
  Time cut_at = kNever;
  std::uint64_t bytes_to_cut = UINT64_MAX;
  int cut_how = 0;
};

class World {
 public:
  World(std::uint64_t seed, const SigningKey& key, Coverage& coverage)
      : random_(seed), key_(key), coverage_(coverage) {
    capacity_ = chance(random_, 20) ? 1 + below(random_, 40) : 1 + below(random_, 200000);
    // At least 1 KiB/s, so that a handshake fits its time.
    const auto slowest = std::min<std::uint64_t>(capacity_ * 1000 / 1024, 200);
    delay_ = std::chrono::milliseconds(below(random_, slowest + 1));
    log_limit_ = (1 + below(random_, 8)) * limits::kLogSlab;
    cuts_left_ = below(random_, 12);
#ifdef LEAT_SANITIZED
    const std::uint64_t most = std::min<std::uint64_t>(capacity_ * 100, 100'000);
#else
    const std::uint64_t most = std::min<std::uint64_t>(capacity_ * 100, 700'000);
#endif
    const std::uint64_t up = below(random_, most), down = below(random_, most);
    agent_ = std::make_unique<Side>(random_, up, 0, log_limit_);
    agent_->upper.peer_salt = kRelaySalt;
    agent_total_ = up;
    relay_total_ = down;
  }

  // Until both have everything, then a quiet minute on a good carrier.
  void run() {
    run_until([this] { return finished(); });
    cuts_left_ = 0;
    for (const auto& carrier : carriers_) {
      carrier->cut_at = kNever;
      carrier->bytes_to_cut = UINT64_MAX;
    }
    // A carrier cut in silence just now is found and replaced; after that nothing must happen.
    const Time settled = now_ + 30s;
    run_until([&] { return now_ >= settled; });
    const auto carriers = agent_->link.stats().carriers;
    run_until([&] { return now_ >= settled + 60s; });
    if (::testing::Test::HasFailure()) return;
    EXPECT_EQ(agent_->link.stats().carriers, carriers) << "a false alarm";
    Side& relay = *sessions_.at(session_).side;
    for (Side* side : {agent_.get(), &relay}) {
      EXPECT_EQ(side->link.stats().acked, side->upper.sent);
      EXPECT_EQ(side->link.stats().log_bytes, 0u);
    }
    EXPECT_EQ(agent_->upper.received, relay_total_);
    EXPECT_EQ(relay.upper.received, agent_total_);
    coverage_.carriers += agent_->link.stats().carriers;
    coverage_.resent += agent_->link.stats().resent + relay.link.stats().resent;
  }

 private:
  static constexpr std::uint64_t kRelaySalt = 12345;

  struct Session {
    std::unique_ptr<Side> side;
    std::uint32_t epoch = 0;
    Carrier* carrier = nullptr;
  };

  template <typename Done>
  void run_until(Done done) {
    for (int steps = 0; !done() && !::testing::Test::HasFailure(); ++steps) {
      ASSERT_LT(steps, 200'000) << "no progress";
      ASSERT_LT(now_, kStart + 1h) << "no progress";
      step();
    }
  }

  bool finished() const {
    const auto found = sessions_.find(session_);
    return resumable_ && found != sessions_.end() && agent_->upper.received == relay_total_ &&
           found->second.side->upper.received == agent_total_;
  }

  void step() {
    now_ = std::max(now_, next_event());
    ASSERT_NE(now_, kNever) << "nothing left to happen";
    agent_->upper.now = now_;
    for (auto& [_, session] : sessions_) session.side->upper.now = now_;
    if (active_ == nullptr && now_ >= dial_at_) dial();
    for (std::size_t i = 0; i < carriers_.size(); ++i) move(*carriers_[i]);
    deadlines();
    for (const auto& carrier : carriers_) fill(*carrier);
    check(*agent_);
    for (auto& [_, session] : sessions_) check(*session.side);
    std::erase_if(carriers_, [](const auto& c) { return !c->agent_here && !c->relay_here; });
  }

  Time next_event() const {
    Time next = active_ == nullptr ? dial_at_ : kNever;
    const auto consider = [&](Time at) { next = std::min(next, at); };
    for (const auto& c : carriers_) {
      consider(c->up.next_arrival());
      consider(c->down.next_arrival());
      consider(c->cut_at);
      consider(std::min(c->agent_until, c->relay_until));
    }
    const auto side = [&](const Side& s) {
      consider(s.link.next_deadline());
      if (s.upper.ready_at > now_) consider(s.upper.ready_at);
    };
    side(*agent_);
    for (const auto& [_, session] : sessions_) side(*session.side);
    return next;
  }

  // --- the agent's carriers ---

  void dial() {
    // The offset stands still: the old carrier is detached.
    const auto epoch = resumable_ ? ++epoch_ : 0;
    const auto resume = resumable_ ? std::optional(session_) : std::nullopt;
    const std::string binding = "exporter " + std::to_string(++dialled_);
    // Some ways are so slow that the agent gives up while its open is still under way.
    const bool held_up = cuts_left_ > 0 && chance(random_, 20);
    const Duration up_delay = held_up ? Duration(6s) : delay_;
    auto c = std::unique_ptr<Carrier>(new Carrier{
        .up = Wire(capacity_, up_delay),
        .down = Wire(capacity_, delay_),
        .client = ClientHandshake(key_, binding, resume, agent_->link.received(), epoch),
        .server = ServerHandshake(binding),
        .agent_until = now_ + (held_up ? 2s : 10s),
        .relay_until = now_ + 10s});
    if (cuts_left_ > 0) {
      --cuts_left_;
      // After a time, which also finds handshakes and idle carriers, or in the midst of the data.
      if (chance(random_, 40)) {
        c->cut_at =
            now_ + std::chrono::milliseconds(below(random_, chance(random_, 50) ? 300 : 9000));
      } else {
        c->bytes_to_cut = 1 + below(random_, (agent_total_ + relay_total_) / 3 + 200);
      }
      c->cut_how = static_cast<int>(below(random_, 5));
    }
    c->relay_out = c->server.take_output();
    active_ = c.get();
    carriers_.push_back(std::move(c));
  }

  void agent_leaves(Carrier& c) {
    if (!c.agent_here) return;
    c.agent_here = false;
    c.agent_until = kNever;
    c.up.close(now_);
    if (active_ != &c) return;
    active_ = nullptr;
    agent_->link.detach();
    agent_->pending = {};
    dial_at_ = now_ + std::chrono::milliseconds(below(random_, 2000));
  }

  void relay_leaves(Carrier& c) {
    if (!c.relay_here) return;
    c.relay_here = false;
    c.relay_until = kNever;
    c.down.close(now_);
    for (auto& [_, session] : sessions_) {
      if (session.carrier != &c) continue;
      session.carrier = nullptr;
      session.side->link.detach();
      session.side->pending = {};
    }
  }

  void cut(Carrier& c) {
    c.cut_at = kNever;
    c.bytes_to_cut = UINT64_MAX;
    coverage_.cut_handshakes += !c.agent_open || !c.relay_open;
    switch (c.cut_how) {
      case 0:  // reset both ways
        c.up.cut();
        c.down.cut();
        agent_leaves(c);
        relay_leaves(c);
        break;
      case 1:  // silence
        c.up.swallow();
        c.down.swallow();
        break;
      case 2:  // silence in one direction
        c.up.swallow();
        break;
      case 3:
        c.down.swallow();
        break;
      case 4:  // the agent moves: what it sent still arrives, nobody hears the relay
        agent_leaves(c);
        break;
    }
  }

  // --- bytes ---

  void move(Carrier& c) {
    if (c.cut_at <= now_) cut(c);
    if (c.agent_until <= now_) agent_leaves(c);
    if (c.relay_until <= now_) relay_leaves(c);
    while (c.up.next_arrival() <= now_) {
      const std::string bytes = c.up.take(now_);
      if (c.relay_here) in_pieces(bytes, [&](Bytes in) { relay_reads(c, in); });
      if (c.up.ended(now_)) {
        relay_leaves(c);
        break;
      }
    }
    while (c.down.next_arrival() <= now_) {
      const std::string bytes = c.down.take(now_);
      if (c.agent_here) in_pieces(bytes, [&](Bytes in) { agent_reads(c, in); });
      if (c.down.ended(now_)) {
        agent_leaves(c);
        break;
      }
    }
  }

  template <typename Read>
  void in_pieces(const std::string& bytes, Read read) {
    for (Bytes rest = as_bytes(bytes); !rest.empty();) {
      const std::size_t n = chance(random_, 50) ? rest.size() : 1 + below(random_, rest.size());
      read(rest.first(n));
      rest = rest.subspan(n);
    }
  }

  void agent_reads(Carrier& c, Bytes in) {
    if (!c.agent_here) return;
    if (!c.agent_open) {
      std::size_t used = 0;
      const auto state = c.client.feed(in, used);
      in = in.subspan(used);
      c.agent_out += c.client.take_output();
      if (state == ClientHandshake::State::more) return;
      ASSERT_EQ(state, ClientHandshake::State::opened) << c.client.error().detail;
      c.agent_open = true;
      c.agent_until = kNever;
      session_ = c.client.session();
      resumable_ = true;
      ASSERT_TRUE(agent_->link.attach(c.client.peer_received(), now_));
    }
    ASSERT_EQ(agent_->link.feed(in, now_), LinkFault::none);
  }

  void relay_reads(Carrier& c, Bytes in) {
    if (!c.relay_here) return;
    if (!c.relay_open) {
      std::size_t used = 0;
      const auto state = c.server.feed(in, used);
      in = in.subspan(used);
      if (state == ServerHandshake::State::more) return;
      ASSERT_EQ(state, ServerHandshake::State::open) << c.server.error().detail;
      relay_opens(c);
    }
    for (auto& [_, session] : sessions_) {
      if (session.carrier != &c) continue;
      ASSERT_EQ(session.side->link.feed(in, now_), LinkFault::none);
    }
  }

  void relay_opens(Carrier& c) {
    c.relay_open = true;
    c.relay_until = kNever;
    const OpenRequest& request = c.server.request();
    ASSERT_EQ(request.identity, key_.public_key());
    if (!request.resume) {
      // A held up open makes a session nobody comes back to; the agent's own is left alone.
      const SessionId id = {static_cast<std::uint8_t>(sessions_.size() + 1)};
      Session& session = sessions_[id];
      session.side = std::make_unique<Side>(random_, relay_total_, kRelaySalt, log_limit_);
      session.side->upper.now = now_;
      session.carrier = &c;
      ASSERT_TRUE(session.side->link.attach(0, now_));
      c.server.accept(id, 0);
    } else {
      Session& session = sessions_.at(*request.resume);
      if (request.epoch <= session.epoch) {
        ++coverage_.stale;
        ASSERT_FALSE(c.agent_here);  // only what the agent has given up comes late
        relay_leaves(c);
        return;
      }
      session.epoch = request.epoch;
      if (session.carrier != nullptr) relay_leaves(*session.carrier);
      session.carrier = &c;
      ASSERT_TRUE(session.side->link.attach(request.received, now_));
      c.server.accept(*request.resume, session.side->link.received());
    }
    c.relay_out += c.server.take_output();
  }

  void deadlines() {
    if (const LinkFault fault = agent_->link.on_deadline(now_); fault != LinkFault::none) {
      ASSERT_EQ(fault, LinkFault::dead);
      ++coverage_.dead;
      agent_leaves(*active_);
    }
    for (auto& [_, session] : sessions_) {
      if (session.side->link.on_deadline(now_) != LinkFault::dead) continue;
      if (session.carrier != nullptr) relay_leaves(*session.carrier);
    }
  }

  void fill(Carrier& c) {
    if (c.agent_here) {
      flush(c, c.agent_out, c.up);
      if (c.agent_open && c.agent_out.empty()) flush(c, *agent_, c.up);
    }
    if (!c.relay_here) return;
    flush(c, c.relay_out, c.down);
    for (auto& [_, session] : sessions_) {
      if (session.carrier == &c && c.relay_out.empty()) flush(c, *session.side, c.down);
    }
  }

  void flush(Carrier& c, std::string& out, Wire& wire) {
    const std::size_t n = std::min(out.size(), wire.room());
    if (n > 0) write(c, wire, as_bytes(out).first(n));
    out.erase(0, n);
  }

  void flush(Carrier& c, Side& side, Wire& wire) {
    while (wire.room() > 0) {
      if (side.pending.empty()) {
        const std::size_t max = chance(random_, 70) ? 16384 : 64 + below(random_, 16320);
        side.pending = side.link.pull(max, now_);
        ASSERT_LE(side.pending.size(), max);
        if (side.pending.empty()) return;
      }
      const std::size_t n = std::min(side.pending.size(), wire.room());
      write(c, wire, side.pending.first(n));
      side.pending = side.pending.subspan(n);
    }
  }

  void write(Carrier& c, Wire& wire, Bytes bytes) {
    wire.write(bytes, now_);
    if (c.bytes_to_cut <= bytes.size()) c.cut_at = now_;  // in the next step
    c.bytes_to_cut -= std::min<std::uint64_t>(c.bytes_to_cut, bytes.size());
  }

  void check(const Side& side) {
    ASSERT_LE(side.link.stats().log_bytes, log_limit_);
    ASSERT_GT(side.link.next_deadline(), now_) << "the driver would spin";
    coverage_.full_logs += side.link.log_full();
  }

  Random random_;
  const SigningKey& key_;
  Coverage& coverage_;
  Time now_ = kStart;
  std::size_t capacity_, log_limit_;
  Duration delay_;
  std::uint64_t cuts_left_, agent_total_, relay_total_;

  std::unique_ptr<Side> agent_;
  std::map<SessionId, Session> sessions_;  // the relay's
  std::vector<std::unique_ptr<Carrier>> carriers_;
  Carrier* active_ = nullptr;  // the agent's
  bool resumable_ = false;     // the agent knows a session
  SessionId session_{};
  std::uint32_t epoch_ = 0;
  int dialled_ = 0;
  Time dial_at_ = kStart;
};

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

TEST(LinkSim, SurvivesEveryLossOfACarrier) {
#ifdef LEAT_SANITIZED
  const std::uint64_t seeds = setting("LEAT_SEEDS", 200);
#else
  const std::uint64_t seeds = setting("LEAT_SEEDS", 1000);
#endif
  const std::uint64_t only = setting("LEAT_SEED", 0);
  const SigningKey key = SigningKey::generate();
  Coverage coverage;
  for (std::uint64_t seed = only ? only : 1; seed <= (only ? only : seeds); ++seed) {
    SCOPED_TRACE("replay: LEAT_SEED=" + std::to_string(seed) + " net_link_sim_test");
    World(seed, key, coverage).run();
    if (HasFailure()) return;
  }
  if (only) return;
  EXPECT_GT(coverage.carriers, seeds * 3 / 2);
  EXPECT_GT(coverage.resent, seeds * 1000);
  EXPECT_GT(coverage.dead, seeds / 5);
  EXPECT_GT(coverage.stale, seeds / 50);
  EXPECT_GT(coverage.full_logs, seeds / 10);
  EXPECT_GT(coverage.cut_handshakes, seeds / 10);
}

// The same without chance: a carrier that brings exactly `up` and `down` bytes and ends, for every
// such pair, and then one that lasts.
TEST(LinkSim, SurvivesACutAtEveryByte) {
  const std::string from_agent = pattern(40), from_relay = pattern(55, 1000);
  for (std::size_t up = 0; up < 100; ++up) {
    for (std::size_t down = 0; down < 100; ++down) {
      TestUpper agent_upper, relay_upper;
      Link agent(agent_upper), relay(relay_upper);
      agent_upper.to_send = from_agent;
      relay_upper.to_send = from_relay;
      agent_upper.at_once = 7;
      relay_upper.at_once = 16;
      Time now = kStart;
      const auto exchange = [&](std::size_t up_left, std::size_t down_left) {
        for (int round = 0; round < 10; ++round, now += 10ms) {
          const std::string out = pull_all(agent, now).substr(0, up_left);
          up_left -= out.size();
          ASSERT_EQ(feed(relay, out, now), LinkFault::none);
          const std::string back = pull_all(relay, now).substr(0, down_left);
          down_left -= back.size();
          ASSERT_EQ(feed(agent, back, now), LinkFault::none);
        }
      };
      ASSERT_TRUE(agent.attach(0, now) && relay.attach(0, now));
      exchange(up, down);
      agent.detach();
      ASSERT_TRUE(relay.attach(agent.received(), now) && agent.attach(relay.received(), now));
      exchange(SIZE_MAX, SIZE_MAX);
      ASSERT_EQ(relay_upper.got, from_agent) << "cut after " << up << " and " << down << " bytes";
      ASSERT_EQ(agent_upper.got, from_relay) << "cut after " << up << " and " << down << " bytes";
      ASSERT_EQ(agent.stats().acked, from_agent.size());
      ASSERT_EQ(relay.stats().acked, from_relay.size());
    }
  }
}

}  // namespace
}  // namespace leat::net
