// One client's connection to the sample server, request by request.
//
//                 head complete        body complete          answer sent
//   ─▶ head ────────────────▶ body ────────────────▶ answer ─────────────▶ head (keep-alive)
//        │ malformed             │ malformed, too large  │ not keep-alive
//        └───────────────────────┴───────────────────────┴──▶ linger ──▶ closed
//
// A client that goes away while its answer is being made ends the making.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/dechunk.h"
#include "cli/sample_api.h"
#include "cli/sample_server.h"
#include "http/head.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/transport.h"

namespace leat::cli {

class SampleServer::Connection final : private net::TransportOwner {
 public:
  Connection(SampleServer& server, std::unique_ptr<net::Transport> transport);

  bool generating() const { return generation_.has_value(); }
  bool waiting() const { return paused_; }
  // The current answer is the last; an idle connection closes at once.
  void drain();

 private:
  enum class Phase : std::uint8_t { head, body, answer, linger };
  enum class Step : std::uint8_t { on, wait, closed };

  void on_transport() override { advance(); }
  void advance();
  Step read_head();
  Step read_body();
  Step watch_answer();
  Step linger();
  Step close();

  void begin(http::Request request);
  void respond();
  void send(const SampleAnswer& answer);
  void refuse(const SampleAnswer& answer);  // and close
  void begin_generation(Generation generation);
  void generate();
  void end_answer();
  std::string head(int status, std::string_view type) const;
  void write(std::string_view text) { writer_.write(*transport_, text); }

  SampleServer& server_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  Phase phase_ = Phase::head;
  http::Request request_;
  Dechunker content_;
  std::string body_;
  std::optional<Generation> generation_;
  bool paused_ = false;    // the client reads more slowly than we generate
  bool answered_ = false;  // all of the answer is written, some of it perhaps only queued
  bool last_ = false;      // no keep-alive after this answer
  Time next_token_ = kNever;
  net::Timer pace_;
  net::Timer deadline_;
};

}  // namespace leat::cli
