#include "relay/own_tls.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/crypto_util.h"
#include "base/file.h"
#include "base/log.h"

namespace leat::relay {
namespace {

// Signs anew, with the same key and so the same pin, when the names are others than last time or
// two thirds of the certificate's life are over; where that fails, the old one serves on. What was
// signed last is remembered beside it: a certificate that somebody put there is left alone.
Result<void> make_certificate(const std::string& certificate, const std::string& key,
                              const std::vector<std::string>& names) {
  std::string wanted;
  for (const std::string& name : names) wanted.append(name).append("\n");
  const auto digest = [&] {
    const auto pem = read_file(certificate, Code::KEY_FILE);
    return pem ? hex(sha256(as_bytes(*pem))) + "\n" : std::string();
  };
  const std::string record = certificate + ".names";
  const auto signed_last = read_file(record, Code::KEY_FILE);
  if (::access(certificate.c_str(), F_OK) != 0) {
    if (Result<void> made = net::ensure_self_signed(certificate, key, names); !made) return made;
  } else {
    const bool ours =
        signed_last && signed_last->starts_with(digest()) && ::access(key.c_str(), F_OK) == 0;
    if (!ours) return net::ensure_self_signed(certificate, key, names);
    const Result<bool> due = net::certificate_is_due(certificate);
    if (due && !*due && *signed_last == digest() + wanted) return {};
    if (const Result<void> made = net::self_sign(certificate, key, names); !made) {
      log::write(log::Level::error, "certificate.kept", made.error());
      return {};
    }
  }
  return write_file(record, digest() + wanted, 0644, Code::KEY_FILE);
}

}  // namespace

Result<net::TlsContext> load_tls(const Options& options, std::string& certificate) {
  std::string key = options.key_file;
  certificate = options.certificate_file;
  if (certificate.empty()) {
    certificate = options.state_dir + "/cert.pem";
    key = options.state_dir + "/key.pem";
    // Names a certificate can be asked for; an address of "all interfaces" is none.
    std::vector<std::string> names;
    if (!options.domain.empty()) {
      names.push_back(options.domain);
      if (options.domain.find_first_not_of("0123456789.:") != std::string::npos &&
          options.domain.find(':') == std::string::npos) {
        names.push_back("*." + options.domain);
      }
    }
    names.insert(names.end(), {"localhost", "127.0.0.1", "::1"});
    const std::string& host = options.listen.host;
    if (host != "0.0.0.0" && host != "::" && std::ranges::find(names, host) == names.end()) {
      names.push_back(host);
    }
    if (Result<void> made = make_certificate(certificate, key, names); !made) {
      return tl::unexpected(made.error());
    }
  }
  Result<net::TlsContext> tls =
      net::TlsContext::server(certificate, key, {net::kAlpnLeat, net::kAlpnHttp});
  if (!tls) return tls;
  for (const Options::Pair& pair : options.certificates) {
    const auto added = tls->add_certificate(pair.certificate_file, pair.key_file);
    if (!added) return tl::unexpected(added.error());
  }
  return tls;
}

}  // namespace leat::relay
