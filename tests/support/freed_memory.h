// Sees what memory holds when it is given back, for tests of what must be wiped. Replaces operator
// new and delete of the whole program.
#pragma once

#include <cstddef>
#include <string_view>

namespace leat::test {

// From now on; `needle` outlives the search. Empty: for nothing.
void look_for(std::string_view needle);
// How many blocks that had it in them were freed since.
std::size_t freed_with_it();

}  // namespace leat::test
