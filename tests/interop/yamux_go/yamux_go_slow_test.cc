// Against hashicorp/yamux: what only shows after 75 s.

#include "interop/one_way.h"

namespace leat::mux::interop {
namespace {

class YamuxGoSlow : public YamuxOneWay, public testing::WithParamInterface<Role> {
 protected:
  std::vector<std::string> command() const override { return {LEAT_YAMUX_GO_PEER}; }
  Role role() const override { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(As, YamuxGoSlow, testing::Values(Role::client, Role::server),
                         [](const auto& role) {
                           return std::string(role.param == Role::client ? "Client" : "Server");
                         });

TEST_P(YamuxGoSlow, EightySecondsInOneDirection) { eighty_seconds(); }

}  // namespace
}  // namespace leat::mux::interop
