#include "mux/frame.h"

#include "base/bytes.h"

namespace leat::mux {

void encode(const Header& header, std::uint8_t* out) {
  out[0] = 0;  // version
  out[1] = static_cast<std::uint8_t>(header.type);
  store_be16(out + 2, header.flags);
  store_be32(out + 4, header.id);
  store_be32(out + 8, header.length);
}

Fatal decode(const std::uint8_t* in, Header& header) {
  if (in[0] != 0) return Fatal::bad_version;
  if (in[1] > static_cast<std::uint8_t>(Type::go_away)) return Fatal::bad_type;
  const auto type = static_cast<Type>(in[1]);
  const std::uint16_t flags = load_be16(in + 2);
  const std::uint32_t id = load_be32(in + 4);

  constexpr std::uint16_t all = flag::syn | flag::ack | flag::fin | flag::rst;
  constexpr std::uint16_t both = flag::syn | flag::ack;
  if ((flags & ~all) != 0 || (flags & both) == both) return Fatal::bad_flags;
  const bool of_stream = type == Type::data || type == Type::window_update;
  if (type == Type::ping && flags != flag::syn && flags != flag::ack) return Fatal::bad_flags;
  if (type == Type::go_away && flags != 0) return Fatal::bad_flags;
  if (of_stream != (id != 0)) return Fatal::bad_stream_id;

  header = {type, flags, id, load_be32(in + 8)};
  return Fatal::none;
}

}  // namespace leat::mux
