#include "crypto/identity.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/crypto_util.h"
#include "base/file.h"

namespace leat::crypto {
namespace {

constexpr std::string_view kSignatureBlock = "LEAT SEALING SIGNATURE";
constexpr std::string_view kKeyBlock = "PRIVATE KEY";

template <auto function>
struct Call {
  void operator()(auto* object) const { function(object); }
};
using Pkey = std::unique_ptr<EVP_PKEY, Call<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Call<BIO_free>>;

// What the file holds, in the order of §7.5. A block that may be missing is null or empty.
struct Contents {
  Pkey identity, sealing;
  std::optional<Signature> signature;
};

// The next PEM block into `contents`; false if it has no place there.
bool take_block(Contents& contents, std::string_view name, Bytes data) {
  if (name == kKeyBlock) {
    const std::uint8_t* at = data.data();
    Pkey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(data.size())));
    const int type = key ? EVP_PKEY_get_id(key.get()) : EVP_PKEY_NONE;
    Pkey& place = contents.identity ? contents.sealing : contents.identity;
    const int expected = contents.identity ? EVP_PKEY_X25519 : EVP_PKEY_ED25519;
    if (place || contents.signature || type != expected) return false;
    place = std::move(key);
    return true;
  }
  if (name != kSignatureBlock || !contents.sealing || contents.signature) return false;
  if (data.size() != std::tuple_size_v<Signature>) return false;
  std::copy(data.begin(), data.end(), contents.signature.emplace().begin());
  return true;
}

std::optional<Contents> parse(std::string_view text) {
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) std::abort();
  Contents contents;
  char *name = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  bool sound = true;
  while (sound && PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1) {
    sound = *header == '\0' && take_block(contents, name, {data, static_cast<std::size_t>(size)});
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  }
  const auto reason = ERR_GET_REASON(ERR_peek_last_error());
  sound = sound && reason == PEM_R_NO_START_LINE;  // the end of the file, not a damaged block
  ERR_clear_error();
  // A file without the sealing key is whole; one with the key alone is not.
  const bool paired = (contents.sealing != nullptr) == contents.signature.has_value();
  if (!sound || !contents.identity || !paired) return std::nullopt;
  return contents;
}

std::string signed_input(const X25519Key& key) {
  std::string input("leat/1 sealing key");
  input += '\0';
  input += as_chars(key.bytes);
  return input;
}

Signature sign(EVP_PKEY* identity, const X25519Key& key) {
  const std::string input = signed_input(key);
  const std::unique_ptr<EVP_MD_CTX, Call<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  Signature out;
  std::size_t size = out.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, identity) != 1 ||
      EVP_DigestSign(context.get(), out.data(), &size, as_bytes(input).data(), input.size()) != 1) {
    std::abort();  // only without memory
  }
  return out;
}

// The whole file: `identity`, a sealing key, and the signature.
Secret compose(EVP_PKEY* identity, const KeyPair& sealing) {
  const Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr,
                                              sealing.secret().reveal().data(), kKeySize));
  const Signature signature = sign(identity, sealing.public_key());
  const Bio bio(BIO_new(BIO_s_secmem()));  // wiped when freed
  const auto write_key = [&](EVP_PKEY* each) {
    return PEM_write_bio_PKCS8PrivateKey(bio.get(), each, nullptr, nullptr, 0, nullptr, nullptr);
  };
  if (!key || !bio || write_key(identity) != 1 || write_key(key.get()) != 1 ||
      PEM_write_bio(bio.get(), kSignatureBlock.data(), "", signature.data(), signature.size()) <=
          0) {
    std::abort();  // only without memory
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(std::string(data, static_cast<std::size_t>(size)));
}

Result<Contents> read_contents(const std::string& path) {
  const auto text = read_private_file(path, Code::KEY_FILE);
  if (!text) return tl::unexpected(text.error());
  auto contents = parse(text->reveal());
  if (!contents) {
    return fail(
        Code::KEY_FILE,
        path + ": expected an unencrypted Ed25519 key, and with an X25519 key its signature");
  }
  return std::move(*contents);
}

}  // namespace

Result<Identity> Identity::load_or_create(const std::string& path) {
  // Two agents may start at once: the file that was there first is the identity of both.
  const Pkey made(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!made) std::abort();
  const auto created =
      create_file(path, compose(made.get(), KeyPair::generate()).reveal(), 0600, Code::KEY_FILE);
  if (!created) return tl::unexpected(created.error());
  const auto contents = read_contents(path);
  if (!contents) return tl::unexpected(contents.error());
  return contents->sealing ? load(path) : rotate(path);
}

Result<Identity> Identity::rotate(const std::string& path) {
  const auto contents = read_contents(path);
  if (!contents) return tl::unexpected(contents.error());
  const auto written = write_file(
      path, compose(contents->identity.get(), KeyPair::generate()).reveal(), 0600, Code::KEY_FILE);
  if (!written) return tl::unexpected(written.error());
  return load(path);
}

Result<Identity> Identity::load(const std::string& path) {
  const auto contents = read_contents(path);
  if (!contents) return tl::unexpected(contents.error());
  auto signing = SigningKey::load_or_create(path);
  if (!signing) return tl::unexpected(signing.error());
  Key secret;
  std::size_t size = kKeySize;
  if (!contents->sealing ||
      EVP_PKEY_get_raw_private_key(contents->sealing.get(), secret.fill().data(), &size) != 1) {
    return fail(Code::KEY_FILE, path + ": there is no X25519 key in it");
  }
  KeyPair sealing(std::move(secret));
  if (!verify(signing->public_key(), as_bytes(signed_input(sealing.public_key())),
              *contents->signature)) {
    return fail(Code::KEY_FILE,
                path + ": the X25519 key is not signed by the Ed25519 key beside it");
  }
  return Identity(std::move(*signing), std::move(sealing));
}

}  // namespace leat::crypto
