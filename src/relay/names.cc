#include "relay/names.h"

#include <algorithm>
#include <utility>

#include "base/names.h"

namespace leat::relay {
namespace {

bool is_address(std::string_view host) {
  return host.find(':') != host.npos || host.find_first_not_of("0123456789.") == host.npos;
}

}  // namespace

Names::Hold::Hold(Names& names, std::string host, std::string tunnel)
    : names_(names), host_(std::move(host)), tunnel_(std::move(tunnel)) {
  const std::lock_guard lock(names_.mutex_);
  names_.held_[host_].push_back(tunnel_);
}

Names::Hold::~Hold() {
  const std::lock_guard lock(names_.mutex_);
  const auto found = names_.held_.find(host_);
  std::vector<std::string>& tunnels = found->second;
  tunnels.erase(std::ranges::find(tunnels, tunnel_));
  if (tunnels.empty()) names_.held_.erase(found);
}

void Names::set(std::string domain, std::vector<std::string> own) {
  if (!is_address(domain)) domain_ = std::move(domain);
  own_ = std::move(own);
}

bool Names::own(std::string_view host) const {
  return domain_.empty() || host.empty() || is_address(host) || host == domain_ ||
         host == "localhost" || std::ranges::find(own_, host) != own_.end();
}

bool Names::below_domain(std::string_view host) const {
  return !domain_.empty() && host.size() > domain_.size() && host.ends_with(domain_) &&
         host[host.size() - domain_.size() - 1] == '.';
}

std::string Names::tunnel(std::string_view host) const {
  if (below_domain(host)) {
    const std::string_view label = host.substr(0, host.size() - domain_.size() - 1);
    return valid_tunnel_id(label) ? std::string(label) : std::string();
  }
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(std::string(host));
  return found == held_.end() ? std::string() : found->second.back();
}

}  // namespace leat::relay
