// What the admin API tells of visits: the connection log, with its search.
#include "relay/admin_visits.h"

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/calendar.h"
#include "relay/admin_json.h"
#include "relay/event_stream.h"

namespace leat::relay {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const store::Connection& row) {
  const auto began = std::chrono::floor<std::chrono::seconds>(row.began);
  return {{"id", row.id},
          {"began", rfc3339(began)},
          {"duration_ms", row.duration.count()},
          {"first_byte_ms", row.first_byte ? Json(row.first_byte->count()) : Json(nullptr)},
          {"request_id", row.request_id},
          {"tunnel", row.tunnel},
          {"owner", row.owner},
          {"address", row.address},
          {"kind", row.kind},
          {"method", row.method},
          {"path", row.path},
          {"status", row.status != 0 ? Json(row.status) : Json(nullptr)},
          {"reason", row.reason},
          {"bytes_in", row.bytes_in},
          {"bytes_out", row.bytes_out}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// "2026-11-21T09:00:00Z" or "2026-11-21".
std::optional<store::Milliseconds> parse_time(const std::string& text) {
  std::tm parts{};
  const char* const begin = text.c_str();
  const char* end = ::strptime(begin, "%Y-%m-%d", &parts);
  if (end != nullptr && *end == 'T') end = ::strptime(begin, "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end != begin + text.size() || end == nullptr) return std::nullopt;
  return store::Milliseconds(std::chrono::seconds(::timegm(&parts)));
}

template <typename T>
bool read_number(const std::string& text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out > 0;
}

std::optional<store::ConnectionQuery> read(const std::map<std::string, std::string>& asked) {
  store::ConnectionQuery query;
  for (const auto& [name, value] : asked) {
    if (name == "tunnel") query.tunnel = value;
    if (name == "address") query.address = value;
    if (name == "text") query.text = value;
    if (name == "since" && !(query.since = parse_time(value))) return std::nullopt;
    if (name == "until" && !(query.until = parse_time(value))) return std::nullopt;
    if (name == "cursor" && !read_number(value, query.before)) return std::nullopt;
    if (name == "limit" && !read_number(value, query.limit)) return std::nullopt;
  }
  return query;
}

}  // namespace

std::string connections_json(const std::vector<store::Connection>& rows) {
  Json list = Json::array();
  for (const store::Connection& row : rows) list.push_back(to_json(row));
  return dump(list);
}

Result<AdminAnswer> get_connections(Context& context, const AdminRequest& request) {
  store::ConnectionLog* const log = context.journal.log();
  if (log == nullptr) return fail(Code::ADMIN_NO_LOG);
  const auto query = read(request.query);
  if (!query) return fail(Code::ADMIN_PARAMETER);
  const auto page = log->find(*query);
  if (!page) return tl::unexpected(page.error());
  std::string body = "{\"connections\":" + connections_json(page->rows) + ",\"next\":";
  body += page->next != 0 ? "\"" + std::to_string(page->next) + "\"" : "null";
  return AdminAnswer{200, body + "}\n"};
}

Result<AdminAnswer> get_events(Context& context, const AdminRequest&) {
  if (context.event_streams.size() >= EventStream::kStreams) return fail(Code::ADMIN_STREAMS);
  AdminAnswer answer;
  answer.events = true;
  return answer;
}

}  // namespace leat::relay
