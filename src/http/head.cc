#include "http/head.h"

#include <llhttp.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/limits.h"
#include "http/chars.h"
#include "http/check.h"

static_assert(LLHTTP_STRICT_MODE == 1, "the lenient mode of llhttp lets smuggled requests through");

namespace leat::http {
namespace {

// One complete head as llhttp sees it. Texts are views into the head.
struct Parsed {
  std::string_view start = {};  // target or reason phrase
  std::string_view name = {};
  std::string_view value = {};
  Fields* fields = nullptr;
  bool complete = false;
};

Parsed& parsed(llhttp_t* parser) { return *static_cast<Parsed*>(parser->data); }

// llhttp may hand out one text in adjoining pieces; pieces that do not adjoin are unfolded lines.
int append(std::string_view& text, const char* at, std::size_t length) {
  if (text.empty()) {
    text = {at, length};
  } else if (text.data() + text.size() == at) {
    text = {text.data(), text.size() + length};
  } else {
    return HPE_USER;
  }
  return HPE_OK;
}

llhttp_settings_t make_settings() {
  llhttp_settings_t s;
  llhttp_settings_init(&s);
  s.on_url = s.on_status = [](llhttp_t* parser, const char* at, std::size_t length) {
    return append(parsed(parser).start, at, length);
  };
  s.on_header_field = [](llhttp_t* parser, const char* at, std::size_t length) {
    return append(parsed(parser).name, at, length);
  };
  s.on_header_value = [](llhttp_t* parser, const char* at, std::size_t length) {
    return append(parsed(parser).value, at, length);
  };
  s.on_header_value_complete = [](llhttp_t* parser) {
    Parsed& p = parsed(parser);
    p.fields->all().push_back({std::string(p.name), std::string(trim(p.value))});
    p.name = p.value = {};
    return 0;
  };
  s.on_headers_complete = [](llhttp_t* parser) {
    parsed(parser).complete = true;
    return static_cast<int>(HPE_PAUSED);  // framing is ours; the parser sees no body
  };
  return s;
}

// Every lenient flag stays off, whatever happens.
const char* parse(llhttp_t& parser, llhttp_type_t type, std::string_view head, Parsed& out) {
  static const llhttp_settings_t settings = make_settings();
  llhttp_init(&parser, type, &settings);
  parser.data = &out;
  const llhttp_errno_t result = llhttp_execute(&parser, head.data(), head.size());
  if (result == HPE_PAUSED && out.complete) return nullptr;
  const char* reason = result == HPE_OK ? nullptr : llhttp_get_error_reason(&parser);
  return reason != nullptr && *reason != '\0' ? reason : "not a complete head";
}

constexpr char kDisagree[] = "two parsers read the head differently";

std::string_view first_line(std::string_view head) { return head.substr(0, head.find('\r')); }

}  // namespace

HeadReader::State HeadReader::fail(HeadError error, const char* why) {
  error_ = error;
  why_ = why;
  return State::error;
}

HeadReader::State HeadReader::feed(Bytes in, std::size_t& used) {
  used = 0;
  if (error_ != HeadError::none) return State::error;
  const Bytes room = in.first(std::min(in.size(), limits::kHead - buffer_.size()));
  const LineScanner::Result result = scanner_.feed(room, used);
  switch (result) {
    case LineScanner::Result::bad:
      return fail(HeadError::bad, scanner_.why());
    case LineScanner::Result::too_many:
      return fail(HeadError::too_large, "too many fields");
    case LineScanner::Result::more:
    case LineScanner::Result::end:
      break;
  }
  buffer_.append(as_chars(room.first(used)));
  if (result == LineScanner::Result::end) return State::done;
  if (buffer_.size() == limits::kHead) return fail(HeadError::too_large, "head too large");
  return State::more;
}

std::optional<Request> HeadReader::take_request() {
  assert(scanner_.ended() && error_ == HeadError::none);
  const std::string head = std::exchange(buffer_, {});
  const std::size_t fields = std::exchange(scanner_, LineScanner::head()).fields();

  Request request;
  Verdict verdict = parse_request_line(first_line(head), request);
  if (verdict.ok()) {
    request.fields.all().reserve(fields);
    llhttp_t parser;
    Parsed seen{.fields = &request.fields};
    if (const char* why = parse(parser, HTTP_REQUEST, head, seen)) {
      verdict = Verdict::bad(why);
    } else if (seen.start != request.target || request.fields.all().size() != fields ||
               llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(&parser))) !=
                   request.method ||
               llhttp_get_http_major(&parser) != 1 ||
               llhttp_get_http_minor(&parser) != request.minor) {
      verdict = Verdict::bad(kDisagree);
    } else {
      verdict = check(request);
    }
  }
  if (verdict.ok()) return request;
  fail(verdict.error, verdict.why);
  return std::nullopt;
}

std::optional<Response> HeadReader::take_response(std::string_view request_method) {
  assert(scanner_.ended() && error_ == HeadError::none);
  const std::string head = std::exchange(buffer_, {});
  const std::size_t fields = std::exchange(scanner_, LineScanner::head()).fields();

  Response response;
  Verdict verdict = parse_status_line(first_line(head), response);
  if (verdict.ok()) {
    response.fields.all().reserve(fields);
    llhttp_t parser;
    Parsed seen{.fields = &response.fields};
    if (const char* why = parse(parser, HTTP_RESPONSE, head, seen)) {
      verdict = Verdict::bad(why);
    } else if (seen.start != response.reason || response.fields.all().size() != fields ||
               llhttp_get_status_code(&parser) != response.status ||
               llhttp_get_http_major(&parser) != 1 ||
               llhttp_get_http_minor(&parser) != response.minor) {
      verdict = Verdict::bad(kDisagree);
    } else {
      verdict = check(response, request_method);
    }
  }
  if (verdict.ok()) return response;
  fail(verdict.error, verdict.why);
  return std::nullopt;
}

}  // namespace leat::http
