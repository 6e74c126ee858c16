// For longer than the 75 s in which other implementations want an opening acknowledged: a stream of
// either side, each used in one direction only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "interop/yamux_peer.h"

namespace leat::mux::interop {

// Bytes that come by the clock, 5,000 in a tenth of a second, each 5,000 the same.
struct Paced final : Source {
  Produced produce(MutableBytes out) override {
    const std::size_t ripe = std::min<std::size_t>(
        kTotal, 5000 * static_cast<std::size_t>((std::chrono::steady_clock::now() - begin) /
                                                std::chrono::milliseconds(100)));
    if (sent == kTotal) return Produced::end();
    const std::size_t n = std::min(out.size(), ripe - sent);
    if (n == 0) return Produced::not_ready();
    for (std::size_t i = 0; i < n; ++i) out[i] = content(1, sent + i);
    sent += n;
    return Produced::bytes(n);
  }
  static constexpr std::size_t kTotal = 800 * 5000;
  const Time begin = std::chrono::steady_clock::now();
  std::size_t sent = 0;
};

struct Counting final : Sink {
  std::size_t deliver(Bytes data) override {
    for (const std::uint8_t byte : data) correct = correct && byte == content(2, received++ % 5000);
    return data.size();
  }
  void end() override { ended = true; }
  void reset(ResetReason) override { correct = false; }
  std::size_t received = 0;
  bool ended = false, correct = true;
};

// The peer plays "one-way".
class YamuxOneWay : public YamuxInterop {
 protected:
  void eighty_seconds() {
    start("one-way");
    Paced upload;
    PatternSink nothing(1);
    Counting download;
    PatternSource no_answer(1, 0, false);
    const StreamHandle ours = open(&upload, &nothing);
    peer->accept = [&](StreamHandle s) { peer->session().attach(s, &no_answer, &download); };
    ASSERT_TRUE(peer->run_until(
        [&] {
          peer->session().wake(ours);
          return nothing.ended && download.ended;
        },
        std::chrono::seconds(110)));
    EXPECT_TRUE(download.correct && !nothing.was_reset);
    EXPECT_EQ(download.received, Paced::kTotal);
    EXPECT_EQ(upload.sent, Paced::kTotal);
    no_answer.ends = true;
    peer->session().wake(peer->opened[0]);
    ASSERT_TRUE(all_closed());
    peer->tell();
  }
};

}  // namespace leat::mux::interop
