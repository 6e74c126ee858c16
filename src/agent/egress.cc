#include "agent/egress.h"

#include "base/log.h"

namespace leat::agent {

void Egress::note_reached() {
  if (!std::exchange(down_, false)) return;
  log::info("service.up", {{"tunnel", id}, {"target", service.target_text()}});
}

void Egress::note_failure(const Error& error) {
  const auto level = std::exchange(down_, true) ? log::Level::debug : log::Level::warn;
  log::write(level, "service.down", error, {{"tunnel", id}, {"target", service.target_text()}});
}

}  // namespace leat::agent
