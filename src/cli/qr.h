// A QR code on a terminal, in half blocks: two rows of modules to a line of text.
#pragma once

#include <string>
#include <string_view>

namespace leat::cli {

// Dark on light, whatever the terminal's colours, with the quiet zone scanners need; empty if the
// text is too long for one.
std::string qr_code(std::string_view text);

}  // namespace leat::cli
