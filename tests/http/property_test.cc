// What must hold for every message, tried on random ones: chunking changes nothing, what is written
// reads back the same, and no damaged message is read differently the second time.
#include <gtest/gtest.h>

#include "reading.h"
#include "seeds.h"

namespace leat::http {
namespace {

using testing::BodyResult;
using testing::for_each_seed;
using testing::HeadResult;
using testing::kRequest;
using testing::Random;
using testing::read_body;
using testing::read_head;

constexpr std::string_view kTchars =
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

struct Message {
  std::string text;
  std::vector<Field> fields;
  BodyKind body = BodyKind::none;
  std::uint64_t length = 0;
};

// `blanks` may stand around the value. The parser behind us takes no tab after a Content-Length.
void add_field(Random& random, Message& m, std::string name, std::string value,
               std::string_view blanks = " \t") {
  for (char& c : name) {
    if (random.one_in(8) && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  m.text += name + ":" + random.text(blanks, random.below(3)) + value +
            random.text(blanks, random.below(3)) + "\r\n";
  m.fields.push_back({std::move(name), std::move(value)});
}

void add_random_fields(Random& random, Message& m) {
  for (std::size_t n = random.below(12); n > 0; --n) {
    std::string value = random.bytes(random.below(40));
    std::erase_if(value, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
    while (!value.empty() && value.front() == ' ') value.erase(0, 1);
    while (!value.empty() && value.back() == ' ') value.pop_back();
    add_field(random, m, "x" + random.text(kTchars, random.below(20)), std::move(value));
  }
}

void add_framing(Random& random, Message& m) {
  m.body = random.one_in(3) ? BodyKind::length : random.one_in(2) ? BodyKind::chunked : m.body;
  if (m.body == BodyKind::chunked) add_field(random, m, "transfer-encoding", "chunked");
  if (m.body == BodyKind::length) {
    m.length = random.below(std::size_t{1} << random.below(63));
    add_field(random, m, "content-length", std::to_string(m.length), " ");
  }
}

Message random_request(Random& random) {
  constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"};
  Message m;
  std::string target = "/";
  for (std::size_t n = random.below(60); n > 0; --n) {
    const auto c = static_cast<char>(random.between('!', '~'));
    if (c != '#') target += c;
  }
  m.text =
      std::string(kMethods[random.below(std::size(kMethods))]) + " " + target + " HTTP/1.1\r\n";
  add_random_fields(random, m);
  add_field(random, m, "host", "a" + random.text("ab0-", random.below(20)) + ".example");
  add_framing(random, m);
  add_random_fields(random, m);
  m.text += "\r\n";
  return m;
}

Message random_response(Random& random) {
  constexpr int kStatuses[] = {200, 201, 302, 404, 500, 599};
  Message m;
  m.body = BodyKind::until_close;
  m.text = "HTTP/1.1 " + std::to_string(kStatuses[random.below(std::size(kStatuses))]) + " " +
           random.text("Some reason\t\xe9", random.below(20)) + "\r\n";
  add_random_fields(random, m);
  add_framing(random, m);
  add_random_fields(random, m);
  m.text += "\r\n";
  return m;
}

void expect_same(const std::vector<Field>& a, const std::vector<Field>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].value, b[i].value);
  }
}

// Reads it in pieces, with something behind it, and once more from what was written.
HeadResult read_twice(Random& random, const std::string& text, std::string_view method) {
  const std::string followed = text + random.bytes(random.below(50));
  const HeadResult first = read_head(random.pieces(followed), method);
  EXPECT_EQ(read_head({followed}, method), first);
  if (first.ok()) {
    const HeadResult second = read_head(random.pieces(first.serialised), method);
    EXPECT_TRUE(second.ok()) << second.why;
    EXPECT_EQ(second.serialised, first.serialised);
    EXPECT_EQ(second.used, first.serialised.size());
  }
  return first;
}

TEST(Property, RequestHeads) {
  for_each_seed(500, [](Random& random) {
    const Message m = random_request(random);
    const HeadResult r = read_twice(random, m.text, kRequest);
    ASSERT_TRUE(r.ok()) << r.why << "\n" << m.text;
    EXPECT_EQ(r.used, m.text.size());
    expect_same(r.request->fields.all(), m.fields);
    EXPECT_EQ(r.request->body, m.body);
    EXPECT_EQ(r.request->length, m.length);
  });
}

TEST(Property, ResponseHeads) {
  for_each_seed(500, [](Random& random) {
    const Message m = random_response(random);
    const HeadResult r = read_twice(random, m.text, "GET");
    ASSERT_TRUE(r.ok()) << r.why << "\n" << m.text;
    EXPECT_EQ(r.used, m.text.size());
    expect_same(r.response->fields.all(), m.fields);
    EXPECT_EQ(r.response->body, m.body);
    EXPECT_EQ(r.response->length, m.length);
  });
}

// Some bytes replaced, removed or doubled, mostly by those that carry structure.
void damage(Random& random, std::string& text) {
  constexpr std::string_view kSharp("\r\n\0 \t:,;/.%0f\x80", 14);
  for (std::size_t n = random.between(1, 3); n > 0 && !text.empty(); --n) {
    const std::size_t at = random.below(text.size());
    switch (random.below(3)) {
      case 0:
        text[at] = random.one_in(3) ? static_cast<char>(random.byte())
                                    : kSharp[random.below(kSharp.size())];
        break;
      case 1:
        text.erase(at, 1);
        break;
      default:
        text.insert(at, 1, text[at]);
    }
  }
}

TEST(Property, DamagedHeads) {
  for_each_seed(2000, [](Random& random) {
    const bool request = random.one_in(2);
    Message m = request ? random_request(random) : random_response(random);
    damage(random, m.text);
    read_twice(random, m.text, request ? kRequest : "GET");
  });
}

struct Chunked {
  std::string text;
  std::string forwarded;  // what is left of it after filtering
};

Chunked random_chunked(Random& random) {
  Chunked c;
  for (std::size_t n = random.below(8); n > 0; --n) {
    const std::string data = random.bytes(random.between(1, 300));
    char size[17];
    const int zeros = static_cast<int>(random.below(14));
    std::snprintf(size, sizeof size, random.one_in(2) ? "%0*zx" : "%0*zX", zeros, data.size());
    c.text += std::string(size) + "\r\n" + data + "\r\n";
  }
  c.text += std::string(random.between(1, 16), '0') + "\r\n";
  c.forwarded = c.text;
  for (std::size_t n = random.below(4); n > 0; --n) {
    const bool refused = random.one_in(2);
    const std::string line =
        (refused ? "Content-Length:" : "Server-Timing:") + random.text("abc 0", 10) + "\r\n";
    c.text += line;
    if (!refused) c.forwarded += line;
  }
  c.text += "\r\n";
  c.forwarded += "\r\n";
  return c;
}

TEST(Property, ChunkedBodies) {
  for_each_seed(500, [](Random& random) {
    const Chunked c = random_chunked(random);
    const std::string followed = c.text + random.bytes(random.below(50));
    const BodyResult r = read_body(random.pieces(followed), BodyKind::chunked);
    EXPECT_EQ(r, (BodyResult{BodyScanner::State::done, c.text.size(), c.forwarded, true}));
    // What was forwarded is itself a chunked body that passes unchanged.
    EXPECT_EQ(read_body(random.pieces(c.forwarded), BodyKind::chunked).forwarded, c.forwarded);
  });
}

TEST(Property, DamagedBodies) {
  for_each_seed(2000, [](Random& random) {
    Chunked c = random_chunked(random);
    damage(random, c.text);
    const BodyResult whole = read_body({c.text}, BodyKind::chunked);
    EXPECT_EQ(read_body(random.pieces(c.text), BodyKind::chunked), whole);
  });
}

TEST(Property, BodiesWithLength) {
  for_each_seed(200, [](Random& random) {
    const std::string text = random.bytes(random.below(2000));
    const std::size_t length = random.below(2000);
    const std::size_t n = std::min(length, text.size());
    const auto state = length <= text.size() ? BodyScanner::State::done : BodyScanner::State::more;
    const BodyResult r = read_body(random.pieces(text + "x"), BodyKind::length, length);
    if (length <= text.size()) {
      if (length > 0) {
        EXPECT_EQ(r, (BodyResult{state, n, text.substr(0, n), true}));
      }
    } else {
      EXPECT_EQ(r.used, std::min(length, text.size() + 1));
    }
  });
}

TEST(Property, CanonicalTargetsStay) {
  for_each_seed(3000, [](Random& random) {
    std::string target = "/";
    constexpr std::string_view kParts[] = {"/", "//", ".", "..",  "%2e", "%2E", "%2f",
                                           ";", "a",  "%", "%41", "?",   "\\",  "%5c"};
    for (std::size_t n = random.below(12); n > 0; --n) {
      target += kParts[random.below(std::size(kParts))];
    }
    const auto once = canonical_target(target);
    if (!once) return;
    EXPECT_EQ(canonical_target(*once), once) << target;
    const std::string path = once->substr(0, once->find('?'));
    EXPECT_EQ(path.front(), '/');
    for (const std::string_view bad : {"/./", "/../", "%2e", "%2E", "\\", "%5c", "%2f"}) {
      EXPECT_EQ((path + "/").find(bad), std::string::npos) << target << " -> " << path;
    }
  });
}

}  // namespace
}  // namespace leat::http
