// The admin API, /api/v1 on the admin listener: a table of handlers, each a function of what was
// asked and of what the relay has. docs/openapi.json describes the same table, and a test compares
// them. Parameters are in the path and the query; no request has a body.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/head.h"
#include "relay/context.h"

namespace leat::relay {

struct AdminRequest {
  std::string path_value;  // what stands for {…} in the handler's path, decoded
  std::map<std::string, std::string> query;
};

struct AdminAnswer {
  int status = 200;
  std::string body;
};

struct AdminHandler {
  std::string_view method;
  std::string_view path;  // "/api/v1/tokens/{name}"
  std::span<const std::string_view> query;
  Result<AdminAnswer> (*handle)(Context& context, const AdminRequest& request);
};
std::span<const AdminHandler> admin_handlers();

// Answers a request below /api/v1/ once its key is right. `target` is canonical. Errors:
// NO_SUCH_PATH (also without a key configured), METHOD_REFUSED, BAD_TOKEN, TOO_MANY_TRIES,
// BAD_REQUEST, and what a handler says.
Result<AdminAnswer> administer(Context& context, const http::Request& request,
                               std::string_view target, std::string_view address);

}  // namespace leat::relay
