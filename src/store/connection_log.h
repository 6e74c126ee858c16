// What came through a relay: one row for each exchange or connection of a visitor, kept for some
// days in a database of its own (docs/adr/0020). Rows are handed over without waiting and written
// by a thread, so that no disk, however slow or full, holds up a relay's traffic; what it cannot
// take is dropped and counted. Nothing here decides on anything: the file may be removed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace leat::store {

using Milliseconds = std::chrono::sys_time<std::chrono::milliseconds>;

struct Connection {
  std::int64_t id = 0;  // given by the log; rises with the time of the end
  Milliseconds began{};
  std::chrono::milliseconds duration{0};
  std::optional<std::chrono::milliseconds> first_byte;  // of the answer, after the beginning
  std::string request_id, tunnel, owner;
  std::string address;       // the visitor's, without port
  std::string kind;          // http, ws, tcp, tls, sealed
  std::string method, path;  // http and ws; see path_for_log() in relay/visit.h
  int status = 0;            // of http; 0: none was sent
  std::string reason;        // why it did not end in good order: a code; empty: it did
  std::uint64_t bytes_in = 0, bytes_out = 0;  // from the visitor, to it
};

struct ConnectionQuery {
  std::string tunnel;   // that one
  std::string address;  // it begins with this
  std::string text;     // in any column, without regard to the case of ASCII letters
  std::optional<Milliseconds> since, until;  // it began at or after, before
  std::int64_t before = 0;                   // ids below this one; 0: from the newest
  std::size_t limit = 100;                   // at most kConnectionPage
};
inline constexpr std::size_t kConnectionPage = 500;

struct ConnectionPage {
  std::vector<Connection> rows;  // the newest first
  // To go on from: `before` of the next query; 0: there is no more. One call looks at a bounded
  // number of rows, so that a page may be short, or empty, and have a next one.
  std::int64_t next = 0;
};

class ConnectionLog {
 public:
  struct Retention {
    std::chrono::days days{14};
    std::uint64_t rows = 200'000;
  };
  // Rows that wait for the disk; beyond, they are dropped.
  static constexpr std::size_t kWaiting = 16'384;

  // STORE: the file cannot be made or is not such a log.
  static Result<std::unique_ptr<ConnectionLog>> open(const std::string& path, Retention retention);
  // Writes what waits, or gives it up if it cannot be written now.
  virtual ~ConnectionLog() = default;

  // From any thread; all else from the one that opened the log.
  virtual void add(Connection connection) = 0;
  virtual Result<ConnectionPage> find(const ConnectionQuery& query) = 0;
  // Returns when what was added has been written or could not be, and retention has been applied.
  virtual void flush() = 0;
  virtual std::uint64_t dropped() const = 0;
  // Why the last attempt to write failed; nullopt: it did not.
  virtual std::optional<Error> failure() const = 0;
};

}  // namespace leat::store
