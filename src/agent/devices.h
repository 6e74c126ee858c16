// The devices that may open sealed sessions, what each may reach, and the pairings that are on
// offer: STATE_DIR/devices.json, mode 0600. The agent reads it, and so do the commands that list,
// scope and revoke devices and make pairings; a lock beside it keeps those who write apart, and
// what another process has written is seen by the file's change
// (docs/adr/0016-pairing-and-devices.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file_watch.h"
#include "base/one_time_code.h"
#include "crypto/key.h"
#include "crypto/x25519.h"

namespace leat::agent {

// What a device may reach; an empty list is no limit.
struct Scope {
  std::vector<std::string> services;  // ids
  std::vector<std::string> paths;     // prefixes, of whole segments: "/v1" is not "/v10"

  // `id` of a service; `http`: whether it has paths. A device that is held to paths reaches a
  // service without any only by name.
  bool allows_service(std::string_view id, bool http) const;
  // `target` in canonical form, or "*".
  bool allows_target(std::string_view target) const;

  friend bool operator==(const Scope&, const Scope&) = default;
};

struct Device {
  std::string name;
  crypto::X25519Key key;
  Scope scope;
  std::int64_t paired = 0;              // seconds since 1970
  std::optional<std::int64_t> revoked;  // likewise; it stays in the list
};

struct Pairing {
  static constexpr std::size_t kIdSize = 8;

  std::string id;    // raw bytes
  OneTimeCode code;  // its hash is crypto::pairing_psk() of the secret
  std::string name;  // of the device to be, or empty: it says one
  Scope scope;       // of the device to be

  // Who has the hash can pair: no copy of it stays behind.
  Pairing() = default;
  Pairing(const Pairing&) = default;
  Pairing& operator=(const Pairing&) = default;
  ~Pairing() { crypto::wipe(code.hash); }
};
// PAIRING_USED, PAIRING_OVER; nullopt: it may be used.
std::optional<Code> refusal(OneTimeCode::State state);

struct Devices {
  std::vector<Device> devices;
  std::vector<Pairing> pairings;

  Device* by_name(std::string_view name);
  const Device* by_key(const crypto::X25519Key& key) const;
  Pairing* pairing(std::string_view id);
  // A new device by way of a pairing, which is thereby used up. `name` is what it calls itself; the
  // one it gets is told from all others. PAIRING_USED, PAIRING_OVER.
  Result<std::string> enrol(std::string_view pairing, std::string_view name,
                            const crypto::X25519Key& key, std::int64_t now);
};

class DeviceFile {
 public:
  explicit DeviceFile(const std::string& state_dir)
      : path_(state_dir + "/devices.json"), lock_(state_dir + "/devices.lock"), watch_(path_) {}

  // None is there: nobody. STATE_DIR: it cannot be read, or others may read it.
  Result<Devices> read() const;
  // Reads, changes and writes while nobody else does; nothing is written after an error.
  Result<void> update(const std::function<Result<void>(Devices&)>& change) const;
  // Whether it is another than at the last call, or the first.
  bool changed() { return watch_.changed(); }

 private:
  const std::string path_, lock_;
  FileWatch watch_;
};

std::int64_t unix_now();

}  // namespace leat::agent
