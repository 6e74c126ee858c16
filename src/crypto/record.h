// What both directions of a sealed channel agree on (docs/protocol.md §7.3): suites, record types,
// sizes, limits, and the reasons for which a channel dies. Sizes are bytes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace leat::crypto {

enum class Suite : std::uint8_t { aesgcm = 1, nacl = 2 };

// The first of `offered` (numbers, best first) that this version has; for the agent.
std::optional<Suite> choose_suite(Bytes offered);
// The agent's choice, if it was offered; for the client.
std::optional<Suite> accept_suite(std::uint8_t chosen, Bytes offered);

enum class RecordType : std::uint8_t { data = 1, rekey = 2, end = 3 };

inline constexpr std::size_t kLengthSize = 2;   // in front of each unit
inline constexpr std::size_t kInnerHeader = 3;  // type, content size; sealed
inline constexpr std::size_t kRecordOverhead = kLengthSize + kInnerHeader + 16;
inline constexpr std::size_t kMaxContent = 16 * 1024;  // with padding
inline constexpr std::size_t kMaxRecord = kRecordOverhead + kMaxContent;
inline constexpr std::size_t kEndContent = 8;
inline constexpr std::size_t kRekeyRecord = kRecordOverhead;              // without padding
inline constexpr std::size_t kEndRecord = kRecordOverhead + kEndContent;  // without padding

// Of one key of one direction.
inline constexpr std::uint64_t kKeyRecords = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kKeyBytes = std::uint64_t{1} << 30;  // content and padding
inline constexpr auto kKeyLife = std::chrono::hours(1);             // the sender's to keep

enum class Fault : std::uint8_t {
  none,
  // The peer's, or of whoever stands between (§7.4). The channel is dead.
  bad_length,
  not_authentic,
  bad_type,
  malformed,
  rekey_overdue,
  bad_count,
  after_end,
  exhausted,
  // Our own; nothing was sealed and the channel is as before.
  rekey_due,  // rekey() first
  ended,      // end() was sealed
  no_content,
  too_long,
  no_room,
  // The channel was moved away.
  gone,
};
std::string_view name(Fault fault);  // "bad_length"

}  // namespace leat::crypto
