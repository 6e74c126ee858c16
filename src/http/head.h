// HTTP/1.1 message heads (RFC 9112): found in a byte stream, checked line by line by us, then
// parsed by llhttp in strict mode, and written out again from the parsed form. Raw head bytes are
// never forwarded (threat 12). Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/scan.h"

namespace leat::http {

struct Field {
  std::string name;   // as received
  std::string value;  // without surrounding whitespace
};

class Fields {
 public:
  // Names compare without case (RFC 9110 §5.1).
  // add and set abort on a name or value that would break the head apart: values from outside that
  // did not come out of a HeadReader are checked with valid_field_value first.
  const std::string* find(std::string_view name) const;  // the first
  std::size_t count(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  void set(std::string_view name, std::string_view value);  // replaces all
  void remove(std::string_view name);
  // Whether the comma-separated list in all fields of that name has this token, without case.
  bool has_token(std::string_view name, std::string_view token) const;
  std::vector<Field>& all() { return fields_; }
  const std::vector<Field>& all() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

// How the body after a head is delimited (RFC 9112 §6.3).
enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct Request {
  std::string method;
  std::string target;  // as received: origin-form, or "*" for OPTIONS; visible ASCII without '#'
  int minor = 1;       // HTTP/1.minor, 0 or 1
  Fields fields;
  BodyKind body = BodyKind::none;
  std::uint64_t length = 0;      // for BodyKind::length
  bool keep_alive = true;        // what the sender asks for
  bool upgrade = false;          // 1.1, Connection: upgrade, and an Upgrade field other than h2c
  bool expect_continue = false;  // Expect: 100-continue
};

struct Response {
  int status = 200;
  std::string reason;
  int minor = 1;
  Fields fields;
  BodyKind body = BodyKind::none;
  std::uint64_t length = 0;
  bool keep_alive = true;  // false: the connection ends after it (or becomes a pipe, 101)
  bool interim() const { return status >= 100 && status < 200 && status != 101; }
};

enum class HeadError : std::uint8_t {
  none,
  bad,          // 400, LEAT_BAD_REQUEST / LEAT_SERVICE_PROTOCOL
  too_large,    // 431
  not_a_proxy,  // CONNECT or absolute-form: 400, LEAT_NOT_A_PROXY
};

// Collects one head. Bytes are handed in as they come, in any chunking, with the same result.
class HeadReader {
 public:
  enum class State : std::uint8_t { more, done, error };

  // Consumes up to and including the blank line and no further; `used` says how much of `in` that
  // was. Work is linear in the bytes fed, memory at most twice the bytes held. An error stays.
  State feed(Bytes in, std::size_t& used);
  // Bytes held so far; 0 means nothing of a head has arrived (an idle connection, not a slow one).
  std::size_t held() const { return buffer_.size(); }
  HeadError error() const { return error_; }
  // Why, in a few words, for the log.
  const char* why() const { return why_; }

  // After done: parse what was collected and make the reader ready for the next head. nullopt:
  // error() and why() say more, and the connection cannot go on.
  std::optional<Request> take_request();
  // `request_method` decides about the body (HEAD, RFC 9112 §6.3).
  std::optional<Response> take_response(std::string_view request_method);

 private:
  State fail(HeadError error, const char* why);

  std::string buffer_;
  LineScanner scanner_ = LineScanner::head();
  HeadError error_ = HeadError::none;
  const char* why_ = "";
};

// Serialised anew: start line, fields in order, blank line. The caller has removed hop-by-hop
// fields and set framing (Content-Length or Transfer-Encoding) to match the body.
void serialise(const Request& request, std::string& out);
void serialise(const Response& response, std::string& out);

// RFC 9110 §7.6.1: Connection and what it names, Keep-Alive, Proxy-Connection, TE (but "trailers"),
// Transfer-Encoding, Upgrade, Proxy-Authenticate/-Authorization. Framing fields are then set again
// from body and length: exactly one Content-Length, or "Transfer-Encoding: chunked", or neither.
void remove_hop_by_hop(Fields& fields);
void set_framing(Fields& fields, BodyKind body, std::uint64_t length);

std::string_view reason_phrase(int status);  // "" for one without a name

bool valid_field_name(std::string_view name);    // a token
bool valid_field_value(std::string_view value);  // no control character but HTAB

// A Host field's value: a DNS name, IPv4 address or bracketed IPv6 address, with or without a port.
// User information, percent-encodings, empty labels and anything outside [A-Za-z0-9._-] are
// refused.
bool valid_host(std::string_view host);
// The host of a valid Host value as names are compared: lower case, without port and final dot.
std::string host_name(std::string_view host);

// One canonical form of a request target's path (threat 16): nullopt if it has a NUL or other
// control character, encoded or not, a bad percent-encoding, or dot segments that leave the root or
// hide behind an encoded slash, a backslash or a parameter ("..;x"). Unreserved characters are
// decoded, the rest of the encodings upper-cased, what RFC 3986 does not allow in a path encoded,
// "." and ".." resolved. Encoded slashes stay encoded, empty segments and everything from '?' on
// stay as they are.
std::optional<std::string> canonical_target(std::string_view target);

}  // namespace leat::http
