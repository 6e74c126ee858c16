// The inside of a session: its state and the functions of its two directions, each in a file of its
// own and in the order in which a byte meets them.
//
//   session.cc           construction, the public face
//   session_receive.cc   feed: header -> frame -> stream -> sink or buffer
//   session_send.cc      pull: control -> what streams owe -> data by the scheduler
//   session_streams.cc   open, attach, reset, and how a stream ends
//   session_windows.cc   what a grant carries
//   session_deadlines.cc open timeouts, pings
//
// A callback may end any stream, so a Stream& is not used after one unless StreamTable::get still
// knows the handle.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "mux/abuse_guard.h"
#include "mux/block_pool.h"
#include "mux/control_queue.h"
#include "mux/frame.h"
#include "mux/holders.h"
#include "mux/id_history.h"
#include "mux/pieces.h"
#include "mux/scheduler.h"
#include "mux/session.h"
#include "mux/stream.h"
#include "mux/stream_table.h"
#include "mux/window_shares.h"

namespace leat::mux {

struct Session::Impl {
  Impl(const Config& config, Events& events, Time now);
  ~Impl();

  // --- receiving ---
  Fatal feed(Bytes in, Time now, bool more);
  Fatal feed_header(Bytes& in);
  Fatal feed_payload(Bytes& in);
  Fatal on_frame(const Header& header);
  Fatal on_ping(const Header& header);
  Fatal on_go_away(const Header& header);
  Fatal on_stream_frame(const Header& header);
  Fatal on_reset(Stream* stream);
  Fatal admit(const Header& header, Stream*& stream);
  Fatal apply(Stream& stream, const Header& header);
  void on_fin(Stream& stream);
  Fatal receive(StreamHandle handle, Bytes data);
  Fatal hand_over();
  void offer(Stream& stream, Pieces& pieces);
  Fatal store(Stream& stream, Bytes data);
  Fatal shed_stalled();
  Fatal shed(Stream* victim);
  void drain(Stream& stream);
  void settle(Stream& stream);
  void relieve();

  std::uint32_t grant(Stream& stream);
  void set_rtt(Duration measured);
  void on_pong();

  // --- sending ---
  std::size_t pull(MutableBytes out, Time now);
  std::size_t write_control(MutableBytes out);
  std::size_t write_owed(Stream& stream, MutableBytes out);
  std::size_t write_data(MutableBytes out, std::size_t used);
  std::size_t ask(Stream& stream, MutableBytes out);
  void finish(Stream& stream);
  void owe(Stream& stream, std::uint8_t what);
  void refresh(Stream& stream);
  bool wants_pull() const;
  void want();

  // --- streams ---
  std::optional<StreamHandle> open(Time now);
  bool attach(StreamHandle handle, Source* source, Sink* sink);
  bool reset(StreamHandle handle);
  void kill(Stream& stream, ResetReason reason, bool tell_peer);
  void drop(Stream& stream, bool tell_peer);
  void reclaim(Stream& stream);
  void end_all();

  // --- time, and the session as a whole ---
  Time next_deadline() const;
  Time open_deadline() const;
  Time write_deadline() const;
  Time ping_deadline() const;
  Fatal on_deadline(Time now);
  void ping(Time now);
  void go_away(GoAway code);
  Fatal die(Fatal reason);
  bool over() const { return fatal != Fatal::none || ended; }

  const Config config;
  Events& events;
  Stats stats;
  Time clock;  // as last told
  Fatal fatal = Fatal::none;
  bool ended = false;            // end_all
  bool going_away = false;       // we sent go-away: no new streams
  bool peer_going_away = false;  // the peer did
  bool armed = true;             // on_want_pull may be called
  Time waits_since;              // the last pull, or the first want after one that found nothing

  // Declared before what holds blocks of it.
  BlockPool pool;
  bool feed_paused = false;
  Time paused{}, unpaused{};  // when that began and ended last
  Time next_stall_check{};

  StreamTable table;
  std::uint32_t next_id;
  bool ids_left = true;
  IdHistory history;
  List<Stream, OpeningTag> opening;
  List<Stream, OwingTag> owing;
  Holders holders;
  WindowShares shares;
  Duration rtt{0};                // of the carrier; 0: not known
  std::optional<Time> rtt_asked;  // by a ping of ours
  Scheduler scheduler;
  ControlQueue control;
  AbuseGuard guard;

  // The frame being received.
  std::array<std::uint8_t, kHeaderSize> partial{};
  std::size_t partial_size = 0;
  struct {
    StreamHandle stream;          // stale or null: the payload is skipped
    std::uint32_t remaining = 0;  // bytes of payload to come
    bool fin = false;             // FIN follows the last of them
  } payload;

  // Data of one stream that its sink has not been offered yet, since more of it may follow. Nobody
  // outside is called meanwhile.
  StreamHandle gathered_for;
  Pieces gathered;

  // Our ping.
  Time heard;  // when the last byte came
  bool ping_outstanding = false;
  std::uint32_t ping_value = 0;
  Time ping_asked{}, ping_left{};
};

}  // namespace leat::mux
