// Two sessions, the owners of their streams, and two one-way links between them, in virtual time. A
// seed chooses the configuration, the links, and every step; after each step the invariants hold or
// the run fails.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mux/session.h"
#include "mux/sim/sim_base.h"
#include "mux/sim/sim_referee.h"

namespace leat::mux::sim {

class World;
class Node;

// One direction. Bytes leave `staged`, one pull's worth, as the link has capacity, and arrive after
// the delay.
struct Pipe {
  std::size_t capacity = 0;
  Duration delay{};
  std::string staged;
  struct Packet {
    Time arrives;
    std::string bytes;
  };
  std::deque<Packet> flying;
  std::size_t in_flight = 0;
  Time paused_until{};
};

// Owner of one end of a stream: offers bytes when the world lets it, checks every byte it gets. It
// shows the session one of two faces at a time, so that a call to a face that was taken off is
// noticed.
class Owner {
 public:
  Owner(Node& node, StreamHandle stream, std::uint32_t id, std::size_t total);

  struct Face final : Source, Sink {
    explicit Face(Owner& to) : owner(to) {}
    Produced produce(MutableBytes out) override { return owner.produce(*this, out); }
    std::size_t deliver(Bytes data) override { return owner.deliver(*this, data); }
    std::size_t deliver_pieces(std::span<const Bytes> pieces) override {
      std::string joined;
      for (const Bytes piece : pieces) joined += as_chars(piece);
      return owner.deliver(*this, as_bytes(joined));
    }
    void end() override { owner.end(*this); }
    void reset(ResetReason reason) override { owner.reset(*this, reason); }
    Owner& owner;
  };

  void attach(Face& face);
  void detach();
  void abandon();  // its own reset
  void settle_down();
  void wake();
  void sip();

  Node& node;
  const StreamHandle stream;
  const std::uint32_t id;
  const std::size_t total;  // bytes it will send
  std::size_t sent = 0;
  std::size_t available = 0;  // of those not sent yet
  std::uint64_t received = 0;
  std::size_t room = 0;
  Time took;  // when it last took something, by the clock of the session
  bool said_end = false, heard_end = false;
  bool over = false;             // reset, by whomever
  bool will_break = false;       // its source fails at the end instead of ending
  bool stubborn = false;         // takes nothing until calm
  bool calm = false;             // no more tricks
  bool asleep = false;           // its source said not ready: it must wake the session
  std::uint64_t since_stir = 0;  // bytes sent since it last had something to send again …
  std::uint64_t slept_at = 0;    // Stats::data_out when it last had nothing
  std::optional<std::uint64_t> served_by;  // … and when it must have been asked again
  bool refused = false;                    // its sink did not take all: it must resume

  Face first{*this}, second{*this};
  Face* face = nullptr;  // attached now

 private:
  Produced produce(Face& at, MutableBytes out);
  std::size_t deliver(Face& at, Bytes data);
  void end(Face& at);
  void reset(Face& at, ResetReason reason);
};

class Node final : public Events {
 public:
  Node(World& world, const Config& config);

  void on_open(StreamHandle stream) override;
  void on_go_away() override {}
  void on_want_pull() override;
  void on_want_feed() override;

  Owner* open();
  Fatal feed(Bytes bytes);
  std::size_t pull();  // into out.staged
  // How many of its streams may stand among the new ones of the scheduler.
  std::size_t fresh() const;
  bool near_cap() const;
  Duration paused_for() const;
  // The session has ended for a reason it may have.
  void died(Fatal reason);
  // How far the receive window of a stream may grow.
  std::uint32_t widest() const;
  // What it holds of the memory that both may draw on, at least.
  std::size_t drawn() const { return config.memory == nullptr ? 0 : session.stats().held; }
  // Compares the windows of all streams with what they were; only a pull may move them.
  void compare_windows(bool may_grow);
  void end();
  // The guard is one that says no, neither too soon nor too late.
  bool flooded() const;
  void check_guard() const;

  World& world;
  const Config config;
  const bool client;
  Session session;
  Referee referee;
  Pipe out;
  Node* peer = nullptr;
  std::map<std::uint32_t, std::unique_ptr<Owner>> owners;  // by id
  std::map<std::uint32_t, std::uint32_t> windows;          // by id, as last seen
  std::vector<StreamHandle> stale;
  std::string wire;             // what it has been fed, the first part of it …
  std::size_t wire_frames = 0;  // … of which so much is whole frames
  Time last_byte{}, last_pull{};
  Time told{};  // the time that the session was last told
  bool ended = false;
  Fatal fatal = Fatal::none;
  bool in_deadline = false;
  bool ignores_opens = false;  // nobody takes what the peer opens any more
  std::optional<Time> paused_since;
  bool idle = true;  // the last pull found nothing, and nothing was announced since
  bool pulling = false;
  bool wanted_in_pull = false;
  bool feed_waits = false;            // for on_want_feed
  std::size_t fed = 0, fed_upon = 0;  // bytes fed last, and held before
};

class World {
 public:
  World(std::uint64_t seed, Coverage& coverage);
  // Throws Failure.
  void run();
  // Outlives the world, so that what did not come back can be seen.
  std::shared_ptr<MemoryBudget> budget() const { return budget_; }

  Random random;
  Coverage& coverage;
  Time now{};

 private:
  friend class Node;
  friend class Owner;

  Config random_config(Role role);
  std::size_t random_total();
  void step();
  void move_time();
  Time next_event();
  bool pump(Node& from);
  bool arrive(Node& at, bool tricky);
  void owner_acts(Node& node);
  void node_acts(Node& node);
  void check_deadlines(Node& node);
  void invariants(Node& node);
  void settle();
  void cut();
  void end();
  void perish(Node& node);
  void last_word(Node& at);
  void check_outcome();
  void check_chunking(const Node& node);

  bool bare_;
  bool small_;                // a narrow link, and little to send
  bool trickle_;              // receivers that take a byte now and then, all of them
  bool pressed_;              // little memory, slow receivers
  bool large_;                // few streams, several windows' worth on each
  bool crowded_;              // … and many of them to receivers that take nothing
  bool guarded_;              // little may be asked of a session before its guard says no
  bool last_ids_;             // few ids are left
  std::size_t streams_left_;  // to be opened
  std::size_t record_;        // room of a pull
  bool over_ = false;
  std::shared_ptr<MemoryBudget> budget_;
  MemoryShare memory_{*budget_};  // both may draw on
  Node a_, b_;
};

}  // namespace leat::mux::sim
