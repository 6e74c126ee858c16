#include "load/body.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/limits.h"

namespace leat::bench {
namespace {

constexpr std::size_t kLongestHead = 16 * limits::KiB;

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// Of a head in lower case; "" when it is not there.
std::string_view field(std::string_view head, std::string_view name) {
  const std::string start = "\r\n" + std::string(name) + ":";
  const std::size_t at = head.find(start);
  if (at == head.npos) return {};
  std::string_view value = head.substr(at + start.size());
  value = value.substr(0, value.find("\r\n"));
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

}  // namespace

bool AnswerReader::read_line(Bytes& data) {
  while (!data.empty()) {
    line_.push_back(static_cast<char>(data.front()));
    data = data.subspan(1);
    if (!line_.ends_with("\r\n")) continue;
    line_.resize(line_.size() - 2);
    return true;
  }
  return false;
}

bool AnswerReader::read_head() {
  for (char& c : line_) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!line_.starts_with("http/1.1 200")) return false;
  chunked_ = field(line_, "transfer-encoding") == "chunked";
  if (!chunked_) {
    const auto length = number(field(line_, "content-length"), 10);
    if (!length) return false;
    left_ = *length;
  }
  state_ = chunked_ ? State::chunk_size : left_ > 0 ? State::body : State::complete;
  line_.clear();
  return true;
}

bool AnswerReader::feed(Bytes data, const Take& take) {
  while (!data.empty()) {
    switch (state_) {
      case State::head:
        line_.push_back(static_cast<char>(data.front()));
        data = data.subspan(1);
        if (line_.size() > kLongestHead || (line_.ends_with("\r\n\r\n") && !read_head()))
          return false;
        break;
      case State::body:
      case State::chunk: {
        const Bytes part = data.first(std::min<std::uint64_t>(left_, data.size()));
        if (!take(part)) return false;
        data = data.subspan(part.size());
        left_ -= part.size();
        if (left_ == 0) state_ = chunked_ ? State::chunk_end : State::complete;
        break;
      }
      case State::chunk_size:
        if (read_line(data)) {
          const auto size = number(std::string_view(line_).substr(0, line_.find(';')), 16);
          if (!size) return false;
          left_ = *size;
          state_ = left_ > 0 ? State::chunk : State::trailer;
          line_.clear();
        }
        break;
      case State::chunk_end:
        if (read_line(data)) {
          if (!line_.empty()) return false;
          state_ = State::chunk_size;
        }
        break;
      case State::trailer:
        if (read_line(data)) {
          if (line_.empty()) state_ = State::complete;
          line_.clear();
        }
        break;
      case State::complete:
        return false;
    }
  }
  return true;
}

}  // namespace leat::bench
