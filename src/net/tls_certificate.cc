#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <memory>
#include <string>

#include "base/file.h"
#include "net/tls_internal.h"

namespace leat::net {
namespace {

constexpr long kDay = 24 * 60 * 60;
constexpr long kYears = 10;

template <auto free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;

Bio reading(std::string_view pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string_view contents(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

tl::unexpected<Error> refuse(const std::string& path) {
  return fail(Code::KEY_FILE, path + ": " + openssl_error());
}

Result<Key> load_or_create_key(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) {
    const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    const Bio pem(BIO_new(BIO_s_secmem()));
    PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    if (auto made = create_file(path, contents(pem), 0600, Code::KEY_FILE); !made) {
      return tl::unexpected(made.error());
    }
  }
  const auto pem = read_private_file(path, Code::KEY_FILE);
  if (!pem) return tl::unexpected(pem.error());
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(reading(pem->reveal()).get(), nullptr, no_passphrase, nullptr));
  if (!key) return refuse(path);
  return key;
}

Result<Certificate> load(const std::string& path) {
  ERR_clear_error();
  const auto pem = read_file(path, Code::KEY_FILE);
  if (!pem) return tl::unexpected(pem.error());
  Certificate certificate(PEM_read_bio_X509(reading(*pem).get(), nullptr, nullptr, nullptr));
  if (!certificate) return refuse(path);
  return certificate;
}

void add_name(GENERAL_NAMES* names, const std::string& name) {
  GENERAL_NAME* const entry = GENERAL_NAME_new();
  if (ASN1_OCTET_STRING* const address = a2i_IPADDRESS(name.c_str())) {
    GENERAL_NAME_set0_value(entry, GEN_IPADD, address);
  } else {
    ASN1_IA5STRING* const text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, name.data(), static_cast<int>(name.size()));
    GENERAL_NAME_set0_value(entry, GEN_DNS, text);
  }
  sk_GENERAL_NAME_push(names, entry);
}

void add_extension(X509* certificate, int nid, const char* value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  X509_add_ext(certificate, extension.get(), -1);
}

Certificate sign(EVP_PKEY* key, const std::vector<std::string>& names) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  std::array<std::uint8_t, 16> serial;
  random_bytes(serial);
  serial[0] = (serial[0] & 0x7f) | 0x40;  // positive, and of full length (RFC 5280 §4.1.2.2)
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  // From yesterday on: clocks differ.
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kYears * 365 * kDay);
  X509_set_pubkey(certificate.get(), key);

  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const std::string common = names.front().substr(0, 64);  // ub-common-name, RFC 5280 A.1
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, as_bytes(common).data(),
                             static_cast<int>(common.size()), -1, 0);
  X509_set_issuer_name(certificate.get(), subject);

  const Names alternatives(GENERAL_NAMES_new());
  for (const auto& name : names) add_name(alternatives.get(), name);
  X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, alternatives.get(), 0, 0);
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), NID_ext_key_usage, "serverAuth");
  X509_sign(certificate.get(), key, EVP_sha256());
  return certificate;
}

}  // namespace

Sha256 public_key_hash(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned(
      der, [](unsigned char* p) { OPENSSL_free(p); });
  return sha256(Bytes(der, size > 0 ? static_cast<std::size_t>(size) : 0));
}

Result<void> ensure_self_signed(const std::string& certificate_file, const std::string& key_file,
                                const std::vector<std::string>& names) {
  assert(!names.empty());
  const bool has_certificate = ::access(certificate_file.c_str(), F_OK) == 0;
  const bool has_key = ::access(key_file.c_str(), F_OK) == 0;
  if (has_certificate && has_key) return {};
  if (has_certificate) {
    return fail(Code::KEY_FILE, key_file + ": missing, but its certificate is there");
  }
  return self_sign(certificate_file, key_file, names);
}

Result<void> self_sign(const std::string& certificate_file, const std::string& key_file,
                       const std::vector<std::string>& names) {
  ERR_clear_error();
  const auto key = load_or_create_key(key_file);
  if (!key) return tl::unexpected(key.error());
  const Certificate certificate = sign(key->get(), names);
  const Bio pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(pem.get(), certificate.get()) != 1) return refuse(certificate_file);
  return write_file(certificate_file, contents(pem), 0644, Code::KEY_FILE);
}

Result<bool> certificate_is_due(const std::string& certificate_file) {
  const auto certificate = load(certificate_file);
  if (!certificate) return tl::unexpected(certificate.error());
  const ASN1_TIME* const from = X509_get0_notBefore(certificate->get());
  const ASN1_TIME* const until = X509_get0_notAfter(certificate->get());
  int life_days = 0, left_days = 0, seconds = 0;
  if (ASN1_TIME_diff(&life_days, &seconds, from, until) != 1 ||
      ASN1_TIME_diff(&left_days, &seconds, nullptr, until) != 1) {
    return refuse(certificate_file);
  }
  return left_days < life_days / 3;
}

Result<std::string> certificate_pin(const std::string& certificate_file) {
  const auto certificate = load(certificate_file);
  if (!certificate) return tl::unexpected(certificate.error());
  return "sha256:" + hex(public_key_hash(certificate->get()));
}

Result<std::vector<std::string>> certificate_names(const std::string& certificate_file) {
  const auto certificate = load(certificate_file);
  if (!certificate) return tl::unexpected(certificate.error());
  const Names all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate->get(), NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> names;
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* const entry = sk_GENERAL_NAME_value(all.get(), i);
    if (entry->type != GEN_DNS) continue;
    const ASN1_IA5STRING* const text = entry->d.dNSName;
    std::string name(
        as_chars({ASN1_STRING_get0_data(text), static_cast<std::size_t>(text->length)}));
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace leat::net
