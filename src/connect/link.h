// A pairing link (docs/protocol.md §8.4): all that a device needs to find an agent, to know it, and
// to be let in once. It stands in the fragment of a URL, which no server is ever sent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "crypto/x25519.h"

namespace leat::connect {

// How an agent is known and reached; what remains of a link once it has been used.
struct Agent {
  crypto::X25519Key key;
  std::string tunnel;               // of kind sealed
  std::vector<std::string> relays;  // "wss://relay.example.com:443"
  std::vector<std::string> direct;  // "192.0.2.7:4443"
  std::string name;                 // for people
  std::string pin;                  // of the relay's key, 32 raw bytes, or empty
};

struct Link {
  Agent agent;
  std::string pairing;  // raw bytes, like the next
  Secret secret;
  std::int64_t ends = 0;  // seconds since 1970
};

inline constexpr std::string_view kFragment = "leat1=";

// `page`: what stands before the '#'.
std::string format(const Link& link, std::string_view page);
// Whether it looks like one: it has the fragment.
bool is_link(std::string_view text);
// BAD_LINK.
Result<Link> parse_link(std::string_view text);

}  // namespace leat::connect
