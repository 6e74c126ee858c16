#include "http/websocket_handshake.h"

#include <array>

#include "base/crypto_util.h"
#include "http/chars.h"

namespace leat::http::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kVersion = "13";

// 16 bytes in base64: 22 characters, the last of which carries 2 bits, and "==".
bool valid_key(std::string_view key) {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  for (const char c : key.substr(0, 22)) {
    const bool alnum = (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
    if (!alnum && c != '+' && c != '/') return false;
  }
  return std::string_view("AQgw").find(key[21]) != std::string_view::npos;
}

// The value of a field that must be there exactly once; nullptr otherwise.
const std::string* only(const Fields& fields, std::string_view name) {
  return fields.count(name) == 1 ? fields.find(name) : nullptr;
}

}  // namespace

std::string accept_value(std::string_view key) {
  const std::string text = std::string(key).append(kGuid);
  return base64(sha1(as_bytes(text)));
}

Offer check_request(const Request& request) {
  const Fields& fields = request.fields;
  if (!fields.has_token("Connection", "upgrade") || !fields.has_token("Upgrade", "websocket")) {
    return Offer::none;
  }
  if (!request.upgrade || request.method != "GET") return Offer::bad;
  const std::string* version = only(fields, "Sec-WebSocket-Version");
  if (version == nullptr || *version != kVersion) return Offer::version;
  const std::string* key = only(fields, "Sec-WebSocket-Key");
  return key != nullptr && valid_key(*key) ? Offer::ok : Offer::bad;
}

bool offers(const Fields& fields, std::string_view subprotocol) {
  for (const Field& field : fields.all()) {
    if (iequal(field.name, "Sec-WebSocket-Protocol") &&
        any_element(field.value, [&](std::string_view name) { return name == subprotocol; })) {
      return true;
    }
  }
  return false;
}

Response accept(const Request& request, std::string_view subprotocol) {
  Response response;
  response.status = 101;
  response.reason = reason_phrase(101);
  response.keep_alive = false;
  response.fields.add("Connection", "Upgrade");
  response.fields.add("Upgrade", "websocket");
  response.fields.add("Sec-WebSocket-Accept",
                      accept_value(*request.fields.find("Sec-WebSocket-Key")));
  if (!subprotocol.empty()) response.fields.add("Sec-WebSocket-Protocol", subprotocol);
  return response;
}

std::string new_key() {
  std::array<std::uint8_t, 16> bytes;
  random_bytes(bytes);
  return base64(bytes);
}

void offer(Request& request, std::string_view key, std::string_view subprotocol) {
  request.upgrade = true;
  request.fields.set("Connection", "Upgrade");
  request.fields.set("Upgrade", "websocket");
  request.fields.set("Sec-WebSocket-Version", kVersion);
  request.fields.set("Sec-WebSocket-Key", key);
  if (!subprotocol.empty()) request.fields.set("Sec-WebSocket-Protocol", subprotocol);
}

const char* check_response(const Response& response, std::string_view key,
                           std::string_view subprotocol) {
  const Fields& fields = response.fields;
  if (response.status != 101) return "the server did not switch protocols";
  const std::string* upgrade = only(fields, "Upgrade");
  if (upgrade == nullptr || !iequal(*upgrade, "websocket") ||
      !fields.has_token("Connection", "upgrade")) {
    return "the server switched to another protocol";
  }
  const std::string* value = only(fields, "Sec-WebSocket-Accept");
  if (value == nullptr || *value != accept_value(key)) return "wrong Sec-WebSocket-Accept";
  if (fields.count("Sec-WebSocket-Extensions") != 0) return "extensions that were not offered";
  const std::string* chosen = only(fields, "Sec-WebSocket-Protocol");
  if (subprotocol.empty() ? fields.count("Sec-WebSocket-Protocol") != 0
                          : chosen == nullptr || *chosen != subprotocol) {
    return "another subprotocol than offered";
  }
  return nullptr;
}

}  // namespace leat::http::ws
