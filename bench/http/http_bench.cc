// What every exchange pays at each hop (head) and every byte at each end of a stream (body).
#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <string>

#include "base/limits.h"
#include "http/body.h"
#include "http/head.h"
#include "http/proxy.h"
#include "http/websocket.h"

namespace leat::http {
namespace {

// A browser's request, some 700 bytes in 14 fields.
const std::string kBrowser =
    "GET /v1/models?limit=20 HTTP/1.1\r\n"
    "Host: k3jd8f2ms9qx7wvb.relay.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://k3jd8f2ms9qx7wvb.relay.example.com/\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "If-None-Match: \"5f3c-60a1b2c3d4e5f\"\r\n"
    "\r\n";

const std::string kSse =
    "HTTP/1.1 200 OK\r\n"
    "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    "Server: uvicorn\r\n"
    "Content-Type: text/event-stream; charset=utf-8\r\n"
    "Cache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n"
    "\r\n";

template <typename Take>
void head(benchmark::State& state, const std::string& text, Take take) {
  HeadReader reader;
  std::string out;
  for (auto _ : state) {
    std::size_t used = 0;
    reader.feed(as_bytes(text), used);
    auto message = take(reader);
    forward(*message);
    out.clear();
    serialise(*message, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void BM_RequestHead(benchmark::State& state) {
  head(state, kBrowser, [](HeadReader& r) { return r.take_request(); });
}
BENCHMARK(BM_RequestHead);

void BM_ResponseHead(benchmark::State& state) {
  head(state, kSse, [](HeadReader& r) { return r.take_response("GET"); });
}
BENCHMARK(BM_ResponseHead);

// Feeding alone, the largest head in pieces of the given size.
void BM_LargestHeadInPieces(benchmark::State& state) {
  const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string text = begin + std::string(limits::kHead - begin.size() - 4, 'x') + "\r\n\r\n";
  const auto piece = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    HeadReader reader;
    std::size_t used = 0;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      reader.feed(as_bytes(std::string_view(text).substr(at, piece)), used);
    }
    benchmark::DoNotOptimize(reader.held());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(BM_LargestHeadInPieces)->Arg(1)->Arg(100)->Arg(65536);

void BM_CanonicalTarget(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(canonical_target("/v1/chat/../%63hat/completions?stream=true"));
  }
}
BENCHMARK(BM_CanonicalTarget);

// Endless chunks of the given size, scanned a frame of 16 KiB at a time.
void BM_ChunkedBody(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  char digits[17];
  std::snprintf(digits, sizeof digits, "%zx", size);
  const std::string chunk = std::string(digits) + "\r\n" + std::string(size, 'x') + "\r\n";
  std::string frame;
  while (frame.size() < limits::kTlsRecord) frame += chunk;
  BodyScanner scanner(BodyKind::chunked, 0);
  for (auto _ : state) {
    std::size_t used = 0, forwarded = 0;
    benchmark::DoNotOptimize(scanner.feed(as_bytes(frame), used, forwarded));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.size()));
}
BENCHMARK(BM_ChunkedBody)->Arg(20)->Arg(200)->Arg(4096)->Arg(16384);

void BM_WebSocketUnmask(benchmark::State& state) {
  std::string frame(limits::kTlsRecord, 'x');
  const ws::MaskKey key = {0x37, 0xfa, 0x21, 0x3d};
  for (auto _ : state) {
    ws::mask({reinterpret_cast<std::uint8_t*>(frame.data()), frame.size()}, key, 1);
    benchmark::DoNotOptimize(frame.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.size()));
}
BENCHMARK(BM_WebSocketUnmask);

}  // namespace
}  // namespace leat::http
