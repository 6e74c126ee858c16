// RFC 8446 §4.6.3, §5 and §6; the openssl program on the other end is openssl_test.
#include "net/tls_records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "net/records_fixture.h"

namespace leat::net {
namespace {

using test::Forger;
using test::kAlert;
using test::kData;
using test::kHandshake;
using Opened = TlsRecords::Opened;

constexpr std::size_t kFull = limits::kTlsRecord;

std::string text(std::size_t size) {
  std::string all(size, '\0');
  for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<char>(i * 31 + i / 251);
  return all;
}

std::string hex_text(std::string_view words) {
  std::string digits;
  for (const char c : words) {
    if (c != ' ') digits += c;
  }
  return unhex(digits).value();
}

// What a server makes of what a client sends.
struct Server {
  explicit Server(std::uint16_t id = 0x1301) : records(test::suite(id), test::Secrets(id), true) {}

  void arrives(std::string_view bytes) {
    const MutableBytes room = in.prepare();
    ASSERT_LE(bytes.size(), room.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    in.committed(bytes.size());
  }
  // Until something else than data comes.
  Opened read(std::size_t at_most = 100'000) {
    std::vector<std::uint8_t> into(at_most);
    for (;;) {
      std::size_t n = 0;
      const Opened opened = records.open(in, into, n);
      EXPECT_FALSE(opened == Opened::dry && records.openable(in));
      if (opened != Opened::data) return opened;
      EXPECT_GT(n, 0u);
      got += as_chars(Bytes(into).first(n));
    }
  }
  // The alert that one message causes.
  int fault(std::string_view bytes) {
    arrives(bytes);
    EXPECT_EQ(read(), Opened::fault);
    return records.fault();
  }

  RingPool pool{limits::kRing};
  Ring in{pool}, out{pool};
  TlsRecords records;
  std::string got;
};

std::string taken(Ring& ring) {
  std::string all(ring.size(), '\0');
  ring.read({reinterpret_cast<std::uint8_t*>(all.data()), all.size()});
  return all;
}

// RFC 8448 §3, the client's records under its application traffic secret.
TEST(TlsRecords, AsInTheExampleOfRfc8448) {
  TrafficSecrets secrets;
  test::set(secrets.client, as_bytes(hex_text("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f7"
                                              "92ebb7c17504a5")));
  test::set(secrets.server, as_bytes(hex_text("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b"
                                              "4f1f3fcb631643")));
  RingPool pool(limits::kRing);
  Ring ring(pool);
  TlsRecords client(test::suite(0x1301), secrets, false);
  std::string data;
  for (char c = 0; c < 50; ++c) data += c;
  client.seal(ring, as_bytes(data));
  EXPECT_EQ(hex(as_bytes(taken(ring))),
            "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a"
            "9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4");
  client.say_close_notify(ring);
  EXPECT_EQ(hex(as_bytes(taken(ring))), "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
}

TEST(TlsRecords, EverySuiteAndSizeThroughARingThatWraps) {
  for (const std::uint16_t id : std::vector<std::uint16_t>{0x1301, 0x1302, 0x1303}) {
    TlsRecords client(test::suite(id), test::Secrets(id), false);
    Server server(id);
    std::string all;
    for (const std::size_t size : {1u, 2u, 1022u, 1023u, 1024u, 1025u, 8000u, 16383u, 16384u}) {
      for (int times = 0; times < 8; ++times) {
        const std::string data = text(size);
        client.seal(server.out, as_bytes(data));
        all += data;
        // Out of a ring that was never empty, so that it wraps.
        std::string wire(server.out.size() / 2, '\0');
        server.out.read({reinterpret_cast<std::uint8_t*>(wire.data()), wire.size()});
        server.arrives(wire);
        ASSERT_EQ(server.read(), Opened::dry) << "size " << size;
      }
    }
    server.arrives(taken(server.out));
    ASSERT_EQ(server.read(), Opened::dry);
    EXPECT_TRUE(server.got == all) << "suite " << id;
    EXPECT_TRUE(server.in.empty());
  }
}

// Whatever is not taken stays, and a record may be cut anywhere.
TEST(TlsRecords, ReadersOfAnySizeAndRecordsInPieces) {
  for (const std::size_t reader : {1u, 7u, 1000u, 1025u, 5000u, 16383u, 16384u, 16385u}) {
    for (const std::size_t piece : {1u, 4u, 6u, 900u, 20'000u}) {
      if (reader * piece < 100) continue;
      Forger client;
      Server server;
      std::string wire, all;
      for (const std::size_t size : {3u, 1500u, 16384u, 100u}) {
        wire += client.record(text(size), kData);
        all += text(size);
      }
      for (std::size_t at = 0; at < wire.size(); at += piece) {
        server.arrives(std::string_view(wire).substr(at, piece));
        ASSERT_EQ(server.read(reader), Opened::dry);
      }
      ASSERT_TRUE(server.got == all) << "reader " << reader << " piece " << piece;
      EXPECT_TRUE(server.in.empty());
    }
  }
}

TEST(TlsRecords, PaddingIsNoData) {
  Forger client;
  Server server;
  server.arrives(client.record("short" + std::string(1, kData) + std::string(200, '\0')));
  server.arrives(client.record(text(3000) + kData + std::string(9000, '\0')));
  server.arrives(client.record(text(10) + kData + std::string(16374, '\0')));
  EXPECT_EQ(server.read(3000), Opened::dry);
  EXPECT_TRUE(server.got == "short" + text(3000) + text(10));
  EXPECT_TRUE(server.in.empty());
}

// --- what nobody may send ---

TEST(TlsRecords, AnythingChangedIsNoRecordAndNothingOfItIsSeen) {
  for (const std::size_t size : {100u, 16384u}) {
    for (const std::size_t at : {1u, 5u, 60u, 100u + 5 + 1, 100u + 5 + 16}) {
      Forger client;
      Server server;
      std::string record = client.record(std::string(size, 'x'), kData);
      record[at] = static_cast<char>(record[at] ^ 1);
      server.arrives(record);
      std::vector<std::uint8_t> into(20'000, 0xee);
      std::size_t n = 0;
      ASSERT_EQ(server.records.open(server.in, into, n), Opened::fault);
      EXPECT_EQ(server.records.fault(), SSL_AD_BAD_RECORD_MAC);
      EXPECT_EQ(n, 0u);
      EXPECT_EQ(std::count(into.begin(), into.end(), 'x'), 0);
      const Bytes ring = server.in.front();
      EXPECT_LT(std::count(ring.begin(), ring.end(), 'x'), 10 + static_cast<int>(size) / 128);
    }
  }
}

TEST(TlsRecords, NeitherTwiceNorOutOfOrder) {
  Forger client;
  const std::string first = client.record("first", kData), second = client.record("second", kData);
  Server twice, swapped;
  EXPECT_EQ(twice.fault(first + first), SSL_AD_BAD_RECORD_MAC);
  EXPECT_EQ(twice.got, "first");
  EXPECT_EQ(swapped.fault(second + first), SSL_AD_BAD_RECORD_MAC);
  EXPECT_EQ(swapped.got, "");
}

TEST(TlsRecords, HeadersThatCannotBe) {
  const auto header = [](char type, std::size_t length) {
    return std::string{type, 3, 3, static_cast<char>(length >> 8), static_cast<char>(length)};
  };
  EXPECT_EQ(Server().fault(header(kData, kFull + 257)), SSL_AD_RECORD_OVERFLOW);  // by it alone
  EXPECT_EQ(Server().fault(header(kData, 15) + std::string(15, 'x')), SSL_AD_BAD_RECORD_MAC);
  // In the clear, nobody knows from whom: an alert that ends, a change of ciphers.
  EXPECT_EQ(Server().fault(header(kAlert, 2) + std::string{1, 0}), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_EQ(Server().fault(header(20, 1) + std::string{1}), SSL_AD_UNEXPECTED_MESSAGE);
}

TEST(TlsRecords, ContentsThatCannotBe) {
  const auto fault = [](std::string_view inner) { return Server().fault(Forger().record(inner)); };
  EXPECT_EQ(fault(""), SSL_AD_UNEXPECTED_MESSAGE);  // no type
  EXPECT_EQ(fault(std::string(50, '\0')), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_EQ(fault(std::string(5000, '\0')), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_EQ(fault("data" + std::string{20}), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_EQ(fault(text(kFull + 1) + kData), SSL_AD_RECORD_OVERFLOW);
  EXPECT_EQ(fault(text(2000) + kHandshake), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_EQ(fault(std::string{kHandshake}), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_EQ(fault(std::string{kAlert}), SSL_AD_DECODE_ERROR);
  EXPECT_EQ(fault(std::string{1, 0, 0, kAlert}), SSL_AD_DECODE_ERROR);
}

TEST(TlsRecords, RecordsWithoutDataAreFewInARow) {
  for (const std::string& idle : {std::string{kData}, std::string{1, 90, kAlert}}) {
    Forger client;
    Server server;
    for (int rounds = 0; rounds < 3; ++rounds) {
      for (int i = 0; i < 32; ++i) server.arrives(client.record(idle));
      server.arrives(client.record("x", kData));
      ASSERT_EQ(server.read(), Opened::dry);
    }
    EXPECT_EQ(server.got, "xxx");
    for (int i = 0; i < 33; ++i) server.arrives(client.record(idle));
    EXPECT_EQ(server.read(), Opened::fault);
    EXPECT_EQ(server.records.fault(), SSL_AD_UNEXPECTED_MESSAGE);
  }
}

// --- alerts ---

TEST(TlsRecords, CloseNotifyEnds) {
  TlsRecords client(test::suite(0x1301), test::Secrets(), false);
  Server server;
  client.seal(server.in, as_bytes("last"));
  client.say_close_notify(server.in);
  EXPECT_EQ(server.read(), Opened::end);
  EXPECT_EQ(server.got, "last");
}

TEST(TlsRecords, AFaultIsSaidOnceAndNotBack) {
  Forger client;
  Server server;
  EXPECT_EQ(server.fault(client.record("x" + std::string{20})), SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_FALSE(server.records.told_fault());
  server.records.say_fault(server.out);
  TlsRecords reader(test::suite(0x1301), test::Secrets(), false);
  std::vector<std::uint8_t> into(100);
  std::size_t n = 0;
  EXPECT_EQ(reader.open(server.out, into, n), Opened::fault);
  EXPECT_TRUE(reader.told_fault());
  EXPECT_EQ(reader.fault(), SSL_AD_UNEXPECTED_MESSAGE);
  Server other;
  reader.say_fault(other.out);
  EXPECT_TRUE(other.out.empty());
}

// --- keys ---

TEST(TlsRecords, KeysAreReplacedOnBothSides) {
  TlsRecords client(test::suite(0x1302), test::Secrets(0x1302), false);
  Server server(0x1302);
  std::string all;
  for (int i = 0; i < 5; ++i) {
    client.update_key(server.in);
    client.seal(server.in, as_bytes("under key " + std::to_string(i)));
    all += "under key " + std::to_string(i);
  }
  EXPECT_EQ(server.read(), Opened::dry);
  EXPECT_EQ(server.got, all);
  EXPECT_FALSE(server.records.key_update_is_due());
}

TEST(TlsRecords, WhoAsksForNewKeysGetsThem) {
  Forger client;
  Server server;
  server.arrives(client.record(std::string{24, 0, 0, 1, 1}, kHandshake));
  client.replace_key();
  server.arrives(client.record(std::string{24, 0, 0, 1, 0}, kHandshake));
  client.replace_key();
  server.arrives(client.record("after", kData));
  EXPECT_EQ(server.read(), Opened::dry);
  EXPECT_EQ(server.got, "after");
  EXPECT_TRUE(server.records.key_update_is_due());
  server.records.update_key(server.out);
  EXPECT_FALSE(server.records.key_update_is_due());
  server.records.seal(server.out, as_bytes("back"));
  TlsRecords reader(test::suite(0x1301), test::Secrets(), false);
  std::vector<std::uint8_t> into(100);
  std::size_t n = 0;
  ASSERT_EQ(reader.open(server.out, into, n), Opened::data);
  EXPECT_EQ(as_chars(Bytes(into).first(n)), "back");
}

TEST(TlsRecords, TheOldKeyIsNoneAfterAKeyUpdate) {
  Forger client;
  Server server;
  server.arrives(client.record(std::string{24, 0, 0, 1, 0}, kHandshake));
  EXPECT_EQ(server.fault(client.record("old", kData)), SSL_AD_BAD_RECORD_MAC);
}

TEST(TlsRecords, HandshakeMessages) {
  const auto fault = [](const std::string& messages) {
    return Server().fault(Forger().record(messages, kHandshake));
  };
  const std::string update{24, 0, 0, 1, 0}, ticket = std::string{4, 0, 0, 9} + "a ticket!";
  EXPECT_EQ(fault(update + update), SSL_AD_UNEXPECTED_MESSAGE);  // ends its record, §5.1
  EXPECT_EQ(fault(update.substr(0, 3)), SSL_AD_DECODE_ERROR);
  EXPECT_EQ(fault(update.substr(0, 4)), SSL_AD_DECODE_ERROR);
  EXPECT_EQ(fault({24, 0, 0, 2, 0, 0}), SSL_AD_DECODE_ERROR);
  EXPECT_EQ(fault({24, 0, 0, 1, 2}), SSL_AD_ILLEGAL_PARAMETER);
  EXPECT_EQ(fault({1, 0, 0, 0}), SSL_AD_UNEXPECTED_MESSAGE);   // ClientHello: renegotiation
  EXPECT_EQ(fault({13, 0, 0, 0}), SSL_AD_UNEXPECTED_MESSAGE);  // CertificateRequest
  Forger client;
  Server server;
  server.arrives(client.record(ticket + ticket + update, kHandshake));
  client.replace_key();
  server.arrives(client.record("data", kData));
  EXPECT_EQ(server.read(), Opened::dry);
  EXPECT_EQ(server.got, "data");
}

}  // namespace
}  // namespace leat::net
