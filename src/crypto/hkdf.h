// HKDF with SHA-256 (RFC 5869). Noise's HKDF (revision 34, §4.3) is the same with the chaining key
// as salt and no info.
#pragma once

#include "base/bytes.h"

namespace leat::crypto {

// `out`: at most 255 × 32 bytes.
void hkdf_sha256(Bytes salt, Bytes input, Bytes info, MutableBytes out);

}  // namespace leat::crypto
