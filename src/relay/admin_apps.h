// Handlers of the admin API for programs that let machines and apps in: pairing by a code that is
// good once, and registration, which makes a token at once. admin.cc has the table.
#pragma once

#include "relay/admin.h"

namespace leat::relay {

Result<AdminAnswer> begin_pairing(Context& context, const AdminRequest& request);
// With the code in the path; also on public doors where the operator said so. A wrong code counts
// as a try of the address and of the code.
Result<AdminAnswer> look_at_pairing(Context& context, const AdminRequest& request);
Result<AdminAnswer> end_pairing(Context& context, const AdminRequest& request);
// The name is made up: names own tunnels, and strangers choose none.
Result<AdminAnswer> register_app(Context& context, const AdminRequest& request);

}  // namespace leat::relay
