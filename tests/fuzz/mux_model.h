// What docs/protocol.md §1 allows a multiplexer to do, judged from nothing but the bytes that went
// in, the bytes that came out and what the owners of its streams were told: which frames may leave,
// for which reasons the session may end, and for which it must. It knows nothing of src/mux, so
// that both cannot be wrong in the same way.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>

namespace leat::fuzz {

class MuxModel {
 public:
  explicit MuxModel(bool client) : ours_(client ? 1 : 0) {}

  // Reasons for which a session may end because of what its peer has sent, by the names that
  // docs/protocol.md gives them.
  enum Reason : unsigned {
    bad_version = 1,
    bad_type = 2,
    bad_flags = 4,
    bad_stream_id = 8,
    bad_state = 16,
    window_exceeded = 32,
    window_overflow = 64,
    flood = 128,
    go_away = 256,
  };

  // About to be fed.
  void fed(std::span<const std::uint8_t> bytes) {
    for (; !bytes.empty() && !must_end_; bytes = take(bytes)) {
    }
  }
  // The peer has broken a rule whatever the session has done meanwhile: it must be over.
  bool must_end() const { return must_end_; }
  // Reasons that the peer has given so far. The session that lives has judged otherwise, because
  // the stream in question was over: then they are none any more.
  unsigned may_end() const { return may_end_; }
  void lives() { may_end_ &= flooded() ? unsigned{flood} : 0u; }

  // One frame that came out; `payload` is its data.
  void sent(const std::uint8_t* header, std::span<const std::uint8_t> payload) {
    const unsigned type = header[1], flags = header[3];
    const std::uint32_t id = number(header + 4), length = number(header + 8);
    if (type == kPing && flags == kAck) {
      const auto asked = pings_.find(length);
      require(asked != pings_.end() && asked->second-- > 0);
      return;
    }
    if (type == kPing || type == kGoAway) return require(id == 0);
    Stream& stream = streams_[id];
    require(id != 0 && !stream.reset_out);
    if (flags == kSyn) {  // ids of our own, each one later than those before
      require((id & 1) == ours_ && id > last_syn_ && length == 0);
      last_syn_ = id;
      stream.syn_out = true;
    } else if (flags == kAck) {  // what the peer opened, once
      require((id & 1) != ours_ && stream.syn_in && !stream.ack_out && length == 0);
      stream.ack_out = true;
    } else if (flags == kRst) {
      stream.reset_out = true;
    } else {  // nothing else before the stream is opened or acknowledged
      require(stream.syn_out || stream.ack_out);
      require(type != kData || (!stream.fin_out && length == payload.size()));
      if (type == kData) stream.data_out += length;
      if (type == kWindow) stream.granted += length;
      require(stream.data_out <= kImplicit + stream.credit_in);
      if (flags == kFin) {
        require(!stream.fin_out && length == 0);
        stream.fin_out = true;
      }
    }
  }

  // The owner opened a stream.
  void opened(std::uint32_t id) { streams_[id].syn_in = true; }
  // … and has no more to send on one.
  void finished(std::uint32_t id) { streams_[id].finished = true; }

  void delivered(std::uint32_t id, std::span<const std::uint8_t> data) {
    Stream& stream = streams_[id];
    require(stream.delivered + data.size() <= stream.in.size());
    for (const std::uint8_t byte : data) {
      require(byte == static_cast<std::uint8_t>(stream.in[stream.delivered++]));
    }
  }
  void ended(std::uint32_t id) {
    const Stream& stream = streams_[id];
    require(stream.fin_in && stream.delivered == stream.in.size());
  }

  // Nothing is left to send: what the peer has opened was acknowledged or refused.
  void drained() const {
    for (const auto& [id, stream] : streams_) {
      if ((id & 1) == ours_ || !stream.syn_in) continue;
      require(stream.ack_out || stream.reset_out || stream.reset_in);
    }
  }

  // The session lives and so does this stream, of which it holds so many bytes.
  void alive(std::uint32_t id, std::size_t buffered) {
    const Stream& stream = streams_[id];
    require(!stream.reset_in && stream.delivered + buffered == stream.in.size());
    require(stream.announced <= kImplicit + stream.granted);
    require(kImplicit + stream.credit_in - stream.data_out <= 0xffffffff);
  }

 private:
  static constexpr unsigned kData = 0, kWindow = 1, kPing = 2, kGoAway = 3;
  static constexpr unsigned kSyn = 1, kAck = 2, kFin = 4, kRst = 8;
  static constexpr std::uint64_t kImplicit = 256 * 1024;

  struct Stream {
    bool syn_in = false, fin_in = false, reset_in = false;  // syn_in: or opened by its owner
    bool syn_out = false, ack_out = false, fin_out = false, reset_out = false;
    bool finished = false;  // fin_out is true or will be
    std::string in;
    std::size_t delivered = 0;
    std::uint64_t announced = 0,
                  granted = 0;  // by the peer, and what it was allowed beyond 256 KiB
    std::uint64_t data_out = 0, credit_in = 0;

    // Both ways: its id is unknown, though its owner may still be taking bytes.
    bool closed() const { return fin_in && finished; }
  };

  static void require(bool ok) {
    if (!ok) std::abort();
  }
  static std::uint32_t number(const std::uint8_t* p) {
    return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
  }

  std::span<const std::uint8_t> take(std::span<const std::uint8_t> bytes) {
    if (left_ > 0) {
      const std::size_t n = bytes.size() < left_ ? bytes.size() : left_;
      if (of_ != nullptr) of_->in.append(reinterpret_cast<const char*>(bytes.data()), n);
      left_ -= static_cast<std::uint32_t>(n);
      if (left_ == 0 && fin_ && of_ != nullptr) of_->fin_in = true;
      return bytes.subspan(n);
    }
    header_ += static_cast<char>(bytes.front());
    if (header_.size() == 12) {
      frame(reinterpret_cast<const std::uint8_t*>(header_.data()));
      header_.clear();
    }
    return bytes.subspan(1);
  }

  void end_for(unsigned reasons) {
    may_end_ |= reasons;
    must_end_ = true;
  }

  // What the guard allows at once is more than fits into an input, but for pings (§1.7).
  bool flooded() const { return pinged_ > 128 || frames_ > 5000; }

  void frame(const std::uint8_t* h) {
    const unsigned type = h[1], flags = h[3];
    const std::uint32_t id = number(h + 4), length = number(h + 8);
    const bool of_stream = type <= kWindow;
    // §1.1
    if (h[0] != 0) return end_for(bad_version);
    if (type > kGoAway) return end_for(bad_type);
    if (h[2] != 0 || flags > 15 || (flags & (kSyn | kAck)) == (kSyn | kAck) ||
        (type == kPing && flags != kSyn && flags != kAck) || (type == kGoAway && flags != 0)) {
      return end_for(bad_flags);
    }
    if (of_stream == (id == 0)) return end_for(bad_stream_id);

    ++frames_;
    if (type == kPing) ++pinged_;
    if (flooded()) may_end_ |= flood;
    if (type == kPing && flags == kSyn) ++pings_[length];
    if (type == kGoAway && length != 0) return end_for(go_away);
    if (!of_stream) return;
    const unsigned broken = (flags & kRst) != 0   ? 0
                            : (flags & kSyn) != 0 ? broken_by_syn(type, id, length)
                                                  : broken_on(type, flags, id, length);
    may_end_ |= broken;
    if ((flags & kSyn) != 0 && broken != 0) return end_for(broken);

    Stream& stream = streams_[id];
    if ((flags & kSyn) != 0 && (flags & kRst) == 0) stream.syn_in = true;
    const bool known = stream.syn_in && !stream.reset_in;
    // §1.3: the id of a stream that is closed both ways is unknown, and a reset of it ignored.
    if ((flags & kRst) != 0 && known && !stream.closed()) stream.reset_in = true;
    const bool counts = known && !stream.reset_in && !stream.closed();
    if (type == kWindow && counts) stream.credit_in += length;
    if (type == kData) {
      left_ = length;
      const bool more =
          counts && !stream.fin_in;  // else it is a fault, which the session may tell later
      of_ = more ? &stream : nullptr;
      fin_ = (flags & kFin) != 0;
      if (more) stream.announced += length;
    }
    if ((flags & kFin) != 0 && counts && (type == kWindow || length == 0)) stream.fin_in = true;
  }

  // A SYN is judged by itself (§1.4).
  unsigned broken_by_syn(unsigned type, std::uint32_t id, std::uint32_t length) {
    unsigned broken = 0;
    if ((id & 1) == ours_ || streams_[id].syn_in) broken |= bad_stream_id | bad_state;
    if (highest_syn_in_ >= 8192 && id <= highest_syn_in_ - 8192) broken |= bad_stream_id;
    if (type == kData && length > kImplicit) broken |= window_exceeded;
    if (type == kWindow && length > 0xffffffff - kImplicit) broken |= window_overflow;
    if ((id & 1) != ours_ && id > highest_syn_in_) highest_syn_in_ = id;
    return broken;
  }

  // Anything else is ignored if the stream is over, which may be for reasons that have not shown.
  unsigned broken_on(unsigned type, unsigned flags, std::uint32_t id, std::uint32_t length) {
    const Stream& stream = streams_[id];
    if (!stream.syn_in || stream.reset_in || stream.reset_out || stream.closed()) return 0;
    unsigned broken = 0;
    if (stream.fin_in && (type == kData || (flags & (kAck | kFin)) != 0)) broken |= bad_state;
    if (type == kData && stream.announced + length > kImplicit + stream.granted) {
      broken |= window_exceeded;
    }
    if (type == kWindow && kImplicit + stream.credit_in + length - stream.data_out > 0xffffffff) {
      broken |= window_overflow;
    }
    return broken;
  }

  const std::uint32_t ours_;  // parity of the ids we open
  std::map<std::uint32_t, Stream> streams_;
  std::map<std::uint32_t, std::uint64_t> pings_;  // by value: asked and not yet answered
  std::uint32_t last_syn_ = 0;
  std::string header_;
  std::uint32_t left_ = 0;  // of a payload
  Stream* of_ = nullptr;
  bool fin_ = false;
  std::uint32_t highest_syn_in_ = 0;
  std::uint64_t frames_ = 0, pinged_ = 0;
  unsigned may_end_ = 0;
  bool must_end_ = false;
};

}  // namespace leat::fuzz
