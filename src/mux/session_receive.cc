// From the carrier to the sinks. Bytes that a sink takes at once go to it straight from the input
// span; only the rest is copied into the stream's buffer.

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "mux/session_impl.h"

namespace leat::mux {
namespace {

// The rungs of docs/protocol.md §1.9, in percent of the receive budget.
constexpr std::size_t kShedStalled = 75;
constexpr std::size_t kPauseFeed = 90;
constexpr std::size_t kResumeFeed = 75;
constexpr Duration kStallCheckInterval = Duration(limits::kStalled) / 50;

}  // namespace

Fatal Session::Impl::feed(Bytes in, Time now, bool more) {
  clock = now;
  if (over()) return fatal;
  if (!in.empty()) heard = now;
  Fatal fault = Fatal::none;
  while (!in.empty() && fault == Fatal::none) {
    fault = payload.remaining > 0 ? feed_payload(in) : feed_header(in);
  }
  if (!more || fault != Fatal::none) {
    const Fatal late = hand_over();  // what came before the fault was good
    if (fault == Fatal::none) fault = late;
  }
  return fault == Fatal::none ? fault : die(fault);
}

Fatal Session::Impl::feed_header(Bytes& in) {
  const std::uint8_t* raw = in.data();
  std::size_t n = kHeaderSize;
  if (partial_size > 0 || in.size() < kHeaderSize) {
    n = std::min(kHeaderSize - partial_size, in.size());
    std::memcpy(partial.data() + partial_size, in.data(), n);
    partial_size += n;
    raw = partial.data();
  }
  in = in.subspan(n);
  if (partial_size > 0) {
    if (partial_size < kHeaderSize) return Fatal::none;
    partial_size = 0;
  }
  Header header;
  Fatal fault = decode(raw, header);
  // What may call somebody outside comes after the data before it. Credit and pings do not.
  if (fault == Fatal::none && (header.flags != 0 || header.type == Type::go_away)) {
    fault = hand_over();
  }
  return fault != Fatal::none ? fault : on_frame(header);
}

Fatal Session::Impl::feed_payload(Bytes& in) {
  const Bytes chunk = in.first(std::min<std::size_t>(in.size(), payload.remaining));
  in = in.subspan(chunk.size());
  payload.remaining -= static_cast<std::uint32_t>(chunk.size());
  if (table.get(payload.stream) != nullptr) {
    stats.data_in += chunk.size();
    const Fatal fault = receive(payload.stream, chunk);
    if (fault != Fatal::none) return fault;
  }
  if (payload.remaining == 0 && payload.fin) {
    if (const Fatal fault = hand_over(); fault != Fatal::none) return fault;
    if (Stream* const stream = table.get(payload.stream)) on_fin(*stream);
  }
  return Fatal::none;
}

Fatal Session::Impl::on_frame(const Header& header) {
  ++stats.frames_in;
  switch (header.type) {
    case Type::ping:
      return on_ping(header);
    case Type::go_away:
      return on_go_away(header);
    case Type::data:
      // Skipped, unless a stream claims it below.
      payload = {.stream = {}, .remaining = header.length, .fin = false};
      [[fallthrough]];
    case Type::window_update:
      return on_stream_frame(header);
  }
  return Fatal::bad_type;
}

Fatal Session::Impl::on_ping(const Header& header) {
  const bool answer = header.has(flag::ack);
  if (answer && ping_outstanding && !control.ping_waits() && header.length == ping_value) {
    on_pong();
    return Fatal::none;
  }
  if (!guard.ping(clock)) return Fatal::flood;
  if (!answer && control.pong(header.length)) want();
  return Fatal::none;
}

Fatal Session::Impl::on_go_away(const Header& header) {
  if (header.length != static_cast<std::uint32_t>(GoAway::normal)) return Fatal::go_away;
  if (!guard.frame(0, clock)) return Fatal::flood;
  if (!peer_going_away) {
    peer_going_away = true;
    events.on_go_away();
  }
  return Fatal::none;
}

Fatal Session::Impl::on_stream_frame(const Header& header) {
  Stream* stream = table.find(header.id);
  if (header.has(flag::rst)) return on_reset(stream);
  if (header.has(flag::syn)) {
    if (stream != nullptr) return Fatal::bad_state;
    const Fatal fault = admit(header, stream);
    if (fault != Fatal::none) return fault;
  } else {
    // To a stream that is not there only data is of any use: it has cost its sender as much.
    const bool news = stream != nullptr && (header.has(flag::fin) ||
                                            (header.has(flag::ack) && unanswered(stream->state)));
    const bool useful = stream != nullptr || header.type == Type::data;
    if (!news && !guard.frame(useful ? header.length : 0, clock)) return Fatal::flood;
  }
  return stream == nullptr ? Fatal::none : apply(*stream, header);
}

Fatal Session::Impl::on_reset(Stream* stream) {
  if (!guard.reset(clock)) return Fatal::flood;
  if (stream == nullptr) return Fatal::none;
  ++stats.resets_in;
  kill(*stream, ResetReason::peer, false);
  return Fatal::none;
}

// A SYN. Nothing is registered before everything about the frame has been examined
// (CVE-2026-32314). `stream` stays null when the stream is refused, or when on_open has reset it.
Fatal Session::Impl::admit(const Header& header, Stream*& stream) {
  const bool odd = (header.id & 1) != 0;
  if (odd == (config.role == Role::client)) return Fatal::bad_stream_id;
  if (header.type == Type::data) {
    if (header.length > limits::kInitialWindow) return Fatal::window_exceeded;
  } else {
    if (!SendWindow().grant(header.length)) return Fatal::window_overflow;
  }
  if (!guard.open(clock)) return Fatal::flood;
  if (!history.use(header.id)) return Fatal::bad_stream_id;

  if (going_away || table.live() >= config.max_streams || !table.reserve()) {
    ++stats.refused;
    ++stats.resets_out;
    if (!guard.reset(clock) || !control.refuse(header.id)) return Fatal::flood;
    want();
    return Fatal::none;
  }

  const StreamState state = *next(StreamState::unknown, StreamEvent::recv_syn);
  Stream& opened = table.insert(header.id, state, config.initial_window, clock);
  ++stats.opened_by_peer;
  const bool more = config.initial_window > limits::kInitialWindow;
  owe(opened, static_cast<std::uint8_t>(owed::ack | (more ? owed::window : 0)));
  const StreamHandle handle = opened.handle;
  events.on_open(handle);
  stream = table.get(handle);
  return Fatal::none;
}

// What the frame means to a stream we know, all of it judged before any of it takes effect.
Fatal Session::Impl::apply(Stream& stream, const Header& header) {
  const bool data = header.type == Type::data;
  const bool fin_later = data && header.has(flag::fin) && header.length > 0;
  std::optional<StreamState> state = stream.state;
  if (header.has(flag::ack)) state = next(*state, StreamEvent::recv_ack);
  if (state) state = next(*state, data ? StreamEvent::recv_data : StreamEvent::recv_window);
  if (!state) return Fatal::bad_state;
  if (header.has(flag::fin) && !next(*state, StreamEvent::recv_fin)) return Fatal::bad_state;

  if (data) {
    if (!stream.receive.receive(header.length)) return Fatal::window_exceeded;
  } else {
    if (!stream.send.grant(header.length)) return Fatal::window_overflow;
  }

  if (unanswered(stream.state)) List<Stream, OpeningTag>::unlink(stream);
  stream.state = *state;
  if (data) {
    payload.stream = stream.handle;
    payload.fin = fin_later;
  } else {
    refresh(stream);
  }
  if (header.has(flag::fin) && !fin_later) on_fin(stream);
  return Fatal::none;
}

void Session::Impl::on_fin(Stream& stream) {
  stream.state = *next(stream.state, StreamEvent::recv_fin);
  shares.release(stream);
  if (stream.state == StreamState::closed) table.forget_id(stream);
  settle(stream);
}

Fatal Session::Impl::receive(const StreamHandle handle, Bytes data) {
  if (handle != gathered_for || gathered.full()) {
    const Fatal fault = hand_over();
    if (fault != Fatal::none) return fault;
  }
  Stream* const stream = table.get(handle);
  if (stream == nullptr) return Fatal::none;  // reset by whoever was handed the data before
  if (!stream->buffer.empty()) return store(*stream, data);
  gathered_for = handle;
  gathered.add(data);
  return Fatal::none;
}

Fatal Session::Impl::hand_over() {
  if (gathered.empty()) return Fatal::none;
  Pieces pieces = std::exchange(gathered, {});
  const StreamHandle handle = std::exchange(gathered_for, {});
  Stream* const stream = table.get(handle);
  if (stream == nullptr) return Fatal::none;
  offer(*stream, pieces);
  while (!pieces.empty() && table.get(handle) != nullptr) {
    const Bytes piece = pieces.left().front();
    pieces.drop(piece.size());
    if (const Fatal fault = store(*stream, piece); fault != Fatal::none) return fault;
    // Storing may have made somebody take everything.
    if (table.get(handle) != nullptr && stream->buffer.empty()) offer(*stream, pieces);
  }
  return Fatal::none;
}

// Lets the sink take what it wants, or several sinks in turn: a sink may attach the next owner of
// the stream after the bytes that were its own. What is left in `pieces` was not taken; the stream
// may be gone.
void Session::Impl::offer(Stream& stream, Pieces& pieces) {
  const StreamHandle handle = stream.handle;
  stream.delivering = true;
  while (stream.sink != nullptr && !pieces.empty()) {
    stream.reattached = stream.resumed = false;
    const std::size_t first = pieces.left().front().size();
    const std::size_t n = stream.sink->deliver_pieces(pieces.left());
    pieces.drop(n);
    if (table.get(handle) == nullptr) return;
    if (n > 0) {
      stream.taken = clock;
      stream.receive.consume(static_cast<std::uint32_t>(n));
      if (may_receive(stream.state) && stream.receive.due()) owe(stream, owed::window);
    }
    if (n < first && !stream.reattached && !(stream.resumed && n > 0)) break;
  }
  stream.delivering = false;
}

Fatal Session::Impl::store(Stream& stream, Bytes data) {
  const StreamHandle handle = stream.handle;
  stream.unblocked = false;
  if (pool.reached(kShedStalled)) {
    const Fatal fault = shed_stalled();
    if (fault != Fatal::none || table.get(handle) == nullptr) return fault;
  }
  for (;;) {
    const std::size_t stored = stream.buffer.append(data, pool);
    stats.buffered += stored;
    holders.update(stream);
    data = data.subspan(stored);
    if (data.empty()) break;
    Stream* const largest = holders.largest();
    const Fatal fault = shed(largest != nullptr ? largest : &stream);
    if (fault != Fatal::none || table.get(handle) == nullptr) return fault;
  }
  if (!feed_paused && pool.reached(kPauseFeed)) {
    feed_paused = true;
    paused = clock;
  }
  // An owner who was told of a reset may have let this stream's sink take all there was.
  if (stream.unblocked) drain(stream);
  return Fatal::none;
}

// Finding out costs a look at every holder, so it is done at intervals only.
Fatal Session::Impl::shed_stalled() {
  if (clock < next_stall_check) return Fatal::none;
  next_stall_check = clock + kStallCheckInterval;
  // Receivers that take a little now and then have not stalled, but all streams wait with them.
  if (feed_paused && clock - paused >= limits::kFeedPause) return shed(holders.largest());
  return shed(holders.largest_stalled(clock - limits::kStalled));
}

Fatal Session::Impl::shed(Stream* victim) {
  if (victim == nullptr) return Fatal::none;
  if (!guard.reset(clock)) return Fatal::flood;
  kill(*victim, ResetReason::pressure, true);
  return Fatal::none;
}

// The sink has room again, or there is a new one.
void Session::Impl::drain(Stream& stream) {
  const StreamHandle handle = stream.handle;
  while (stream.sink != nullptr && !stream.buffer.empty()) {
    Pieces pieces = stream.buffer.oldest();
    const std::size_t before = stream.receive.held();
    offer(stream, pieces);
    if (table.get(handle) == nullptr) return;
    const std::size_t taken = before - stream.receive.held();
    stats.buffered -= taken;
    stream.buffer.consume(taken, pool);
    holders.update(stream);
    if (!pieces.empty()) break;
  }
  stream.unblocked = stream.buffer.empty();
  relieve();
  if (table.get(handle) != nullptr) settle(stream);
}

// Reports the end once the peer's FIN is in and everything before it has been taken.
void Session::Impl::settle(Stream& stream) {
  if (may_receive(stream.state) || !stream.buffer.empty() || stream.delivering) return;
  if (!stream.end_told) {
    if (stream.sink == nullptr) return;
    const StreamHandle handle = stream.handle;
    stream.end_told = true;
    stream.sink->end();
    if (table.get(handle) == nullptr) return;
  }
  reclaim(stream);
}

void Session::Impl::relieve() {
  if (!feed_paused || pool.reached(kResumeFeed)) return;
  feed_paused = false;
  heard = unpaused = clock;
  events.on_want_feed();
}

}  // namespace leat::mux
