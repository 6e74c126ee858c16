#include "cli/http_client.h"

#include <array>
#include <utility>

#include "base/limits.h"

namespace leat::cli {

HttpClient::HttpClient(net::Shard& shard, const net::TlsContext* tls, Request request,
                       OnContent on_content, OnDone on_done)
    : shard_(shard),
      tls_(tls),
      request_(std::move(request)),
      on_content_(std::move(on_content)),
      on_done_(std::move(on_done)),
      patience_(shard, [this] { done(fail(Code::TIMEOUT, "no answer")); }) {
  dial_ = net::Dial::start(shard_, request_.address, limits::kDialTimeout,
                           [this](Result<net::Fd> fd) { connected(std::move(fd)); });
  patience_.arm_in(request_.patience);
}

HttpClient::~HttpClient() {
  if (transport_) transport_->abort();
}

void HttpClient::connected(Result<net::Fd> fd) {
  if (!fd) return done(tl::unexpected(fd.error()));
  transport_ = tls_ != nullptr
                   ? net::make_tls_transport(shard_, fd->release(), *tls_, request_.host)
                   : net::make_plain_transport(shard_, fd->release());
  if (!transport_) return done(fail(Code::INTERNAL, "the connection could not be set up"));
  transport_->set_owner(this);
  on_transport();
}

void HttpClient::send_request() {
  std::string head = request_.method + " " + request_.target +
                     " HTTP/1.1\r\nHost: " + HostPort{request_.host, request_.address.port}.text() +
                     "\r\nUser-Agent: leat\r\nAccept: */*\r\nConnection: close\r\n" +
                     request_.fields;
  if (!request_.body.empty()) {
    head += "Content-Type: application/json\r\nContent-Length: " +
            std::to_string(request_.body.size()) + "\r\n";
  }
  writer_.write(*transport_, head + "\r\n" + request_.body);
  sent_ = true;
}

void HttpClient::on_transport() {
  if (!on_done_) return;
  if (!sent_ && transport_->established()) send_request();
  if (sent_) writer_.flush(*transport_);
  while (status_ == 0) {
    if (!read_head()) return;
  }
  read_content();
}

bool HttpClient::read_head() {
  switch (reader_.read_head(*transport_)) {
    case net::HttpReader::Head::more:
      return false;
    case net::HttpReader::Head::failed:
      done(tl::unexpected(transport_->error()));
      return false;
    case net::HttpReader::Head::end:
      fail_cut("before the answer");
      return false;
    case net::HttpReader::Head::bad:
      fail_cut("with no valid HTTP");
      return false;
    case net::HttpReader::Head::done:
      break;
  }
  const auto response = reader_.head().take_response(request_.method);
  if (!response) {
    fail_cut("with no valid HTTP");
    return false;
  }
  if (response->interim()) return true;
  status_ = response->status;
  reader_.begin_body(response->body, response->length);
  dechunker_ = Dechunker(response->body);
  return true;
}

void HttpClient::read_content() {
  std::array<std::uint8_t, 16 * 1024> buffer;
  for (;;) {
    const mux::Produced produced = reader_.produce_body(*transport_, buffer);
    switch (produced.kind) {
      case mux::Produced::Kind::bytes: {
        patience_.arm_in(request_.patience);
        std::string content;
        dechunker_.feed(as_chars(Bytes(buffer).first(produced.n)), content);
        if (!content.empty()) on_content_(status_, content);
        break;
      }
      case mux::Produced::Kind::not_ready:
        return;
      case mux::Produced::Kind::end:
        return done(status_);
      case mux::Produced::Kind::error:
        return fail_cut("in the middle of the answer");
    }
  }
}

void HttpClient::fail_cut(const char* when) {
  done(fail(Code::CARRIER_CUT, std::string("the relay closed the connection ") + when));
}

void HttpClient::done(Result<int> result) {
  patience_.disarm();
  if (on_done_) std::exchange(on_done_, nullptr)(std::move(result));
}

}  // namespace leat::cli
