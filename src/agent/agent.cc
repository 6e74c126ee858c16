#include "agent/agent.h"

#include "agent/agent_impl.h"

namespace leat::agent {

const char* name(Status::State state) {
  switch (state) {
    case Status::State::connecting:
      return "connecting";
    case Status::State::online:
      return "online";
    case Status::State::draining:
      return "draining";
    case Status::State::stopped:
      return "stopped";
    case Status::State::refused:
      return "refused";
  }
  return "";
}

bool is_credential(Code code) {
  switch (code) {
    case Code::BAD_TOKEN:
    case Code::NO_TOKEN:
    case Code::REVOKED:
    case Code::BAD_IDENTITY:
    case Code::BAD_JWT:
    case Code::JWT_EXPIRED:
    case Code::BAD_CODE:
    case Code::WRONG_IDENTITY:
      return true;
    default:
      return false;
  }
}

bool is_final(Code code) {
  switch (code) {
    case Code::PIN_MISMATCH:
    case Code::CERTIFICATE_REFUSED:
    case Code::VERSION_MISMATCH:
    case Code::REPLACED:  // two agents with one identity would replace each other for ever
      return true;
    default:
      return is_credential(code);
  }
}

Agent::Agent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::create(net::Shard& shard, Options options, Listener& events) {
  auto impl = Impl::create(shard, std::move(options), events);
  if (!impl) return tl::unexpected(impl.error());
  return std::unique_ptr<Agent>(new Agent(std::move(*impl)));
}

void Agent::start() { impl_->start(); }
void Agent::drain(std::function<void()> done) { impl_->drain(std::move(done)); }
const Status& Agent::status() const { return impl_->status(); }
const RequestLog& Agent::requests() const { return impl_->requests(); }
std::string Agent::metrics() const { return impl_->metrics(); }
Result<Agent::Changes> Agent::reload(std::vector<Service> services) {
  return impl_->reload(std::move(services));
}

}  // namespace leat::agent
