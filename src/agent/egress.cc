#include "agent/egress.h"

#include "base/log.h"

namespace leat::agent {

void Egress::health_changed() {
  if (!pace_.armed()) tell();
}

void Egress::tell() {
  told_ = health.state();
  pace_.arm_in(limits::kHealthNews);
  const std::string target = service.target_text();
  if (health.state() == Health::State::down) {
    was_down_ = true;
    log::write(log::Level::warn, "service.down", *health.why(),
               {{"tunnel", id}, {"target", target}});
  } else if (std::exchange(was_down_, false)) {
    log::info("service.up", {{"tunnel", id}, {"target", target}});
  }
  if (on_health_) on_health_(*this);
}

}  // namespace leat::agent
