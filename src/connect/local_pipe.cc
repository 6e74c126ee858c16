#include "connect/local_pipe.h"

#include <utility>

#include "base/limits.h"
#include "control/convert.h"
#include "proto/control.pb.h"

namespace leat::connect {
namespace {

std::string preamble(const std::string& service) {
  proto::OpenStream open;
  open.set_tunnel(service);
  open.set_kind(proto::KIND_TCP);
  std::string out;
  control::append_message(open, out);
  return out;
}

}  // namespace

LocalPipe::LocalPipe(net::SessionDriver& driver, mux::StreamHandle stream,
                     std::unique_ptr<net::Transport> local, const std::string& service,
                     Owner& owner)
    : owner_(owner),
      reply_(limits::kOpenStreamMessage),
      splice_(driver, stream, std::move(local), preamble(service), *this) {}

std::size_t LocalPipe::deliver(Bytes data) {
  std::size_t used = 0;
  const auto state = reply_.feed(data, used);
  if (state == control::MessageReader::State::more) return used;
  proto::OpenReply reply;
  if (state == control::MessageReader::State::error || !reply_.parse(reply)) {
    refuse({Code::PROTOCOL, "the agent's reply is malformed"});
  } else if (reply.has_failure()) {
    refuse(control::from_wire(reply.failure()));
  } else {
    splice_.start();  // the rest of `data` goes to the local side
  }
  return used;
}

void LocalPipe::refuse(const Error& why) {
  if (std::exchange(over_, true)) return;
  splice_.cancel();
  owner_.on_pipe_end(*this, &why);
}

void LocalPipe::on_splice_end(net::Splice&, bool clean) {
  if (std::exchange(over_, true)) return;
  const Error cut{Code::CARRIER_CUT, {}};
  owner_.on_pipe_end(*this, clean ? nullptr : &cut);
}

}  // namespace leat::connect
