#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/crypto_util.h"
#include "base/file.h"
#include "net/tls.h"
#include "support/temp_dir.h"

namespace leat::net {
namespace {

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), n);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

class CertificateTest : public ::testing::Test {
 protected:
  Result<void> ensure(std::vector<std::string> names = {"relay.example.com", "192.0.2.7", "::1"}) {
    return ensure_self_signed(certificate, key, names);
  }

  test::TempDir dir;
  const std::string certificate = dir / "cert.pem";
  const std::string key = dir / "key.pem";
};

TEST_F(CertificateTest, BearsDnsNamesInLowerCase) {
  ASSERT_TRUE(ensure({"Relay.example.com", "192.0.2.7", "*.relay.example.com"}));
  EXPECT_EQ(certificate_names(certificate).value(),
            (std::vector<std::string>{"relay.example.com", "*.relay.example.com"}));
  const auto missing = certificate_names(dir / "none.pem");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::KEY_FILE);
}

TEST_F(CertificateTest, IsWhatOpensslTakesForAServersCertificate) {
  ASSERT_TRUE(ensure());
  EXPECT_EQ(mode_of(key), 0600u);
  EXPECT_EQ(mode_of(certificate), 0644u);
  const std::string text = output_of("openssl x509 -noout -text -in " + certificate);
  for (const std::string part :
       {"DNS:relay.example.com, IP Address:192.0.2.7, IP Address:0:0:0:0:0:0:0:1",
        "ASN1 OID: prime256v1", "CA:FALSE", "Digital Signature", "TLS Web Server Authentication",
        "Subject: CN = relay.example.com", "Version: 3"}) {
    EXPECT_NE(text.find(part), text.npos) << part << "\n" << text;
  }
  // Valid now and in nine years, not in eleven.
  output_of("openssl verify -purpose sslserver -CAfile " + certificate + " " + certificate);
  output_of("openssl x509 -noout -checkend 283824000 -in " + certificate);
  output_of("! openssl x509 -noout -checkend 346896000 -in " + certificate);
}

TEST_F(CertificateTest, ThePinIsTheHashOfThePublicKeyAsOpensslComputesIt) {
  ASSERT_TRUE(ensure());
  const std::string expected =
      "sha256:" + output_of("openssl x509 -noout -pubkey -in " + certificate +
                            " | openssl pkey -pubin -outform der | sha256sum | cut -c1-64");
  const auto pin = certificate_pin(certificate);
  ASSERT_TRUE(pin);
  EXPECT_EQ(*pin + "\n", expected);
}

TEST_F(CertificateTest, WhatIsThereStays) {
  ASSERT_TRUE(ensure());
  const std::string first = read_file(certificate, Code::KEY_FILE).value();
  ASSERT_TRUE(ensure({"other.example.com"}));
  EXPECT_EQ(read_file(certificate, Code::KEY_FILE).value(), first);

  // A lost certificate is made again for the same key: the pin holds.
  const std::string pin = certificate_pin(certificate).value();
  std::filesystem::remove(certificate);
  ASSERT_TRUE(ensure());
  EXPECT_NE(read_file(certificate, Code::KEY_FILE).value(), first);
  EXPECT_EQ(certificate_pin(certificate).value(), pin);

  std::filesystem::remove(key);
  const auto orphan = ensure();
  ASSERT_FALSE(orphan);
  EXPECT_EQ(orphan.error().code, Code::KEY_FILE);
  EXPECT_FALSE(std::filesystem::exists(key));
}

TEST_F(CertificateTest, KeysThatOthersMayReadAreRefused) {
  ASSERT_TRUE(ensure());
  ASSERT_EQ(::chmod(key.c_str(), 0640), 0);
  const auto context = TlsContext::server(certificate, key, {kAlpnHttp});
  ASSERT_FALSE(context);
  EXPECT_EQ(context.error().code, Code::KEY_FILE);
}

TEST_F(CertificateTest, KeysUnderAPassphraseAreRefusedWithoutAsking) {
  ASSERT_TRUE(ensure());
  const std::string locked = dir / "locked.pem";
  output_of("umask 077; openssl pkey -aes128 -passout pass:secret -in " + key + " -out " + locked);
  const auto context = TlsContext::server(certificate, locked, {kAlpnHttp});
  ASSERT_FALSE(context);
  EXPECT_EQ(context.error().code, Code::KEY_FILE);
}

TEST(Pin, BothSpellings) {
  std::string raw;
  for (int i = 0; i < 32; ++i) raw += static_cast<char>(i * 7);
  const std::string digits = hex(as_bytes(raw));
  std::string upper, coloned;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    if (i > 0) coloned += ':';
    coloned += digits.substr(i, 2);
  }
  for (const char c : coloned) upper += static_cast<char>(std::toupper(c));
  for (const std::string& text :
       {"sha256:" + digits, "sha256:" + coloned, "sha256:" + upper, base64url(as_bytes(raw))}) {
    const auto pin = parse_pin(text);
    ASSERT_TRUE(pin) << text;
    EXPECT_EQ(*pin, raw) << text;
  }
}

TEST(Pin, AnythingElseIsRefused) {
  const std::string digits(64, 'a');
  for (const std::string& text :
       {std::string(), std::string("sha256:"), digits, "sha256:" + digits + "00",
        "sha256:" + digits.substr(2), "sha256:" + digits.substr(1) + "g", "sha1:" + digits,
        std::string(42, 'A'), std::string(44, 'A'), std::string(42, 'A') + "="}) {
    const auto pin = parse_pin(text);
    ASSERT_FALSE(pin) << text;
    EXPECT_EQ(pin.error().code, Code::CONFIG);
  }
}

}  // namespace
}  // namespace leat::net
