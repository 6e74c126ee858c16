// The opener of records against a stranger and against a peer gone mad. The first byte chooses the
// suite and the case: bytes as they are; a genuine session with the input laid over it, of which
// only what lies before the first change may come out; or authentic records of any inner form,
// which a small model of docs/protocol.md §7.3 judges too. The second byte is the size of the
// pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "crypto/fixed.h"
#include "crypto/forger.h"

namespace {

using namespace leat;
using namespace leat::crypto;
using test::Buffer;
using Event = Opened::Event;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Result {
  std::vector<Event> events;
  std::string content;
  Fault fault = Fault::none;
  bool ended = false;
};

Result open_all(Suite suite, Bytes wire, std::size_t step) {
  Channel channel = ChannelAt::make(suite, Key(), 0, Role::responder);
  Result out;
  Buffer held;
  while (!wire.empty() && channel.fault() == Fault::none) {
    const std::size_t piece = std::min(step, wire.size());
    held.insert(held.end(), wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(piece));
    wire = wire.subspan(piece);
    for (;;) {
      const Opened opened = channel.open(held);
      if (opened.event == Event::more) break;
      out.events.push_back(opened.event);
      require(channel.confirmed() || opened.event == Event::failed);
      require(opened.content.empty() == (opened.event != Event::data));
      require(opened.content.size() <= kMaxContent && opened.used <= held.size());
      out.content += as_chars(opened.content);
      if (opened.event == Event::failed) break;
      held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(opened.used));
    }
  }
  out.fault = channel.fault();
  out.ended = channel.ended();
  require(out.fault == Fault::none || !out.ended);
  if (out.fault != Fault::none) {
    Buffer record(kMaxRecord);
    require(channel.open(record).event == Event::failed);
    require(!channel.seal(as_bytes("x"), record, Time{}));
  }
  return out;
}

void require_same(const Result& a, const Result& b) {
  require(a.events == b.events && a.content == b.content && a.fault == b.fault);
  require(a.ended == b.ended);
}

struct Sent {
  Buffer wire;
  std::vector<std::size_t> ends;  // of each record
  std::vector<std::string> contents;
};

Sent genuine(Suite suite) {
  Sent out;
  Channel channel = ChannelAt::make(suite, Key(), 0, Role::initiator);
  const auto put = [&](const Buffer& record, std::string content) {
    out.wire.insert(out.wire.end(), record.begin(), record.end());
    out.ends.push_back(out.wire.size());
    out.contents.push_back(std::move(content));
  };
  put(test::seal(channel, "first"), "first");
  put(test::seal(channel, as_bytes("padded"), 9), "padded");
  put(test::seal_rekey(channel), "");
  put(test::seal(channel, "last"), "last");
  put(test::seal_end(channel), "");
  return out;
}

void laid_over(Suite suite, Bytes in, std::size_t step) {
  Sent sent = genuine(suite);
  std::size_t first = sent.wire.size();
  for (std::size_t i = 0; i < std::min(in.size(), sent.wire.size()); ++i) {
    sent.wire[i] ^= in[i];
    if (in[i] != 0) first = std::min(first, i);
  }
  const Result result = open_all(suite, sent.wire, step);
  std::string expected;
  for (std::size_t i = 0; i < sent.ends.size() && sent.ends[i] <= first; ++i) {
    expected += sent.contents[i];
  }
  require(result.content == expected);
  require(result.ended == (first == sent.wire.size()));
}

// Records of u8 type, u8 how far the size in the header is off, u8 n, n bytes; the model on the
// way.
void forged(Suite suite, Bytes in, std::size_t step) {
  test::Forger forger(suite, Key());
  Buffer wire;
  std::string content;
  bool sound = true, ended = false;
  while (in.size() >= 3 && sound) {
    const int type = in[0];
    const std::size_t off = in[1], n = std::min<std::size_t>(in[2], in.size() - 3);
    const std::size_t size = std::min<std::size_t>(off + (n > off ? n - off : 0), 65535);
    const Bytes rest = in.subspan(3, n);
    in = in.subspan(3 + n);
    const std::size_t claimed = off > 200 ? n - std::min(n, off - 200) : size;
    const Buffer record = forger.record(type, claimed, rest);
    wire.insert(wire.end(), record.begin(), record.end());
    if (type == 2) forger.rekey();

    sound = !ended && claimed <= n && type >= 1 && type <= 3 &&
            std::all_of(rest.begin() + static_cast<std::ptrdiff_t>(std::min(claimed, n)),
                        rest.end(), [](std::uint8_t b) { return b == 0; });
    if (!sound) break;
    if (type == 1) {
      sound = claimed > 0;
      content += as_chars(rest.first(claimed));
    } else if (type == 2) {
      sound = claimed == 0;
    } else {
      sound = claimed == 8 && load_be64(rest.data()) == content.size();
      ended = sound;
    }
  }
  const Result result = open_all(suite, wire, step);
  require((result.fault == Fault::none) == sound);
  require(result.ended == (sound && ended));
  require(result.content == content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes in(data + 2, size - 2);
  const std::size_t step = data[1] + std::size_t{1};
  const Suite suite = data[0] & 0x80 ? Suite::nacl : Suite::aesgcm;
  switch (data[0] % 3) {
    case 0:
      require_same(open_all(suite, in, step), open_all(suite, in, SIZE_MAX));
      break;
    case 1:
      laid_over(suite, in, step);
      break;
    case 2:
      forged(suite, in, step);
      break;
  }
  return 0;
}
