// How many tunnels an owner has, over all of its agents, native and bare.
#pragma once

#include <set>
#include <string_view>

#include "relay/context.h"

namespace leat::relay {

// Whether `tunnel` may be bound too, beside those that are and those that are `about_to` be; one
// that several agents serve is one.
bool may_have_another(Context& context, const Account& account, std::string_view tunnel,
                      const std::set<std::string_view>& about_to = {});

}  // namespace leat::relay
