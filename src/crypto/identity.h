// Who an agent is: its Ed25519 identity, which the relay knows, and the X25519 key that seals,
// which only its devices know, together in one file of mode 0600 (docs/protocol.md §7.5). The
// second is signed by the first.
#pragma once

#include <string>

#include "base/error.h"
#include "base/signature.h"
#include "crypto/x25519.h"

namespace leat::crypto {

class Identity {
 public:
  // Reads the file, or makes it. One that holds an Ed25519 key only gets a sealing key. Refuses a
  // file that others can read, that holds anything else, or whose signature does not verify
  // (LEAT_KEY_FILE).
  static Result<Identity> load_or_create(const std::string& path);
  // The same where both keys are there already.
  static Result<Identity> load(const std::string& path);
  // A new sealing key under the same identity; the file is replaced at once. Every device that was
  // paired with the old one refuses the agent from then on and has to be paired anew.
  static Result<Identity> rotate(const std::string& path);

  const SigningKey& signing() const { return signing_; }
  const KeyPair& sealing() const { return sealing_; }
  // Takes the sealing key of the same identity as its file has it now; the one before is wiped.
  void replace_sealing(Identity&& now) { sealing_ = std::move(now.sealing_); }

 private:
  Identity(SigningKey signing, KeyPair sealing)
      : signing_(std::move(signing)), sealing_(std::move(sealing)) {}

  SigningKey signing_;
  KeyPair sealing_;
};

}  // namespace leat::crypto
