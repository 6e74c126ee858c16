// How many tunnels an owner has, over all of its agents, native and bare.
#pragma once

#include <optional>
#include <string>

#include "relay/context.h"

namespace leat::relay {

// The tunnel is the owner's, as long as this lives, besides those that are; one that several agents
// serve is one. nullopt: its plan has no room for it.
std::optional<Directory::Held> hold_tunnel(Context& context, const Account& account,
                                           const std::string& tunnel);

}  // namespace leat::relay
