// Which host name leads where: the relay's own, those that every tunnel has below the relay's
// domain, and those that agents bring. A name of an agent's belongs to a credential, as a tunnel id
// does (store::Store::claim); here is only which tunnel it leads to now.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace leat::relay {

class Names {
 public:
  // As long as it lives, a name leads to a tunnel. Outlived by the Names it came from.
  class Hold {
   public:
    Hold(Names& names, std::string host, std::string tunnel);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Names& names_;
    const std::string host_, tunnel_;
  };

  // `domain` empty or an address: tunnels have no names below it. `own`: the relay's other names.
  void set(std::string domain, std::vector<std::string> own);

  // Hosts are as http::host_name() gives them: lower case, without port.
  // A request for such a host is the relay's to answer. Without a domain every host is the relay's,
  // which then cannot tell its own name from others.
  bool own(std::string_view host) const;
  bool has_domain() const { return !domain_.empty(); }
  bool below_domain(std::string_view host) const;
  // The tunnel that a host stands for, there or not; empty: of none.
  std::string tunnel(std::string_view host) const;
  std::string host_of(std::string_view tunnel) const { return std::string(tunnel) + '.' + domain_; }

  // Of several holds of one name the newest counts.
  std::unique_ptr<Hold> hold(std::string host, std::string tunnel) {
    return std::make_unique<Hold>(*this, std::move(host), std::move(tunnel));
  }

 private:
  std::string domain_;  // these two do not change once there are shards
  std::vector<std::string> own_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, std::vector<std::string>> held_;  // the tunnels, newest last
};

}  // namespace leat::relay
