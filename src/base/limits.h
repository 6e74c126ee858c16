// The limits that the protocol has, that more than one file goes by or that an operator meets; what
// one file alone goes by is a constant of it. Sizes are bytes unless the name says otherwise;
// docs/flow_control.md tells what each buffer pauses when it is full and what resumes it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace leat::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t KiB = 1024;
inline constexpr std::size_t MiB = 1024 * KiB;
inline constexpr std::size_t GiB = 1024 * MiB;

// --- TLS and the link (docs/protocol.md §2) ---
inline constexpr std::size_t kTlsRecord = 16 * KiB;     // RFC 8446 §5.1: largest plaintext
inline constexpr std::size_t kChunkHeader = 3;          // u16 length, u8 kind
inline constexpr std::size_t kLogSlab = 64 * KiB;       // the replay log grows by these
inline constexpr std::size_t kLinkLog = 4 * MiB;        // unacknowledged data bytes, at most
inline constexpr std::size_t kLinkAckBytes = 64 * KiB;  // acknowledge after so many bytes …
inline constexpr auto kLinkAckDelay = 10ms;             // … or so long after the first of them
inline constexpr auto kLinkPingInterval = 2s;           // when nothing else was received
inline constexpr auto kLinkDead = 6s;                   // no byte for so long: the carrier is gone
inline constexpr auto kLinkStuck = 30s;                 // … or no ack of what was sent
inline constexpr auto kLinkHandshake = 10s;             // challenge to opened

// --- Multiplexer (docs/protocol.md §1) ---
inline constexpr std::uint32_t kInitialWindow = 256 * KiB;  // yamux: implicit, both directions
inline constexpr std::uint32_t kMaxWindow = 16 * MiB;       // growth stops here, per stream
inline constexpr std::size_t kMaxFrameNative = 16369;  // chunk and frame header fill one record
inline constexpr std::size_t kMaxFrameBare = 16 * KiB;
inline constexpr std::uint32_t kMaxStreamsNative = 32768;  // open at once, per session
inline constexpr std::uint32_t kMaxStreamsBare = 256;
inline constexpr std::size_t kSessionReceiveBudget = 16 * MiB;  // received and not yet delivered
inline constexpr std::size_t kSessionBudget = 32 * MiB;         // the one memory sum of a session
inline constexpr std::size_t kRelayBudget = 1 * GiB;
inline constexpr std::size_t kControlQueue = 64 * KiB;  // control frames waiting to be sent
inline constexpr auto kOpenTimeoutNative = 5s;          // SYN never acknowledged
inline constexpr auto kOpenTimeoutBare = 75s;
inline constexpr auto kPingIntervalBare = 5s;   // silence before we ask …
inline constexpr auto kPingTimeoutBare = 10s;   // … and after it
inline constexpr auto kWriteTimeoutBare = 30s;  // the carrier took nothing of what waits
inline constexpr std::size_t kPongs = 32;       // answers waiting; more go unanswered
inline constexpr auto kStalled = 5s;            // a receiver that took nothing for so long
inline constexpr auto kFeedPause = 5s;          // all streams of a session wait for slow ones
inline constexpr std::size_t kBlockCache = 256 * KiB;  // free receive blocks a session keeps

// What a peer may do at once and, sustained, per second (docs/protocol.md §1.7).
struct Rate {
  std::uint32_t burst;
  std::uint32_t per_second;
};
inline constexpr Rate kPeerOpens{2 * kMaxStreamsNative, 8192};
// Whatever may be open at once may end at once.
inline constexpr Rate kPeerResets{kMaxStreamsNative + 16384, 2048};
// What an agent takes from its relay, which has proved who it is and passes strangers on …
inline constexpr Rate kRelayOpens{4 * kMaxStreamsNative, 65536};
inline constexpr Rate kRelayResets{3 * kMaxStreamsNative, 16384};
// … and how many resets a relay lets strangers cause before it opens no stream for a while: with
// them, those of the streams that are open then, and those of kLinkDead that the network held up,
// it stays within kRelayResets.
inline constexpr Rate kRelayCaused{kMaxStreamsNative + 8192, 4096};
static_assert(kRelayCaused.burst + kMaxStreamsNative +
                  std::uint32_t{kLinkDead / 1s} * kRelayCaused.per_second <=
              kRelayResets.burst);
inline constexpr Rate kPeerPings{128, 16};
inline constexpr Rate kPeerWaste{8 * MiB, 4 * MiB};  // bytes of overhead, see kFrameOverhead
inline constexpr std::uint32_t kFrameOverhead =
    64;  // a frame that carries less is charged the rest

// --- Sockets ---
inline constexpr std::size_t kRing = 96 * KiB;    // records, per direction, while in use
inline constexpr std::size_t kHandshakes = 1000;  // TLS connections without a head, at most
inline constexpr std::size_t kHandshakesOfAddress = kHandshakes / 2;  // … from one address, or /64
inline constexpr std::size_t kClientHello = 32 * KiB;  // held before there is TLS state
// Nobody has a reason to make one so large. Nothing of it is held: what comes is passed on.
inline constexpr std::size_t kWebSocketMessage = 64 * MiB;
inline constexpr std::size_t kProxyHeader = 4 * KiB;  // of the PROXY protocol
inline constexpr auto kHandshakeTimeout = 10s;
inline constexpr auto kDialTimeout = 10s;
inline constexpr std::size_t kLookups = 16;  // names that are looked up at the same time

// --- Backoff of the agent ---
inline constexpr auto kBackoffShort = 2s;       // upper bound while the outage is short
inline constexpr auto kBackoffShortUntil = 5s;  // … that is, up to here
inline constexpr auto kBackoffLong = 15s;       // upper bound after

// --- Services behind the agent (docs/adr/0003-http-streams.md) ---
inline constexpr std::size_t kServicePool = 64;  // idle connections to one service
inline constexpr auto kServiceIdle = 2s;         // … each for so long
inline constexpr auto kHealthInterval = 10s;     // between two looks at a service that is up …
inline constexpr auto kHealthRetry = 2s;         // … and at one that is down
inline constexpr auto kHealthNews = 500ms;  // between two words of a service that comes and goes
inline constexpr auto kHealthTimeout = 5s;  // for the whole of one look

// --- HTTP (docs/protocol.md §5) ---
inline constexpr int kInterimHeads = 16;        // 1xx before a final head
inline constexpr std::size_t kHead = 64 * KiB;  // start line and fields
inline constexpr std::size_t kHeaderFields = 256;
inline constexpr std::size_t kTrailers = 16 * KiB;
inline constexpr std::size_t kChunkLine = 18;       // 16 hex digits and CRLF
inline constexpr std::size_t kForwardedChain = 32;  // addresses kept of those that proxies name
inline constexpr auto kHeadTimeout = 10s;
inline constexpr auto kIdleConnection = 75s;  // keep-alive, nothing asked
inline constexpr auto kFirstByte = 300s;      // request sent, nothing answered
inline constexpr auto kIdleBody = 600s;       // answer begun, nothing moves

// --- Control stream ---
inline constexpr std::size_t kControlMessage = 64 * KiB;
inline constexpr std::size_t kOpenStreamMessage = 4 * KiB;
inline constexpr auto kOpenReply = 15s;                   // longer than the agent's dial may take
inline constexpr std::size_t kControlTunnels = 1024;      // of one session, bound or asked for
inline constexpr std::size_t kSessionRules = 1 * MiB;     // for visitors, of all its tunnels
inline constexpr std::size_t kTunnelHosts = 16;           // names that one tunnel may bring
inline constexpr auto kLeastIdle = 1s;                    // what an agent may ask for a tunnel …
inline constexpr auto kMostIdle = 168h;                   // … instead of kFirstByte and kIdleBody
inline constexpr std::size_t kControlOutput = 512 * KiB;  // answers the agent has not read
inline constexpr std::size_t kTokenSessions = 64;         // of one credential, alive at once
inline constexpr std::size_t kOpenRoomSessions = 1024;    // of agents without a credential
inline constexpr std::size_t kTokenTunnels = 4096;        // ids that one credential may own …
inline constexpr Rate kTokenClaims{1024, 16};  // … how fast new ones are written down …
inline constexpr Rate kTokenWrites{64, 4};     // … and in how many waits for the disk

// All that a session holds (docs/flow_control.md). The table is at its largest with every stream
// open, at 320 bytes each; mux_memory_test measures what they take.
inline constexpr std::size_t kStreamTable = std::size_t{kMaxStreamsNative} * 320;
static_assert(kSessionReceiveBudget + kLinkLog + 2 * kRing + kControlQueue + kStreamTable +
                  kSessionRules + kControlOutput <=
              kSessionBudget);

// A session whose carrier was silent for longer is asked only where there is no other: pings bring
// a byte every 2 s.
inline constexpr auto kSilent = 3s;

inline constexpr Rate kRequestLines{20, 5};       // log lines on requests
inline constexpr std::size_t kRequestsKept = 8;   // the last ones, for the status view
inline constexpr std::size_t kRequestPath = 200;  // of a path in them

inline constexpr auto kDrain = 30s;
inline constexpr auto kReturnAfter = 60s;  // at most, whatever a Drain says

}  // namespace leat::limits
