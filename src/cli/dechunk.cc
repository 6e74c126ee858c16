#include "cli/dechunk.h"

#include <algorithm>

namespace leat::cli {
namespace {

unsigned hex_value(char digit) {
  if (digit <= '9') return static_cast<unsigned>(digit - '0');
  return static_cast<unsigned>((digit | 0x20) - 'a') + 10;
}

}  // namespace

void Dechunker::feed(std::string_view framed, std::string& content) {
  while (!framed.empty()) {
    std::size_t used = 1;
    switch (state_) {
      case State::plain:
        used = framed.size();
        content.append(framed);
        break;
      case State::size:
        if (framed[0] == '\r') {
          state_ = State::size_end;
        } else {
          left_ = left_ << 4 | hex_value(framed[0]);
        }
        break;
      case State::size_end:
        state_ = left_ == 0 ? State::trailer : State::data;
        break;
      case State::data:
        used = static_cast<std::size_t>(std::min<std::uint64_t>(left_, framed.size()));
        content.append(framed.substr(0, used));
        left_ -= used;
        if (left_ == 0) state_ = State::data_end;
        break;
      case State::data_end:
        if (framed[0] == '\n') state_ = State::size;
        break;
      case State::trailer:
        used = framed.size();
        break;
    }
    framed.remove_prefix(used);
  }
}

}  // namespace leat::cli
