#include "connect/session.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "control/convert.h"
#include "proto/sealed.pb.h"

namespace leat::connect {

Session::Session(net::Shard& shard, Plan plan, Owner& owner)
    : shard_(shard), plan_(std::move(plan)), owner_(owner), deadline_(shard, [this] {
        end({Code::TIMEOUT, way_ + ": the agent did not open the session"});
      }) {}

Session::~Session() {
  if (driver_) driver_->mux().end_all();
}

// --- the ways ---

void Session::start() {
  for (const Attempt::Way& way : plan_.ways) {
    attempts_.push_back(std::make_unique<Attempt>(shard_, way, plan_.known.agent, plan_.credential,
                                                  static_cast<Attempt::Owner&>(*this)));
  }
  std::vector<Attempt*> all;
  for (const auto& attempt : attempts_) all.push_back(attempt.get());
  for (Attempt* attempt : all) attempt->start();
}

void Session::on_ready(Attempt& attempt) {
  ready_.push_back(&attempt);
  ask_next();
}

// A hello of a pairing counts as a try, so that one is made at a time.
void Session::ask_next() {
  const bool one = plan_.credential.pairing.has_value();
  while (!ready_.empty() && !driver_ && (asking_ == 0 || !one)) {
    Attempt* const next = ready_.front();
    ready_.erase(ready_.begin());
    ++asking_;
    next->ask();
  }
}

void Session::release(Attempt& attempt) {
  std::erase(ready_, &attempt);
  const auto found = std::ranges::find(attempts_, &attempt, &std::unique_ptr<Attempt>::get);
  if (found == attempts_.end()) return;
  shard_.dispose(std::move(*found));
  attempts_.erase(found);
}

void Session::on_failed(Attempt& attempt, const Error& why) {
  // What came from behind the pipe says more than a way that does not exist.
  const bool by_agent = attempt.asked();
  if (by_agent) --asking_;
  if (!told_ || (by_agent && !told_by_agent_)) {
    told_ = why;
    told_by_agent_ = by_agent;
  }
  release(attempt);
  if (driver_ || over_) return;
  ask_next();
  if (attempts_.empty()) end(*told_);
}

void Session::on_replied(Attempt& attempt) {
  if (driver_ || over_) return release(attempt);
  way_ = attempt.way().text();
  for (const auto& service : attempt.reply().services()) {
    const auto kind = control::from_wire(service.kind());
    if (kind) services_.push_back({control::printable(service.id(), 64), *kind});
  }
  for (const std::string& address : attempt.reply().direct()) {
    direct_.push_back(control::printable(address, 64));
  }
  auto carrier = attempt.take();
  ready_.clear();
  for (auto& other : attempts_) shard_.dispose(std::move(other));
  attempts_.clear();
  deadline_.arm_in(limits::kLinkHandshake);
  carrier->write_first(as_bytes(sealed::open_chunk()));
  // What the first streams have to say goes with it: the answer is waited for by nobody (§8.2).
  carrier->expect_opened([this] {
    deadline_.disarm();
    owner_.on_connected(way_);
  });
  net::SessionDriver::Owner& owner = *this;
  driver_ = std::make_unique<net::SessionDriver>(shard_, mux::Config::native(mux::Role::client),
                                                 owner, std::move(carrier));
  driver_->start({});
  if (!over_) owner_.on_usable();
}

// --- the session ---

void Session::on_stream(mux::StreamHandle stream) { driver_->mux().reset(stream); }

void Session::on_ended(const Error& why) { end(why); }

void Session::close() {
  if (driver_) {
    driver_->close(Code::CARRIER_CUT, "closed by the device");
  } else {
    end({Code::CARRIER_CUT, "given up"});
  }
}

void Session::end(const Error& why) {
  if (std::exchange(over_, true)) return;
  deadline_.disarm();
  owner_.on_session_end(why);
}

}  // namespace leat::connect
