// Which fields of a trailer section may go on (RFC 9110 §6.5.1). Internal to src/http.
#pragma once

#include <string>
#include <string_view>

namespace leat::http {

// `section` has passed a LineScanner: field lines and the final CRLF. Returns the same without the
// fields that frame, route, authenticate, condition or describe a message, or belong to one hop.
std::string filter_trailers(std::string_view section);

}  // namespace leat::http
