// Handlers of the admin API for what visitors do; admin.cc has the table.
#pragma once

#include "relay/admin.h"

namespace leat::relay {

Result<AdminAnswer> get_connections(Context& context, const AdminRequest& request);
Result<AdminAnswer> get_events(Context& context, const AdminRequest& request);

}  // namespace leat::relay
