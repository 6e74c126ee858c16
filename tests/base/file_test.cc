#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temp_dir.h"

namespace leat {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

std::size_t entries(const std::string& directory) {
  const std::filesystem::directory_iterator all(directory);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(File, WritesReplacesAndReads) {
  const test::TempDir dir;
  const std::string path = dir / "state.json";
  ASSERT_TRUE(write_file(path, "one", 0644, Code::STATE_DIR));
  EXPECT_EQ(read_file(path, Code::STATE_DIR).value(), "one");
  EXPECT_EQ(mode_of(path), 0644u);
  ASSERT_TRUE(write_file(path, std::string_view("t\0wo", 4), 0600, Code::STATE_DIR));
  EXPECT_EQ(read_file(path, Code::STATE_DIR).value(), std::string("t\0wo", 4));
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(entries(dir.path()), 1u) << "a temporary file was left behind";
}

TEST(File, WhatAKilledWriterLeftIsUsedAgain) {
  const test::TempDir dir;
  const std::string path = dir / "state.json", left = path + ".tmp";
  std::ofstream(left) << "half of something longer";
  ASSERT_TRUE(write_file(path, "whole", 0600, Code::STATE_DIR));
  EXPECT_EQ(read_file(path, Code::STATE_DIR).value(), "whole");
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(entries(dir.path()), 1u);

  // Another that is at it now is not disturbed …
  std::ofstream(left) << "theirs";
  const int theirs = ::open(left.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(theirs, LOCK_EX), 0);
  ASSERT_TRUE(write_file(path, "ours", 0600, Code::STATE_DIR));
  EXPECT_EQ(read_file(path, Code::STATE_DIR).value(), "ours");
  EXPECT_EQ(read_file(left, Code::STATE_DIR).value(), "theirs");
  ::close(theirs);
  // … nor is what the name leads to, or stands for as well.
  std::filesystem::remove(left);
  std::filesystem::create_hard_link(path, left);
  ASSERT_TRUE(write_file(dir / "other", "x", 0600, Code::STATE_DIR));
  ASSERT_TRUE(create_file(path, "new", 0600, Code::STATE_DIR));
  EXPECT_EQ(read_file(path, Code::STATE_DIR).value(), "ours");
}

TEST(File, CreateKeepsWhatIsThere) {
  const test::TempDir dir;
  const std::string path = dir / "key";
  EXPECT_EQ(create_file(path, "first", 0600, Code::KEY_FILE), true);
  EXPECT_EQ(create_file(path, "second", 0600, Code::KEY_FILE), false);
  EXPECT_EQ(read_file(path, Code::KEY_FILE).value(), "first");
  EXPECT_EQ(entries(dir.path()), 1u);
}

TEST(File, ErrorsNameThePathAndTheReason) {
  const test::TempDir dir;
  const std::string missing = dir / "none/file";
  const auto read = read_file(missing, Code::KEY_FILE);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::KEY_FILE);
  EXPECT_EQ(read.error().detail, missing + ": No such file or directory");
  EXPECT_EQ(write_file(missing, "", 0600, Code::STATE_DIR).error().code, Code::STATE_DIR);
  EXPECT_FALSE(create_file(missing, "", 0600, Code::STATE_DIR));
  EXPECT_EQ(read_file(dir.path(), Code::CONFIG_FILE).error().detail,
            dir.path() + ": is a directory");
  // A directory in the way of the rename; nothing temporary stays.
  std::filesystem::create_directories(dir / "taken/inside");
  EXPECT_FALSE(write_file(dir / "taken", "x", 0600, Code::STATE_DIR));
  EXPECT_EQ(entries(dir.path()), 1u);
}

TEST(File, SizeIsBounded) {
  const test::TempDir dir;
  const std::string path = dir / "large";
  ASSERT_TRUE(write_file(path, std::string(kSmallFile, 'x'), 0600, Code::CONFIG_FILE));
  EXPECT_EQ(read_file(path, Code::CONFIG_FILE).value().size(), kSmallFile);
  ASSERT_TRUE(write_file(path, std::string(kSmallFile + 1, 'x'), 0600, Code::CONFIG_FILE));
  EXPECT_FALSE(read_file(path, Code::CONFIG_FILE));
}

TEST(PrivateFile, IsForItsOwnerOnly) {
  const test::TempDir dir;
  const std::string path = dir / "token";
  for (const mode_t mode : {0600, 0400, 0700}) {
    ASSERT_TRUE(write_file(path, "secret", mode, Code::KEY_FILE));
    const auto got = read_private_file(path, Code::KEY_FILE);
    ASSERT_TRUE(got) << got.error().detail;
    EXPECT_EQ(got->reveal(), "secret");
  }
  for (const mode_t mode : {0640, 0604, 0644, 0660, 0610, 0601, 0666}) {
    ASSERT_TRUE(write_file(path, "secret", mode, Code::KEY_FILE));
    const auto got = read_private_file(path, Code::KEY_FILE);
    ASSERT_FALSE(got) << std::oct << mode;
    EXPECT_NE(got.error().detail.find("expected 0600"), std::string::npos) << got.error().detail;
  }
}

TEST(Directory, IsMadeWithItsParentsForTheOwnerOnly) {
  const test::TempDir dir;
  ASSERT_TRUE(make_directory(dir / "a/b/c", Code::STATE_DIR));
  for (const char* part : {"a", "a/b", "a/b/c"}) EXPECT_EQ(mode_of(dir / part), 0700u);
  EXPECT_TRUE(make_directory(dir / "a/b/c", Code::STATE_DIR));
  EXPECT_TRUE(make_directory(dir / "a/b/", Code::STATE_DIR));
  std::ofstream(dir / "file") << "x";
  EXPECT_FALSE(make_directory(dir / "file", Code::STATE_DIR));
  EXPECT_FALSE(make_directory(dir / "file/below", Code::STATE_DIR));
}

}  // namespace
}  // namespace leat
