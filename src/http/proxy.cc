#include "http/proxy.h"

#include <algorithm>

#include "http/chars.h"

namespace leat::http {
namespace {

// All elements of all fields of that name, as one value.
std::string joined(const Fields& fields, std::string_view name) {
  std::string out;
  for (const Field& field : fields.all()) {
    if (!iequal(field.name, name)) continue;
    any_element(field.value, [&](std::string_view element) {
      out.append(out.empty() ? "" : ", ").append(element);
      return false;
    });
  }
  return out;
}

}  // namespace

void forward(Request& request) {
  Fields& fields = request.fields;
  const std::string protocols = request.upgrade ? joined(fields, "Upgrade") : "";
  remove_hop_by_hop(fields);
  set_framing(fields, request.body, request.length);
  const bool te = fields.find("TE") != nullptr;  // RFC 9110 §10.1.4: to be named in Connection
  if (request.upgrade) {
    fields.add("Upgrade", protocols);
    fields.add("Connection", te ? "Upgrade, TE" : "Upgrade");
  } else if (te) {
    fields.add("Connection", "TE");
  }
}

void forward(Response& response) {
  Fields& fields = response.fields;
  const bool upgraded = response.status == 101;
  const std::string protocols = upgraded ? joined(fields, "Upgrade") : "";
  remove_hop_by_hop(fields);
  const bool describes_get =
      response.body == BodyKind::none && response.status >= 200 && response.status != 204;
  if (!describes_get) set_framing(fields, response.body, response.length);
  if (upgraded) {
    fields.add("Upgrade", protocols);
    fields.add("Connection", "Upgrade");
  }
  response.minor = 1;
}

void remove_forwarded(Fields& fields) {
  static constexpr std::string_view kNames[] = {
      "Forwarded",           "X-Real-IP",       "X-Client-IP",
      "X-Cluster-Client-IP", "True-Client-IP",  "X-Original-URL",
      "X-Rewrite-URL",       "X-Original-Host", "X-Original-Forwarded-For"};
  static constexpr std::string_view kPrefix = "X-Forwarded-";
  std::erase_if(fields.all(), [](const Field& field) {
    std::string name = field.name;
    std::replace(name.begin(), name.end(), '_', '-');
    return iequal(std::string_view(name).substr(0, kPrefix.size()), kPrefix) ||
           std::any_of(std::begin(kNames), std::end(kNames),
                       [&](std::string_view known) { return iequal(name, known); });
  });
}

}  // namespace leat::http
