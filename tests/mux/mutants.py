#!/usr/bin/python3
"""Plants one bug at a time in the multiplexer and lets the simulation look for it.

  tests/mux/mutants.py BUILD [--seeds N] [NAME...]

BUILD is a directory for a copy of the sources and its build. Every bug must be found within N seeds
(2,000 unless said otherwise), and the sources as they are must pass as many. Found means that a seed failed,
aborted, crashed or hung, and was named with the command that replays it. A run that only misses something it
should have reached, ends without naming a seed, or has no end, has not found the bug. scripts/mutants calls
this.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

LEAST = 20  # bugs that a seed must find

# name: file in src/mux, what stands there (once), what stands there instead.
MUTANTS = {
    # Sent at most what was granted; credit neither lost nor made up.
    "credit-not-spent": ("window.cc", "  available_ -= n;", "  available_ -= n / 2;"),
    "credit-returned-twice": ("window.cc", "  held_ -= n;\n", "  held_ -= n;\n  promised_ -= n < promised_ ? n : 0;\n"),
    "grants-never-due": ("window.h", "grantable() >= target_ / 2 - limits::kMaxFrameBare", "grantable() > target_"),
    "growth-under-pressure": ("session_windows.cc", "!pool.reached(kStopGrowth) && ", ""),
    "share-not-returned": ("window_shares.cc", "  used_ -= n;\n", "  used_ -= n / 2;\n"),
    "share-without-bound": ("window_shares.cc", "std::min<std::size_t>(wanted, free())", "wanted"),
    # What is buffered stays within its budget, and is counted.
    "budget-ignored": ("block_pool.cc", "if (used_ + size > budget_) continue;", ""),
    "block-not-returned": ("block_pool.cc", "  used_ -= block->size;\n", "  used_ -= block->size / 2;\n"),
    "memory-not-leased": ("memory_share.cc", "      spare_ += lease;", "      spare_ += 2 * lease;"),
    "drop-miscounts": ("session_streams.cc", "  stats.buffered -= stream.buffer.size();\n", ""),
    "busy-stream-shed": ("holders.h", "        if (s->taken > since) continue;\n", ""),
    "reading-not-paused": ("session_receive.cc", "if (!feed_paused && pool.reached(kPauseFeed)) {", "if (false) {"),
    "pause-never-ends": ("session_receive.cc", "  if (!feed_paused || pool.reached(kResumeFeed)) return;", "  if (!feed_paused || pool.used() > 0) return;"),
    # Bytes exact, the end last, a reset final.
    "end-before-bytes": ("session_receive.cc", "if (may_receive(stream.state) || !stream.buffer.empty() || stream.delivering) return;", "if (may_receive(stream.state) || stream.delivering) return;"),
    "data-of-another-stream": ("session_receive.cc", "if (handle != gathered_for || gathered.full()) {", "if (gathered.full()) {"),
    "reset-before-data": ("session_receive.cc", "if (fault == Fatal::none && (header.flags != 0 || header.type == Type::go_away)) {", "if (fault == Fatal::none && header.type == Type::go_away) {"),
    "fin-before-payload": ("session_receive.cc", "const bool fin_later = data && header.has(flag::fin) && header.length > 0;", "const bool fin_later = false;"),
    "frames-after-reset": ("session_streams.cc", "    stream.owes = 0;\n    owe(stream, last);", "    owe(stream, last);"),
    "source-asked-after-end": ("session_send.cc", "  scheduler.suspend(stream);\n  owe(stream, owed::fin);", "  owe(stream, owed::fin);"),
    "detach-forgets-the-sink": ("session.cc", "  stream->sink = nullptr;\n", ""),
    # Whatever the chunks, the same events.
    "header-across-chunks": ("session_receive.cc", "n = std::min(kHeaderSize - partial_size, in.size());", "n = std::min(kHeaderSize - partial_size, std::min<std::size_t>(in.size(), 11));\n    if (n == 11) partial[0] = 1;"),
    "payload-across-chunks": ("session_receive.cc", "  payload.remaining -= static_cast<std::uint32_t>(chunk.size());", "  payload.remaining -= static_cast<std::uint32_t>(chunk.size() == 1 ? 1 : (chunk.size() | 1) <= payload.remaining ? (chunk.size() | 1) : chunk.size());"),
    # Acknowledged exactly once; what is not is given up, what is answered is not.
    "two-acknowledgements": ("session_send.cc", "      put(owed::ack, flag::ack, 0);\n", "      put(owed::ack, flag::ack, 0);\n      if (stream.id % 7 == 0) owe(stream, owed::ack);\n"),
    "refusal-not-sent": ("session_receive.cc", "if (!guard.reset(clock) || !control.refuse(header.id)) return Fatal::flood;", "if (!guard.reset(clock)) return Fatal::flood;"),
    "answer-overlooked": ("session_receive.cc", "  if (unanswered(stream.state)) List<Stream, OpeningTag>::unlink(stream);\n", "  if (unanswered(stream.state) && header.length > 0) List<Stream, OpeningTag>::unlink(stream);\n"),
    "second-ping": ("session_deadlines.cc", "if (over() || ping_outstanding) return;", "if (over()) return;"),
    "dead-while-bytes-arrive": ("session_deadlines.cc", "std::max(heard, ping_asked) + config.ping_timeout", "ping_asked + config.ping_timeout"),
    # Always progress, and announced.
    "wake-not-announced": ("session_send.cc", "  scheduler.wake(stream);\n  want();", "  scheduler.wake(stream);"),
    "parked-forgotten": ("scheduler.cc", "  while (Scheduled* const stream = parked_.back()) {\n", "  while (Scheduled* const stream = parked_.back()) {\n    if (stream->on_ == On::parked_old && pull_ % 8 == 1) {\n      Streams::unlink(*stream);\n      stream->on_ = On::none;\n      continue;\n    }\n"),
    "slot-not-freed": ("session_streams.cc", "stream.end_told && stream.owes == 0", "stream.end_told && stream.owes == 0 && stream.id % 5 != 0"),
    # A sparse stream is served first, once.
    "sparse-stream-waits": ("scheduler.cc", "  if (stream.deficit_ <= 0) return append_old(stream);\n", "  return append_old(stream);\n"),
    "served-twice-in-a-pull": ("scheduler.cc", "  stream.on_ = stream.on_ == On::old ? On::parked_old : On::parked_fresh;\n  parked_.push_back(stream);", "  (stream.on_ == On::old ? old_ : new_).push_back(stream);"),
    # The guard lets through what it allows and no more.
    "flood-let-through": ("abuse_guard.cc", "  if (full_at - now > capacity_) return false;\n", ""),
    "half-a-burst": ("abuse_guard.cc", "capacity_(period_ * rate.burst)", "capacity_(period_ * rate.burst / 2)"),
    "useful-frames-charged": ("abuse_guard.h", "useful >= limits::kFrameOverhead || waste_.take(limits::kFrameOverhead - useful, now)", "waste_.take(limits::kFrameOverhead, now)"),
    # What belongs to no stream leaves once and as it was.
    "pong-of-another-ping": ("control_queue.cc", "{Type::ping, flag::ack, 0, pongs_[pong_first_]}", "{Type::ping, flag::ack, 0, pongs_[0]}"),
    "go-away-again-and-again": ("control_queue.cc", "    go_away_.reset();\n", ""),
    "go-away-forgotten": ("control_queue.cc", "  if (go_away_ && room()) {", "  if (go_away_ && pong_count_ > 0 && room()) {"),
    "refusals-forgotten": ("control_queue.cc", "  if (refused_first_ == refused_.size()) {\n    refused_.clear();", "  if (refused_.size() > 1 || refused_first_ == refused_.size()) {\n    refused_.clear();"),
    # No id twice, and what a state does not list ends the session.
    "id-used-twice": ("id_history.h", "    used_.set(n % kRemembered);\n", ""),
    "ids-mixed-up": ("id_history.h", "const std::uint32_t n = id / 2;", "const std::uint32_t n = id / 4;"),
    "fin-ends-both-ways": ("stream_state.cc", "{none,    S::open,     S::open,     S::open,          S::peer_finished, S::closed,   none,       S::finished, ", "{none,    S::open,     S::open,     S::open,          S::closed, S::closed,   none,       S::finished, "),
    "data-after-fin": ("stream_state.cc", "{none,    none,        none,        S::peer_finished, none,", "{none,    none,        S::peer_finished, S::peer_finished, none,"),
    "fin-after-fin": ("stream_state.cc", "{none,    none,        none,        S::peer_finished, none,", "{none,    none,        none,        S::peer_finished, S::closed,"),
    # A stale handle reaches nothing.
    "generation-not-compared": ("stream_table.cc", "return slot.used && slot.generation == handle.generation ? &slot.stream() : nullptr;", "return slot.used ? &slot.stream() : nullptr;"),
}

SMALL_CMAKE = """cmake_minimum_required(VERSION 3.25)
project(mutants CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(absl REQUIRED)
file(GLOB mux src/mux/*.cc)
file(GLOB sim tests/mux/sim/*.cc)
add_executable(mux_sim ${mux} ${sim})
target_compile_options(mux_sim PRIVATE -O1 -w)
target_include_directories(mux_sim PRIVATE src tests)
target_link_libraries(mux_sim PRIVATE absl::flat_hash_map)
"""


def sh(*command, **more):
    return subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **more)


def build(place):
    done = sh("cmake", "--build", place / "build")
    if done.returncode:
        sys.exit(f"does not build:\n{done.stdout}")


def simulate(place, seeds):
    """Whether a seed found something, and the line that says what happened; None when nothing did."""
    try:
        done = sh(place / "build/mux_sim", "--seeds", seeds, "--failures", 1, timeout=900)
    except subprocess.TimeoutExpired:
        return False, "no end within 15 minutes"
    if done.returncode == 0:
        return None
    lines = done.stdout.splitlines()
    for line in lines:
        if re.match(r"seed \d+ ", line):
            return True, line
    for line in lines:
        if line.startswith("never reached"):
            return False, line
    return False, f"exit code {done.returncode}: {done.stdout.strip()[-200:]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("names", nargs="*")
    wanted = parser.parse_args()
    unknown = set(wanted.names) - set(MUTANTS)
    if unknown:
        sys.exit(f"no such bug: {', '.join(sorted(unknown))}")

    place = wanted.build
    for part in ("src/base", "src/mux", "tests/mux"):
        shutil.copytree(ROOT / part, place / part, dirs_exist_ok=True, copy_function=shutil.copyfile)
    (place / "CMakeLists.txt").write_text(SMALL_CMAKE)
    sh("cmake", "-G", "Ninja", "-S", place, "-B", place / "build", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
       if shutil.which("ccache") else "-DCMAKE_BUILD_TYPE=")
    build(place)
    outcome = simulate(place, wanted.seeds)
    if outcome:
        sys.exit(f"the sources as they are fail: {outcome[1]}")

    escaped = []
    for name in wanted.names or MUTANTS:
        file, old, new = MUTANTS[name]
        path = place / "src/mux" / file
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{name}: stands {text.count(old)} times in {file}: {old!r}")
        path.write_text(text.replace(old, new))
        build(place)
        outcome = simulate(place, wanted.seeds)
        path.write_text(text)
        found, how = outcome or (False, "nothing happened")
        print(f"{name:26} {'' if found else 'NOT FOUND: '}{how}", flush=True)
        if not found:
            escaped.append(name)
    found = len(wanted.names or MUTANTS) - len(escaped)
    print(f"{found} bugs found by a seed, {len(escaped)} not")
    return 1 if escaped or (not wanted.names and found < LEAST) else 0


if __name__ == "__main__":
    sys.exit(main())
