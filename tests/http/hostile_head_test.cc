// Heads that smuggle, split, confuse or abuse (threats 10-16 and 18), each whole, cut in two at
// every byte, and byte by byte: refused every time, with the same verdict and the same bytes used.
#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"
#include "http/chars.h"
#include "http/check.h"
#include "reading.h"

namespace leat::http {
namespace {

using namespace std::string_literals;
using testing::HeadResult;
using testing::kRequest;
using testing::read_head;
using testing::single_bytes;
using testing::split_at;

struct Hostile {
  std::string_view name;
  std::string text;
  HeadError error = HeadError::bad;
};

// How gtest names the case.
void PrintTo(const Hostile& c, std::ostream* out) { *out << c.name << ": " << c.text; }

void expect_refused(const Hostile& c, std::string_view method) {
  const HeadResult whole = read_head({c.text}, method);
  EXPECT_FALSE(whole.ok());
  EXPECT_EQ(whole.error, c.error) << whole.why;
  EXPECT_NE(whole.why, "");
  EXPECT_EQ(read_head(single_bytes(c.text), method), whole);
  for (std::size_t at = 0; at <= c.text.size(); ++at) {
    ASSERT_EQ(read_head(split_at(c.text, at), method), whole) << "cut at " << at;
  }
}

std::string case_name(const ::testing::TestParamInfo<Hostile>& info) {
  return std::string(info.param.name);
}

// A request that is fine but for the lines given, and one with another start line.
std::string with(std::string_view lines) {
  return "POST /a HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
}
std::string start(std::string_view line) {
  return std::string(line) + "\r\nHost: a.example\r\n\r\n";
}
std::string host(std::string_view value) {
  return "GET / HTTP/1.1\r\nHost: " + std::string(value) + "\r\n\r\n";
}

class HostileRequest : public ::testing::TestWithParam<Hostile> {};
TEST_P(HostileRequest, IsRefused) { expect_refused(GetParam(), kRequest); }

TEST(HostileHead, TheHarmlessFormIsAccepted) {
  EXPECT_TRUE(testing::read_request(with("A: b\r\nContent-Length: 5\r\n")).ok());
  EXPECT_TRUE(testing::read_request(with("Transfer-Encoding: chunked\r\n")).ok());
  EXPECT_TRUE(testing::read_request(start("GET / HTTP/1.1")).ok());
  EXPECT_TRUE(testing::read_request(start("OPTIONS * HTTP/1.1")).ok());
  EXPECT_TRUE(testing::read_request(host("a.example:80")).ok());
}

// --- threat 10: ambiguous framing ---
class FramingAlone : public ::testing::TestWithParam<Hostile> {};

const Hostile kFraming[] = {
    {"ClTe", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
    {"TeCl", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
    {"TeClZero", with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")},
    {"TeIdentityCl", with("Transfer-Encoding: identity\r\nContent-Length: 5\r\n")},
    {"ClDuplicate", with("Content-Length: 5\r\nContent-Length: 5\r\n")},
    {"ClDifferent", with("Content-Length: 5\r\nContent-Length: 6\r\n")},
    {"ClDuplicateCase", with("Content-Length: 5\r\ncONTENT-lENGTH: 5\r\n")},
    {"ClList", with("Content-Length: 5, 5\r\n")},
    {"ClListTight", with("Content-Length: 5,6\r\n")},
    {"ClEmpty", with("Content-Length:\r\n")},
    {"ClBlank", with("Content-Length: \t \r\n")},
    {"ClPlus", with("Content-Length: +5\r\n")},
    {"ClMinus", with("Content-Length: -5\r\n")},
    {"ClMinusZero", with("Content-Length: -0\r\n")},
    {"ClHex", with("Content-Length: 0x5\r\n")},
    {"ClHexDigits", with("Content-Length: a\r\n")},
    {"ClOctalMark", with("Content-Length: 0o5\r\n")},
    {"ClFloat", with("Content-Length: 5.0\r\n")},
    {"ClExponent", with("Content-Length: 1e3\r\n")},
    {"ClUnderscore", with("Content-Length: 1_0\r\n")},
    {"ClInnerSpace", with("Content-Length: 1 0\r\n")},
    {"ClInnerTab", with("Content-Length: 1\t0\r\n")},
    {"ClSemicolon", with("Content-Length: 5;\r\n")},
    {"ClQuoted", with("Content-Length: \"5\"\r\n")},
    {"ClTrailingText", with("Content-Length: 5 bytes\r\n")},
    {"ClForeignDigit", with("Content-Length: \xd9\xa5\r\n")},
    {"ClNoBreakSpace", with("Content-Length: \xa0"
                            "5\r\n")},
    {"ClOverflow63", with("Content-Length: 9223372036854775808\r\n")},
    {"ClOverflow64", with("Content-Length: 18446744073709551616\r\n")},
    {"ClOverflowWraps", with("Content-Length: 18446744073709551621\r\n")},
    {"ClOverflowLong", with("Content-Length: " + std::string(400, '9') + "\r\n")},
    {"TeTwice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
    {"TeChunkedTwice", with("Transfer-Encoding: chunked, chunked\r\n")},
    {"TeGzip", with("Transfer-Encoding: gzip\r\n")},
    {"TeGzipChunked", with("Transfer-Encoding: gzip, chunked\r\n")},
    {"TeChunkedIdentity", with("Transfer-Encoding: chunked, identity\r\n")},
    {"TeSplitLines", with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")},
    {"TeIdentity", with("Transfer-Encoding: identity\r\n")},
    {"TeEmpty", with("Transfer-Encoding:\r\n")},
    {"TeComma", with("Transfer-Encoding: ,chunked\r\n")},
    {"TeTrailingComma", with("Transfer-Encoding: chunked,\r\n")},
    {"TeQuoted", with("Transfer-Encoding: \"chunked\"\r\n")},
    {"TeParameter", with("Transfer-Encoding: chunked;q=1\r\n")},
    {"TePrefix", with("Transfer-Encoding: xchunked\r\n")},
    {"TeSuffix", with("Transfer-Encoding: chunkedx\r\n")},
    {"TeVerticalTab", with("Transfer-Encoding: \vchunked\r\n")},
    {"TeFormFeed", with("Transfer-Encoding: chunked\f\r\n")},
    {"TeNoBreakSpace", with("Transfer-Encoding: \xa0"
                            "chunked\r\n")},
    {"TeKelvinSign", with("Transfer-Encoding: chun\xe2\x84\xaa"
                          "ed\r\n")},
    {"TeOldVersion", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"TeOldVersionKeptAlive",
     "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"},
};
// The parser behind us refuses much of this too; our own check must not lean on it.
TEST_P(FramingAlone, IsRefused) {
  Request request;
  request.minor = GetParam().text.find("HTTP/1.0") == std::string::npos ? 1 : 0;
  std::string_view rest = GetParam().text;
  for (std::size_t end; (end = rest.find("\r\n")) != 0; rest.remove_prefix(end + 2)) {
    const std::string_view line = rest.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    request.fields.all().push_back(
        {std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
  }
  EXPECT_EQ(check(request).error, HeadError::bad);
}
INSTANTIATE_TEST_SUITE_P(Framing, FramingAlone, ::testing::ValuesIn(kFraming), case_name);
INSTANTIATE_TEST_SUITE_P(Framing, HostileRequest, ::testing::ValuesIn(kFraming), case_name);

// --- threats 10 and 11: lines and fields ---
const Hostile kLines[] = {
    {"BareLfAfterTarget", "GET / \nHost: a\r\n\r\n"},
    {"BareLfStartLine", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {"BareLfField", with("A: b\nC: d\r\n")},
    {"BareLfEnd", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
    {"BareLfEverywhere", "GET / HTTP/1.1\nHost: a\n\n"},
    {"BareCrStartLine", "GET / HTTP/1.1\rHost: a\r\n\r\n"},
    {"BareCrField", with("A: b\rC: d\r\n")},
    {"BareCrInValue", with("A: b\r c\r\n")},
    {"BareCrEnd", "GET / HTTP/1.1\r\nHost: a\r\n\rX"},
    {"CrCrLf", with("A: b\r\r\n")},
    {"CrCrLfEnd", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"},
    {"LfCr", with("A: b\n\rC: d\r\n")},
    {"NulInTarget", start("GET /\0 HTTP/1.1"s)},
    {"NulInName", with("A\0: b\r\n"s)},
    {"NulInValue", with("A: b\0c\r\n"s)},
    {"NulFirst", "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"s},
    {"BellInValue", with("A: \a\r\n")},
    {"EscapeInValue", with("A: \x1b[2J\r\n")},
    {"DeleteInValue", with("A: \x7f\r\n")},
    {"VerticalTabInValue", with("A: b\vc\r\n")},
    {"LeadingBlankLine", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"LeadingLf", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"LeadingSpace", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"LeadingTab", "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"ByteOrderMark", "\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"FoldSpace", with("A: b\r\n c\r\n")},
    {"FoldTab", with("A: b\r\n\tc\r\n")},
    {"FoldBlank", with("A: b\r\n \r\n")},
    {"FoldFirst", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
    {"FoldedTe", with("Transfer-Encoding:\r\n chunked\r\n")},
    {"FoldedCl", with("Content-Length: 1\r\n 0\r\n")},
    {"SpaceBeforeColon", with("A : b\r\n")},
    {"TabBeforeColon", with("A\t: b\r\n")},
    {"SpaceBeforeColonTe", with("Transfer-Encoding : chunked\r\n")},
    {"SpaceBeforeColonCl", with("Content-Length : 5\r\n")},
    {"SpaceInName", with("A B: c\r\n")},
    {"EmptyName", with(": b\r\n")},
    {"EmptyNameOnly", with(":\r\n")},
    {"NoColon", with("A\r\n")},
    {"NoColonTe", with("Transfer-Encoding chunked\r\n")},
    {"NameParenthesis", with("A(b): c\r\n")},
    {"NameSlash", with("A/b: c\r\n")},
    {"NameAt", with("A@b: c\r\n")},
    {"NameQuote", with("\"A\": c\r\n")},
    {"NameSemicolon", with("A;: c\r\n")},
    {"NameComma", with("A,B: c\r\n")},
    {"NameBrace", with("{A}: c\r\n")},
    {"NameForeign", with("\xc3\x84: c\r\n")},
    {"NameHighByte", with("A\xff: c\r\n")},
    {"NameControl", with("A\x01: c\r\n")},
    {"TooManyFields", with([] {
       std::string fields;
       for (std::size_t i = 0; i < limits::kHeaderFields; ++i) fields += "A:\r\n";
       return fields;
     }()),
     HeadError::too_large},
};
INSTANTIATE_TEST_SUITE_P(Lines, HostileRequest, ::testing::ValuesIn(kLines), case_name);

// --- threats 11, 14, 16: start line and target ---
const Hostile kStarts[] = {
    {"Version09", "GET /\r\n\r\n"},
    {"Version09Fields", start("GET /")},
    {"Version09Space", start("GET / ")},
    {"Version2", start("GET / HTTP/2.0")},
    {"Version2Short", start("GET / HTTP/2")},
    {"Version12", start("GET / HTTP/1.2")},
    {"Version19", start("GET / HTTP/1.9")},
    {"Version01", start("GET / HTTP/01.1")},
    {"Version110", start("GET / HTTP/1.10")},
    {"Version11x", start("GET / HTTP/1.1x")},
    {"VersionComma", start("GET / HTTP/1,1")},
    {"VersionNegative", start("GET / HTTP/1.-1")},
    {"VersionLower", start("GET / http/1.1")},
    {"VersionOther", start("GET / ICY/1.1")},
    {"VersionRtsp", start("DESCRIBE / RTSP/1.0")},
    {"VersionSlashes", start("GET / HTTP//1.1")},
    {"VersionMissing", start("GET / HTTP/")},
    {"TrailingSpace", start("GET / HTTP/1.1 ")},
    {"TrailingTab", start("GET / HTTP/1.1\t")},
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"TwoSpacesFirst", start("GET  / HTTP/1.1")},
    {"TwoSpacesLast", start("GET /  HTTP/1.1")},
    {"TabSeparator", start("GET\t/\tHTTP/1.1")},
    {"NoTarget", start("GET HTTP/1.1")},
    {"EmptyTarget", start("GET  HTTP/1.1")},
    {"SpaceInTarget", start("GET /a b HTTP/1.1")},
    {"VersionInTarget", start("GET / HTTP/1.1 HTTP/1.1")},
    {"TabInTarget", start("GET /a\tb HTTP/1.1")},
    {"FragmentInTarget", start("GET /a#b HTTP/1.1")},
    {"ForeignInTarget", start("GET /\xc3\xa9 HTTP/1.1")},
    {"DeleteInTarget", start("GET /\x7f HTTP/1.1")},
    {"RelativeTarget", start("GET a HTTP/1.1")},
    {"RelativeDots", start("GET ../a HTTP/1.1")},
    {"QueryTarget", start("GET ?a HTTP/1.1")},
    {"AtTarget", start("GET @evil.example/ HTTP/1.1")},
    {"StarForGet", start("GET * HTTP/1.1")},
    {"StarAndMore", start("OPTIONS *a HTTP/1.1")},
    {"AuthorityForGet", start("GET a.example:80 HTTP/1.1")},
    {"MethodLower", start("get / HTTP/1.1")},
    {"MethodUnknown", start("FROB / HTTP/1.1")},
    {"MethodSuffix", start("GETX / HTTP/1.1")},
    {"MethodNotToken", start("GE(T / HTTP/1.1")},
    {"MethodColon", start("GET: / HTTP/1.1")},
    {"MethodPri", start("PRI / HTTP/1.1")},
    {"ResponseAsRequest", start("HTTP/1.1 200 OK")},
    {"FieldAsRequest", "Host: a.example\r\n\r\n"},
    {"TlsAsRequest", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s},
    {"Connect", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
     HeadError::not_a_proxy},
    {"ConnectPath", start("CONNECT / HTTP/1.1"), HeadError::not_a_proxy},
    {"ConnectOldVersion", start("CONNECT a.example:443 HTTP/1.0"), HeadError::not_a_proxy},
    {"Absolute", start("GET http://evil.example/ HTTP/1.1"), HeadError::not_a_proxy},
    {"AbsoluteTls", start("GET https://a.example/ HTTP/1.1"), HeadError::not_a_proxy},
    {"AbsoluteSameHost", start("GET http://a.example/ HTTP/1.1"), HeadError::not_a_proxy},
    {"AbsoluteUpper", start("GET HTTP://a.example/ HTTP/1.1"), HeadError::not_a_proxy},
    {"AbsoluteOptions", start("OPTIONS http://a.example HTTP/1.1"), HeadError::not_a_proxy},
    {"AbsoluteFile", start("GET file:///etc/passwd HTTP/1.1"), HeadError::not_a_proxy},
};
INSTANTIATE_TEST_SUITE_P(Starts, HostileRequest, ::testing::ValuesIn(kStarts), case_name);

// --- threat 14: Host and Upgrade ---
const Hostile kHosts[] = {
    {"Missing", "GET / HTTP/1.1\r\n\r\n"},
    {"MissingOther", "GET / HTTP/1.1\r\nA: b\r\n\r\n"},
    {"Twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {"TwiceDifferent", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"},
    {"TwiceOldVersion", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
    {"Empty", host("")},
    {"Blank", host("\t ")},
    {"List", host("a, b")},
    {"ListTight", host("a,b")},
    {"TwoWords", host("a b")},
    {"UserInfo", host("a@b")},
    {"Password", host("a:b@c")},
    {"Path", host("a/b")},
    {"Backslash", host("a\\b")},
    {"Query", host("a?b")},
    {"Fragment", host("a#b")},
    {"Scheme", host("http://a")},
    {"Encoded", host("a%2eb")},
    {"EncodedNul", host("a%00")},
    {"Markup", host("<a>")},
    {"Quote", host("a\"")},
    {"Foreign", host("\xc3\xa9.example")},
    {"PortText", host("a:http")},
    {"PortSigned", host("a:+80")},
    {"PortNegative", host("a:-80")},
    {"PortTooHigh", host("a:65536")},
    {"PortOverflow", host("a:4294967376")},
    {"PortTwice", host("a:80:80")},
    {"PortOnly", host(":80")},
    {"PortSpace", host("a: 80")},
    {"LeadingDot", host(".a")},
    {"EmptyLabel", host("a..b")},
    {"DotOnly", host(".")},
    {"TwoFinalDots", host("a..")},
    {"LongLabel", host(std::string(64, 'a'))},
    {"LongName", host(std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                      std::string(63, 'a') + "." + std::string(62, 'a'))},
    {"BareIpv6", host("::1")},
    {"OpenBracket", host("[::1")},
    {"CloseBracket", host("::1]")},
    {"BracketedName", host("[a]")},
    {"BracketedIpv4", host("[127.0.0.1]")},
    {"EmptyBrackets", host("[]")},
    {"BracketsAndText", host("[::1]a")},
    {"Zone", host("[fe80::1%25eth0]")},
    {"FutureAddress", host("[v1.a]")},
    {"InvalidOldVersion", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"},
    {"UpgradeWithLength",
     with("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n")},
    {"UpgradeWithChunked",
     with("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n")},
};
INSTANTIATE_TEST_SUITE_P(HostAndUpgrade, HostileRequest, ::testing::ValuesIn(kHosts), case_name);

// --- threat 18: a hostile origin ---
class HostileResponse : public ::testing::TestWithParam<Hostile> {};
TEST_P(HostileResponse, IsRefused) { expect_refused(GetParam(), "GET"); }

std::string status(std::string_view line) { return std::string(line) + "\r\nA: b\r\n\r\n"; }
std::string answer(std::string_view lines) {
  return "HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\n";
}

const Hostile kResponses[] = {
    {"Version09", "<html>\r\n\r\n"},
    {"Version2", status("HTTP/2.0 200 OK")},
    {"Version12", status("HTTP/1.2 200 OK")},
    {"VersionLower", status("http/1.1 200 OK")},
    {"VersionIcy", status("ICY 200 OK")},
    {"RequestAsResponse", status("GET / HTTP/1.1")},
    {"LeadingBlank", "\r\nHTTP/1.1 200 OK\r\n\r\n"},
    {"NoStatus", status("HTTP/1.1")},
    {"NoStatusSpace", status("HTTP/1.1 ")},
    {"StatusTwoDigits", status("HTTP/1.1 20 OK")},
    {"StatusFourDigits", status("HTTP/1.1 2000 OK")},
    {"StatusText", status("HTTP/1.1 abc OK")},
    {"StatusSigned", status("HTTP/1.1 +20 OK")},
    {"StatusNegative", status("HTTP/1.1 -20 OK")},
    {"Status099", status("HTTP/1.1 099 Low")},
    {"Status000", status("HTTP/1.1 000 Low")},
    {"Status600", status("HTTP/1.1 600 High")},
    {"Status999", status("HTTP/1.1 999 High")},
    {"StatusTab", status("HTTP/1.1 200\tOK")},
    {"TwoSpaces", status("HTTP/1.1  200 OK")},
    {"ReasonControl", status("HTTP/1.1 200 O\x01K")},
    {"ReasonNul", status("HTTP/1.1 200 O\0K"s)},
    {"ReasonBareCr", status("HTTP/1.1 200 O\rK")},
    {"StatusLineLf", "HTTP/1.1 200 OK\nA: b\r\n\r\n"},
    {"SplitByLf", answer("A: b\nSet-Cookie: c\r\n")},
    {"SplitByCr", answer("A: b\rSet-Cookie: c\r\n")},
    {"Fold", answer("A: b\r\n c\r\n")},
    {"SpaceBeforeColon", answer("A : b\r\n")},
    {"ClTe", answer("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
    {"ClTwice", answer("Content-Length: 5\r\nContent-Length: 5\r\n")},
    {"ClDifferent", answer("Content-Length: 5\r\nContent-Length: 6\r\n")},
    {"ClNegative", answer("Content-Length: -1\r\n")},
    {"ClEmpty", answer("Content-Length:\r\n")},
    {"ClOverflow", answer("Content-Length: 99999999999999999999\r\n")},
    {"TeGzip", answer("Transfer-Encoding: gzip\r\n")},
    {"TeGzipChunked", answer("Transfer-Encoding: gzip, chunked\r\n")},
    {"TeTwice", answer("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
    {"TeOldVersion", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"InterimWithLength", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"},
    {"InterimWithChunked", "HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"SwitchWithoutUpgrade", "HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n"},
    {"SwitchWithoutConnection", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n"},
    {"SwitchWithBody",
     "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\n"},
};
INSTANTIATE_TEST_SUITE_P(All, HostileResponse, ::testing::ValuesIn(kResponses), case_name);

TEST(HostileHead, EndlessHeadEndsAtTheLimit) {
  const std::string_view pieces[] = {"GET / HTTP/1.1\r\nHost: a\r\n", "GET /"};
  for (const std::string_view begin : pieces) {
    const std::string text = std::string(begin) + std::string(limits::kHead, 'a');
    const HeadResult whole = read_head({text}, kRequest);
    EXPECT_EQ(whole.error, HeadError::too_large);
    EXPECT_EQ(whole.used, limits::kHead);
    EXPECT_EQ(read_head(single_bytes(text), kRequest), whole);
  }
}

TEST(HostileHead, HoldsNoMoreThanCame) {
  HeadReader reader;
  std::size_t used = 0;
  const std::string_view text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (const std::string_view byte : single_bytes(text)) {
    ASSERT_EQ(reader.feed(as_bytes(byte), used), HeadReader::State::more);
  }
  EXPECT_EQ(reader.held(), text.size());
  EXPECT_EQ(reader.feed({}, used), HeadReader::State::more);
  EXPECT_EQ(used, 0u);
}

TEST(HostileHead, ErrorStays) {
  HeadReader reader;
  std::size_t used = 0;
  EXPECT_EQ(reader.feed(as_bytes("GET / HTTP/1.1\n"), used), HeadReader::State::error);
  EXPECT_EQ(reader.feed(as_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), used),
            HeadReader::State::error);
  EXPECT_EQ(used, 0u);
}

}  // namespace
}  // namespace leat::http
