#include "base/calendar.h"

#include <array>
#include <ctime>

namespace leat {
namespace {

// Rounded down, also before 1970.
std::string text(TimeOfDay when, const char* format) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(when));
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 40> out;
  return {out.data(), std::strftime(out.data(), out.size(), format, &utc)};
}

}  // namespace

std::string http_date(TimeOfDay when) { return text(when, "%a, %d %b %Y %H:%M:%S GMT"); }

std::string rfc3339(TimeOfDay when) { return text(when, "%Y-%m-%dT%H:%M:%SZ"); }

std::string rfc3339_micros(TimeOfDay when) {
  const auto part = when - std::chrono::floor<std::chrono::seconds>(when);
  const std::string digits =
      std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(part).count());
  return text(when, "%Y-%m-%dT%H:%M:%S.") + std::string(6 - digits.size(), '0') + digits + 'Z';
}

std::string day_and_minute(TimeOfDay when) { return text(when, "%Y-%m-%d %H:%M"); }

}  // namespace leat
