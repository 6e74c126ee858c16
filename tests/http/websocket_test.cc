// RFC 6455 §5 to §7, both roles (threat 20).
#include "http/websocket.h"

#include <gtest/gtest.h>

#include "seeds.h"

namespace leat::http::ws {
namespace {

using namespace std::string_literals;
using http::testing::for_each_seed;
using http::testing::Random;
using Kind = Event::Kind;

constexpr MaskKey kKey = {0x37, 0xfa, 0x21, 0x3d};  // of the examples in §5.7
constexpr std::uint64_t kMax = 1 << 20;

// What a reader reported, with the pieces of each message joined: chunking must not show in it.
struct Log {
  std::string text;

  void add(const Event& e) {
    const std::string payload(as_chars(e.payload));
    switch (e.kind) {
      case Kind::none:
        break;
      case Kind::data:
        if (!open_) text += e.opcode == Opcode::text ? "text(" : "binary(";
        open_ = !e.end;
        // Pieces of one message adjoin unless a control frame came between.
        text += payload;
        if (e.end) text += ") ";
        break;
      case Kind::ping:
        text += "<ping " + payload + ">";
        break;
      case Kind::pong:
        text += "<pong " + payload + ">";
        break;
      case Kind::close:
        text += "<close " + std::to_string(e.code) + " " + payload + ">";
        break;
      case Kind::error:
        text += "<error " + std::to_string(e.code) + ">";
        break;
    }
  }

 private:
  bool open_ = false;
};

std::string read(Role role, const std::vector<std::string_view>& pieces, std::uint64_t max = kMax) {
  FrameReader reader(role, max);
  Log log;
  for (const std::string_view piece : pieces) {
    std::string bytes(piece);
    MutableBytes in(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size());
    while (!in.empty()) {
      std::size_t used = 0;
      const Event event = reader.feed(in, used);
      log.add(event);
      if (event.kind == Kind::error) return log.text;
      in = in.subspan(used);
      EXPECT_TRUE(event.kind != Kind::none || in.empty());
    }
  }
  return log.text;
}

// Whole, and cut at every byte, and in single bytes. Text that turns out wrong may have been handed
// out up to the wrong byte, in as many pieces as came: there only the verdict is compared.
std::string read(Role role, std::string_view bytes, std::uint64_t max = kMax) {
  const std::string whole = read(role, std::vector{bytes}, max);
  const auto same = [&](const std::string& other) {
    const std::size_t error = whole.find("<error");
    return error == std::string::npos
               ? other == whole
               : other.size() >= whole.size() - error && other.ends_with(whole.substr(error));
  };
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  EXPECT_PRED1(same, read(role, single, max));
  for (std::size_t at = 0; bytes.size() < 1000 && at <= bytes.size(); ++at) {
    EXPECT_PRED1(same, read(role, {bytes.substr(0, at), bytes.substr(at)}, max)) << at;
  }
  return whole;
}

// What a client reads, that is unmasked frames.
std::string reads(std::string_view bytes) { return read(Role::client, bytes); }

std::string frame(unsigned first, std::string_view payload, bool masked = false) {
  std::string out(1, static_cast<char>(first));
  const char bit = masked ? '\x80' : '\0';
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size() | static_cast<std::uint8_t>(bit));
  } else {
    out += static_cast<char>(126 | static_cast<std::uint8_t>(bit));
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size());
  }
  if (masked) out += "\1\2\3\4";
  std::string body(payload);
  if (masked) {
    mask({reinterpret_cast<std::uint8_t*>(body.data()), body.size()}, {1, 2, 3, 4});
  }
  return out + body;
}

std::string written(Opcode opcode, std::string_view payload, const MaskKey* key, bool fin = true) {
  std::string out;
  append_frame(out, opcode, as_bytes(payload), key, fin);
  return out;
}

TEST(WebSocket, ExamplesOfSection5_7) {
  const std::string unmasked = "\x81\x05Hello";
  const std::string masked = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
  EXPECT_EQ(written(Opcode::text, "Hello", nullptr), unmasked);
  EXPECT_EQ(written(Opcode::text, "Hello", &kKey), masked);
  EXPECT_EQ(reads(unmasked), "text(Hello) ");
  EXPECT_EQ(read(Role::server, masked), "text(Hello) ");

  EXPECT_EQ(written(Opcode::text, "Hel", nullptr, false), "\x01\x03Hel");
  EXPECT_EQ(written(Opcode::continuation, "lo", nullptr), "\x80\x02lo");
  EXPECT_EQ(reads("\x01\x03Hel\x80\x02lo"), "text(Hello) ");

  EXPECT_EQ(written(Opcode::ping, "Hello", nullptr), "\x89\x05Hello");
  EXPECT_EQ(reads("\x89\x05Hello"), "<ping Hello>");
  EXPECT_EQ(read(Role::server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "<pong Hello>");

  const std::string bytes256(256, 'x'), bytes64k(65536, 'x');
  EXPECT_EQ(written(Opcode::binary, bytes256, nullptr), "\x82\x7e\x01\x00"s + bytes256);
  EXPECT_EQ(written(Opcode::binary, bytes64k, nullptr),
            "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + bytes64k);
  EXPECT_EQ(reads(written(Opcode::binary, bytes256, nullptr)), "binary(" + bytes256 + ") ");
  EXPECT_EQ(reads(written(Opcode::binary, bytes64k, nullptr)), "binary(" + bytes64k + ") ");
}

TEST(WebSocket, LengthsAtTheEdges) {
  for (const std::size_t n : {0, 1, 125, 126, 127, 65535, 65536, 65537}) {
    const std::string payload(n, 'x');
    EXPECT_EQ(reads(written(Opcode::binary, payload, nullptr)), "binary(" + payload + ") ") << n;
    EXPECT_EQ(read(Role::server, written(Opcode::binary, payload, &kKey)),
              "binary(" + payload + ") ")
        << n;
  }
}

TEST(WebSocket, LengthsNotInTheShortestForm) {  // §5.2
  EXPECT_EQ(reads("\x82\x7e\x00\x00"s), "<error 1002>");
  EXPECT_EQ(reads("\x82\x7e\x00\x7d"s + std::string(125, 'x')), "<error 1002>");
  EXPECT_EQ(reads("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"s), "<error 1002>");
  EXPECT_EQ(reads("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x00"s), "<error 1002>");
}

TEST(WebSocket, LengthsOf64Bits) {
  EXPECT_EQ(reads("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"s), "<error 1002>");
  EXPECT_EQ(reads("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"s), "<error 1002>");
  EXPECT_EQ(reads("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"s), "<error 1009>");
  // The sum must not wrap either.
  const std::string huge = "\x02\x01x\x80\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"s;
  EXPECT_EQ(read(Role::client, huge, ~std::uint64_t{0}), "binary(x");
  EXPECT_EQ(read(Role::client, huge, 10), "binary(x<error 1009>");
}

TEST(WebSocket, MessageLimit) {
  EXPECT_EQ(read(Role::client, frame(0x82, "1234567890"), 10), "binary(1234567890) ");
  EXPECT_EQ(read(Role::client, frame(0x82, "12345678901"), 10), "<error 1009>");
  EXPECT_EQ(
      read(Role::client,
           frame(0x02, "12345") + frame(0x00, "12345") + frame(0x80, "") + frame(0x82, "67890"),
           10),
      "binary(1234512345) binary(67890) ");
  EXPECT_EQ(read(Role::client, frame(0x02, "12345") + frame(0x80, "123456"), 10),
            "binary(12345<error 1009>");
  // Control frames do not count.
  EXPECT_EQ(
      read(Role::client, frame(0x02, "12345") + frame(0x89, "123456") + frame(0x80, "12345"), 10),
      "binary(12345<ping 123456>12345) ");
}

TEST(WebSocket, MaskingByRole) {  // §5.1
  EXPECT_EQ(read(Role::server, frame(0x81, "a")), "<error 1002>");
  EXPECT_EQ(read(Role::client, frame(0x81, "a", true)), "<error 1002>");
  EXPECT_EQ(read(Role::server, frame(0x89, "")), "<error 1002>");
  EXPECT_EQ(read(Role::server, frame(0x89, "", true)), "<ping >");
}

TEST(WebSocket, ReservedBits) {  // §5.2: no extension was negotiated
  for (const unsigned bits : {0x10u, 0x20u, 0x40u, 0x70u}) {
    EXPECT_EQ(reads(frame(0x81 | bits, "a")), "<error 1002>") << bits;
    EXPECT_EQ(reads(frame(0x89 | bits, "a")), "<error 1002>") << bits;
    EXPECT_EQ(reads(frame(0x88 | bits, "")), "<error 1002>") << bits;
  }
}

TEST(WebSocket, ReservedOpcodes) {
  for (const unsigned opcode : {3u, 4u, 5u, 6u, 7u, 11u, 12u, 13u, 14u, 15u}) {
    EXPECT_EQ(reads(frame(0x80 | opcode, "a")), "<error 1002>") << opcode;
    EXPECT_EQ(reads(frame(opcode, "a")), "<error 1002>") << opcode;
  }
}

TEST(WebSocket, ControlFrames) {  // §5.5
  EXPECT_EQ(reads(frame(0x89, std::string(125, 'p'))), "<ping " + std::string(125, 'p') + ">");
  for (const unsigned opcode : {8u, 9u, 10u}) {
    EXPECT_EQ(reads(frame(0x80 | opcode, std::string(126, 'p'))), "<error 1002>") << opcode;
    EXPECT_EQ(reads(frame(0x80 | opcode, std::string(60000, 'p'))), "<error 1002>") << opcode;
    EXPECT_EQ(reads(frame(opcode, "a")), "<error 1002>") << opcode;  // fragmented
  }
  EXPECT_EQ(reads(frame(0x8a, "unasked")), "<pong unasked>");
  EXPECT_EQ(reads(frame(0x89, "\xff\x00"s)), "<ping \xff\x00>"s);  // not text
}

TEST(WebSocket, Fragmentation) {  // §5.4
  EXPECT_EQ(reads(frame(0x01, "a") + frame(0x00, "b") + frame(0x80, "c")), "text(abc) ");
  EXPECT_EQ(reads(frame(0x01, "") + frame(0x00, "") + frame(0x80, "")), "text() ");
  EXPECT_EQ(reads(frame(0x02, "a") + frame(0x89, "1") + frame(0x8a, "2") + frame(0x80, "b")),
            "binary(a<ping 1><pong 2>b) ");
  EXPECT_EQ(reads(frame(0x80, "a")), "<error 1002>");
  EXPECT_EQ(reads(frame(0x00, "a")), "<error 1002>");
  EXPECT_EQ(reads(frame(0x81, "a") + frame(0x80, "b")), "text(a) <error 1002>");
  EXPECT_EQ(reads(frame(0x01, "a") + frame(0x81, "b")), "text(a<error 1002>");
  EXPECT_EQ(reads(frame(0x01, "a") + frame(0x02, "b")), "text(a<error 1002>");
  EXPECT_EQ(reads(frame(0x01, "") + frame(0x01, "b")), "<error 1002>");
  EXPECT_EQ(reads(frame(0x01, "a") + frame(0x88, "")), "text(a<close 1005 >");
}

TEST(WebSocket, TextIsUtf8) {  // §8.1
  EXPECT_EQ(reads(frame(0x81, "κόσμε \xf4\x8f\xbf\xbf \xef\xbf\xbf \xed\x9f\xbf")),
            "text(κόσμε \xf4\x8f\xbf\xbf \xef\xbf\xbf \xed\x9f\xbf) ");
  EXPECT_EQ(reads(frame(0x01, "\xf0\x9f") + frame(0x89, "x") + frame(0x80, "\x98\x80")),
            "text(\xf0\x9f<ping x>\x98\x80) ");
  for (const std::string_view bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x20", "\xe0\x80\x80", "\xe0\x9f\xbf",
        "\xe2\x82", "\xe2\x82 ", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
        "\xfe"}) {
    EXPECT_TRUE(reads(frame(0x81, "a" + std::string(bad))).ends_with("<error 1007>")) << bad;
    EXPECT_EQ(reads(frame(0x82, bad)), "binary(" + std::string(bad) + ") ");
  }
  EXPECT_TRUE(reads(frame(0x01, "\xc2") + frame(0x80, "")).ends_with("<error 1007>"));
}

TEST(WebSocket, BadTextFailsAtOnce) {
  // The frame promises more, the message too, but nothing could mend it.
  EXPECT_EQ(reads("\x01\x7d\xf4\x90"), "<error 1007>");
}

TEST(WebSocket, Close) {  // §5.5.1, §7.4
  EXPECT_EQ(reads(frame(0x88, "")), "<close 1005 >");
  EXPECT_EQ(reads(frame(0x88, "\x03\xe8")), "<close 1000 >");
  EXPECT_EQ(reads(frame(0x88, "\x03\xe9" + std::string(123, 'r'))),
            "<close 1001 " + std::string(123, 'r') + ">");
  EXPECT_EQ(reads(frame(0x88, "\x03")), "<error 1002>");
  EXPECT_EQ(reads(frame(0x88, "\x03\xe8\xff")), "<error 1007>");
  EXPECT_EQ(reads(frame(0x88, "\x03\xe8\xe2\x82")), "<error 1007>");
  EXPECT_EQ(reads(frame(0x88, "") + frame(0x81, "late") + "\xff\xff"), "<close 1005 >");
}

TEST(WebSocket, CloseCodes) {
  const auto range = [](unsigned from, unsigned to) {
    std::vector<unsigned> out;
    for (unsigned c = from; c <= to; ++c) out.push_back(c);
    return out;
  };
  std::vector<unsigned> valid;
  for (const auto& part : {range(1000, 1003), range(1007, 1014), range(3000, 4999)}) {
    valid.insert(valid.end(), part.begin(), part.end());
  }
  std::size_t next = 0;
  for (unsigned code = 0; code <= 0xffff; ++code) {
    const bool expected = next < valid.size() && valid[next] == code;
    next += expected ? 1 : 0;
    ASSERT_EQ(valid_close_code(code), expected) << code;
  }
  for (const unsigned code : {0u, 999u, 1004u, 1005u, 1006u, 1015u, 2999u, 5000u, 65535u}) {
    const std::string body{static_cast<char>(code >> 8), static_cast<char>(code)};
    EXPECT_EQ(reads(frame(0x88, body)), "<error 1002>") << code;
  }
}

TEST(WebSocket, ErrorStays) {
  FrameReader reader(Role::client, kMax);
  std::string bytes = frame(0x83, "") + frame(0x81, "a");
  const MutableBytes in(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size());
  std::size_t used = 0;
  EXPECT_EQ(reader.feed(in, used).code, kProtocolError);
  EXPECT_EQ(reader.feed(in.subspan(2), used).code, kProtocolError);
  EXPECT_EQ(used, 0u);
  EXPECT_EQ(reader.feed({}, used).kind, Kind::error);
}

TEST(WebSocket, WrittenClose) {
  const auto close = [](std::uint16_t code, std::string_view reason) {
    std::string out;
    append_close(out, code, reason, nullptr);
    return reads(out);
  };
  EXPECT_EQ(close(kNoStatus, "dropped"), "<close 1005 >");
  EXPECT_EQ(close(kPolicy, "no"), "<close 1008 no>");
  EXPECT_EQ(close(kNormal, std::string(130, 'r')), "<close 1000 " + std::string(123, 'r') + ">");
  EXPECT_EQ(close(kNormal, std::string(121, 'r') + "\xe2\x82\xac"),
            "<close 1000 " + std::string(121, 'r') + ">");
  EXPECT_EQ(close(kNormal, std::string(120, 'r') + "\xe2\x82\xac" + "s"),
            "<close 1000 " + std::string(120, 'r') + "\xe2\x82\xac>");
}

TEST(WebSocket, MaskAtAnyOffset) {
  std::string text = "the quick brown fox jumps over the lazy dog";
  const std::string plain = text;
  const MutableBytes bytes(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  for (std::size_t from = 0; from < 12; ++from) {
    for (std::size_t n = 0; n < 20; ++n) {
      mask(bytes, kKey);
      mask(bytes.first(from), kKey);
      mask(bytes.subspan(from, n), kKey, from);
      mask(bytes.subspan(from + n), kKey, from + n);
      ASSERT_EQ(text, plain) << from << " " << n;
    }
  }
}

// Whatever one role writes the other reads, in any fragments, interleaved and chunked at will.
TEST(WebSocketProperty, RoundTrip) {
  for_each_seed(300, [](Random& random) {
    const bool client = random.one_in(2);
    std::string wire, expected;
    const auto put = [&](Opcode opcode, std::string_view payload, bool fin) {
      const MaskKey key = {random.byte(), random.byte(), random.byte(), random.byte()};
      append_frame(wire, opcode, as_bytes(payload), client ? &key : nullptr, fin);
    };
    for (std::size_t n = random.between(1, 6); n > 0; --n) {
      const bool text = random.one_in(2);
      const std::size_t limit = random.one_in(4) ? 70000 : 200;
      const std::string payload =
          text ? random.text("abc ", random.below(limit)) : random.bytes(random.below(limit));
      Opcode opcode = text ? Opcode::text : Opcode::binary;
      // As the log writes it: the message opens with its first byte, or with its empty end.
      std::size_t at = 0;
      bool opened = false;
      for (;;) {
        const std::size_t left = payload.size() - at;
        const std::size_t size = random.one_in(2) ? left : random.below(left + 1);
        const bool fin = size == left;
        put(opcode, std::string_view(payload).substr(at, size), fin);
        if (!opened && (size > 0 || fin)) {
          expected += text ? "text(" : "binary(";
          opened = true;
        }
        expected += payload.substr(at, size);
        at += size;
        opcode = Opcode::continuation;
        if (fin) break;
        if (random.one_in(3)) {
          put(Opcode::ping, "p", true);
          expected += "<ping p>";
        }
      }
      expected += ") ";
    }
    EXPECT_EQ(read(client ? Role::server : Role::client, random.pieces(wire)), expected);
  });
}

TEST(WebSocketProperty, DamageIsReadTheSameInAnyChunking) {
  for_each_seed(1000, [](Random& random) {
    std::string wire;
    for (std::size_t n = random.between(1, 4); n > 0; --n) {
      append_frame(wire, random.one_in(2) ? Opcode::text : Opcode::binary,
                   as_bytes(random.text("abc\xc3\xa9", random.below(150))), nullptr);
    }
    for (std::size_t n = random.below(4); n > 0; --n) {
      wire[random.below(wire.size())] = static_cast<char>(random.byte());
    }
    const auto verdict = [](std::string log) {
      const std::size_t error = log.find("<error");
      return error == std::string::npos ? log : log.substr(error);
    };
    EXPECT_EQ(verdict(read(Role::client, random.pieces(wire))),
              verdict(read(Role::client, std::vector<std::string_view>{wire})));
  });
}

}  // namespace
}  // namespace leat::http::ws
