#include "mux/session.h"

#include <algorithm>

#include "mux/session_impl.h"

namespace leat::mux {

Config Config::native(Role role) {
  Config config{.role = role};
  if (role == Role::client) {
    config.guard.opens = limits::kRelayOpens;
    config.guard.resets = limits::kRelayResets;
  }
  return config;
}

Config Config::bare(Role role) {
  return {.role = role,
          .max_frame = limits::kMaxFrameBare,
          .max_streams = limits::kMaxStreamsBare,
          .open_timeout = limits::kOpenTimeoutBare,
          .ping_interval = limits::kPingIntervalBare,
          .ping_timeout = limits::kPingTimeoutBare,
          .write_timeout = limits::kWriteTimeoutBare};
}

namespace {

constexpr std::uint32_t kWidest = 128 * limits::MiB;  // sums and products of credit stay small

// yamux grants 256 KiB whether we like it or not.
Config sane(Config config) {
  config.max_frame = std::max<std::size_t>(config.max_frame, 1);
  config.max_window = std::clamp(config.max_window, limits::kInitialWindow, kWidest);
  config.initial_window =
      std::clamp(config.initial_window, limits::kInitialWindow, config.max_window);
  return config;
}

std::uint32_t first_id(const Config& config) {
  if (config.first_id != 0) return config.first_id;
  return config.role == Role::client ? 1 : 2;
}

}  // namespace

Session::Impl::Impl(const Config& wanted, Events& to, Time now)
    : config(sane(wanted)),
      events(to),
      clock(now),
      waits_since(now),
      pool(config.receive_budget, std::min(config.receive_budget, limits::kBlockCache),
           config.memory),
      table(config.memory),
      next_id(first_id(config)),
      shares(config.initial_window, config.max_window),
      scheduler(static_cast<std::int64_t>(config.max_frame + kHeaderSize)),
      control(config.control_queue),
      guard(config.guard),
      heard(now) {}

Session::Impl::~Impl() {
  ended = true;
  table.for_each([this](Stream& stream) { drop(stream, false); });
  while (Stream* const stream = owing.front()) drop(*stream, false);  // those whose RST waited
}

Session::Session(const Config& config, Events& events, Time now)
    : impl_(std::make_unique<Impl>(config, events, now)) {}
Session::~Session() = default;

Fatal Session::feed(Bytes in, Time now, bool more) { return impl_->feed(in, now, more); }
bool Session::wants_feed() const { return !impl_->feed_paused; }
std::size_t Session::pull(MutableBytes out, Time now) { return impl_->pull(out, now); }
bool Session::wants_pull() const { return impl_->wants_pull(); }
Time Session::next_deadline() const { return impl_->next_deadline(); }
Fatal Session::on_deadline(Time now) { return impl_->on_deadline(now); }
void Session::end_all() { impl_->end_all(); }
void Session::go_away(GoAway code) { impl_->go_away(code); }
void Session::ping(Time now) { impl_->ping(now); }
void Session::set_rtt(Duration measured) { impl_->set_rtt(measured); }

std::optional<StreamHandle> Session::open(Time now) { return impl_->open(now); }

bool Session::attach(StreamHandle stream, Source* source, Sink* sink) {
  return impl_->attach(stream, source, sink);
}

bool Session::detach(StreamHandle handle) {
  Stream* const stream = impl_->table.get(handle);
  if (stream == nullptr) return false;
  stream->source = nullptr;
  stream->sink = nullptr;
  impl_->refresh(*stream);
  return true;
}

bool Session::wake(StreamHandle handle) {
  Stream* const stream = impl_->table.get(handle);
  if (stream == nullptr) return false;
  stream->source_ready = true;
  impl_->refresh(*stream);
  return true;
}

bool Session::resume(StreamHandle handle) {
  Stream* const stream = impl_->table.get(handle);
  if (stream == nullptr) return false;
  stream->resumed = true;
  if (!stream->delivering) impl_->drain(*stream);
  return true;
}

bool Session::reset(StreamHandle stream) { return impl_->reset(stream); }
bool Session::alive(StreamHandle stream) const { return impl_->table.get(stream) != nullptr; }

std::uint32_t Session::id(StreamHandle handle) const {
  const Stream* const stream = impl_->table.get(handle);
  return stream == nullptr ? 0 : stream->id;
}

std::size_t Session::buffered(StreamHandle handle) const {
  const Stream* const stream = impl_->table.get(handle);
  return stream == nullptr ? 0 : stream->buffer.size();
}

std::uint32_t Session::window(StreamHandle handle) const {
  const Stream* const stream = impl_->table.get(handle);
  return stream == nullptr ? 0 : stream->receive.target();
}

const Stats& Session::stats() const {
  impl_->stats.grown = impl_->shares.used();
  impl_->stats.held = impl_->pool.used();
  impl_->stats.streams = static_cast<std::uint32_t>(impl_->table.known());
  return impl_->stats;
}

}  // namespace leat::mux
