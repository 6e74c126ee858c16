// Which bare agent serves which room now. Native agents are in the Registry, and come first.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace leat::relay {

class BareAgent;

class Rooms {
 public:
  explicit Rooms(store::Store& store) : store_(store) {}

  void add(BareAgent* agent);
  void remove(BareAgent* agent);

  // The one that came last. Whoever serves without a credential stops when the room gets an owner,
  // which any agent of any kind may become meanwhile. nullptr: none.
  BareAgent* find(std::string_view room) const;

 private:
  store::Store& store_;
  absl::flat_hash_map<std::string, std::vector<BareAgent*>> agents_;
};

}  // namespace leat::relay
