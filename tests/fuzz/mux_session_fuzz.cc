// A whole session against a hostile peer and a restless owner. The input is a program: one byte of
// configuration, then steps of one byte each and what they need. Checked: what goes out is what
// the protocol allows at that moment (mux_model.h), the session ends when it must and only when it
// may, every stream that was opened is answered, what owners see is what was fed, what is held
// stays within the budget, callbacks keep their promises (one on_want_pull, and none too few), a
// dead session stays dead.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <vector>

#include "mux/session.h"
#include "mux_model.h"

namespace {

using namespace leat;
using namespace leat::mux;

void require(bool ok) {
  if (!ok) std::abort();
}

unsigned reason(Fatal fatal) {
  using Model = fuzz::MuxModel;
  switch (fatal) {
    case Fatal::bad_version:
      return Model::bad_version;
    case Fatal::bad_type:
      return Model::bad_type;
    case Fatal::bad_flags:
      return Model::bad_flags;
    case Fatal::bad_stream_id:
      return Model::bad_stream_id;
    case Fatal::bad_state:
      return Model::bad_state;
    case Fatal::window_exceeded:
      return Model::window_exceeded;
    case Fatal::window_overflow:
      return Model::window_overflow;
    case Fatal::flood:
      return Model::flood;
    case Fatal::go_away:
      return Model::go_away;
    default:  // no fault of the peer's
      return 0;
  }
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t b = rest_[0];
    rest_ = rest_.subspan(1);
    return b;
  }
  Bytes take(std::size_t n) {
    const Bytes bytes = rest_.first(std::min(n, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    return bytes;
  }

 private:
  Bytes rest_;
};

// Both ends of every stream: how it behaves comes from the input.
struct Owner final : Source, Sink {
  Produced produce(MutableBytes out) override {
    require(!out.empty() && !ended && !gone);
    switch (mood % 5) {
      case 0:
        return Produced::not_ready();
      case 1:
        ended = true;
        model->finished(id);
        return Produced::end();
      case 2:
        gone = true;
        return Produced::error();
      default: {
        const std::size_t n = std::min<std::size_t>(out.size(), mood);
        std::fill_n(out.begin(), n, mood);
        return Produced::bytes(n);
      }
    }
  }
  std::size_t deliver(Bytes data) override {
    require(!data.empty() && !heard_end && !gone);
    const std::size_t n = mood % 3 == 0 ? 0 : std::min<std::size_t>(data.size(), mood * 40u);
    model->delivered(id, data.first(n));
    return n;
  }
  void end() override {
    require(!heard_end && !gone);
    heard_end = true;
    model->ended(id);
  }
  void reset(ResetReason) override {
    require(!gone);
    gone = true;
  }

  fuzz::MuxModel* model = nullptr;
  StreamHandle stream;
  std::uint32_t id = 0;
  std::uint8_t mood = 255;
  bool ended = false, heard_end = false, gone = false;
};

class Run final : Events {
 public:
  Run(Input input, std::uint8_t choice)
      : input_(input),
        config_(configure(choice)),
        bare_((choice & 2) != 0),
        session_(config_, *this, now_) {}

  void all() {
    while (!input_.empty()) step();
    if (fatal_ == Fatal::none) drain();
    pull(65536);
    session_.end_all();
    pull(65536);
    require(session_.stats().buffered == 0 && session_.stats().held == 0);
    for (const Owner& owner : owners_) require(!session_.alive(owner.stream));
  }

 private:
  Config configure(std::uint8_t choice) {
    const Role role = (choice & 1) != 0 ? Role::client : Role::server;
    Config config = (choice & 2) != 0 ? Config::bare(role) : Config::native(role);
    if ((choice & 4) != 0) config.receive_budget = 8 * 1024;
    if ((choice & 8) != 0) config.initial_window = 1 << 20;
    if ((choice & 16) != 0) config.max_streams = 3;
    if ((choice & 32) != 0) config.max_frame = 5;
    if ((choice & 64) != 0) config.first_id = role == Role::client ? 0xfffffffd : 0xfffffffc;
    if ((choice & 128) != 0) config.memory = &memory_;
    return config;
  }

  void step() {
    const std::uint8_t op = input_.byte();
    switch (op % 12) {
      case 0:
        feed(input_.take(input_.byte()));
        break;
      case 1:
      case 2:
      case 3:
        frame();
        break;
      case 4:
        pull(input_.byte() * (op < 128 ? 1u : 256u));
        break;
      case 5:
        if (const auto stream = session_.open(now_)) {
          model_.opened(session_.id(*stream));
          on_open(*stream);
        }
        break;
      case 6:
        now_ += Duration(std::uint64_t{1} << (input_.byte() % 36));
        break;
      case 7:
        deadline();
        break;
      case 8:
        session_.ping(now_);
        break;
      case 9:
        if (op > 200) {
          session_.go_away(GoAway::normal);
        } else {
          session_.set_rtt(Duration(std::uint64_t{1} << (op % 40)));
        }
        break;
      default:
        owner_acts(op);
        break;
    }
    const Stats& stats = session_.stats();
    require(stats.held <= config_.receive_budget && stats.buffered <= stats.held);
    require(stats.streams <= config_.max_streams);
    require(stats.grown <= config_.receive_budget / 2);
    require(budget_.free() + (config_.memory == nullptr ? 0 : stats.held) <= budget_.total());
    require(!nothing_to_pull() || !session_.wants_pull());
  }

  // The owners send no more; what the session itself owes leaves.
  void drain() {
    for (Owner& owner : owners_) owner.mood = 0;
    for (int i = 0; pull(65536) > 0; ++i) require(i < 1000);
    require(!session_.wants_pull());
    model_.drained();
  }

  // A header with plausible fields, and a payload of its length where that is short.
  void frame() {
    const std::uint8_t a = input_.byte(), b = input_.byte(), c = input_.byte();
    std::array<std::uint8_t, 12 + 255> raw{};
    raw[1] = a & 3;
    raw[3] = a >> 4;
    raw[7] = b & 15;
    if (b >= 240) raw[4] = raw[5] = raw[6] = 0xff;
    raw[11] = c;
    if (b == 239) {
      raw[8] = raw[9] = raw[10] = raw[11] = 0xff;
    }
    if ((b & 0x70) == 0x40) raw[9] = c;
    feed(Bytes(raw).first(raw[1] == 0 ? 12u + c : 12u));
  }

  // In one piece or two.
  void feed(Bytes bytes) {
    if (fatal_ == Fatal::none) model_.fed(bytes);
    if (!bytes.empty()) last_byte_ = now_;
    const Bytes first = bytes.first(bytes.size() * (++fed_ % 3) / 2);
    const std::array pieces{first, bytes.subspan(first.size())};
    for (const Bytes& piece : pieces) {
      const bool over = fatal_ != Fatal::none;
      const Fatal fatal = session_.feed(piece, now_, &piece != &pieces[1]);
      require(!over || fatal == fatal_);
      require(over || fatal == Fatal::none || (model_.may_end() & reason(fatal)) != 0);
      fatal_ = fatal;
    }
    if (fatal_ != Fatal::none) return;
    require(!model_.must_end());
    model_.lives();
    for (const Owner& owner : owners_) {
      if (session_.alive(owner.stream)) model_.alive(owner.id, session_.buffered(owner.stream));
    }
  }

  void deadline() {
    if (session_.next_deadline() > now_) return;
    fatal_ = session_.on_deadline(now_);
    require(session_.next_deadline() > now_);
    if (fatal_ == Fatal::none || (model_.may_end() & reason(fatal_)) != 0) return;
    require(bare_);
    require((fatal_ == Fatal::ping_timeout && now_ - last_byte_ >= std::chrono::seconds(10)) ||
            (fatal_ == Fatal::write_timeout && now_ - last_pull_ >= std::chrono::seconds(30)));
  }

  // What comes out is whole frames, one flag each, and after a fault nothing but a go-away.
  std::size_t pull(std::size_t room) {
    out_.resize(room);
    const bool nothing = nothing_to_pull();
    last_pull_ = now_;
    pulling_ = true;
    wanted_ = false;
    const std::size_t n = session_.pull(out_, now_);
    pulling_ = false;
    require(n <= room);
    require(n == 0 || (!nothing && !wanted_));
    asked_ = n > 0 || wanted_;
    too_short_ = room <= 12;
    for (std::size_t at = 0; at < n;) {
      require(n - at >= 12);
      const std::uint8_t* const h = out_.data() + at;
      require(h[0] == 0 && h[1] <= 3 && h[2] == 0 && (h[3] & (h[3] - 1)) == 0);
      require(fatal_ == Fatal::none || h[1] == 3);
      at += 12;
      const std::size_t payload = h[1] == 0 ? load_be32(h + 8) : 0;
      require(h[1] != 0 || (h[3] == 0 && payload > 0 && payload <= config_.max_frame));
      require(payload <= n - at);
      model_.sent(h, Bytes(out_).subspan(at, payload));
      at += payload;
    }
    return n;
  }

  // It found nothing in room enough, and has not asked for another pull since.
  bool nothing_to_pull() const { return !asked_ && !too_short_; }

  void owner_acts(std::uint8_t op) {
    if (owners_.empty()) return;
    Owner& owner = owners_[input_.byte() % owners_.size()];
    const bool alive = session_.alive(owner.stream);
    require(!owner.gone || !alive);
    bool known = alive;
    switch (op / 12 % 6) {
      case 0:
        owner.mood = input_.byte();
        known = session_.wake(owner.stream);
        break;
      case 1:
        owner.mood = input_.byte();
        known = session_.resume(owner.stream);
        break;
      case 2:
        known = session_.reset(owner.stream);
        owner.gone = true;
        break;
      case 3:
        known = session_.detach(owner.stream);
        break;
      case 4:
        known = session_.attach(owner.stream, &owner, &owner);
        break;
      case 5:
        known = session_.id(owner.stream) != 0;
        break;
    }
    require(known == alive);
  }

  void on_open(StreamHandle stream) override {
    owners_.emplace_back().stream = stream;
    owners_.back().model = &model_;
    owners_.back().id = session_.id(stream);
    owners_.back().mood = static_cast<std::uint8_t>(owners_.size() * 37);
    if (owners_.size() % 4 != 0) session_.attach(stream, &owners_.back(), &owners_.back());
  }
  void on_go_away() override {}
  // Once until a pull has found nothing, and that pull may end with it.
  void on_want_pull() override {
    if (pulling_) {
      require(!wanted_);
      wanted_ = true;
    } else {
      require(!asked_);
      asked_ = true;
    }
  }

  Input input_;
  MemoryBudget budget_{100'000};
  MemoryShare memory_{budget_};
  const Config config_;
  const bool bare_;
  Time now_{};
  Fatal fatal_ = Fatal::none;
  fuzz::MuxModel model_{config_.role == Role::client};
  unsigned fed_ = 0;
  Time last_byte_{}, last_pull_{};
  bool pulling_ = false, wanted_ = false;
  bool asked_ = false;  // on_want_pull, or a pull that found something
  bool too_short_ = false;
  std::deque<Owner> owners_;  // they stay where they are
  std::vector<std::uint8_t> out_;
  Session session_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Run(Input(data + 1, size - 1), data[0]).all();
  return 0;
}
