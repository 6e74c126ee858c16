// The dashboard's pages, which are inside the binary (web/). They are public: what they
// show comes from the admin API.
#pragma once

#include <string_view>

namespace leat::relay {

struct DashboardAsset {
  std::string_view path;  // "/", "/app.js"
  std::string_view type;
  std::string_view content;
};
const DashboardAsset* dashboard_asset(std::string_view path);  // nullptr: there is none

// Nothing from elsewhere, nothing inline, in nobody's frame.
inline constexpr std::string_view kDashboardFields =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

}  // namespace leat::relay
