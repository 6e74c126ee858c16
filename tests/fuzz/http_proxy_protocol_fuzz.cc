// PROXY headers: decided once, whatever follows, and a source is an address that can be told on.
#include "base/limits.h"
#include "http/proxy_protocol.h"
#include "http_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat;
  using fuzz::require;
  using State = http::ProxyHeader::State;
  const Bytes bytes(data, size);
  const http::ProxyHeader whole = http::read_proxy_header(bytes);
  require(whole.state != State::more || size < limits::kProxyHeader);
  bool decided = false;
  for (std::size_t n = 0; n <= size && n <= limits::kProxyHeader + 1; ++n) {
    const http::ProxyHeader part = http::read_proxy_header(bytes.first(n));
    require(!decided || part.state == whole.state);  // never taken back
    if (part.state == State::done) require(part.size <= n && part.size == whole.size);
    decided = part.state != State::more;
    if (decided) require(part.state == whole.state);
  }
  if (!whole.source) return 0;
  for (const int version : {1, 2}) {
    const std::string again = http::proxy_header(version, whole.source, *whole.source);
    const http::ProxyHeader back = http::read_proxy_header(as_bytes(again));
    require(back.state == State::done && back.size == again.size() && back.source == whole.source);
  }
  return 0;
}
