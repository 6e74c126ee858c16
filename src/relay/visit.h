// One visit to a tunnel that an agent serves, from the moment the relay looks at it to its end,
// when it becomes a row of the journal. Who knocks at what does not exist makes no visit: strangers
// cannot fill the log with names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "store/connection_log.h"

namespace leat::relay {

struct Context;

// What a log keeps of a request's target: the path without its query, at most 256 bytes, and each
// segment that may be a secret (long, with a digit or of mixed case, or with '=') as "…".
std::string path_for_log(std::string_view target);

class Visit {
 public:
  struct About {
    std::string_view kind, tunnel, owner, address, request_id;
    std::string_view method = {}, target = {};  // http and ws
  };
  Visit(Context& context, const About& about);
  // A visit that nobody ended was cut.
  ~Visit();
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  void set_owner(std::string_view owner) { row_.owner = owner; }
  // The answer has begun; the first call counts. `status`: 0 where there is none.
  void answered(int status);
  // From the visitor and to it, so far.
  void moved(std::uint64_t in, std::uint64_t out);
  // Why it is about to end; the first reason counts.
  void blame(Code code);
  // It goes on elsewhere, as another one: this leaves no row.
  void forget() { ended_ = true; }
  // In good order, unless something was blamed or `clean` is false.
  void end(bool clean = true);

 private:
  Context& context_;
  const Time began_;
  store::Connection row_;
  bool ended_ = false, answered_ = false;
};

}  // namespace leat::relay
