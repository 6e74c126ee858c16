// The peer of Node: which yamux it plays, and in which role.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include "interop/yamux_peer.h"

namespace leat::mux::interop {

enum class Impl { libp2p, yamux_js };

template <typename Base>
class YamuxOfNode : public Base, public testing::WithParamInterface<std::tuple<Impl, Role>> {
 protected:
  std::vector<std::string> command() const override {
    return {LEAT_NODE, LEAT_YAMUX_JS_PEER, "-impl", impl() == Impl::libp2p ? "libp2p" : "yamux-js"};
  }
  Role role() const override { return std::get<Role>(this->GetParam()); }
  Impl impl() const { return std::get<Impl>(this->GetParam()); }
};

inline const auto kRoles = testing::Values(Role::client, Role::server);
inline std::string param_name(const testing::TestParamInfo<std::tuple<Impl, Role>>& info) {
  const auto [impl, role] = info.param;
  return std::string(impl == Impl::libp2p ? "Libp2p" : "YamuxJs") +
         (role == Role::client ? "Client" : "Server");
}

}  // namespace leat::mux::interop
