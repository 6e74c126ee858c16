// leat_link: carries IP packets between two TUN devices as a path with delay, loss, reordering and
// a bottleneck would. The devices are made by whoever starts it (network.py), in whose namespace it
// runs. Ends at SIGTERM with what it did as JSON.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "link/emulator.h"

namespace leat::bench {
namespace {

constexpr std::size_t kMtu = 1500;
constexpr int kBatch = 32;  // packets from one device before the other is looked at

volatile std::sig_atomic_t stopping = 0;

std::int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

int open_tun(const std::string& name) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -1;
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  ::close(fd);
  return -1;
}

struct Packet {
  std::int64_t leaves;
  std::uint64_t order;  // those that leave at the same time keep theirs
  std::vector<std::uint8_t> bytes;
  bool operator>(const Packet& other) const {
    return leaves != other.leaves ? leaves > other.leaves : order > other.order;
  }
};

class Direction {
 public:
  Direction(int from, int to, const PathConfig& config) : from_(from), to_(to), path_(config) {}

  void receive() {
    for (int i = 0; i < kBatch; ++i) {
      const ssize_t n = ::read(from_, buffer_.data(), buffer_.size());
      if (n <= 0) return;
      const auto size = static_cast<std::size_t>(n);
      if (const auto leaves = path_.pass(now_ns(), size)) {
        queue_.push({*leaves, order_++, {buffer_.begin(), buffer_.begin() + n}});
      }
    }
  }
  // Returns when the next packet leaves.
  std::int64_t release() {
    while (!queue_.empty()) {
      const Packet& packet = queue_.top();
      if (packet.leaves > now_ns()) return packet.leaves;
      if (::write(to_, packet.bytes.data(), packet.bytes.size()) < 0) ++refused_;
      queue_.pop();
    }
    return INT64_MAX;
  }
  void print(const char* name) const {
    const PathCounts& c = path_.counts();
    std::printf(
        "\"%s\":{\"passed\":%llu,\"lost\":%llu,\"dropped\":%llu,\"reordered\":%llu,"
        "\"refused\":%llu}",
        name, static_cast<unsigned long long>(c.passed), static_cast<unsigned long long>(c.lost),
        static_cast<unsigned long long>(c.dropped), static_cast<unsigned long long>(c.reordered),
        static_cast<unsigned long long>(refused_));
  }

 private:
  int from_, to_;
  Path path_;
  std::array<std::uint8_t, 2 * kMtu> buffer_;
  std::uint64_t order_ = 0, refused_ = 0;
  std::priority_queue<Packet, std::vector<Packet>, std::greater<>> queue_;
};

int run(const std::string& left, const std::string& right, const PathConfig& config) {
  const int a = open_tun(left), b = open_tun(right);
  if (a < 0 || b < 0) {
    std::perror("TUN device");
    return 1;
  }
  PathConfig back = config;
  back.seed = ~config.seed;
  Direction there(a, b, config), here(b, a, back);
  std::puts("{\"ready\":true}");
  std::fflush(stdout);
  while (!stopping) {
    const std::int64_t next = std::min(there.release(), here.release());
    const std::int64_t wait = std::clamp<std::int64_t>(next - now_ns(), 0, 100'000'000);
    const timespec timeout{.tv_sec = 0, .tv_nsec = wait};
    std::array<pollfd, 2> items{pollfd{a, POLLIN, 0}, pollfd{b, POLLIN, 0}};
    if (::ppoll(items.data(), items.size(), &timeout, nullptr) <= 0) continue;
    there.receive();
    here.receive();
  }
  std::printf("{");
  there.print("there");
  std::printf(",");
  here.print("back");
  std::printf("}\n");
  return 0;
}

}  // namespace
}  // namespace leat::bench

int main(int argc, char** argv) {
  leat::bench::PathConfig config;
  std::string left, right;
  CLI::App app("Carries packets between two TUN devices with delay, loss and a bottleneck.");
  app.add_option("left", left, "TUN device")->required();
  app.add_option("right", right, "TUN device")->required();
  app.add_option("--delay-ms", config.delay_ms, "each way");
  app.add_option("--rate-mbit", config.rate_mbit, "each way; 0: not limited");
  app.add_option("--queue-ms", config.queue_ms, "drop-tail, at that rate");
  app.add_option("--loss", config.loss, "share of packets")->check(CLI::Range(0.0, 1.0));
  app.add_option("--reorder", config.reorder, "share of packets")->check(CLI::Range(0.0, 1.0));
  app.add_option("--reorder-late-ms", config.reorder_late_ms, "by how much they are late");
  app.add_option("--seed", config.seed);
  CLI11_PARSE(app, argc, argv);
  struct sigaction action {};
  action.sa_handler = [](int) { leat::bench::stopping = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  return leat::bench::run(left, right, config);
}
