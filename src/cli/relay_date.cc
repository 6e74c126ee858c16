#include "cli/relay_date.h"

#include <time.h>

#include <utility>

#include "base/limits.h"

namespace leat::cli {

std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* const end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

RelayDate::RelayDate(net::Shard& shard, const agent::Options& options, const net::TlsContext* tls,
                     OnDone on_done)
    : shard_(shard), options_(options), tls_(tls), on_done_(std::move(on_done)) {
  auto dialled = [this](Result<net::Fd> fd) { on_dialled(std::move(fd)); };
  dial_ = options.proxy
              ? net::Dial::start_through(shard, *options.proxy, options.relay, limits::kDialTimeout,
                                         std::move(dialled))
              : net::Dial::start(shard, options.relay, limits::kDialTimeout, std::move(dialled));
}

RelayDate::~RelayDate() {
  if (transport_) transport_->set_owner(nullptr);
}

void RelayDate::on_dialled(Result<net::Fd> fd) {
  if (!fd) return done(tl::unexpected(fd.error()));
  transport_ = tls_ != nullptr
                   ? net::make_tls_transport(shard_, fd->release(), *tls_, options_.relay.host)
                   : net::make_plain_transport(shard_, fd->release());
  if (!transport_) return done(fail(Code::INTERNAL, "the connection could not be set up"));
  transport_->set_owner(this);
  on_transport();
}

void RelayDate::on_transport() {
  if (!on_done_) return;
  if (transport_->established() && !std::exchange(asked_, true)) {
    writer_.write(*transport_, "GET /healthz HTTP/1.1\r\nHost: " + options_.relay.text() +
                                   "\r\nUser-Agent: leat\r\nConnection: close\r\n\r\n");
  }
  if (asked_) writer_.flush(*transport_);
  switch (reader_.read_head(*transport_)) {
    case net::HttpReader::Head::more:
      return;
    case net::HttpReader::Head::failed:
      return done(tl::unexpected(transport_->error()));
    case net::HttpReader::Head::bad:
    case net::HttpReader::Head::end:
      return done(fail(Code::CARRIER_CUT, "no answer to /healthz"));
    case net::HttpReader::Head::done:
      break;
  }
  const auto response = reader_.head().take_response("GET");
  const std::string* date = response ? response->fields.find("Date") : nullptr;
  const auto when = date != nullptr ? parse_http_date(*date) : std::nullopt;
  if (!when) return done(fail(Code::PROTOCOL, "the relay does not say what time it is"));
  done(*when);
}

void RelayDate::done(Result<std::chrono::system_clock::time_point> result) {
  if (const OnDone on_done = std::exchange(on_done_, nullptr)) on_done(std::move(result));
}

}  // namespace leat::cli
