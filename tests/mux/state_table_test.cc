// Every (state, frame) pair. The expectations are read from the tables of docs/protocol.md §1.4,
// first against the table in the code, then against what a session does when the frame arrives. And
// the numbers of §1.7.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "mux/mux_harness.h"
#include "mux/stream_state.h"

namespace leat::mux::test {
namespace {

using Row = std::map<std::string, std::string>;  // column -> cell
using Table = std::map<std::string, Row>;        // state -> row

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) {
    const auto first = cell.find_first_not_of(' ');
    out.push_back(first == std::string::npos
                      ? ""
                      : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
  }
  return out;
}

// The table whose header line begins "| state | recv SYN" or "| state | send SYN".
Table read_table(const std::string& first_columns) {
  std::ifstream file(std::string(LEAT_TEST_DATA) + "/../docs/protocol.md");
  Table table;
  std::vector<std::string> columns;
  for (std::string line; std::getline(file, line);) {
    if (columns.empty()) {
      if (line.starts_with(first_columns)) columns = cells(line);
    } else if (!line.starts_with("|")) {
      break;
    } else if (!line.starts_with("|--")) {
      const auto row = cells(line);
      for (std::size_t i = 1; i < columns.size() && i < row.size(); ++i) {
        table[row[0]][columns[i]] = row[i];
      }
    }
  }
  return table;
}

const Table& received() {
  static const Table table = read_table("| state | recv SYN");
  return table;
}
const Table& sent() {
  static const Table table = read_table("| state | send SYN");
  return table;
}

const std::vector<std::string> kStates{"unknown", "opening",  "opening_finished",
                                       "open",    "finished", "peer_finished"};

TEST(StateTable, ThePageIsThere) {
  for (const auto& state : kStates) {
    EXPECT_EQ(received().at(state).size(), 6u) << state;
    EXPECT_EQ(sent().at(state).size(), 3u) << state;
  }
  EXPECT_EQ(received().size(), kStates.size());
  EXPECT_EQ(sent().size(), kStates.size());
}

TEST(StateTable, TheCodeSaysWhatThePageSays) {
  for (int s = 0; s < kStreamStates; ++s) {
    const auto state = static_cast<StreamState>(s);
    for (int e = 0; e < kStreamEvents; ++e) {
      const auto event = static_cast<StreamEvent>(e);
      const auto to = next(state, event);
      if (state == StreamState::closed) {  // not a state of the wire
        EXPECT_FALSE(to.has_value()) << name(event);
        continue;
      }
      const bool recv = std::string(name(event)).starts_with("recv");
      std::string cell = (recv ? received() : sent()).at(name(state)).at(name(event));
      if (cell == "ignore") cell = "unknown";
      EXPECT_EQ(to ? name(*to) : "–", cell) << name(state) << ", " << name(event);
    }
  }
}

// --- the same, as a session behaves ---

// A session one of whose streams, with id 1 or 2, is in the wanted state.
struct Subject {
  explicit Subject(const std::string& state, bool ours)
      : peer(Config::native(ours ? Role::client : Role::server)), id(1) {
    source.text = "";
    peer.accept = [this](StreamHandle s) { handle = s; };
    if (state == "unknown") return;
    if (ours) {
      handle = *peer.session.open(Time{});
    } else {
      EXPECT_EQ(feed(window(id, 0, flag::syn)), Fatal::none);
    }
    peer.session.attach(handle, &source, &sink);
    static_cast<void>(peer.take());
    const bool answered = state != "opening" && state != "opening_finished";
    if (ours && answered) {
      EXPECT_EQ(feed(window(id, 0, flag::ack)), Fatal::none);
    }
    if (state == "finished" || state == "opening_finished") finish();
    if (state == "peer_finished") {
      EXPECT_EQ(feed(window(id, 0, flag::fin)), Fatal::none);
    }
  }

  Fatal feed(const std::string& wire) { return peer.session.feed(as_bytes(wire), Time{}); }

  void finish() {
    source.ends = true;
    peer.session.wake(handle);
    static_cast<void>(peer.take());
  }

  // What state the stream is in, judged by what it does.
  std::string state() {
    if (!peer.session.alive(handle)) return handle ? "closed" : "unknown";
    const bool unanswered = peer.session.next_deadline() != kNever;
    const int asked = source.asked;
    source.text += "x";
    peer.session.wake(handle);
    const bool we_send = headers(peer.take()).size() == 1 && source.asked > asked;
    const bool peer_sends = !sink.ended;
    if (unanswered) return we_send ? "opening" : "opening_finished";
    if (we_send) return peer_sends ? "open" : "peer_finished";
    return peer_sends ? "finished" : "closed";
  }

  TextSource source;
  TextSink sink;
  Peer peer;
  std::uint32_t id;
  StreamHandle handle;
};

std::string expected(const std::string& from, bool data, std::uint16_t flags) {
  std::string state = from;
  const auto meet = [&](const char* part) {
    if (state == "–" || state == "ignore") return;
    state = received().at(state).at(part);
  };
  if ((flags & flag::rst) != 0) {
    meet("recv RST");
    return state;
  }
  if ((flags & flag::syn) != 0) meet("recv SYN");
  if ((flags & flag::ack) != 0) meet("recv ACK");
  meet(data ? "recv data" : "recv window");
  if ((flags & flag::fin) != 0) meet("recv FIN");
  return state;
}

TEST(StateTable, ASessionDoesWhatThePageSays) {
  int swept = 0;
  for (const auto& from : kStates) {
    for (const bool ours : {true, false}) {
      if (!ours && from.starts_with("opening")) continue;
      for (const bool is_data : {true, false}) {
        for (std::uint16_t flags = 0; flags < 16; ++flags) {
          if ((flags & 3) == 3) continue;  // refused by the header alone
          if (from == "unknown" && ours && (flags & flag::syn) != 0) continue;  // wrong parity
          for (const std::uint32_t length : {0u, 5u}) {
            SCOPED_TRACE(from + (ours ? ", ours" : ", theirs") + (is_data ? ", data" : ", window") +
                         ", flags " + std::to_string(flags) + ", length " + std::to_string(length));
            Subject subject(from, ours);
            ASSERT_EQ(subject.state(), from);
            const std::string want = expected(from, is_data, flags);
            const std::string wire = is_data ? data(subject.id, std::string(length, 'd'), flags)
                                             : window(subject.id, length, flags);
            const Fatal fault = subject.feed(wire);
            ++swept;
            if (want == "–") {
              EXPECT_EQ(fault, Fatal::bad_state);
              const auto last = headers(subject.peer.take());
              ASSERT_EQ(last.size(), 1u);
              EXPECT_EQ(last[0], (Header{Type::go_away, 0, 0, 1}));
              EXPECT_EQ(subject.sink.text, "");
              continue;
            }
            ASSERT_EQ(fault, Fatal::none);
            if (from == "unknown") {
              if (subject.handle) {
                subject.peer.session.attach(subject.handle, &subject.source, &subject.sink);
              }
              const auto answer = headers(subject.peer.take());
              ASSERT_EQ(answer.size(), want == "ignore" ? 0u : 1u);
              for (const Header& h : answer)
                EXPECT_EQ(h, (Header{Type::window_update, flag::ack, 1, 0}));
              EXPECT_EQ(subject.state(), want == "ignore" ? "unknown" : want);
            } else {
              EXPECT_EQ(subject.state(), want);
              EXPECT_EQ(subject.sink.reset_by.has_value(), (flags & flag::rst) != 0);
            }
            const bool delivered = is_data && want != "ignore" && (flags & flag::rst) == 0;
            EXPECT_EQ(subject.sink.text.size(), delivered ? length : 0u);
            // Whatever it was, the next frame is found where it should be.
            EXPECT_EQ(subject.feed(frame(Type::ping, flag::syn, 0, 77)), Fatal::none);
            EXPECT_EQ(headers(subject.peer.take()),
                      (std::vector<Header>{{Type::ping, flag::ack, 0, 77}}));
          }
        }
      }
    }
  }
  // 2 x 4 states both ways and 2 of ours alone, 12 sets of flags, 2 types, 2 lengths; SYN cannot
  // come for an unknown id of our own.
  EXPECT_EQ(swept, (4 * 2 + 2) * 12 * 2 * 2 - 4 * 2 * 2);
}

TEST(StateTable, AFrameIsJudgedWholeBeforeItTakesEffect) {
  Subject subject("peer_finished", true);
  const std::uint64_t before = subject.peer.session.stats().data_in;
  EXPECT_EQ(subject.feed(data(1, "late")), Fatal::bad_state);
  EXPECT_EQ(subject.peer.session.stats().data_in, before);

  Subject opening("opening", true);  // FIN would be legal, too much data is not
  EXPECT_EQ(opening.feed(frame(Type::data, flag::ack | flag::fin, 1, limits::kInitialWindow + 1)),
            Fatal::window_exceeded);
  EXPECT_NE(opening.peer.session.on_deadline(Time{}), Fatal::none);  // the session is over
}

TEST(StateTable, FinTakesEffectAfterTheLastByteOfItsFrame) {
  Subject subject("open", true);
  const std::string wire = data(1, "abc", flag::fin);
  for (std::size_t i = 0; i + 1 < wire.size(); ++i) {
    EXPECT_EQ(subject.feed(wire.substr(i, 1)), Fatal::none);
    EXPECT_FALSE(subject.sink.ended);
  }
  EXPECT_EQ(subject.feed(wire.substr(wire.size() - 1)), Fatal::none);
  EXPECT_EQ(subject.sink.text, "abc");
  EXPECT_TRUE(subject.sink.ended);
}

// 65536 is "65,536".
std::string number(std::uint32_t n) {
  std::string out = std::to_string(n);
  for (std::size_t at = out.size(); at > 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

std::string said(const limits::Rate& rate) {
  return number(rate.burst) + " at once, " + number(rate.per_second) + " a second sustained";
}

TEST(Bounds, AreThoseOfTheProtocol) {
  std::ifstream file(std::string(LEAT_TEST_DATA) + "/../docs/protocol.md");
  std::string page(std::istreambuf_iterator<char>(file), {});
  std::replace(page.begin(), page.end(), '\n', ' ');
  const auto of_relay = [](const limits::Rate& rate) {
    return "; of its relay an agent takes " + number(rate.burst) + " and " +
           number(rate.per_second) + " a second";
  };
  using namespace limits;
  for (const std::string& text :
       {"| streams the peer opens | " + said(kPeerOpens) + of_relay(kRelayOpens),
        "| resets, the peer's and those it provokes | " + said(kPeerResets) +
            of_relay(kRelayResets),
        "| pings, asked or answered unasked | " + said(kPeerPings),
        "each is charged " + number(kFrameOverhead) + " bytes less its payload or credit; " +
            number(kPeerWaste.burst / MiB) + " MiB at once, " +
            number(kPeerWaste.per_second / MiB) + " MiB a second sustained",
        "| pongs | " + number(kPongs) + " |",
        "| streams open at once | " + number(kMaxStreamsNative) + " | " + number(kMaxStreamsBare),
        "while more than " + number(kRelayCaused.burst) + " resets are not yet made up for, at " +
            number(kRelayCaused.per_second) + " a second"}) {
    EXPECT_NE(page.find(text), page.npos) << text;
  }
}

}  // namespace
}  // namespace leat::mux::test
