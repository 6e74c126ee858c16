// The way in: length, tag, inner header and padding, content. Whatever is wrong is wrong for good.
#include <algorithm>

#include "crypto/channel.h"

namespace leat::crypto {
namespace {

constexpr std::size_t kMinBody = kRecordOverhead - kLengthSize;
constexpr std::size_t kMaxBody = kMaxRecord - kLengthSize;

}  // namespace

Opened Channel::open(MutableBytes in) {
  using Event = Opened::Event;
  const auto failed = [this](Fault fault) {
    die(fault);
    return Opened{Event::failed, {}, 0};
  };
  if (fault_ != Fault::none) return {Event::failed, {}, 0};
  if (in_ended_ && !in.empty()) return failed(Fault::after_end);
  if (in.size() < kLengthSize) return {};
  const std::size_t size = load_be16(in.data());
  if (size < kMinBody || size > kMaxBody) return failed(Fault::bad_length);
  if (in.size() < kLengthSize + size) return {};
  if (in_->cipher.exhausted()) return failed(Fault::exhausted);
  const MutableBytes body = in.subspan(kLengthSize, size);
  if (!in_->cipher.open(body)) return failed(Fault::not_authentic);
  Opened opened{.used = kLengthSize + size};
  if (const Fault fault = take(in_->cipher.plaintext(body), opened); fault != Fault::none) {
    wipe(body);
    return failed(fault);
  }
  confirmed_ = true;
  return opened;
}

Fault Channel::take(MutableBytes plaintext, Opened& opened) {
  const std::size_t room = plaintext.size() - kInnerHeader;
  const std::size_t size = load_be16(plaintext.data() + 1);
  const auto type = static_cast<RecordType>(plaintext[0]);
  if (type != RecordType::data && type != RecordType::rekey && type != RecordType::end) {
    return Fault::bad_type;
  }
  const Bytes padding = plaintext.subspan(kInnerHeader + std::min(size, room));
  if (size > room || std::any_of(padding.begin(), padding.end(), [](auto b) { return b != 0; })) {
    return Fault::malformed;
  }
  const Bytes content = plaintext.subspan(kInnerHeader, size);
  if (type == RecordType::data) {
    opened.event = Opened::Event::data;
    opened.content = content;
    return take_data(content, padding.size());
  }
  if (type == RecordType::end) {
    opened.event = Opened::Event::end;
    return take_end(content);
  }
  opened.event = Opened::Event::rekey;
  if (!content.empty()) return Fault::malformed;
  in_->cipher.rekey();
  in_->records = in_->bytes = 0;
  return Fault::none;
}

Fault Channel::take_data(Bytes content, std::size_t padding) {
  if (content.empty()) return Fault::malformed;
  ++in_->records;
  in_->bytes += content.size() + padding;
  in_->total += content.size();
  if (in_->records > kKeyRecords || in_->bytes > kKeyBytes) return Fault::rekey_overdue;
  return Fault::none;
}

Fault Channel::take_end(Bytes content) {
  if (content.size() != kEndContent) return Fault::malformed;
  if (load_be64(content.data()) != in_->total) return Fault::bad_count;
  in_ended_ = true;
  return Fault::none;
}

}  // namespace leat::crypto
