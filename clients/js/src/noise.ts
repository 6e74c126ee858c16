// The handshake of docs/protocol.md §7.2: Noise IK, or IKpsk2 at pairing, on the side that begins. The
// object is used up by it: once it has given the keys, or failed, it answers nothing more.
import type { Bytes } from './bytes.js';
import { concat, utf8 } from './bytes.js';
import type { Cipher, KeyPair, Primitives } from './crypto.js';
import { nonce } from './crypto.js';
import { LeatError } from './errors.js';

const empty = new Uint8Array(0);

/** SymmetricState and CipherState of the Noise specification, revision 34, §5.1 and §5.2. */
export class SymmetricState {
  private cipher: Cipher | undefined;
  private counter = 0n;

  private constructor(
    private readonly crypto: Primitives,
    private ck: Bytes,
    public h: Bytes,
  ) {}

  static async start(crypto: Primitives, pattern: 'IK' | 'IKpsk2', agent: Bytes): Promise<SymmetricState> {
    const name = utf8(`Noise_${pattern}_25519_AESGCM_SHA256`);
    const h = name.length <= 32 ? concat(name, new Uint8Array(32 - name.length)) : await crypto.sha256(name);
    const state = new SymmetricState(crypto, h.slice(), h);
    await state.mixHash(concat(utf8('leat/1 sealed\0'), agent));
    await state.mixHash(agent);
    return state;
  }

  async mixHash(data: Bytes): Promise<void> {
    this.h = await this.crypto.sha256(concat(this.h, data));
  }

  /** Overwrites the input. */
  async mixKey(input: Bytes): Promise<void> {
    const out = await this.expand(input, 2);
    this.ck = out[0];
    await this.setKey(out[1]);
  }

  async mixKeyAndHash(input: Bytes): Promise<void> {
    const out = await this.expand(input, 3);
    this.ck = out[0];
    await this.mixHash(out[1]);
    await this.setKey(out[2]);
  }

  async encryptAndHash(plain: Bytes): Promise<Bytes> {
    const sealed = await this.cipher!.seal(nonce(this.counter++, 12), plain, this.h);
    await this.mixHash(sealed);
    return sealed;
  }

  async decryptAndHash(sealed: Bytes): Promise<Bytes> {
    const plain = await this.cipher!.open(nonce(this.counter++, 12), sealed, this.h);
    await this.mixHash(sealed);
    return plain;
  }

  /** The keys of the two directions: the initiator's first. */
  async split(): Promise<Bytes[]> {
    const keys = await this.expand(empty.slice(), 2);
    this.erase();
    return keys;
  }

  erase(): void {
    this.cipher?.erase();
    this.cipher = undefined;
    this.ck.fill(0);
  }

  private async expand(input: Bytes, n: number): Promise<Bytes[]> {
    const out = await this.crypto.hkdf(this.ck, input, empty, 32 * n);
    const parts = Array.from({ length: n }, (_, i) => out.slice(32 * i, 32 * i + 32));
    out.fill(0);
    input.fill(0);
    this.ck.fill(0);
    return parts;
  }

  private async setKey(key: Bytes): Promise<void> {
    this.cipher?.erase();
    this.cipher = await this.crypto.aesgcm(key);
    this.counter = 0n;
    key.fill(0);
  }
}

/** The psk of a pairing: HKDF-SHA256 of the link's one-time secret. */
export const pairingPsk = (crypto: Primitives, secret: Bytes): Promise<Bytes> =>
  crypto.hkdf(empty, secret, utf8('leat/1 pairing'), 32);

export interface HandshakeOptions {
  crypto: Primitives;
  /** The agent's static key, from the pairing link and from nowhere else. */
  agent: Bytes;
  /** The device's static key. */
  own: KeyPair;
  /** Of a pairing (§7.2); makes it IKpsk2. */
  psk?: Bytes;
  /** Only the vectors bring their own; it is overwritten like any other. */
  ephemeral?: KeyPair;
}

/** What a finished handshake gives. */
export interface Finished {
  payload: Bytes;
  /** Keys of the two directions; whoever takes them overwrites them. */
  sendKey: Bytes;
  receiveKey: Bytes;
  /** The handshake hash: the same on both sides and in no other session. */
  binding: Bytes;
}

export class Initiator {
  private state: SymmetricState | undefined;
  private ephemeral: KeyPair | undefined;

  constructor(private readonly options: HandshakeOptions) {}

  /** Message 1. */
  async write(payload: Bytes): Promise<Bytes> {
    const { crypto, agent, own, psk } = this.options;
    if (this.ephemeral) throw new LeatError('LEAT_PROTOCOL', 'the handshake has begun');
    const ephemeral = (this.ephemeral = this.options.ephemeral ?? (await crypto.generate(false)));
    const state = (this.state = await SymmetricState.start(crypto, psk ? 'IKpsk2' : 'IK', agent));
    await state.mixHash(ephemeral.publicKey);
    if (psk) await state.mixKey(ephemeral.publicKey.slice());
    await state.mixKey(await crypto.agree(ephemeral, agent));
    const identity = await state.encryptAndHash(own.publicKey);
    await state.mixKey(await crypto.agree(own, agent));
    return concat(ephemeral.publicKey, identity, await state.encryptAndHash(payload));
  }

  /** Message 2. Throws LEAT_KEY_CHANGED if it is not that of the holder of the agent's key. */
  async read(message: Bytes): Promise<Finished> {
    const { crypto, own, psk } = this.options;
    const state = this.state;
    this.state = undefined;
    if (!state) throw new LeatError('LEAT_PROTOCOL', 'the handshake is over');
    try {
      const theirs = message.slice(0, 32);
      await state.mixHash(theirs);
      if (psk) await state.mixKey(theirs.slice());
      await state.mixKey(await crypto.agree(this.ephemeral!, theirs));
      await state.mixKey(await crypto.agree(own, theirs));
      if (psk) await state.mixKeyAndHash(psk.slice());
      const payload = await state.decryptAndHash(message.subarray(32));
      const binding = state.h;
      const [sendKey, receiveKey] = await state.split();
      return { payload, sendKey, receiveKey, binding };
    } catch (cause) {
      throw new LeatError('LEAT_KEY_CHANGED', undefined, { cause });
    } finally {
      state.erase();
      this.erase();
    }
  }

  /** For a handshake that comes to nothing; what is finished has done it. */
  erase(): void {
    this.state?.erase();
    this.state = undefined;
    const secret = this.ephemeral?.secret;
    if (secret instanceof Uint8Array) secret.fill(0);
  }
}
