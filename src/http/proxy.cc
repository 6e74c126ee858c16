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

void ask_connection(Fields& fields, std::string_view option) {
  const std::string* others = fields.find("Connection");
  fields.set("Connection",
             others == nullptr ? std::string(option) : *others + ", " + std::string(option));
}

void restore_upgrade(Fields& fields, const std::string& protocols) {
  ask_connection(fields, "Upgrade");
  fields.add("Upgrade", protocols);
}

}  // namespace

void forward(Request& request) {
  const std::string protocols = request.upgrade ? joined(request.fields, "Upgrade") : "";
  remove_hop_by_hop(request.fields);
  set_framing(request.fields, request.body, request.length);
  if (request.upgrade) restore_upgrade(request.fields, protocols);
  // RFC 9110 §10.1.4: whoever sends TE names it in Connection.
  if (request.fields.find("TE") != nullptr) ask_connection(request.fields, "TE");
}

void forward(Response& response) {
  const bool upgraded = response.status == 101;
  const std::string protocols = upgraded ? joined(response.fields, "Upgrade") : "";
  remove_hop_by_hop(response.fields);
  const bool describes_get =
      response.body == BodyKind::none && response.status >= 200 && response.status != 204;
  if (!describes_get) set_framing(response.fields, response.body, response.length);
  if (upgraded) restore_upgrade(response.fields, protocols);
  response.minor = 1;
}

void remove_forwarded(Fields& fields) {
  static constexpr std::string_view kNames[] = {
      "Forwarded",           "X-Real-IP",       "X-Client-IP",
      "X-Cluster-Client-IP", "True-Client-IP",  "X-Original-URL",
      "X-Rewrite-URL",       "X-Original-Host", "X-Original-Forwarded-For"};
  static constexpr std::string_view kPrefix = "X-Forwarded";
  std::erase_if(fields.all(), [](const Field& field) {
    std::string name = field.name;
    std::replace(name.begin(), name.end(), '_', '-');
    return iequal(std::string_view(name).substr(0, kPrefix.size()), kPrefix) ||
           std::any_of(std::begin(kNames), std::end(kNames),
                       [&](std::string_view known) { return iequal(name, known); });
  });
}

}  // namespace leat::http
