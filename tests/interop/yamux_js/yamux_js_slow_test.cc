// Against two yamux from npm: what only shows after 75 s.

#include "interop/one_way.h"
#include "interop/yamux_js/node_peer.h"

namespace leat::mux::interop {
namespace {

class YamuxNodeSlow : public YamuxOfNode<YamuxOneWay> {};

INSTANTIATE_TEST_SUITE_P(As, YamuxNodeSlow,
                         testing::Combine(testing::Values(Impl::libp2p, Impl::yamux_js), kRoles),
                         param_name);

TEST_P(YamuxNodeSlow, EightySecondsInOneDirection) { eighty_seconds(); }

}  // namespace
}  // namespace leat::mux::interop
