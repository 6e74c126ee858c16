// Who opens TLS records, against a stranger and against a peer gone mad. The first byte chooses:
// bytes as they are, or authentic records of any inner form, which a small model of RFC 8446 judges
// too; and how much is read at a time. The second byte is the size of the pieces that arrive.
#include "net/tls_records.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "net/records_fixture.h"

namespace {

using namespace leat;
using namespace leat::net;
using Opened = TlsRecords::Opened;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Outcome {
  std::string data;
  Opened last = Opened::dry;
  int fault = 0;
  bool update_due = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome open_all(std::string_view wire, std::size_t step, std::size_t reader) {
  static RingPool pool(limits::kRing);
  Ring in(pool);
  TlsRecords records(test::suite(0x1301), test::Secrets(), true);
  std::vector<std::uint8_t> into(reader);
  Outcome out;
  while (!wire.empty() && out.last == Opened::dry) {
    const MutableBytes room = in.prepare();
    const std::size_t n = std::min({step, wire.size(), room.size()});
    std::copy_n(wire.begin(), n, room.begin());
    wire.remove_prefix(n);
    in.committed(n);
    do {
      std::size_t got = 0;
      out.last = records.open(in, into, got);
      require(out.last != Opened::dry || !records.openable(in));
      require(out.last != Opened::data || (got > 0 && got <= reader));
      if (out.last == Opened::data) out.data += as_chars(Bytes(into).first(got));
    } while (out.last == Opened::data);
  }
  out.fault = records.fault();
  out.update_due = records.key_update_is_due();
  return out;
}

// What §4.6.3, §5 and §6 say of one record's inner text, after what came before it.
class Model {
 public:
  Outcome outcome;
  int updates = 0;  // keys replaced by the last record

  void record(std::string_view inner) {
    updates = 0;
    const std::size_t end = inner.find_last_not_of('\0');
    if (end == inner.npos) return fault(SSL_AD_UNEXPECTED_MESSAGE);
    const std::string_view content = inner.substr(0, end);
    if (content.size() > 16384) return fault(SSL_AD_RECORD_OVERFLOW);
    const bool data = inner[end] == test::kData;
    if (data && !content.empty()) {
      idle_ = 0;
      outcome.data += content;
      return;
    }
    if (++idle_ == 33) return fault(SSL_AD_UNEXPECTED_MESSAGE);
    if (data) return;
    if (inner.size() > 1024) return fault(SSL_AD_UNEXPECTED_MESSAGE);
    if (inner[end] == test::kAlert) return alert(content);
    if (inner[end] == test::kHandshake) return handshake(content);
    fault(SSL_AD_UNEXPECTED_MESSAGE);
  }

 private:
  void fault(int alert) {
    outcome.last = Opened::fault;
    outcome.fault = alert;
  }
  void alert(std::string_view content) {
    if (content.size() != 2) return fault(SSL_AD_DECODE_ERROR);
    const int description = static_cast<unsigned char>(content[1]);
    if (description == 0) {
      outcome.last = Opened::end;
    } else if (description != 90) {
      fault(description);
    }
  }
  void handshake(std::string_view content) {
    if (content.empty()) return fault(SSL_AD_UNEXPECTED_MESSAGE);
    while (!content.empty()) {
      if (content.size() < 4) return fault(SSL_AD_DECODE_ERROR);
      const Bytes head = as_bytes(content.substr(0, 4));
      const std::size_t size =
          std::size_t{head[1]} << 16 | static_cast<std::size_t>(head[2] << 8) | head[3];
      if (size > content.size() - 4) return fault(SSL_AD_DECODE_ERROR);
      const std::string_view body = content.substr(4, size);
      content.remove_prefix(4 + size);
      if (head[0] == 4) continue;
      if (head[0] != 24 || !content.empty()) return fault(SSL_AD_UNEXPECTED_MESSAGE);
      if (size != 1) return fault(SSL_AD_DECODE_ERROR);
      const int request = static_cast<unsigned char>(body[0]);
      if (request > 1) return fault(SSL_AD_ILLEGAL_PARAMETER);
      if (request == 1) outcome.update_due = true;
      ++updates;
    }
  }
  int idle_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr std::array<std::size_t, 4> kReaders = {1, 100, 5000, 100'000};
  const bool authentic = data[0] & 1;
  const std::size_t reader = kReaders[data[0] >> 1 & 3];
  const std::size_t step = data[1] == 0 ? 100'000 : data[1];
  std::string_view rest = as_chars({data + 2, size - 2});
  if (!authentic) {
    const Outcome whole = open_all(rest, rest.size(), reader);
    require(whole == open_all(rest, step, reader));
    require(whole.data.empty());
    return 0;
  }
  // Each record: two bytes of length, of which the highest bit adds 16 KiB of zeros as padding.
  test::Forger forger;
  Model model;
  std::string wire;
  while (rest.size() >= 2 && model.outcome.last == Opened::dry && wire.size() < 200'000) {
    const std::size_t word = load_be16(as_bytes(rest).data());
    rest.remove_prefix(2);
    const std::string_view inner = rest.substr(0, word & 0x7fff);
    rest.remove_prefix(inner.size());
    std::string padded(inner);
    if (word & 0x8000) padded.resize(16384 + 1);
    if (padded.size() > 16384 + 240) padded.resize(16384 + 240);
    wire += forger.record(padded);
    model.record(padded);
    for (int i = 0; i < model.updates; ++i) forger.replace_key();
  }
  require(open_all(wire, step, reader) == model.outcome);
  return 0;
}
