#include "config/paths.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/environment.h"

namespace leat::config {
namespace {

using test::Variable;

// In a process of its own, as somebody else where this one is root; true if it is `want`.
bool is_default_of_user(const std::string& want, const char* leaf) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    ::_exit(default_state_dir(leaf) == want ? 0 : 1);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

TEST(StateDir, OfAUserFollowsXdg) {
  const Variable home("HOME", "/a-user");
  {
    const Variable state("XDG_STATE_HOME", nullptr);
    EXPECT_TRUE(is_default_of_user("/a-user/.local/state/leat", ""));
    EXPECT_TRUE(is_default_of_user("/a-user/.local/state/leat/agent", "agent"));
  }
  {
    const Variable state("XDG_STATE_HOME", "/elsewhere");
    EXPECT_TRUE(is_default_of_user("/elsewhere/leat", ""));
    EXPECT_TRUE(is_default_of_user("/elsewhere/leat/agent", "agent"));
  }
  {
    const Variable state("XDG_STATE_HOME", "relative");
    EXPECT_TRUE(is_default_of_user("/a-user/.local/state/leat", ""));
  }
}

TEST(StateDir, OfRootFollowsXdgOnlyWhereItIsSet) {
  const Variable home("HOME", "/root");
  const Variable state("XDG_STATE_HOME", "/elsewhere");
  EXPECT_EQ(default_state_dir("relay"), "/elsewhere/leat/relay");
}

TEST(StateDir, WithoutAHomeIsTheSystems) {
  const Variable home("HOME", nullptr);
  const Variable state("XDG_STATE_HOME", nullptr);
  EXPECT_EQ(default_state_dir(), "/var/lib/leat");
  EXPECT_EQ(default_state_dir("relay"), "/var/lib/leat/relay");
}

}  // namespace
}  // namespace leat::config
