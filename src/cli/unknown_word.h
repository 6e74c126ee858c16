// What is said about a word of the command line that nobody knows: which it is, and which was
// meant.
#pragma once

#include <span>
#include <string>

namespace leat::cli {

// `unknown`: what was left over, in the order it was written, not empty; `known`: the commands and
// flags that could have stood there. Speaks of the first flag among them, else of the first word;
// words that may be a value of it are not repeated, for they may be a credential.
std::string describe_unknown(std::span<const std::string> unknown,
                             std::span<const std::string> known);

}  // namespace leat::cli
