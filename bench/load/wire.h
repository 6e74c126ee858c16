// What the two ends of the load generator say to each other over whatever is being measured. A
// client's first bytes on a connection are a Request; what follows depends on its kind:
//
//   download  backend sends Content(seed) for ever
//   upload    client sends Content(seed) for ever; backend answers with the number of bytes it has
//             checked, 8 bytes each time, or kBroken when one was wrong
//   tokens    backend sends tokens: a TokenHead, then content; one every `every_us`
//   notes     client sends such tokens; backend answers each with a Receipt
//   echo      backend returns every byte
//   touch     backend answers with one byte and closes
//
// Both ends run on one machine, so all integers are in its byte order and all times its
// CLOCK_MONOTONIC, which network namespaces share.
#pragma once

#include <cstdint>
#include <limits>

namespace leat::bench {

enum class Kind : std::uint32_t { download, upload, tokens, notes, echo, touch };

struct Request {
  std::uint64_t magic = 0x6c6f61642f312e30;
  Kind kind = Kind::download;
  std::uint32_t sample = 1;  // Content's
  std::uint64_t seed = 0;
  std::uint32_t token_bytes = 0;  // including the head
  std::uint32_t every_us = 0;
};
static_assert(sizeof(Request) == 32);

struct TokenHead {
  std::uint64_t sequence = 0;  // from 0
  std::int64_t sent_ns = 0;    // when it came into being, not when it could be written
};
static_assert(sizeof(TokenHead) == 16);

struct Receipt {
  std::uint64_t sequence = 0;
  std::int64_t sent_ns = 0;
  std::int64_t received_ns = 0;
};
static_assert(sizeof(Receipt) == 24);

inline constexpr std::uint64_t kBroken = std::numeric_limits<std::uint64_t>::max();

}  // namespace leat::bench
