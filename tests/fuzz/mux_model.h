// What docs/protocol.md §1 allows a multiplexer to do, judged from nothing but the bytes that went
// in, the bytes that came out and what the owners of its streams were told. It knows nothing of
// src/mux, so that both cannot be wrong in the same way.
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

  // About to be fed.
  void fed(std::span<const std::uint8_t> bytes) {
    for (; !bytes.empty() && !malformed_; bytes = take(bytes)) {
    }
  }
  // The peer has broken §1.1: from here on the session must be over.
  bool malformed() const { return malformed_; }

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
    std::string in;
    std::size_t delivered = 0;
    std::uint64_t announced = 0,
                  granted = 0;  // by the peer, and what it was allowed beyond 256 KiB
    std::uint64_t data_out = 0, credit_in = 0;
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

  void frame(const std::uint8_t* h) {
    const unsigned type = h[1], flags = h[3];
    const std::uint32_t id = number(h + 4), length = number(h + 8);
    const bool of_stream = type <= kWindow;
    malformed_ = h[0] != 0 || type > kGoAway || h[2] != 0 || flags > 15 ||
                 (flags & (kSyn | kAck)) == (kSyn | kAck) ||
                 (type == kPing && flags != kSyn && flags != kAck) ||
                 (type == kGoAway && flags != 0) || of_stream == (id == 0);
    if (malformed_) return;
    if (type == kPing && flags == kSyn) ++pings_[length];
    if (!of_stream) return;

    Stream& stream = streams_[id];
    if ((flags & kSyn) != 0 && (flags & kRst) == 0) stream.syn_in = true;
    const bool known = stream.syn_in && !stream.reset_in;
    if ((flags & kRst) != 0 && known) stream.reset_in = true;
    const bool counts = known && !stream.reset_in;
    if (type == kWindow && counts) stream.credit_in += length;
    if (type == kData) {
      left_ = length;
      of_ = counts ? &stream : nullptr;
      fin_ = (flags & kFin) != 0;
      if (counts) stream.announced += length;
    }
    if ((flags & kFin) != 0 && counts && (type == kWindow || length == 0)) stream.fin_in = true;
  }

  const std::uint32_t ours_;  // parity of the ids we open
  std::map<std::uint32_t, Stream> streams_;
  std::map<std::uint32_t, std::uint64_t> pings_;  // by value: asked and not yet answered
  std::uint32_t last_syn_ = 0;
  std::string header_;
  std::uint32_t left_ = 0;  // of a payload
  Stream* of_ = nullptr;
  bool fin_ = false;
  bool malformed_ = false;
};

}  // namespace leat::fuzz
