// The file of an agent's two keys: made once, refused when it is not whole (docs/protocol.md §7.5).
#include "crypto/identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::crypto {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";

std::string contents(const std::string& path) { return read_file(path, Code::KEY_FILE).value(); }

void put(const std::string& path, std::string_view text) {
  ASSERT_TRUE(write_file(path, text, 0600, Code::KEY_FILE));
}

// The PEM blocks of a file.
std::vector<std::string> blocks(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(kBegin, at + 1), text.size());
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

TEST(Identity, IsMadeOnceAndStays) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  const auto made = Identity::load_or_create(path);
  ASSERT_TRUE(made) << made.error().text();
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const auto again = Identity::load_or_create(path);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->signing().public_key(), made->signing().public_key());
  EXPECT_EQ(again->sealing().public_key(), made->sealing().public_key());
  EXPECT_TRUE(again->sealing().secret() == made->sealing().secret());
  EXPECT_EQ(blocks(contents(path)).size(), 3u);
  const auto old_reader = SigningKey::load_or_create(path);
  ASSERT_TRUE(old_reader) << "whoever needs only the identity reads the same file";
  EXPECT_EQ(old_reader->public_key(), made->signing().public_key());
}

TEST(Identity, AnOlderFileGetsASealingKey) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  const auto signing = SigningKey::load_or_create(path);
  ASSERT_TRUE(signing);
  const auto identity = Identity::load_or_create(path);
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_EQ(identity->signing().public_key(), signing->public_key());
  EXPECT_EQ(Identity::load_or_create(path)->sealing().public_key(),
            identity->sealing().public_key());
}

TEST(Identity, RotateKeepsTheIdentityOnly) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  const auto before = Identity::load_or_create(path);
  const auto after = Identity::rotate(path);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->signing().public_key(), before->signing().public_key());
  EXPECT_NE(after->sealing().public_key(), before->sealing().public_key());
  EXPECT_EQ(Identity::load_or_create(path)->sealing().public_key(), after->sealing().public_key());
  EXPECT_FALSE(Identity::rotate(dir / "none")) << "there is nothing to rotate";
}

TEST(Identity, AFileThatIsNotWholeIsRefusedAndLeftAlone) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  ASSERT_TRUE(Identity::load_or_create(path));
  const auto own = blocks(contents(path));
  ASSERT_EQ(own.size(), 3u);
  std::string damaged = own[1];
  damaged[damaged.find('\n') + 1] = '!';
  const std::string cut = own[1].substr(0, own[1].size() / 2);
  const std::pair<const char*, std::string> cases[] = {
      {"nothing", ""},
      {"text", "hello\n"},
      {"no signature", own[0] + own[1]},
      {"no sealing key", own[0] + own[2]},
      {"no identity", own[1] + own[2]},
      {"the wrong order", own[1] + own[0] + own[2]},
      {"the signature first", own[2] + own[0] + own[1]},
      {"two sealing keys", own[0] + own[1] + own[1] + own[2]},
      {"two identities", own[0] + own[0]},
      {"two signatures", own[0] + own[1] + own[2] + own[2]},
      {"a damaged block", own[0] + damaged + own[2]},
      {"a cut block", own[0] + cut},
  };
  for (const auto& [what, text] : cases) {
    SCOPED_TRACE(what);
    put(path, text);
    const auto identity = Identity::load_or_create(path);
    ASSERT_FALSE(identity);
    EXPECT_EQ(identity.error().code, Code::KEY_FILE);
    EXPECT_NE(identity.error().detail.find(path), std::string::npos);
    EXPECT_FALSE(Identity::rotate(path));
    EXPECT_EQ(contents(path), text);
  }
}

// Which parts belong together is said by the signature; a rotation mends it, as the old sealing key
// is of no more use.
TEST(Identity, PartsOfTwoAgentsAreRefused) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem", other_path = dir / "other.pem";
  ASSERT_TRUE(Identity::load_or_create(path) && Identity::load_or_create(other_path));
  const auto own = blocks(contents(path)), other = blocks(contents(other_path));
  const std::pair<const char*, std::string> cases[] = {
      {"another's sealing key", own[0] + other[1] + own[2]},
      {"another's signature", own[0] + own[1] + other[2]},
      {"another's identity", other[0] + own[1] + own[2]},
  };
  for (const auto& [what, text] : cases) {
    SCOPED_TRACE(what);
    put(path, text);
    const auto identity = Identity::load_or_create(path);
    ASSERT_FALSE(identity);
    EXPECT_EQ(identity.error().code, Code::KEY_FILE);
    EXPECT_EQ(contents(path), text);
    EXPECT_TRUE(Identity::rotate(path) && Identity::load_or_create(path));
  }
}

TEST(Identity, OthersMayNotReadIt) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  ASSERT_TRUE(Identity::load_or_create(path));
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto identity = Identity::load_or_create(path);
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().code, Code::KEY_FILE);
  EXPECT_NE(identity.error().detail.find("0640"), std::string::npos);
}

}  // namespace
}  // namespace leat::crypto
