// The tables, and the way there from every older version.
#pragma once

#include "base/error.h"
#include "store/sqlite.h"

namespace leat::store {

// Brings an empty or older database to the version this program works with, in one transaction.
Result<void> migrate(Database& database, const std::string& path);

}  // namespace leat::store
