// The way out: content, inner header and padding, tag, length.
#include <algorithm>
#include <cstring>

#include "crypto/channel.h"

namespace leat::crypto {

// True already when a full record might not fit under the key any more, so that seal() need not
// know what the caller asked with.
bool Channel::rekey_due(Time now) const {
  return out_ && (out_->records >= kKeyRecords || out_->bytes > kKeyBytes - kMaxContent ||
                  now - key_since_ >= kKeyLife);
}

Channel::Size Channel::seal(MutableBytes out, std::size_t content, Time now, std::size_t padding) {
  if (fault_ == Fault::none && content == 0) return tl::unexpected(Fault::no_content);
  if (rekey_due(now)) return tl::unexpected(Fault::rekey_due);
  const Size size = write_record(RecordType::data, out, content, padding);
  if (size) {
    ++out_->records;
    out_->bytes += content + padding;
    out_->total += content;
  }
  return size;
}

Channel::Size Channel::seal(Bytes content, MutableBytes out, Time now, std::size_t padding) {
  if (const Fault fault = refusal(out, content.size(), padding); fault != Fault::none) {
    return tl::unexpected(fault);
  }
  if (!content.empty()) std::memmove(out.data() + head_, content.data(), content.size());
  return seal(out, content.size(), now, padding);
}

Channel::Size Channel::rekey(MutableBytes out, Time now, std::size_t padding) {
  const Size size = write_record(RecordType::rekey, out, 0, padding);
  if (size) {
    out_->cipher.rekey();
    out_->records = out_->bytes = 0;
    key_since_ = now;
  }
  return size;
}

Channel::Size Channel::end(MutableBytes out, std::size_t padding) {
  if (const Fault fault = refusal(out, kEndContent, padding); fault != Fault::none) {
    return tl::unexpected(fault);
  }
  store_be64(out.data() + head_, out_->total);
  const Size size = write_record(RecordType::end, out, kEndContent, padding);
  out_ended_ = size.has_value();
  return size;
}

// Sizes one by one: their sum may wrap.
Fault Channel::refusal(MutableBytes out, std::size_t content, std::size_t padding) const {
  if (fault_ != Fault::none) return fault_;
  if (out_ended_) return Fault::ended;
  if (content > kMaxContent || padding > kMaxContent - content) return Fault::too_long;
  if (out.size() < kRecordOverhead + content + padding) return Fault::no_room;
  return Fault::none;
}

Channel::Size Channel::write_record(RecordType type, MutableBytes out, std::size_t content,
                                    std::size_t padding) {
  if (const Fault fault = refusal(out, content, padding); fault != Fault::none) {
    return tl::unexpected(fault);
  }
  if (out_->cipher.exhausted()) return tl::unexpected(die(Fault::exhausted));
  const std::size_t size = kRecordOverhead + content + padding;
  const MutableBytes body = out.first(size).subspan(kLengthSize);
  const MutableBytes plaintext = out_->cipher.plaintext(body);
  plaintext[0] = static_cast<std::uint8_t>(type);
  store_be16(plaintext.data() + 1, static_cast<std::uint16_t>(content));
  std::fill(plaintext.begin() + kInnerHeader + content, plaintext.end(), std::uint8_t{0});
  out_->cipher.seal(body);
  store_be16(out.data(), static_cast<std::uint16_t>(body.size()));
  return size;
}

}  // namespace leat::crypto
