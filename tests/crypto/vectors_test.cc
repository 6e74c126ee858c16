// Published vectors that need no file: RFC 7748, RFC 5869, NaCl's own box example; and those of
// files: Wycheproof (X25519, AES-GCM, HKDF), the Noise vectors of cacophony and of flynn/noise.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "crypto/fixed.h"
#include "crypto/handshake.h"
#include "crypto/hkdf.h"
#include "crypto/x25519.h"

namespace leat::crypto {
namespace {

using test::Buffer;
using test::from_hex;
using test::key_from;
using test::key_from_hex;
using test::public_from;

TEST(Vectors, Rfc7748Section52) {
  const struct {
    std::string_view scalar, point, product;
  } cases[] = {{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
               {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"}};
  for (const auto& each : cases) {
    const auto shared = KeyPair(key_from_hex(each.scalar)).agree(public_from(from_hex(each.point)));
    ASSERT_TRUE(shared);
    EXPECT_EQ(hex(shared->reveal()), each.product);
  }
  Key nine;
  nine.fill()[0] = 9;
  EXPECT_EQ(hex(KeyPair(std::move(nine)).public_key().bytes),
            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
}

TEST(Vectors, Rfc5869Appendix1) {
  Buffer out(42);
  hkdf_sha256(from_hex("000102030405060708090a0b0c"), Buffer(22, 0x0b),
              from_hex("f0f1f2f3f4f5f6f7f8f9"), out);
  EXPECT_EQ(hex(out),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

// NaCl's tests/box.c, from `firstkey` on.
TEST(Vectors, NaclBox) {
  NaclBox box(key_from_hex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389"));
  const Buffer nonce = from_hex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
  const Buffer message = from_hex(
      "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c"
      "61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f"
      "21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705");
  const std::string boxed =
      "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1"
      "186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab9321645"
      "48"
      "e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f"
      "65"
      "4cb45a74e355a5";
  Buffer text = message, tag(kTagSize);
  box.seal(std::span(nonce).first<24>(), text, std::span(tag).first<16>());
  EXPECT_EQ(hex(tag) + hex(text), boxed);
  ASSERT_TRUE(box.open(std::span(nonce).first<24>(), text, std::span(tag).first<16>()));
  EXPECT_EQ(text, message);
}

// Any size and nonce, against the whole of libsodium's; in place and at any alignment.
TEST(Vectors, NaclBoxAsLibsodiumDoesIt) {
  std::mt19937_64 random(1);
  ASSERT_GE(sodium_init(), 0);
  for (std::size_t size = 0; size < 2100; size += size < 200 ? 1 : 97) {
    Buffer key(kKeySize), nonce(NaclBox::kNonceSize), message(size);
    for (Buffer* each : {&key, &nonce, &message}) {
      for (std::uint8_t& byte : *each) byte = static_cast<std::uint8_t>(random());
    }
    Buffer boxed(size), boxed_tag(kTagSize);
    for (Buffer* each : {&message, &boxed})
      each->reserve(1);  // libsodium asks where nothing is, too
    crypto_box_detached_afternm(boxed.data(), boxed_tag.data(), message.data(), size, nonce.data(),
                                key.data());
    NaclBox box{Key(std::span(key).first<kKeySize>())};
    Buffer buffer(size + size % 8), tag(kTagSize);
    const MutableBytes text = MutableBytes(buffer).subspan(size % 8);
    std::ranges::copy(message, text.begin());
    box.seal(std::span(nonce).first<24>(), text, std::span(tag).first<16>());
    ASSERT_TRUE(std::ranges::equal(text, boxed)) << size;
    ASSERT_EQ(tag, boxed_tag) << size;
    ASSERT_TRUE(box.open(std::span(nonce).first<24>(), text, std::span(tag).first<16>())) << size;
    ASSERT_TRUE(std::ranges::equal(text, message)) << size;
    tag[size % 16] ^= static_cast<std::uint8_t>(1 << size % 8);
    ASSERT_FALSE(box.open(std::span(nonce).first<24>(), text, std::span(tag).first<16>())) << size;
    ASSERT_EQ(std::ranges::count(text, 0), std::ptrdiff_t(size));
  }
}

#ifdef LEAT_WYCHEPROOF

nlohmann::json wycheproof(const std::string& name) {
  std::ifstream file(std::string(LEAT_WYCHEPROOF) + "/" + name);
  return nlohmann::json::parse(file);
}

template <typename Try>
std::size_t each_test(const nlohmann::json& all, Try attempt) {
  std::size_t tried = 0;
  for (const auto& group : all.at("testGroups")) {
    for (const auto& each : group.at("tests")) {
      SCOPED_TRACE("tcId " + each.at("tcId").dump() + ": " + each.at("comment").dump());
      tried += attempt(group, each);
    }
  }
  return tried;
}

// Keys of low order and zeros are refused; keys on the twist and not in canonical form are not.
TEST(Wycheproof, X25519) {
  const auto all = wycheproof("x25519_test.json");
  std::size_t refused = 0;
  const std::size_t tried = each_test(all, [&](const auto&, const auto& each) {
    const KeyPair own(key_from_hex(each.at("private").template get<std::string>()));
    const Buffer peer = from_hex(each.at("public").template get<std::string>());
    const std::string expected = each.at("shared");
    const auto shared = own.agree(public_from(peer));
    const bool zeros = expected == std::string(64, '0');
    refused += zeros;
    EXPECT_EQ(shared.has_value(), !zeros);
    if (shared) {
      EXPECT_EQ(hex(shared->reveal()), expected);
    }
    return 1;
  });
  EXPECT_EQ(tried, all.at("numberOfTests"));
  EXPECT_GT(refused, 10u);
}

TEST(Wycheproof, AesGcm) {
  std::size_t invalid = 0;
  const auto all = wycheproof("aes_gcm_test.json");
  const std::size_t tried = each_test(all, [&](const auto& group, const auto& each) {
    if (group.at("keySize") != 256 || group.at("ivSize") != 96) return 0;
    const auto field = [&](const char* name) {
      return from_hex(each.at(name).template get<std::string>());
    };
    AesGcm cipher(key_from(field("key")));
    const Buffer nonce = field("iv"), associated = field("aad"), tag = field("tag");
    Buffer text = field("ct");
    const bool valid = each.at("result") == "valid";
    invalid += !valid;
    EXPECT_EQ(cipher.open(std::span(nonce).template first<12>(), associated, text,
                          std::span(tag).template first<16>()),
              valid);
    EXPECT_EQ(text, valid ? field("msg") : Buffer(text.size()));
    Buffer made = field("msg"), made_tag(kTagSize);
    cipher.seal(std::span(nonce).template first<12>(), associated, made,
                std::span(made_tag).template first<16>());
    EXPECT_EQ(made == field("ct") && made_tag == tag, valid);
    return 1;
  });
  EXPECT_GT(tried, 60u);
  EXPECT_GT(invalid, 10u);
}

TEST(Wycheproof, Hkdf) {
  const auto all = wycheproof("hkdf_sha256_test.json");
  const std::size_t tried = each_test(all, [&](const auto&, const auto& each) {
    const auto field = [&](const char* name) {
      return from_hex(each.at(name).template get<std::string>());
    };
    const std::size_t size = each.at("size");
    if (size > 255 * kKeySize) return 1;  // "invalid": more than there is; an assertion here
    EXPECT_EQ(each.at("result"), "valid");
    Buffer out(size);
    hkdf_sha256(field("salt"), field("ikm"), field("info"), out);
    EXPECT_EQ(hex(out), each.at("okm"));
    return 1;
  });
  EXPECT_EQ(tried, all.at("numberOfTests"));
}

#endif

#ifdef LEAT_CRYPTOGRAPHY_VECTORS

// "NAME = value" lines; `last` is the name that ends a case.
template <typename Try>
std::size_t each_case(const std::string& path, std::string_view last, Try attempt) {
  std::ifstream file(LEAT_CRYPTOGRAPHY_VECTORS + path);
  std::map<std::string, std::string> field;
  std::size_t tried = 0;
  for (std::string line; std::getline(file, line);) {
    const std::size_t equals = line.find('=');
    if (line.starts_with('#') || equals == line.npos) continue;
    const std::string name = line.substr(0, line.find(' '));
    field[name] = line.substr(std::min(equals + 2, line.size()));
    if (name != last) continue;
    SCOPED_TRACE("COUNT " + field["COUNT"]);
    attempt(field);
    ++tried;
  }
  return tried;
}

TEST(CryptographyVectors, X25519) {
  const std::size_t tried =
      each_case("/asymmetric/X25519/rfc7748.txt", "OUTPUT_U", [](auto& field) {
        const KeyPair own(key_from_hex(field["INPUT_SCALAR"]));
        const auto shared = own.agree(public_from(from_hex(field["INPUT_U"])));
        ASSERT_TRUE(shared);
        EXPECT_EQ(hex(shared->reveal()), field["OUTPUT_U"]);
      });
  EXPECT_EQ(tried, 3u);
}

TEST(CryptographyVectors, HkdfSha256) {
  const std::size_t tried = each_case("/KDF/rfc-5869-HKDF-SHA256.txt", "OKM", [](auto& field) {
    Buffer out(std::stoul(field["L"]));
    hkdf_sha256(from_hex(field["salt"]), from_hex(field["IKM"]), from_hex(field["info"]), out);
    EXPECT_EQ(hex(out), field["OKM"]);
  });
  EXPECT_EQ(tried, 3u);
}

// NIST's CAVP file: "Name = value" lines, "[Name = value]" for what follows, and FAIL for a tag
// that must be refused; a tag of 128 bits and a nonce of 96 are ours.
TEST(Nist, AesGcm256) {
  std::ifstream file(LEAT_CRYPTOGRAPHY_VECTORS "/ciphers/AES/GCM/gcmDecrypt256.rsp");
  std::map<std::string, std::string> field;
  std::size_t valid = 0, invalid = 0;
  for (std::string line; std::getline(file, line);) {
    line.erase(std::remove_if(line.begin(), line.end(), [](char c) { return c < ' '; }),
               line.end());
    const bool fails = line == "FAIL";
    if (const std::size_t equals = line.find(" ="); equals != line.npos) {
      const bool setting = line[0] == '[';
      const std::size_t value = std::min(equals + 3, line.size());
      field[line.substr(setting, equals - setting)] =
          line.substr(value, line.size() - value - setting);
    }
    if (!fails && !line.starts_with("PT =")) continue;
    if (field["IVlen"] != "96" || field["Taglen"] != "128") continue;
    AesGcm cipher(key_from_hex(field["Key"]));
    const Buffer nonce = from_hex(field["IV"]), tag = from_hex(field["Tag"]);
    Buffer text = from_hex(field["CT"]);
    EXPECT_EQ(cipher.open(std::span(nonce).first<12>(), from_hex(field["AAD"]), text,
                          std::span(tag).first<16>()),
              !fails)
        << "Count " << field["Count"];
    EXPECT_EQ(text, fails ? Buffer(text.size()) : from_hex(field["PT"]));
    ++(fails ? invalid : valid);
  }
  EXPECT_GT(valid, 100u);
  EXPECT_GT(invalid, 100u);
}

#endif

struct NoiseVector {
  std::string protocol, prologue, psk, client, agent, client_ephemeral, agent_ephemeral, hash;
  std::vector<std::pair<std::string, std::string>> messages;  // payload, ciphertext
};

// Both sides make or read each message; what follows the handshake goes under the split keys, in
// turns, with the initiator first.
void replay(const NoiseVector& vector) {
  const Pattern pattern =
      vector.protocol.starts_with("Noise_IKpsk2") ? Pattern::ik_psk2 : Pattern::ik;
  const KeyPair client(key_from_hex(vector.client)), agent(key_from_hex(vector.agent));
  const Buffer prologue = from_hex(vector.prologue);
  auto initiator = Handshake::initiator(pattern, prologue, client, agent.public_key());
  auto responder = Handshake::responder(pattern, prologue, agent);
  FixedEphemeral::set(initiator, key_from_hex(vector.client_ephemeral));
  FixedEphemeral::set(responder, key_from_hex(vector.agent_ephemeral));
  if (pattern == Pattern::ik_psk2) {
    initiator.set_psk(key_from_hex(vector.psk));
    responder.set_psk(key_from_hex(vector.psk));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& [payload, ciphertext] = vector.messages[i];
    const auto message = test::write(i == 0 ? initiator : responder, from_hex(payload));
    ASSERT_TRUE(message);
    EXPECT_EQ(hex(*message), ciphertext);
    const auto read = test::read(i == 0 ? responder : initiator, *message);
    ASSERT_TRUE(read);
    EXPECT_EQ(hex(*read), payload);
  }
  EXPECT_EQ(responder.claimed_peer(), client.public_key());
  if (!vector.hash.empty()) {
    EXPECT_EQ(hex(FixedEphemeral::hash(initiator)), vector.hash);
  }
  EXPECT_EQ(FixedEphemeral::hash(initiator), FixedEphemeral::hash(responder));

  const auto [first, second] = FixedEphemeral::split(initiator);
  EXPECT_TRUE(FixedEphemeral::split(responder) == std::pair(first.copy(), second.copy()));
  RecordCipher ciphers[2] = {{Suite::aesgcm, first}, {Suite::aesgcm, second}};
  for (std::size_t i = 2; i < vector.messages.size(); ++i) {
    Buffer body = from_hex(vector.messages[i].first);
    body.resize(body.size() + kTagSize);
    ciphers[i % 2].seal(body);
    EXPECT_EQ(hex(body), vector.messages[i].second);
  }
}

#ifdef LEAT_CACOPHONY
TEST(Noise, Cacophony) {
  std::ifstream file(LEAT_CACOPHONY);
  const auto all = nlohmann::json::parse(file);
  std::map<std::string, int> tried;
  for (const auto& each : all.at("vectors")) {
    NoiseVector vector{.protocol = each.at("protocol_name"),
                       .prologue = each.at("init_prologue"),
                       .psk = each.contains("init_psks") ? each.at("init_psks").at(0) : "",
                       .client = each.at("init_static"),
                       .agent = each.at("resp_static"),
                       .client_ephemeral = each.at("init_ephemeral"),
                       .agent_ephemeral = each.at("resp_ephemeral"),
                       .hash = each.at("handshake_hash")};
    SCOPED_TRACE(vector.protocol);
    for (const auto& message : each.at("messages")) {
      vector.messages.emplace_back(message.at("payload"), message.at("ciphertext"));
    }
    ASSERT_GT(vector.messages.size(), 2u);
    replay(vector);
    ++tried[vector.protocol];
  }
  EXPECT_GT(tried["Noise_IK_25519_AESGCM_SHA256"], 0);
  EXPECT_GT(tried["Noise_IKpsk2_25519_AESGCM_SHA256"], 0);
}
#endif

#ifdef LEAT_FLYNN_NOISE
// Blocks of name=value lines, each block begun by handshake=.
TEST(Noise, Flynn) {
  std::ifstream file(LEAT_FLYNN_NOISE);
  std::map<std::string, std::string> block;
  std::map<std::string, int> tried;
  const auto finish = [&] {
    const std::string protocol = block["handshake"];
    if (protocol == "Noise_IK_25519_AESGCM_SHA256" ||
        protocol == "Noise_IKpsk2_25519_AESGCM_SHA256") {
      NoiseVector vector{.protocol = protocol,
                         .prologue = block["prologue"],
                         .psk = block["preshared_key"],
                         .client = block["init_static"],
                         .agent = block["resp_static"],
                         .client_ephemeral = block["gen_init_ephemeral"],
                         .agent_ephemeral = block["gen_resp_ephemeral"]};
      for (int i = 0; block.contains("msg_" + std::to_string(i) + "_ciphertext"); ++i) {
        const std::string message = "msg_" + std::to_string(i);
        vector.messages.emplace_back(block[message + "_payload"], block[message + "_ciphertext"]);
      }
      SCOPED_TRACE(protocol);
      ASSERT_EQ(vector.messages.size(), 4u);
      replay(vector);
      ++tried[protocol];
    }
    block.clear();
  };
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("handshake=")) finish();
    const std::size_t equals = line.find('=');
    if (equals != line.npos) block[line.substr(0, equals)] = line.substr(equals + 1);
  }
  finish();
  EXPECT_EQ(tried["Noise_IK_25519_AESGCM_SHA256"], 4);
  EXPECT_EQ(tried["Noise_IKpsk2_25519_AESGCM_SHA256"], 4);
}
#endif

}  // namespace
}  // namespace leat::crypto
