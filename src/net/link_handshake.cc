#include "net/link_handshake.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/crypto_util.h"
#include "net/link_chunk.h"

namespace leat::net {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kLabel = "leat/1 open";

// Where the fields of open lie (§2.2).
enum class Intent : std::uint8_t { fresh = 0, resume = 1 };
constexpr std::size_t kIntentAt = 1;
constexpr std::size_t kIdentityAt = 2;
constexpr std::size_t kSessionAt = 34;
constexpr std::size_t kEpochAt = 50;
constexpr std::size_t kReceivedAt = 54;
constexpr std::size_t kSignatureAt = 62;
static_assert(kSignatureAt + std::tuple_size_v<Signature> == kOpenSize);

using OpenBody = std::array<std::uint8_t, kOpenSize>;

std::string signed_input(const std::string& binding, Bytes nonce, Bytes open) {
  assert(binding.size() < 256);
  std::string input(kLabel);
  input += '\0';
  input += static_cast<char>(binding.size());
  input += binding;
  input += as_chars(nonce);
  input += as_chars(open.first(kSignatureAt));
  return input;
}

std::string chunk(ChunkKind kind, Bytes body) {
  std::string out(limits::kChunkHeader, '\0');
  store_header(reinterpret_cast<std::uint8_t*>(out.data()), {body.size(), kind});
  out += as_chars(body);
  return out;
}

enum class Collected : std::uint8_t { more, done, bad };

// Moves bytes of `in` to `held` until that is one whole chunk, which must be `kind` or close.
// `used` counts them.
Collected collect(std::string& held, Bytes in, std::size_t& used, ChunkKind kind) {
  const auto take_up_to = [&](std::size_t size) {
    const std::size_t n = std::min(size - held.size(), in.size() - used);
    held += as_chars(in.subspan(used, n));
    used += n;
    return held.size() == size;
  };
  if (held.size() < limits::kChunkHeader && !take_up_to(limits::kChunkHeader)) {
    return Collected::more;
  }
  const ChunkHeader header = load_header(as_bytes(held).data());
  if ((header.kind != kind && header.kind != ChunkKind::close) || !well_formed(header)) {
    return Collected::bad;
  }
  return take_up_to(limits::kChunkHeader + header.length) ? Collected::done : Collected::more;
}

Error refusal(Bytes body) {
  std::string code, text;
  if (!parse_close(body, code, text)) return {Code::PROTOCOL, "malformed close"};
  if (code.empty()) return {Code::CARRIER_CUT, "closed during the handshake"};
  if (const auto known = code_from_name(code)) return {*known, std::move(text)};
  return {Code::PROTOCOL, code + ": " + text};
}

}  // namespace

// --- relay ---

ServerHandshake::ServerHandshake(std::string binding) : binding_(std::move(binding)) {
  random_bytes(nonce_);
  std::array<std::uint8_t, kChallengeSize> body{kVersion};
  std::copy(nonce_.begin(), nonce_.end(), body.begin() + 1);
  out_ = chunk(ChunkKind::challenge, body);
}

ServerHandshake::State ServerHandshake::feed(Bytes in, std::size_t& used) {
  used = 0;
  if (state_ != State::more) return state_;
  switch (collect(in_, in, used, ChunkKind::open)) {
    case Collected::more:
      return State::more;
    case Collected::bad:
      return fail(Code::PROTOCOL, "expected open");
    case Collected::done:
      break;
  }
  const Bytes body = as_bytes(in_).subspan(limits::kChunkHeader);
  if (load_header(as_bytes(in_).data()).kind == ChunkKind::open) return on_open(body);
  error_ = refusal(body);
  return state_ = State::error;
}

ServerHandshake::State ServerHandshake::on_open(Bytes body) {
  if (body[0] != kVersion) return fail(Code::VERSION_MISMATCH, "the relay speaks version 1");
  std::copy_n(body.begin() + kIdentityAt, request_.identity.size(), request_.identity.begin());
  SessionId session;
  std::copy_n(body.begin() + kSessionAt, session.size(), session.begin());
  request_.epoch = load_be32(body.data() + kEpochAt);
  request_.received = load_be64(body.data() + kReceivedAt);
  switch (static_cast<Intent>(body[kIntentAt])) {
    case Intent::fresh:
      if (session != SessionId{} || request_.epoch != 0 || request_.received != 0) {
        return fail(Code::PROTOCOL, "a new session with a past");
      }
      break;
    case Intent::resume:
      if (request_.epoch == 0) return fail(Code::PROTOCOL, "epoch 0 resumes nothing");
      request_.resume = session;
      break;
    default:
      return fail(Code::PROTOCOL, "unknown intent");
  }
  if (!verify(request_.identity, as_bytes(signed_input(binding_, nonce_, body)),
              body.subspan(kSignatureAt))) {
    return fail(Code::BAD_IDENTITY, "the signature of open does not verify on this connection");
  }
  return state_ = State::open;
}

ServerHandshake::State ServerHandshake::fail(Code code, std::string_view text) {
  error_ = Error{code, std::string(text)};
  refuse(code, text);
  return state_ = State::error;
}

std::string ServerHandshake::take_output() { return std::exchange(out_, {}); }

void ServerHandshake::accept(const SessionId& session, std::uint64_t received) {
  assert(state_ == State::open);
  std::array<std::uint8_t, kOpenedSize> body;
  std::copy(session.begin(), session.end(), body.begin());
  store_be64(body.data() + session.size(), received);
  out_ += chunk(ChunkKind::opened, body);
}

void ServerHandshake::refuse(Code code, std::string_view text) {
  out_ += close_chunk(info(code).name, text);
}

// --- agent ---

ClientHandshake::ClientHandshake(const SigningKey& key, std::string binding,
                                 std::optional<SessionId> resume, std::uint64_t received,
                                 std::uint32_t epoch)
    : key_(key), binding_(std::move(binding)) {
  assert(resume ? epoch > 0 : epoch == 0 && received == 0);
  request_ = {key.public_key(), resume, epoch, received};
}

ClientHandshake::State ClientHandshake::feed(Bytes in, std::size_t& used) {
  used = 0;
  while (state_ == State::more) {
    const ChunkKind expected = phase_ == Phase::fresh ? ChunkKind::challenge : ChunkKind::opened;
    std::size_t n = 0;
    const Collected collected = collect(in_, in.subspan(used), n, expected);
    used += n;
    if (collected == Collected::more) break;
    if (collected == Collected::bad) {
      return fail(Code::PROTOCOL,
                  phase_ == Phase::fresh ? "expected challenge" : "expected opened");
    }
    const std::string whole = std::exchange(in_, {});
    const Bytes body = as_bytes(whole).subspan(limits::kChunkHeader);
    if (load_header(as_bytes(whole).data()).kind == ChunkKind::close) {
      error_ = refusal(body);
      state_ = State::error;
    } else {
      state_ = phase_ == Phase::fresh ? on_challenge(body) : on_opened(body);
    }
  }
  return state_;
}

ClientHandshake::State ClientHandshake::on_challenge(Bytes body) {
  if (body[0] < kVersion) return fail(Code::PROTOCOL, "a challenge of version 0");
  OpenBody open{kVersion};
  const auto intent = request_.resume ? Intent::resume : Intent::fresh;
  open[kIntentAt] = static_cast<std::uint8_t>(intent);
  std::copy(request_.identity.begin(), request_.identity.end(), open.begin() + kIdentityAt);
  const SessionId session = request_.resume.value_or(SessionId{});
  std::copy(session.begin(), session.end(), open.begin() + kSessionAt);
  store_be32(open.data() + kEpochAt, request_.epoch);
  store_be64(open.data() + kReceivedAt, request_.received);
  const Signature signature = key_.sign(as_bytes(signed_input(binding_, body.subspan(1), open)));
  std::copy(signature.begin(), signature.end(), open.begin() + kSignatureAt);
  out_ += chunk(ChunkKind::open, open);
  phase_ = Phase::waiting;
  return State::more;
}

ClientHandshake::State ClientHandshake::on_opened(Bytes body) {
  std::copy_n(body.begin(), session_.size(), session_.begin());
  peer_received_ = load_be64(body.data() + session_.size());
  if (request_.resume ? session_ != *request_.resume : peer_received_ != 0) {
    return fail(Code::PROTOCOL, "opened names another session than was asked for");
  }
  return State::opened;
}

ClientHandshake::State ClientHandshake::fail(Code code, std::string_view text) {
  error_ = Error{code, std::string(text)};
  out_ += close_chunk(info(code).name, text);
  return state_ = State::error;
}

std::string ClientHandshake::take_output() { return std::exchange(out_, {}); }

}  // namespace leat::net
