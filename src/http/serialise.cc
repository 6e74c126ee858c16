#include <algorithm>
#include <utility>

#include "http/head.h"

namespace leat::http {
namespace {

// Room for the digits and separators that are not counted one by one.
constexpr std::size_t kStartLine = 32;

std::size_t size_of(const Fields& fields) {
  std::size_t size = 2;
  for (const Field& f : fields.all()) size += f.name.size() + f.value.size() + 4;
  return size;
}

// Grows geometrically, so that a queue of heads is not copied once a head.
void make_room(std::string& out, std::size_t more) {
  if (out.capacity() - out.size() < more) out.reserve(out.size() + std::max(out.size(), more));
}

void append(const Fields& fields, std::string& out) {
  for (const Field& f : fields.all()) {
    out.append(f.name).append(": ").append(f.value).append("\r\n");
  }
  out.append("\r\n");
}

// RFC 9110 §15, and 102, 103, 425, 428, 429, 431 from the registry.
constexpr std::pair<int, std::string_view> kReasons[] = {{100, "Continue"},
                                                         {101, "Switching Protocols"},
                                                         {102, "Processing"},
                                                         {103, "Early Hints"},
                                                         {200, "OK"},
                                                         {201, "Created"},
                                                         {202, "Accepted"},
                                                         {203, "Non-Authoritative Information"},
                                                         {204, "No Content"},
                                                         {205, "Reset Content"},
                                                         {206, "Partial Content"},
                                                         {300, "Multiple Choices"},
                                                         {301, "Moved Permanently"},
                                                         {302, "Found"},
                                                         {303, "See Other"},
                                                         {304, "Not Modified"},
                                                         {307, "Temporary Redirect"},
                                                         {308, "Permanent Redirect"},
                                                         {400, "Bad Request"},
                                                         {401, "Unauthorized"},
                                                         {402, "Payment Required"},
                                                         {403, "Forbidden"},
                                                         {404, "Not Found"},
                                                         {405, "Method Not Allowed"},
                                                         {406, "Not Acceptable"},
                                                         {407, "Proxy Authentication Required"},
                                                         {408, "Request Timeout"},
                                                         {409, "Conflict"},
                                                         {410, "Gone"},
                                                         {411, "Length Required"},
                                                         {412, "Precondition Failed"},
                                                         {413, "Content Too Large"},
                                                         {414, "URI Too Long"},
                                                         {415, "Unsupported Media Type"},
                                                         {416, "Range Not Satisfiable"},
                                                         {417, "Expectation Failed"},
                                                         {421, "Misdirected Request"},
                                                         {422, "Unprocessable Content"},
                                                         {425, "Too Early"},
                                                         {426, "Upgrade Required"},
                                                         {428, "Precondition Required"},
                                                         {429, "Too Many Requests"},
                                                         {431, "Request Header Fields Too Large"},
                                                         {500, "Internal Server Error"},
                                                         {501, "Not Implemented"},
                                                         {502, "Bad Gateway"},
                                                         {503, "Service Unavailable"},
                                                         {504, "Gateway Timeout"},
                                                         {505, "HTTP Version Not Supported"}};

}  // namespace

void serialise(const Request& request, std::string& out) {
  make_room(out,
            kStartLine + request.method.size() + request.target.size() + size_of(request.fields));
  out.append(request.method).append(1, ' ').append(request.target);
  out.append(request.minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  append(request.fields, out);
}

void serialise(const Response& response, std::string& out) {
  make_room(out, kStartLine + response.reason.size() + size_of(response.fields));
  out.append(response.minor == 0 ? "HTTP/1.0 " : "HTTP/1.1 ");
  out.append(std::to_string(response.status)).append(1, ' ').append(response.reason);
  out.append("\r\n");
  append(response.fields, out);
}

std::string_view reason_phrase(int status) {
  for (const auto& [known, phrase] : kReasons) {
    if (known == status) return phrase;
  }
  return "";
}

}  // namespace leat::http
