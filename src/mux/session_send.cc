// From the sources to the carrier. Nothing is framed before there is room for it: a source is asked
// only when its bytes can go straight into the frame that leaves.

#include <algorithm>
#include <cassert>

#include "mux/session_impl.h"

namespace leat::mux {

std::size_t Session::Impl::pull(MutableBytes out, Time now) {
  clock = waits_since = now;
  armed = false;
  // While data waits, control gets no more than half, so that no flood of it can starve the
  // streams.
  const bool data = !over() && !scheduler.empty();
  std::size_t used = write_control(
      data ? out.first(std::min(out.size(), std::max(kHeaderSize, out.size() / 2))) : out);
  if (!over()) used += write_data(out, used);
  if (used == 0) {
    armed = true;
    // A source may have been woken after it was asked.
    if (out.size() > kHeaderSize && wants_pull()) want();
  }
  return used;
}

std::size_t Session::Impl::write_control(MutableBytes out) {
  const bool ping_waited = control.ping_waits();
  std::size_t used = control.write(out);
  stats.frames_out += used / kHeaderSize;
  if (ping_waited && !control.ping_waits()) ping_left = clock;

  while (!over() && out.size() - used >= kHeaderSize) {
    Stream* const stream = owing.front();
    if (stream == nullptr) break;
    used += write_owed(*stream, out.subspan(used));
  }
  return used;
}

// Writes what the stream owes, as far as there is room. When nothing is left it leaves the list,
// and may end with it.
std::size_t Session::Impl::write_owed(Stream& stream, MutableBytes out) {
  std::size_t used = 0;
  const auto put = [&](std::uint8_t what, std::uint16_t flags, std::uint32_t length) {
    encode({Type::window_update, flags, stream.id, length}, out.data() + used);
    used += kHeaderSize;
    ++stats.frames_out;
    stream.owes = static_cast<std::uint8_t>(stream.owes & ~what);
  };
  while (stream.owes != 0) {
    if (out.size() - used < kHeaderSize) return used;
    if ((stream.owes & owed::syn) != 0) {
      put(owed::syn, flag::syn, 0);
      refresh(stream);  // data may follow
    } else if ((stream.owes & owed::ack) != 0) {
      put(owed::ack, flag::ack, 0);
      refresh(stream);
    } else if ((stream.owes & owed::window) != 0) {
      const std::uint32_t credit = grant(stream);
      if (credit > 0) {
        put(owed::window, 0, credit);
      } else {
        stream.owes = static_cast<std::uint8_t>(stream.owes & ~owed::window);
      }
    } else if ((stream.owes & owed::fin) != 0) {
      put(owed::fin, flag::fin, 0);
    } else {
      put(owed::rst, flag::rst, 0);
    }
  }
  List<Stream, OwingTag>::unlink(stream);
  if (table.get(stream.handle) == nullptr) {  // only its last frame kept it
    table.remove(stream);
  } else {
    reclaim(stream);
  }
  return used;
}

std::size_t Session::Impl::write_data(MutableBytes out, std::size_t used) {
  const std::size_t before = used;
  const std::size_t full = std::min(out.size(), config.max_frame);
  scheduler.begin_pull();
  while (out.size() - used > kHeaderSize) {
    // The rest of a record is not filled with a sliver of bulk data.
    const bool sliver = used > 0 && out.size() - used - kHeaderSize < full / 4;
    Scheduled* const turn = scheduler.next(sliver);
    if (turn == nullptr) break;
    used += ask(*static_cast<Stream*>(turn), out.subspan(used));
  }
  scheduler.end_pull();
  return used - before;
}

// Asks the stream's source for one frame. Returns the bytes written, which may be control.
std::size_t Session::Impl::ask(Stream& stream, MutableBytes out) {
  const StreamHandle handle = stream.handle;
  const std::size_t room =
      std::min<std::size_t>({out.size() - kHeaderSize, config.max_frame, stream.send.available()});
  stream.source_ready = false;
  const Produced produced = stream.source->produce(out.subspan(kHeaderSize, room));
  if (table.get(handle) == nullptr) return 0;  // reset from inside: what was produced is void

  switch (produced.kind) {
    case Produced::Kind::bytes: {
      assert(produced.n > 0 && produced.n <= room);
      const auto n = static_cast<std::uint32_t>(produced.n);
      encode({Type::data, 0, stream.id, n}, out.data());
      stream.send.spend(n);
      stream.source_ready = true;
      scheduler.sent(stream, kHeaderSize + n);
      refresh(stream);
      ++stats.frames_out;
      stats.data_out += n;
      return kHeaderSize + n;
    }
    case Produced::Kind::not_ready:
      scheduler.suspend(stream);
      refresh(stream);  // it may have been woken from inside
      return 0;
    case Produced::Kind::end:
      finish(stream);
      return write_owed(stream, out);
    case Produced::Kind::error:
      reset(handle);
      return 0;
  }
  return 0;
}

void Session::Impl::finish(Stream& stream) {
  stream.source_ended = true;
  stream.state = *next(stream.state, StreamEvent::send_fin);
  if (stream.state == StreamState::closed) table.forget_id(stream);
  scheduler.suspend(stream);
  owe(stream, owed::fin);
}

void Session::Impl::owe(Stream& stream, std::uint8_t what) {
  stream.owes = static_cast<std::uint8_t>(stream.owes | what);
  if (!stream.Linked<OwingTag>::linked()) owing.push_back(stream);
  want();
}

// Puts the stream before the scheduler if it may send and its source may have something; takes it
// away if not.
void Session::Impl::refresh(Stream& stream) {
  const bool ready = stream.source != nullptr && stream.source_ready && !stream.source_ended &&
                     may_send(stream.state) && stream.send.available() > 0 &&
                     (stream.owes & (owed::syn | owed::ack)) == 0;
  if (!ready) return scheduler.suspend(stream);
  scheduler.wake(stream);
  want();
}

bool Session::Impl::wants_pull() const {
  return !control.empty() || (!over() && (!owing.empty() || !scheduler.empty()));
}

void Session::Impl::want() {
  if (!armed) return;
  armed = false;
  waits_since = clock;
  events.on_want_pull();
}

}  // namespace leat::mux
