#include "agent/devices.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/crypto_util.h"
#include "base/file.h"
#include "base/secret.h"
#include "net/socket.h"

namespace leat::agent {
namespace {

using Json = nlohmann::ordered_json;
// An ordered object copies what it has when it grows; here hashes stay in their place.
using Read = nlohmann::json;

// Pairings that are over are remembered for so long, so that who comes late is told why.
constexpr std::int64_t kRemember = 24 * 3600;
constexpr std::size_t kNameMax = 64;

std::string bytes_of(const Read& text, std::size_t size) {
  const auto bytes = unbase64url(text.get<std::string>());
  if (!bytes || bytes->size() != size) {
    throw Read::other_error::create(501, "bytes of another size", nullptr);
  }
  return *bytes;
}

Json scope_json(const Scope& scope) {
  return {{"services", scope.services}, {"paths", scope.paths}};
}

Scope scope_of(const Read& json) { return {json.at("services"), json.at("paths")}; }

void take_hash(Read& text, Sha256& into) {
  Secret written(std::move(text.get_ref<std::string&>()));
  auto bytes = unbase64url(written.reveal());
  if (bytes && bytes->size() == into.size()) std::ranges::copy(*bytes, into.begin());
  const bool right = bytes && bytes->size() == into.size();
  if (bytes) wipe(*bytes);
  if (!right) throw Read::other_error::create(501, "a hash of another size", nullptr);
}

Devices parse(std::string_view text) {
  Read file = Read::parse(text);
  Devices out;
  for (const Read& json : file.at("devices")) {
    Device& device = out.devices.emplace_back();
    device.name = json.at("name");
    const std::string key = bytes_of(json.at("key"), device.key.bytes.size());
    std::copy(key.begin(), key.end(), device.key.bytes.begin());
    device.scope = scope_of(json.at("scope"));
    device.paired = json.at("paired");
    if (!json.at("revoked").is_null()) device.revoked = json.at("revoked").get<std::int64_t>();
  }
  for (Read& json : file.at("pairings")) {
    Pairing& pairing = out.pairings.emplace_back();
    pairing.id = bytes_of(json.at("id"), Pairing::kIdSize);
    take_hash(json.at("hash"), pairing.code.hash);
    pairing.code.ends = json.at("ends");
    pairing.code.tries = json.at("tries");
    pairing.code.used = json.at("used");
    pairing.name = json.at("name");
    pairing.scope = scope_of(json.at("scope"));
  }
  return out;
}

// In the place of a hash while there is JSON of it, which copies as it likes. No other text has it
// behind this name, for a quote within a text is written as \".
constexpr std::string_view kHashName = "\"hash\": \"";
const std::string kNoHash(43, '-');

Secret serialise(const Devices& all) {
  Json devices = Json::array(), pairings = Json::array();
  for (const Device& device : all.devices) {
    devices.push_back({{"name", device.name},
                       {"key", base64url(device.key.bytes)},
                       {"scope", scope_json(device.scope)},
                       {"paired", device.paired},
                       {"revoked", device.revoked ? Json(*device.revoked) : Json(nullptr)}});
  }
  for (const Pairing& pairing : all.pairings) {
    pairings.push_back({{"id", base64url(as_bytes(pairing.id))},
                        {"hash", kNoHash},
                        {"ends", pairing.code.ends},
                        {"tries", pairing.code.tries},
                        {"used", pairing.code.used},
                        {"name", pairing.name},
                        {"scope", scope_json(pairing.scope)}});
  }
  std::string text = Json{{"devices", std::move(devices)}, {"pairings", std::move(pairings)}}.dump(
      2, ' ', false, Json::error_handler_t::replace);
  text += '\n';
  std::size_t at = 0;
  for (const Pairing& pairing : all.pairings) {
    at = text.find(kHashName, at) + kHashName.size();
    const Secret hash(base64url(pairing.code.hash));
    std::ranges::copy(hash.reveal(), text.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return Secret(std::move(text));
}

// What ends up in lists: visible ASCII and spaces between.
std::string plain_name(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kNameMax)) {
    if (c > ' ' && c < 0x7f) out += c;
    if (c == ' ' && !out.empty() && out.back() != '-') out += '-';
  }
  return out.empty() ? "device" : out;
}

}  // namespace

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool Scope::allows_service(std::string_view id, bool http) const {
  if (services.empty()) return http || paths.empty();
  return std::ranges::find(services, id) != services.end();
}

bool Scope::allows_target(std::string_view target) const {
  if (paths.empty()) return true;
  const std::string_view path = target.substr(0, target.find('?'));
  // A service may take an encoded slash for one, and then dots behind it for segments.
  if (path.find("%2F") != path.npos || path.find("%5C") != path.npos) return false;
  return std::ranges::any_of(paths, [&](std::string_view prefix) {
    if (!path.starts_with(prefix)) return false;
    return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
  });
}

std::optional<Code> refusal(OneTimeCode::State state) {
  switch (state) {
    case OneTimeCode::State::good:
      return std::nullopt;
    case OneTimeCode::State::used:
      return Code::PAIRING_USED;
    case OneTimeCode::State::over:
      break;
  }
  return Code::PAIRING_OVER;
}

Device* Devices::by_name(std::string_view name) {
  const auto found = std::ranges::find(devices, name, &Device::name);
  return found == devices.end() ? nullptr : &*found;
}

const Device* Devices::by_key(const crypto::X25519Key& key) const {
  const auto found = std::ranges::find(devices, key, &Device::key);
  return found == devices.end() ? nullptr : &*found;
}

Pairing* Devices::pairing(std::string_view id) {
  const auto found = std::ranges::find(pairings, id, &Pairing::id);
  return found == pairings.end() ? nullptr : &*found;
}

Result<std::string> Devices::enrol(std::string_view id, std::string_view name,
                                   const crypto::X25519Key& key, std::int64_t now) {
  Pairing* const by = pairing(id);
  if (by == nullptr) return fail(Code::PAIRING_OVER);
  if (const auto refused = refusal(by->code.use(now))) return fail(*refused);
  // The same device again, by a new link: it is one entry, and what it was is replaced.
  std::erase_if(devices, [&](const Device& device) { return device.key == key; });
  const std::string wanted = plain_name(by->name.empty() ? name : by->name);
  std::string given = wanted;
  for (int n = 2; by_name(given) != nullptr; ++n) given = wanted + "-" + std::to_string(n);
  devices.push_back({given, key, by->scope, now, std::nullopt});
  return given;
}

Result<Devices> DeviceFile::read() const {
  if (::access(path_.c_str(), F_OK) != 0 && errno == ENOENT) return Devices{};
  const auto text = read_private_file(path_, Code::STATE_DIR);
  if (!text) return tl::unexpected(text.error());
  try {
    return parse(text->reveal());
  } catch (const Read::exception& error) {
    return fail(Code::STATE_DIR, path_ + ": " + error.what());
  }
}

Result<void> DeviceFile::update(const std::function<Result<void>(Devices&)>& change) const {
  const net::Fd lock(::open(lock_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  int locked = -1;
  while (lock && (locked = ::flock(lock.get(), LOCK_EX)) != 0 && errno == EINTR) {
  }
  if (locked != 0) return fail(Code::STATE_DIR, lock_ + ": cannot be locked");
  auto all = read();
  if (!all) return tl::unexpected(all.error());
  if (auto done = change(*all); !done) return done;
  const std::int64_t now = unix_now();
  std::erase_if(all->pairings,
                [&](const Pairing& pairing) { return pairing.code.ends + kRemember < now; });
  const Secret text = serialise(*all);
  return write_file(path_, text.reveal(), 0600, Code::STATE_DIR);
}

}  // namespace leat::agent
