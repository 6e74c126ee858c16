#include "relay/visit.h"

#include <algorithm>
#include <utility>

#include "relay/context.h"

namespace leat::relay {
namespace {

constexpr std::size_t kPath = 256;
constexpr std::size_t kPlainSegment = 15, kLongestSegment = 48;  // characters
constexpr std::string_view kHidden = "…";

bool may_be_secret(std::string_view segment) {
  if (segment.size() > kLongestSegment || segment.find('=') != segment.npos) return true;
  if (segment.size() <= kPlainSegment) return false;
  const auto has = [&](char low, char high) {
    return std::ranges::any_of(segment, [&](char c) { return low <= c && c <= high; });
  };
  return has('0', '9') || (has('a', 'z') && has('A', 'Z'));
}

std::chrono::milliseconds whole(Duration time) {
  return std::chrono::floor<std::chrono::milliseconds>(time);
}

}  // namespace

std::string path_for_log(std::string_view target) {
  std::string_view rest = target.substr(0, target.find_first_of("?#"));
  std::string out;
  while (!rest.empty() && out.size() < kPath) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, end);
    out += may_be_secret(segment) ? kHidden : segment;
    if (end < rest.size()) out += '/';
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!rest.empty()) out += kHidden;
  return out;
}

Visit::Visit(Context& context, const About& about)
    : context_(context), began_(context.shard.now()) {
  row_.began = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  row_.kind = about.kind;
  row_.tunnel = about.tunnel;
  row_.owner = about.owner;
  row_.address = about.address;
  row_.request_id = about.request_id;
  row_.method = about.method;
  if (context.options.connection_paths) row_.path = path_for_log(about.target);
}

Visit::~Visit() { end(false); }

void Visit::answered(int status) {
  if (std::exchange(answered_, true)) return;
  const Duration after = context_.shard.now() - began_;
  row_.first_byte = whole(after);
  row_.status = status;
  if (status == 101) row_.kind = "ws";
  context_.journal.answered(after);
}

void Visit::moved(std::uint64_t in, std::uint64_t out) {
  row_.bytes_in = in;
  row_.bytes_out = out;
}

void Visit::blame(Code code) {
  if (row_.reason.empty()) row_.reason = info(code).name;
}

void Visit::end(bool clean) {
  if (std::exchange(ended_, true)) return;
  if (!clean && row_.reason.empty()) row_.reason = "cut";
  row_.duration = whole(context_.shard.now() - began_);
  context_.journal.add(std::move(row_));
}

}  // namespace leat::relay
