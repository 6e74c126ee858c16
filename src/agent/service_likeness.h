// Which services share the ids that relays make for them: those that agree in kind and target.
#pragma once

#include "agent/service.h"

namespace leat::agent {

inline bool like(const Service& a, const Service& b) {
  return a.kind == b.kind && a.target_text() == b.target_text();
}

}  // namespace leat::agent
