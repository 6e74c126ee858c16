// How many tunnels an owner has, over all of its agents, native and bare.
#pragma once

#include <set>
#include <string_view>

#include "relay/context.h"

namespace leat::relay {

// Whether `tunnel` may be bound too, besides those that are and `others`; one that several agents
// serve is one.
bool may_have_another(Context& context, const Account& account, std::string_view tunnel,
                      std::set<std::string_view> others = {});

}  // namespace leat::relay
