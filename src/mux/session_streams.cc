// Streams as their owners see them: opened, handed from owner to owner, ended.

#include <limits>

#include "mux/session_impl.h"

namespace leat::mux {

std::optional<StreamHandle> Session::Impl::open(Time now) {
  clock = now;
  if (over() || going_away || peer_going_away || !ids_left) return std::nullopt;
  if (table.live() >= config.max_streams || !table.reserve()) return std::nullopt;

  const StreamState state = *next(StreamState::unknown, StreamEvent::send_syn);
  Stream& stream = table.insert(next_id, state, config.initial_window, now);
  const StreamHandle handle = stream.handle;
  ++stats.opened_by_us;
  opening.push_back(stream);
  const bool more = config.initial_window > limits::kInitialWindow;
  owe(stream, static_cast<std::uint8_t>(owed::syn | (more ? owed::window : 0)));

  if (next_id > std::numeric_limits<std::uint32_t>::max() - 2) {
    ids_left = false;  // an id must never come around again
    go_away(GoAway::normal);
  } else {
    next_id += 2;
  }
  return handle;
}

bool Session::Impl::attach(StreamHandle handle, Source* source, Sink* sink) {
  Stream* const stream = table.get(handle);
  if (stream == nullptr) return false;
  stream->source = source;
  stream->sink = sink;
  stream->source_ready = true;
  stream->reattached = true;
  refresh(*stream);
  if (!stream->delivering) drain(*stream);
  return true;
}

bool Session::Impl::reset(StreamHandle handle) {
  Stream* const stream = table.get(handle);
  if (stream == nullptr) return false;
  drop(*stream, true);
  relieve();
  return true;
}

// Ends a stream for a reason its owner has to be told.
void Session::Impl::kill(Stream& stream, ResetReason reason, bool tell_peer) {
  // Ended both ways and told so, it only owes its last frame: its owner has gone.
  const bool settled = stream.state == StreamState::closed && stream.end_told;
  Sink* const sink = settled ? nullptr : stream.sink;
  drop(stream, tell_peer);
  if (sink != nullptr) sink->reset(reason);
  relieve();
}

// Takes a stream out of everything at once. Its slot stays, without handle and id, while it owes
// the peer a last frame.
void Session::Impl::drop(Stream& stream, bool tell_peer) {
  scheduler.suspend(stream);
  if (stream.Linked<OpeningTag>::linked()) List<Stream, OpeningTag>::unlink(stream);
  stats.buffered -= stream.buffer.size();
  stream.buffer.clear(pool);
  holders.update(stream);
  shares.release(stream);
  stream.source = nullptr;
  stream.sink = nullptr;
  table.retire(stream);

  std::uint8_t last = 0;
  if (stream.state == StreamState::closed) {
    last = stream.owes & owed::fin;  // both have finished; the peer has yet to hear of it
  } else if (tell_peer && (stream.owes & owed::syn) == 0) {
    last = owed::rst;
    ++stats.resets_out;
  }
  stream.state = StreamState::closed;
  if (last == 0 || over()) {
    if (stream.Linked<OwingTag>::linked()) List<Stream, OwingTag>::unlink(stream);
    table.remove(stream);
  } else {
    stream.owes = 0;
    owe(stream, last);
  }
}

// Frees a stream on which everything has happened.
void Session::Impl::reclaim(Stream& stream) {
  if (stream.state == StreamState::closed && stream.end_told && stream.owes == 0) {
    drop(stream, false);
  }
}

void Session::Impl::end_all() {
  ended = true;
  control.clear_but_go_away();
  table.for_each([this](Stream& stream) { kill(stream, ResetReason::session_end, false); });
  while (Stream* const stream = owing.front()) drop(*stream, false);
}

}  // namespace leat::mux
