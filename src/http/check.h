// What a well-formed head must also mean: one unambiguous framing, one valid Host, a target we
// serve (threats 10, 14 and 18). Internal to src/http; HeadReader applies it to every head.
#pragma once

#include <string_view>

#include "http/head.h"

namespace leat::http {

struct Verdict {
  HeadError error = HeadError::none;
  const char* why = "";
  bool ok() const { return error == HeadError::none; }
  static Verdict bad(const char* why) { return {HeadError::bad, why}; }
};

// Splits the first line, by single spaces, into method, target and minor version.
Verdict parse_request_line(std::string_view line, Request& request);
// Splits the first line into minor version, status and reason.
Verdict parse_status_line(std::string_view line, Response& response);

// With start line and fields in place: checks them and fills in everything derived from them.
Verdict check(Request& request);
Verdict check(Response& response, std::string_view request_method);

}  // namespace leat::http
