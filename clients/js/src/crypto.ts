// The primitives behind the handshake and the records (docs/protocol.md §7): WebCrypto's where it has
// them, those of @noble/*, loaded when first needed, elsewhere.
import type { Bytes } from './bytes.js';
import { concat, view } from './bytes.js';
import { LeatError } from './errors.js';

/** An X25519 key pair. `secret` is a non-extractable CryptoKey wherever that is possible. */
export interface KeyPair {
  readonly secret: CryptoKey | Bytes;
  readonly publicKey: Bytes;
}

/** AES-256-GCM under one key. `open` throws for what is not authentic. */
export interface Cipher {
  seal(nonce: Bytes, plain: Bytes, associated?: Bytes): Promise<Bytes>;
  open(nonce: Bytes, sealed: Bytes, associated?: Bytes): Promise<Bytes>;
  erase(): void;
}

export interface Exchange {
  readonly name: string;
  generate(extractable: boolean): Promise<KeyPair>;
  /** The key pair of 32 secret bytes. */
  fromSecret(secret: Bytes, extractable: boolean): Promise<KeyPair>;
  /** Throws for a point of low order. */
  agree(own: KeyPair, peer: Bytes): Promise<Bytes>;
}

export interface Symmetric {
  readonly name: string;
  sha256(data: Bytes): Promise<Bytes>;
  /** RFC 5869, all of it. */
  hkdf(salt: Bytes, input: Bytes, info: Bytes, size: number): Promise<Bytes>;
  aesgcm(key: Bytes): Promise<Cipher>;
}

export interface Primitives extends Exchange, Symmetric {}

const subtle = (): SubtleCrypto | undefined => globalThis.crypto?.subtle;

const refuseZeros = (shared: Bytes): Bytes => {
  let any = 0;
  for (const byte of shared) any |= byte;
  if (!any) throw new LeatError('LEAT_TAMPERED', 'a key exchange gave zeros: a point of low order');
  return shared;
};

// --- WebCrypto ---

// RFC 8410: what stands before the 32 bytes of an X25519 private key.
const pkcs8 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32]);
const basePoint = new Uint8Array(32);
basePoint[0] = 9;

const importPublic = (key: Bytes): Promise<CryptoKey> => subtle()!.importKey('raw', key, 'X25519', true, []);

const webAgree = async (secret: CryptoKey, peer: Bytes): Promise<Bytes> =>
  new Uint8Array(await subtle()!.deriveBits({ name: 'X25519', public: await importPublic(peer) }, secret, 256));

export const webExchange: Exchange = {
  name: 'webcrypto',
  async generate(extractable) {
    const pair = (await subtle()!.generateKey('X25519', extractable, ['deriveBits'])) as CryptoKeyPair;
    return {
      secret: pair.privateKey,
      publicKey: new Uint8Array(await subtle()!.exportKey('raw', pair.publicKey)),
    };
  },
  async fromSecret(bytes, extractable) {
    const secret = await subtle()!.importKey('pkcs8', concat(pkcs8, bytes), 'X25519', extractable, ['deriveBits']);
    return { secret, publicKey: await webAgree(secret, basePoint) };
  },
  agree: async (own, peer) => refuseZeros(await webAgree(own.secret as CryptoKey, peer)),
};

/** The 32 bytes of a secret key that may leave. */
export async function secretBytes(secret: CryptoKey | Bytes): Promise<Bytes> {
  if (secret instanceof Uint8Array) return secret;
  return new Uint8Array(await subtle()!.exportKey('pkcs8', secret)).slice(-32);
}

const empty = new Uint8Array(0);

export const webSymmetric: Symmetric = {
  name: 'webcrypto',
  sha256: async (data) => new Uint8Array(await subtle()!.digest('SHA-256', data)),
  async hkdf(salt, input, info, size) {
    const key = await subtle()!.importKey('raw', input, 'HKDF', false, ['deriveBits']);
    return new Uint8Array(await subtle()!.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, 8 * size));
  },
  async aesgcm(bytes) {
    let key: CryptoKey | undefined = await subtle()!.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
    const parameters = (iv: Bytes, additionalData: Bytes) => ({ name: 'AES-GCM', iv, additionalData });
    return {
      seal: async (nonce, plain, associated = empty) =>
        new Uint8Array(await subtle()!.encrypt(parameters(nonce, associated), key!, plain)),
      open: async (nonce, sealed, associated = empty) =>
        new Uint8Array(await subtle()!.decrypt(parameters(nonce, associated), key!, sealed)),
      erase: () => (key = undefined),
    };
  },
};

/** For the handshake of WebSockets, which asks for it; nothing rests on it. */
export const sha1 = async (data: Bytes): Promise<Bytes> =>
  subtle() ? new Uint8Array(await subtle()!.digest('SHA-1', data)) : (await import('./noble.js')).nobleSha1(data);

// --- choosing ---

let webHasX25519: Promise<boolean> | undefined;
const probe = async (): Promise<boolean> => {
  try {
    await subtle()!.generateKey('X25519', false, ['deriveBits']);
    return true;
  } catch {
    return false;
  }
};

/**
 * The best there is here: WebCrypto for each part that it has (not on pages without TLS, X25519 not in
 * older browsers, nothing in React Native), otherwise @noble/*. `only` asks for one of them throughout.
 */
export async function primitives(only?: 'webcrypto' | 'noble'): Promise<Primitives> {
  if (!globalThis.crypto?.getRandomValues) {
    throw new LeatError('LEAT_NOT_SUPPORTED', 'there is no crypto.getRandomValues here to make keys with');
  }
  const web = only !== 'noble' && subtle() !== undefined;
  const exchange = web && (await (webHasX25519 ??= probe()));
  if (only === 'webcrypto' && !exchange) {
    throw new LeatError('LEAT_NOT_SUPPORTED', 'WebCrypto has no X25519 here');
  }
  const noble = web && exchange ? undefined : await import('./noble.js');
  return {
    ...(web ? webSymmetric : noble!.nobleSymmetric),
    ...(exchange ? webExchange : noble!.nobleExchange),
  };
}

// --- record suites (§7.3) ---

/** What one key of a record suite does. Counters are the caller's. `open` throws for what is not authentic. */
export interface SuiteKey {
  seal(counter: bigint, plain: Bytes): Promise<Bytes>;
  open(counter: bigint, body: Bytes): Promise<Bytes>;
  /** Noise's REKEY (§4.2 there). This key stays as it is. */
  rekey(): Promise<SuiteKey>;
  erase(): void;
}

export const suites = { aesgcm: 1, nacl: 2 } as const;
export type Suite = keyof typeof suites;

const LAST = 2n ** 64n - 1n;

/** The counter, big-endian, behind zeros: 12 bytes for AES-GCM, 24 for XSalsa20. */
export function nonce(counter: bigint, size: number): Bytes {
  const out = new Uint8Array(size);
  view(out).setBigUint64(size - 8, counter);
  return out;
}

async function aesgcmKey(crypto: Primitives, key: Bytes): Promise<SuiteKey> {
  const cipher = await crypto.aesgcm(key);
  return {
    seal: (counter, plain) => cipher.seal(nonce(counter, 12), plain),
    open: (counter, body) => cipher.open(nonce(counter, 12), body),
    rekey: async () => {
      const next = (await cipher.seal(nonce(LAST, 12), new Uint8Array(32))).subarray(0, 32);
      const made = await aesgcmKey(crypto, next);
      next.fill(0);
      return made;
    },
    erase: () => cipher.erase(),
  };
}

/** A key of a suite; the bytes may be overwritten afterwards. */
export async function suiteKey(crypto: Primitives, suite: Suite, key: Bytes): Promise<SuiteKey> {
  return suite === 'aesgcm' ? aesgcmKey(crypto, key) : (await import('./noble.js')).naclKey(key.slice());
}
