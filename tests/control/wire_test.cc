// docs/protocol.md §3.1.
#include "control/wire.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "control/control_fixture.h"

namespace leat::control {
namespace {

MessageReader::State feed(MessageReader& reader, std::string_view bytes) {
  std::size_t used = 0;
  return reader.feed(as_bytes(bytes), used);
}

proto::OpenStream sample(std::size_t padding = 0) {
  proto::OpenStream message;
  message.set_tunnel("chat");
  message.set_request_id(std::string(padding, 'x'));
  return message;
}

TEST(Wire, WritesTheLengthAsTheShortestVarint) {
  for (const std::size_t size : {0, 1, 100, 127, 128, 300, 16383, 16384, 70000}) {
    const proto::OpenStream message = sample(size);
    std::string out = "before";
    append_message(message, out);
    EXPECT_EQ(out, "before" + test::framed(message));
  }
}

TEST(Wire, EveryChunkingGivesTheSameMessages) {
  const std::string bytes =
      test::framed(sample(200)) + test::framed(proto::OpenReply()) + test::framed(sample(3));
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    MessageReader reader(limits::kOpenStreamMessage);
    std::vector<std::size_t> sizes;
    std::size_t at = 0;
    while (at < bytes.size()) {
      std::size_t used = 0;
      const auto state =
          reader.feed(as_bytes(bytes).subspan(at, std::min(step, bytes.size() - at)), used);
      at += used;
      if (state == MessageReader::State::done) {
        proto::OpenStream message;
        ASSERT_TRUE(reader.parse(message));
        sizes.push_back(message.request_id().size());
      } else {
        ASSERT_EQ(state, MessageReader::State::more);
        ASSERT_GT(used, 0u);
      }
    }
    ASSERT_EQ(sizes, (std::vector<std::size_t>{200, 0, 3})) << step;
  }
}

TEST(Wire, AnEmptyMessageIsOneZeroByte) {
  std::string out;
  append_message(proto::OpenReply(), out);
  EXPECT_EQ(out, std::string(1, '\0'));
  MessageReader reader(100);
  EXPECT_EQ(feed(reader, out), MessageReader::State::done);
  proto::OpenReply reply;
  EXPECT_TRUE(reader.parse(reply));
  EXPECT_FALSE(reply.has_failure());
}

TEST(Wire, TakesOneMessageAndLeavesTheRest) {
  const std::string one = test::framed(sample());
  MessageReader reader(100);
  std::size_t used = 0;
  EXPECT_EQ(reader.feed(as_bytes(one + "visitor"), used), MessageReader::State::done);
  EXPECT_EQ(used, one.size());
}

TEST(Wire, TheLimitIsInclusiveAndKnownFromTheLengthAlone) {
  for (const std::size_t limit : {0, 1, 127, 128, 4096, 65536, 65537}) {
    const auto prefix = [](std::size_t length) {
      std::string out;
      for (; length >= 128; length /= 128) out += static_cast<char>(length % 128 + 128);
      return out + static_cast<char>(length);
    };
    MessageReader fits(limit), exceeds(limit);
    EXPECT_NE(feed(fits, prefix(limit)), MessageReader::State::error) << limit;
    EXPECT_EQ(feed(exceeds, prefix(limit + 1)), MessageReader::State::error) << limit;
  }
}

TEST(Wire, RefusesLengthsNotInTheirShortestForm) {
  for (const std::string& bytes : {std::string("\x80\0", 2), std::string("\x81\x80\0", 3),
                                   std::string("\xff\xff\xff\xff\x0f"), std::string(20, '\x80')}) {
    MessageReader reader(limits::kControlMessage);
    EXPECT_EQ(feed(reader, bytes), MessageReader::State::error);
  }
}

TEST(Wire, RefusesWhatIsNoSuchMessage) {
  MessageReader reader(100);
  ASSERT_EQ(feed(reader, std::string("\2\x0a\x05", 3)), MessageReader::State::done);
  proto::OpenStream message;
  EXPECT_FALSE(reader.parse(message));
}

TEST(Wire, RefusesStringsThatAreNotUtf8) {
  MessageReader reader(100);
  ASSERT_EQ(feed(reader, std::string("\3\x0a\1\xff", 4)), MessageReader::State::done);
  proto::OpenStream message;
  EXPECT_FALSE(reader.parse(message));
}

}  // namespace
}  // namespace leat::control
