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
  std::string address;                     // of whoever asks
  const http::Request* request = nullptr;  // while it is handled
  bool secure = false;                     // it came over TLS

  std::string parameter(const std::string& name) const;  // empty: not given
};

struct AdminAnswer {
  int status = 200;
  std::string body;
  std::string fields = {};  // each line ending in CRLF
  bool events = false;      // the connection becomes an EventStream instead
};

struct AdminHandler {
  std::string_view method;
  std::string_view path;  // "/api/v1/tokens/{name}"
  std::span<const std::string_view> query;
  Result<AdminAnswer> (*handle)(Context& context, const AdminRequest& request);
  // Without the key on public doors, where the operator said so; it guards itself.
  bool open = false;
};
std::span<const AdminHandler> admin_handlers();

struct AdminCaller {
  std::string_view address;
  bool secure = false;  // over TLS
  bool door = false;    // through a public door: see AdminHandler::open
};
// Answers a request below /api/v1/ once its key is right. `target` is canonical. Errors:
// NO_SUCH_PATH (also without a key configured), METHOD_REFUSED, ADMIN_PARAMETER, those of
// AdminDoor::admit(), and what a handler says.
Result<AdminAnswer> administer(Context& context, const http::Request& request,
                               std::string_view target, const AdminCaller& caller);

}  // namespace leat::relay
