// ClientHellos as OpenSSL makes them, and as an attacker would.
#include "http/sni.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <functional>
#include <memory>

#include "base/limits.h"
#include "seeds.h"

namespace leat::http {
namespace {

using namespace std::string_literals;
using State = ClientHelloReader::State;

// The first flight of a real client.
std::string openssl_hello(const std::function<void(SSL*)>& configure) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  BIO *inside = nullptr, *outside = nullptr;
  EXPECT_EQ(BIO_new_bio_pair(&inside, 256 * 1024, &outside, 256 * 1024), 1);
  SSL_set_bio(ssl.get(), inside, inside);
  configure(ssl.get());
  EXPECT_EQ(SSL_get_error(ssl.get(), SSL_connect(ssl.get())), SSL_ERROR_WANT_READ);
  std::string out(BIO_ctrl_pending(outside), '\0');
  EXPECT_EQ(BIO_read(outside, out.data(), static_cast<int>(out.size())),
            static_cast<int>(out.size()));
  BIO_free(outside);
  return out;
}

void set_alpn(SSL* ssl, const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& p : protocols) list += static_cast<char>(p.size()) + p;
  ASSERT_EQ(SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(list.data()),
                                static_cast<unsigned>(list.size())),
            0);
}

struct Outcome {
  State state = State::more;
  std::string name;
  std::vector<std::string> alpn;
  std::string why;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(const std::vector<std::string_view>& pieces) {
  ClientHelloReader reader;
  Outcome out;
  for (const std::string_view piece : pieces) {
    const std::size_t missing = reader.missing();
    const bool decides = out.state != State::done && reader.feed(as_bytes(piece)) == State::done;
    EXPECT_TRUE(!decides || piece.size() >= missing) << "whole with less than what was missing";
    out.state = reader.feed({});
  }
  out.name = reader.hello().server_name;
  out.alpn = reader.hello().alpn;
  out.why = reader.why();
  return out;
}

// The same whole, in single bytes, and cut at every byte; and nothing is decided a byte too early.
Outcome read_all_ways(std::string_view bytes) {
  const Outcome whole = read({bytes});
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  EXPECT_EQ(read(single), whole) << whole.why;
  const std::size_t step = bytes.size() > 4000 ? 97 : 1;
  for (std::size_t at = 1; at < bytes.size(); at += step) {
    EXPECT_EQ(read({bytes.substr(0, at), bytes.substr(at)}), whole) << "cut at " << at;
    if (whole.state == State::done) {
      EXPECT_EQ(read({bytes.substr(0, at)}).state, State::more) << "only " << at;
    }
  }
  return whole;
}

TEST(Sni, RealClient) {
  const std::string hello = openssl_hello([](SSL* ssl) {
    SSL_set_tlsext_host_name(ssl, "Web.Relay.Example");
    set_alpn(ssl, {"leat/1", "http/1.1"});
  });
  const Outcome r = read_all_ways(hello);
  EXPECT_EQ(r.state, State::done);
  EXPECT_EQ(r.name, "web.relay.example");
  EXPECT_EQ(r.alpn, (std::vector<std::string>{"leat/1", "http/1.1"}));
}

TEST(Sni, RealClientWithoutNames) {
  const Outcome r = read_all_ways(openssl_hello([](SSL*) {}));
  EXPECT_EQ(r.state, State::done);
  EXPECT_EQ(r.name, "");
  EXPECT_TRUE(r.alpn.empty());
}

TEST(Sni, RealOldClient) {
  const Outcome r = read_all_ways(openssl_hello([](SSL* ssl) {
    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    SSL_set_tlsext_host_name(ssl, "a");
  }));
  EXPECT_EQ(r.state, State::done);
  EXPECT_EQ(r.name, "a");
}

std::vector<std::string> many_protocols(std::size_t bytes) {
  return std::vector<std::string>(bytes / 201, std::string(200, 'p'));
}

TEST(Sni, HelloOfMoreThanOneRecord) {
  const std::string hello = openssl_hello([](SSL* ssl) {
    SSL_set_tlsext_host_name(ssl, "a.example");
    set_alpn(ssl, many_protocols(20000));
  });
  ASSERT_GT(hello.size(), limits::kTlsRecord);
  const Outcome r = read_all_ways(hello);
  EXPECT_EQ(r.state, State::done);
  EXPECT_EQ(r.name, "a.example");
  EXPECT_EQ(r.alpn.size(), 20000u / 201);
}

TEST(Sni, HelloInSmallRecords) {
  const std::string hello = openssl_hello([](SSL* ssl) {
    SSL_set_tlsext_host_name(ssl, "a.example");
    set_alpn(ssl, many_protocols(2000));
    SSL_set_max_send_fragment(ssl, 512);
  });
  const Outcome r = read_all_ways(hello);
  EXPECT_EQ(r.state, State::done) << r.why;
  EXPECT_EQ(r.name, "a.example");
}

TEST(Sni, HelloTooLarge) {
  const std::string hello = openssl_hello([](SSL* ssl) { set_alpn(ssl, many_protocols(40000)); });
  EXPECT_EQ(read({hello}).state, State::error);
  // Refused by what it announces, not by what came.
  EXPECT_EQ(read({std::string_view(hello).substr(0, 9)}).why, "ClientHello too large");
}

// --- by hand ---

std::string number(std::size_t value, int width) {
  std::string out;
  for (int i = width - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string vec(std::string_view body, int width) {
  return number(body.size(), width) + std::string(body);
}
std::string extension(unsigned type, std::string_view body) {
  return number(type, 2) + vec(body, 2);
}
std::string sni(std::string_view name) { return extension(0, vec("\0"s + vec(name, 2), 2)); }
std::string hello_body(std::string_view extensions) {
  return "\x03\x03" + std::string(32, 'r') + vec("", 1) + vec("\x13\x01", 2) + vec("\0"s, 1) +
         vec(extensions, 2);
}
std::string message(std::string_view body) { return "\x01" + vec(body, 3); }
std::string record(std::string_view fragment) { return "\x16\x03\x01" + vec(fragment, 2); }
std::string hello(std::string_view extensions) { return record(message(hello_body(extensions))); }

State state(std::string_view bytes) { return read_all_ways(bytes).state; }

TEST(Sni, ByHand) {
  const Outcome r = read_all_ways(hello(sni("a.example") + extension(16, vec("\x02h2", 2)) +
                                        extension(0x1a1a, "") + extension(51, "key")));
  EXPECT_EQ(r, (Outcome{State::done, "a.example", {"h2"}, ""}));
  // No extensions at all, as before TLS 1.0's.
  const std::string bare = hello_body("");
  EXPECT_EQ(state(record(message(bare.substr(0, bare.size() - 2)))), State::done);
}

TEST(Sni, RecordsOfOneByte) {
  std::string bytes;
  for (const char c : message(hello_body(sni("a.example")))) bytes += record(std::string(1, c));
  EXPECT_EQ(read_all_ways(bytes).name, "a.example");
}

TEST(Sni, WhatFollowsIsNotLookedAt) {
  const std::string body = message(hello_body(sni("a")));
  EXPECT_EQ(read({record(body + "\x14more")}).state, State::done);
  EXPECT_EQ(read({record(body), "\x99garbage"}).state, State::done);
}

TEST(Sni, NotTls) {
  EXPECT_EQ(state("GET / HTTP/1.1\r\n"), State::not_tls);
  EXPECT_EQ(state("SSH-2.0-x"), State::not_tls);
  EXPECT_EQ(state("\x80\x2e\x01\x00\x02"s), State::not_tls);  // SSL 2
  EXPECT_EQ(state("\x15\x03\x01\x00\x02\x01\x00"s), State::not_tls);
  EXPECT_EQ(state("\x16\x02\x00\x00\x05"s), State::not_tls);
  EXPECT_EQ(state("\x16GET"), State::not_tls);
  EXPECT_EQ(state("\0"s), State::not_tls);
}

TEST(Sni, BrokenRecords) {
  const std::string body = message(hello_body(sni("a")));
  EXPECT_EQ(state("\x16\x03\x01\x00\x00"s), State::error);  // empty
  EXPECT_EQ(state("\x16\x03\x01\x40\x01"s), State::error);  // 2^14 + 1
  EXPECT_EQ(state(record(body.substr(0, 9)) + "\x15\x03\x01\x00\x02\x01\x00"s), State::error);
  EXPECT_EQ(state(record(body.substr(0, 9)) + "\x16\x04\x01\x00\x01x"s), State::error);
  EXPECT_EQ(state(record(body.substr(0, 9)) + "\x16\x03\x01\x00\x00"s), State::error);
  EXPECT_EQ(state(record("\x02" + body.substr(1))), State::error);  // a ServerHello
  EXPECT_EQ(state(record(body.substr(0, 20))), State::more);
}

TEST(Sni, BrokenHellos) {
  const std::string good = hello_body(sni("a"));
  const auto body = [](std::string_view b) { return state(record(message(b))); };
  EXPECT_EQ(body(good), State::done);
  EXPECT_EQ(body(good + "x"), State::error);
  for (std::size_t n = 0; n < good.size(); ++n) {
    // Cut anywhere it is wrong, except where the extensions begin: those may be missing.
    const bool whole = n == good.size() - 2 - sni("a").size();
    EXPECT_EQ(body(std::string_view(good).substr(0, n)), whole ? State::done : State::error) << n;
  }
  const std::string random(32, 'r');
  const auto fields = [&](std::string_view version, std::string_view session,
                          std::string_view suites, std::string_view compression) {
    return body(std::string(version) + random + vec(session, 1) + vec(suites, 2) +
                vec(compression, 1));
  };
  EXPECT_EQ(fields("\x03\x03", std::string(32, 's'), "\x13\x01", "\0"s), State::done);
  EXPECT_EQ(fields("\x02\x00"s, "", "\x13\x01", "\0"s), State::error);
  EXPECT_EQ(fields("\x04\x00"s, "", "\x13\x01", "\0"s), State::error);
  EXPECT_EQ(fields("\x03\x03", std::string(33, 's'), "\x13\x01", "\0"s), State::error);
  EXPECT_EQ(fields("\x03\x03", "", "", "\0"s), State::error);
  EXPECT_EQ(fields("\x03\x03", "", "\x13\x01\x13", "\0"s), State::error);
  EXPECT_EQ(fields("\x03\x03", "", "\x13\x01", ""), State::error);
}

TEST(Sni, BrokenExtensions) {
  const auto with = [](std::string_view extensions) { return state(hello(extensions)); };
  EXPECT_EQ(with(sni("a") + sni("a")), State::error);
  EXPECT_EQ(with(extension(5, "") + extension(16, vec("\x02h2", 2)) + extension(5, "")),
            State::error);
  EXPECT_EQ(with("\0"s), State::error);
  EXPECT_EQ(with("\0\5\0"s), State::error);
  EXPECT_EQ(with("\0\5\0\1"s), State::error);
  EXPECT_EQ(with(extension(0, "")), State::error);
  EXPECT_EQ(with(extension(0, vec("", 2))), State::error);
  EXPECT_EQ(with(extension(0, vec("\1"s + vec("a", 2), 2))), State::error);  // not a host_name
  EXPECT_EQ(with(extension(0, vec("\0"s + vec("a", 2) + "\0"s + vec("b", 2), 2))), State::error);
  EXPECT_EQ(with(extension(0, vec("\0"s + vec("a", 2), 2) + "x")), State::error);
  EXPECT_EQ(with(extension(0, vec("\0\0\5a"s, 2))), State::error);
  EXPECT_EQ(with(extension(16, "")), State::error);
  EXPECT_EQ(with(extension(16, vec("", 2))), State::error);
  EXPECT_EQ(with(extension(16, vec("\0"s, 2))), State::error);
  EXPECT_EQ(with(extension(16, vec("\3h2", 2))), State::error);
  EXPECT_EQ(with(extension(16, vec("\2h2", 2) + "x")), State::error);
}

TEST(Sni, NamesThatAreNone) {
  for (const std::string& name :
       {""s, "a b"s, "a\0b"s, "a/b"s, "a:443"s, "[::1]"s, "::1"s, "a..b"s, ".a"s, "a."s,
        "\xc3\xa9.example"s, std::string(64, 'a'), "a%00"s, "*"s}) {
    EXPECT_EQ(state(hello(sni(name))), State::error) << name;
  }
  EXPECT_EQ(state(hello(sni("my_host.xn--bcher-kva.Example"))), State::done);
}

TEST(Sni, DamageIsReadTheSameInAnyChunking) {
  const std::string good = openssl_hello([](SSL* ssl) {
    SSL_set_tlsext_host_name(ssl, "a.example");
    set_alpn(ssl, {"leat/1"});
  });
  testing::for_each_seed(2000, [&](testing::Random& random) {
    std::string bytes = good;
    for (std::size_t n = random.between(1, 3); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.byte());
    }
    EXPECT_EQ(read(random.pieces(bytes)), read({bytes}));
  });
}

}  // namespace
}  // namespace leat::http
