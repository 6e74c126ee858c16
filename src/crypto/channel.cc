#include "crypto/channel.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace leat::crypto {

std::optional<Suite> choose_suite(Bytes offered) {
  for (const std::uint8_t number : offered) {
    if (const auto suite = accept_suite(number, offered)) return suite;
  }
  return std::nullopt;
}

std::optional<Suite> accept_suite(std::uint8_t chosen, Bytes offered) {
  if (std::find(offered.begin(), offered.end(), chosen) == offered.end()) return std::nullopt;
  switch (static_cast<Suite>(chosen)) {
    case Suite::aesgcm:
    case Suite::nacl:
      return static_cast<Suite>(chosen);
  }
  return std::nullopt;
}

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "none";
    case Fault::bad_length:
      return "bad_length";
    case Fault::not_authentic:
      return "not_authentic";
    case Fault::bad_type:
      return "bad_type";
    case Fault::malformed:
      return "malformed";
    case Fault::rekey_overdue:
      return "rekey_overdue";
    case Fault::bad_count:
      return "bad_count";
    case Fault::after_end:
      return "after_end";
    case Fault::exhausted:
      return "exhausted";
    case Fault::rekey_due:
      return "rekey_due";
    case Fault::ended:
      return "ended";
    case Fault::no_content:
      return "no_content";
    case Fault::too_long:
      return "too_long";
    case Fault::no_room:
      return "no_room";
    case Fault::gone:
      return "gone";
  }
  return "unknown";
}

Channel::Channel(const Keys& keys, Role role, Suite suite, const X25519Key& peer,
                 const Sha256& binding, Time now)
    : out_(Direction{RecordCipher(suite, keys.send)}),
      in_(Direction{RecordCipher(suite, keys.receive)}),
      head_(kLengthSize + out_->cipher.offset() + kInnerHeader),
      key_since_(now),
      confirmed_(role == Role::initiator),
      peer_(peer),
      binding_(binding) {}

Channel::Channel(Channel&& other) noexcept
    : out_(std::move(other.out_)),
      in_(std::move(other.in_)),
      head_(other.head_),
      key_since_(other.key_since_),
      out_ended_(other.out_ended_),
      in_ended_(other.in_ended_),
      confirmed_(other.confirmed_),
      fault_(other.fault_),
      peer_(other.peer_),
      binding_(other.binding_) {
  other.die(Fault::gone);
}

Channel& Channel::operator=(Channel&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

Fault Channel::die(Fault fault) {
  out_.reset();
  in_.reset();
  confirmed_ = confirmed_ && fault != Fault::gone;
  return fault_ = fault;
}

}  // namespace leat::crypto
