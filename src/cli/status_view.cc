#include "cli/status_view.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "cli/terminal.h"
#include "cli/version.h"

namespace leat::cli {
namespace {

constexpr auto kEvery = std::chrono::milliseconds(250);
constexpr auto kNotice = std::chrono::minutes(1);  // for how long one is shown
constexpr double kSmooth = 0.3;  // the newest quarter of a second's share of a rate shown

template <typename... Args>
std::string format(const char* text, Args... args) {
  std::array<char, 256> out;
  const int n = std::snprintf(out.data(), out.size(), text, args...);
  return {out.data(), std::min(static_cast<std::size_t>(n), out.size() - 1)};
}

std::string bytes_text(double bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < kUnits.size(); ++unit) bytes /= 1000;
  return format(unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

std::string duration_text(std::chrono::seconds time) {
  const auto s = std::max<long long>(time.count(), 0);
  if (s < 60) return format("%lld s", s);
  if (s < 3600) return format("%lld min %02lld s", s / 60, s % 60);
  return format("%lld h %02lld min", s / 3600, s / 60 % 60);
}

// What a peer or a visitor says stays in its line and its column.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) out += c >= ' ' && c < 0x7f ? c : '?';
  return out;
}

class Lines {
 public:
  explicit Lines(const Frame& frame) : frame_(frame) {}

  void add(std::string text, std::string (*style)(std::string_view) = nullptr) {
    if (out_.size() + 1 >= frame_.height) return;
    if (text.size() >= frame_.width) text.resize(frame_.width > 0 ? frame_.width - 1 : 0);
    out_.push_back(style != nullptr ? style(text) : std::move(text));
  }
  std::vector<std::string> take() { return std::move(out_); }

 private:
  const Frame& frame_;
  std::vector<std::string> out_;
};

void add_tunnel(const agent::TunnelStatus& tunnel, Lines& lines) {
  for (const std::string& url : tunnel.urls) lines.add("  " + plain(url), bold);
  if (tunnel.urls.empty()) lines.add("  " + (tunnel.id.empty() ? "(a new id)" : plain(tunnel.id)));
  std::string service = "    " + plain(tunnel.target);
  if (tunnel.health != agent::Health::State::unknown) {
    service.append("  ").append(name(tunnel.health));
  }
  lines.add(service + "  the relay sees " + control::relay_sees(tunnel.kind));
  if (tunnel.health_error) lines.add("    " + plain(tunnel.health_error->text()));
  if (tunnel.error) lines.add("    not published: " + plain(tunnel.error->text()));
}

}  // namespace

std::vector<std::string> status_lines(const Frame& frame) {
  using State = agent::Status::State;
  const agent::Status& status = frame.status;
  Lines lines(frame);
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(frame.now - status.since);
  std::string head = version_line() + " agent   " + name(status.state) + " " +
                     duration_text(since) + "   relay " + status.relay;
  if (status.rtt > Duration(0)) {
    head += format("   rtt %.1f ms", std::chrono::duration<double, std::milli>(status.rtt).count());
  }
  lines.add(std::move(head), bold);
  lines.add(format("streams %zu   out %s/s   in %s/s   requests %llu", status.streams,
                   bytes_text(frame.out_rate).c_str(), bytes_text(frame.in_rate).c_str(),
                   static_cast<unsigned long long>(frame.request_count)));
  if (status.state != State::online && status.last_error) {
    lines.add(plain(status.last_error->text()));
  }
  if (status.notice && frame.now - status.noticed < kNotice) {
    lines.add("the relay says: " + plain(status.notice->text()), bold);
  }
  if (!frame.note.empty()) lines.add(plain(frame.note));
  for (const agent::TunnelStatus& tunnel : status.tunnels) add_tunnel(tunnel, lines);
  if (!frame.requests.empty()) lines.add("last requests", faint);
  for (const agent::RequestLine& request : frame.requests) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(request.took).count();
    lines.add(format("  %3d %-7s %8lld ms %9s%s  ", request.status, plain(request.method).c_str(),
                     static_cast<long long>(ms),
                     bytes_text(static_cast<double>(request.bytes)).c_str(),
                     request.whole ? "    " : " cut") +
              plain(request.path));
  }
  return lines.take();
}

bool StatusView::wanted() {
  const char* const term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && term != nullptr && *term != '\0' &&
         std::string_view(term) != "dumb" && log::format() != log::Format::json;
}

StatusView::StatusView(net::Shard& shard, const agent::Agent& agent)
    : shard_(shard), agent_(agent), timer_(shard, [this] { draw(); }) {
  if (::isatty(STDERR_FILENO) == 1) {
    // Log lines would be drawn over; whoever wants them sends them to a file.
    saved_stderr_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) {
      ::dup2(nowhere, STDERR_FILENO);
      ::close(nowhere);
    }
  }
  timer_.arm_in(Duration(0));
}

StatusView::~StatusView() {
  draw();  // how it ended
  if (saved_stderr_ < 0) return;
  ::dup2(saved_stderr_, STDERR_FILENO);
  ::close(saved_stderr_);
}

void StatusView::draw() {
  timer_.arm_in(kEvery);
  measure();
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    size.ws_col = 80;
    size.ws_row = 24;
  }
  const agent::RequestLog& requests = agent_.requests();
  const Frame frame{agent_.status(),
                    requests.last(),
                    requests.count(),
                    out_rate_,
                    in_rate_,
                    note_,
                    std::chrono::system_clock::now(),
                    size.ws_col,
                    size.ws_row};
  const std::vector<std::string> lines = status_lines(frame);
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\033[K\n");
  if (text == shown_) return;
  // Up to the first line of what is shown, over it, and away with what is left below.
  std::string out = lines_ > 0 ? "\033[" + std::to_string(lines_) + "A\r" : std::string();
  print(out.append(text).append("\033[J"));
  shown_ = std::move(text);
  lines_ = lines.size();
}

void StatusView::measure() {
  const agent::Status& status = agent_.status();
  const Time now = shard_.now();
  const double seconds =
      measured_ == kNever ? 0 : std::chrono::duration<double>(now - measured_).count();
  if (seconds > 0.05) {
    const auto rate = [&](double& smooth, std::uint64_t then, std::uint64_t is) {
      const double newest = static_cast<double>(is - std::min(then, is)) / seconds;
      smooth += kSmooth * (newest - smooth);
      if (smooth < 0.5) smooth = 0;
    };
    rate(out_rate_, sent_, status.bytes_sent);
    rate(in_rate_, received_, status.bytes_received);
  } else if (measured_ != kNever) {
    return;
  }
  measured_ = now;
  sent_ = status.bytes_sent;
  received_ = status.bytes_received;
}

}  // namespace leat::cli
