// The same primitives from @noble/*, where WebCrypto has none, and the suite `nacl`, which it never has.
import { gcm } from '@noble/ciphers/aes';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa';
import { pow } from '@noble/curves/abstract/modular';
import { montgomery } from '@noble/curves/abstract/montgomery';
import { hkdf } from '@noble/hashes/hkdf';
import { sha1 } from '@noble/hashes/legacy';
import { sha256 } from '@noble/hashes/sha2';
import type { Bytes } from './bytes.js';
import type { Exchange, SuiteKey, Symmetric } from './crypto.js';
import { nonce } from './crypto.js';
import { LeatError } from './errors.js';

// Its ready-made x25519 stands beside Ed25519 and brings all of that along; these are its parameters.
const P = 2n ** 255n - 19n;
const x25519 = /* @__PURE__ */ montgomery({
  P,
  type: 'x25519',
  powPminus2: (x) => pow(x, P - 2n, P),
  adjustScalarBytes(bytes) {
    bytes[0] &= 248;
    bytes[31] = (bytes[31] & 127) | 64;
    return bytes;
  },
});

const pair = (secret: Bytes) => ({ secret, publicKey: x25519.getPublicKey(secret) as Bytes });

export const nobleExchange: Exchange = {
  name: 'noble',
  generate: async () => pair(crypto.getRandomValues(new Uint8Array(32))),
  fromSecret: async (secret) => pair(secret),
  async agree(own, peer) {
    try {
      return x25519.getSharedSecret(own.secret as Bytes, peer) as Bytes;
    } catch (cause) {
      throw new LeatError('LEAT_TAMPERED', 'a key exchange gave zeros: a point of low order', { cause });
    }
  },
};

export const nobleSymmetric: Symmetric = {
  name: 'noble',
  sha256: async (data) => sha256(data) as Bytes,
  hkdf: async (salt, input, info, size) => hkdf(sha256, input, salt, info, size) as Bytes,
  async aesgcm(bytes) {
    const key = bytes.slice();
    return {
      seal: async (iv, plain, associated) => gcm(key, iv, associated).encrypt(plain) as Bytes,
      open: async (iv, sealed, associated) => gcm(key, iv, associated).decrypt(sealed) as Bytes,
      erase: () => key.fill(0),
    };
  },
};

export const nobleSha1 = (data: Bytes): Bytes => sha1(data) as Bytes;

/** NaCl's box after the key exchange. Takes the key over. */
export function naclKey(key: Bytes): SuiteKey {
  const box = (counter: bigint) => xsalsa20poly1305(key, nonce(counter, 24));
  return {
    seal: async (counter, plain) => box(counter).encrypt(plain) as Bytes,
    open: async (counter, body) => box(counter).decrypt(body) as Bytes,
    rekey: async () => {
      const sealed = box(2n ** 64n - 1n).encrypt(new Uint8Array(32));
      const next = sealed.slice(16) as Bytes;
      sealed.fill(0);
      return naclKey(next);
    },
    erase: () => key.fill(0),
  };
}
