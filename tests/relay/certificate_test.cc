// The certificate that a relay signs for itself: how long it lives, and what it outlives.
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <fstream>

#include "base/file.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

constexpr long kYear = 365L * 24 * 60 * 60;

class OwnCertificate : public World {
 protected:
  void configure(Options& with) override { options = with; }
  std::string text() const { return read_file(dir / "cert.pem", Code::KEY_FILE).value(); }
  // As if the relay had signed it so long ago.
  void age(long years) {
    const auto file = [](const std::string& path, const char* mode) {
      return std::unique_ptr<FILE, int (*)(FILE*)>(std::fopen(path.c_str(), mode), std::fclose);
    };
    X509* const certificate =
        PEM_read_X509(file(dir / "cert.pem", "r").get(), nullptr, nullptr, nullptr);
    EVP_PKEY* const key =
        PEM_read_PrivateKey(file(dir / "key.pem", "r").get(), nullptr, nullptr, nullptr);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -years * kYear);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (10 - years) * kYear);
    ASSERT_GT(X509_sign(certificate, key, EVP_sha256()), 0);
    ASSERT_EQ(PEM_write_X509(file(dir / "cert.pem", "w").get(), certificate), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    std::string record = read_file(dir / "cert.pem.names", Code::KEY_FILE).value();
    record.replace(0, record.find('\n'), hex(sha256(as_bytes(text()))));
    std::ofstream(dir / "cert.pem.names") << record;
  }

  Options options;
};

TEST_F(OwnCertificate, IsRenewedAtTwoThirdsOfItsLife) {
  const std::string pin = relay->info().pin;
  age(6);
  const std::string six = text();
  ASSERT_TRUE(relay->reload(options));
  EXPECT_EQ(text(), six) << "there is time";
  for (const bool restart : {false, true}) {
    age(7);
    const std::string seven = text();
    if (restart) {
      relay.reset();
      relay = Relay::start(loop.shard, options).value();
    } else {
      ASSERT_TRUE(relay->reload(options));
    }
    EXPECT_NE(text(), seven);
    EXPECT_FALSE(net::certificate_is_due(dir / "cert.pem").value());
    EXPECT_EQ(relay->info().pin, pin) << "agents notice nothing";
  }
}

TEST_F(OwnCertificate, TheOldOneServesWhereRenewalFails) {
  age(7);
  const std::string seven = text();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);  // a full disk
  const auto reloaded = relay->reload(options);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(reloaded);
  EXPECT_EQ(reloaded.error().code, Code::STATE_DIR) << "relay.json; the certificate is no reason";
  EXPECT_EQ(text(), seven);
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  expect_served();
  ASSERT_TRUE(relay->reload(options));
  EXPECT_NE(text(), seven);
}

}  // namespace
}  // namespace leat::relay
