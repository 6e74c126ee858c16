#include "cli/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leat::cli {
namespace {

using testing::HasSubstr;

TEST(Advice, APortBelow1024NeedsMoreThanAnotherAddress) {
  const Advice advice = advise({Code::LISTEN, "[::]:443: Permission denied"}, "/s");
  EXPECT_EQ(advice.error.code, Code::LISTEN);
  EXPECT_THAT(advice.next, HasSubstr("sudo setcap cap_net_bind_service=+ep"));
  EXPECT_THAT(advice.next, HasSubstr("--listen :8443"));
  EXPECT_EQ(advise({Code::LISTEN, "[::]:443: Address already in use"}, "/s").next, "");
}

TEST(Advice, ADirectoryOfAnotherUserIsNoDamagedDatabase) {
  for (const Error& error : {Error{Code::STORE, "/s/leat.db: Permission denied"},
                             Error{Code::STORE, "/s/leat.db: attempt to write a readonly database"},
                             Error{Code::STATE_DIR, "/s: Permission denied"}}) {
    const Advice advice = advise(error, "/s");
    EXPECT_EQ(advice.error.code, Code::STATE_DIR) << error.detail;
    EXPECT_EQ(advice.error.detail, "/s: Permission denied");
    EXPECT_THAT(advice.next, HasSubstr("sudo"));
  }
  const Advice damaged = advise({Code::STORE, "/s/leat.db: file is not a database"}, "/s");
  EXPECT_EQ(damaged.error.code, Code::STORE);
  EXPECT_EQ(damaged.next, "");
}

}  // namespace
}  // namespace leat::cli
