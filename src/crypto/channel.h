// What a finished handshake gives: the two directions of a sealed session, as records
// (docs/protocol.md §7.3). Sans-I/O; nothing is allocated per record.
//
// Out: a source writes its content into out[head()…], seal() puts the record around it; or rekey()
// when rekey_due(), which seal() insists on; or end(), after which nothing follows. Records can be
// built one behind the other in one buffer.
//
// In: the owner collects bytes from its carrier in one piece of memory (kMaxRecord suffice) and
// calls open() on them until it says `more`. Data is decrypted where it lies. A carrier that ends
// while ended() is false was cut, whatever the carrier says of it.
//
// A fault of the peer, or of whoever stands between, kills both directions: the keys are erased,
// open() says `failed` and the other calls fail with fault().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tl/expected.hpp>

#include "base/bytes.h"
#include "base/crypto_util.h"
#include "base/time.h"
#include "crypto/key.h"
#include "crypto/record.h"
#include "crypto/record_cipher.h"
#include "crypto/x25519.h"

namespace leat::crypto {

enum class Role : std::uint8_t { initiator, responder };

struct Opened {
  enum class Event : std::uint8_t {
    more,    // no whole record there; nothing was used or changed
    data,    // `content` holds 1 to kMaxContent bytes, within the input
    rekey,   // nothing to do
    end,     // the peer's last record; ended() from here on
    failed,  // Channel::fault() says why
  };
  Event event = Event::more;
  Bytes content;
  std::size_t used = 0;  // bytes of the input this record took
};

class Channel {
 public:
  using Size = tl::expected<std::size_t, Fault>;

  Channel(Channel&& other) noexcept;
  Channel& operator=(Channel&& other) noexcept;
  ~Channel() = default;

  // --- out: each returns the bytes written from the beginning of `out` ---

  // Where in `out` the content of a record lies.
  std::size_t head() const { return head_; }
  // Whether rekey() must be called before the next seal().
  bool rekey_due(Time now) const;
  // Around `content` bytes, at least one, which lie in out[head()…]; `out` has room for
  // kRecordOverhead + content + padding. Padding hides the size; with content at most kMaxContent.
  Size seal(MutableBytes out, std::size_t content, Time now, std::size_t padding = 0);
  // The same, and `content` is copied there first; it may overlap `out`.
  Size seal(Bytes content, MutableBytes out, Time now, std::size_t padding = 0);
  Size rekey(MutableBytes out, Time now, std::size_t padding = 0);
  Size end(MutableBytes out, std::size_t padding = 0);

  // --- in ---

  Opened open(MutableBytes in);
  // The peer's end came, with the right count and nothing after it.
  bool ended() const { return in_ended_ && fault_ == Fault::none; }

  // --- both ---

  Fault fault() const { return fault_; }
  // The initiator's is from the start. The responder's becomes true with the first record opened:
  // before it the handshake may be a replay, and nothing may be changed or dialled on its strength.
  bool confirmed() const { return confirmed_; }
  // The peer's static key; null until confirmed().
  const X25519Key* peer() const { return confirmed_ ? &peer_ : nullptr; }
  // The handshake hash: the same on both sides of this session and on no other (Noise §11.2).
  const Sha256& binding() const { return binding_; }

 private:
  friend class Handshake;
  friend struct ChannelAt;  // tests: counters near their end

  struct Keys {
    Key send, receive;
  };
  struct Direction {
    RecordCipher cipher;
    std::uint64_t records = 0;  // data records under this key
    std::uint64_t bytes = 0;    // … their content and padding
    std::uint64_t total = 0;    // content of all data records
  };

  Channel(const Keys& keys, Role role, Suite suite, const X25519Key& peer, const Sha256& binding,
          Time now);
  Size write_record(RecordType type, MutableBytes out, std::size_t content, std::size_t padding);
  Fault refusal(MutableBytes out, std::size_t content, std::size_t padding) const;
  Fault take(MutableBytes plaintext, Opened& opened);
  Fault take_data(Bytes content, std::size_t padding);
  Fault take_end(Bytes content);
  Fault die(Fault fault);

  std::optional<Direction> out_, in_;  // gone after a fault
  std::size_t head_;
  Time key_since_;  // of out_
  bool out_ended_ = false, in_ended_ = false;
  bool confirmed_;
  Fault fault_ = Fault::none;
  X25519Key peer_;
  Sha256 binding_;
};

}  // namespace leat::crypto
