#include "control/policy.h"

#include <algorithm>

#include "control/convert.h"
#include "proto/control.pb.h"

namespace leat::control {
namespace {

constexpr std::size_t kEntries = 256;  // of each list
constexpr std::size_t kText = 255;     // of a name, network, audience or issuer
constexpr std::size_t kKeyText = 16384;

using Wire = google::protobuf::RepeatedPtrField<proto::VisitorCredential>;

void write(const std::vector<VisitorPolicy::Named>& list, Wire& out) {
  for (const VisitorPolicy::Named& each : list) {
    proto::VisitorCredential& credential = *out.Add();
    credential.set_name(printable(each.name, kText));
    credential.set_hash(std::string(as_chars(each.hash)));
  }
}

bool read(const Wire& list, std::vector<VisitorPolicy::Named>& out) {
  if (static_cast<std::size_t>(list.size()) > kEntries) return false;
  for (const proto::VisitorCredential& each : list) {
    VisitorPolicy::Named& named = out.emplace_back();
    if (each.hash().size() != named.hash.size() || each.name().size() > kText) return false;
    std::ranges::copy(each.hash(), named.hash.begin());
    named.name = printable(each.name(), kText);
  }
  return true;
}

}  // namespace

void to_wire(const VisitorPolicy& policy, proto::Bind& bind) {
  if (policy.empty()) return;
  proto::Access& access = *bind.mutable_access();
  write(policy.tokens, *access.mutable_tokens());
  write(policy.users, *access.mutable_users());
  access.set_jwt_keys(std::string(policy.jwt_keys.reveal()));
  access.set_jwt_audience(policy.jwt_audience);
  access.set_jwt_issuer(policy.jwt_issuer);
  for (const std::string& network : policy.allow) access.add_allow(network);
}

Result<VisitorPolicy> policy_from_wire(const proto::Bind& bind) {
  VisitorPolicy out;
  if (!bind.has_access()) return out;
  const proto::Access& access = bind.access();
  const bool good = read(access.tokens(), out.tokens) && read(access.users(), out.users) &&
                    access.jwt_keys().size() <= kKeyText && access.jwt_audience().size() <= kText &&
                    access.jwt_issuer().size() <= kText &&
                    static_cast<std::size_t>(access.allow_size()) <= kEntries;
  if (!good) return fail(Code::BAD_POLICY, "too many entries, too long, or no hash");
  out.jwt_keys = Secret(access.jwt_keys());
  out.jwt_audience = access.jwt_audience();
  out.jwt_issuer = access.jwt_issuer();
  for (const std::string& network : access.allow()) {
    if (network.size() > kText) return fail(Code::BAD_POLICY, "a network is too long");
    out.allow.push_back(network);
  }
  return out;
}

}  // namespace leat::control
