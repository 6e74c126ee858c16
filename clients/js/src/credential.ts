// Pairing links and what becomes of them: a credential, which a device keeps (docs/protocol.md §8.4).
import { base64url, fromBase64url } from './bytes.js';
import type { KeyPair, Primitives } from './crypto.js';
import { secretBytes } from './crypto.js';
import { LeatError } from './errors.js';
import type { PairingLink } from './messages.js';
import { decodePairingLink } from './messages.js';

/**
 * All that a device needs to come back: plain data. It can be put into IndexedDB as it is; if `secretKey`
 * is a string, also through JSON. Whoever has it, with the secret key, is this device.
 */
export interface Credential {
  readonly version: 1;
  /** The agent's static key, base64url: the only one that is ever accepted. */
  readonly agent: string;
  /** The agent's name, for people. */
  readonly name: string;
  readonly tunnel: string;
  readonly relays: readonly string[];
  /** The agent's own addresses, as it last said. */
  readonly direct: readonly string[];
  /** What this device called itself. */
  readonly device: string;
  readonly publicKey: string;
  /** Not extractable, in browsers; base64url where keys have to be stored as text. */
  readonly secretKey: CryptoKey | string;
  /** SHA-256 of the relay's key, base64url; checked where a program can see it. */
  readonly pin?: string;
}

const keySize = 32;
const idSize = 8;
const secretSize = 16;

/** The link's content. Throws LEAT_BAD_LINK, and LEAT_PAIRING_OVER for one whose time is over. */
export function parseLink(link: string | URL, nowSeconds = Date.now() / 1000): PairingLink {
  const fragment = /#leat1=([\w-]+)$/.exec(String(link).trim().replace(/^leat1=/, '#leat1='));
  let parsed: PairingLink;
  try {
    parsed = decodePairingLink(fromBase64url(fragment![1]));
  } catch (cause) {
    throw new LeatError('LEAT_BAD_LINK', undefined, { cause });
  }
  const { agent, pairing, secret, tunnel, relays, direct } = parsed;
  const whole = agent.length === keySize && pairing.length === idSize && secret.length === secretSize;
  const relaysFit = relays.every((relay) => /^wss?:\/\/[\w.:[\]-]+\/?$/.test(relay)) && (!relays.length || tunnel);
  if (!whole || !relaysFit || relays.length + direct.length === 0) throw new LeatError('LEAT_BAD_LINK');
  if (parsed.ends && nowSeconds > parsed.ends) throw new LeatError('LEAT_PAIRING_OVER');
  return parsed;
}

/** True for a URL whose fragment is a pairing link. */
export const isPairingLink = (link: string | URL): boolean => /#leat1=[\w-]+$/.test(String(link));

export async function newCredential(
  link: PairingLink,
  own: KeyPair,
  device: string,
  extractable: boolean,
): Promise<Credential> {
  const secretKey =
    own.secret instanceof Uint8Array || extractable ? base64url(await secretBytes(own.secret)) : own.secret;
  return {
    version: 1,
    agent: base64url(link.agent),
    name: link.name,
    tunnel: link.tunnel,
    relays: link.relays.map((relay) => relay.replace(/\/$/, '')),
    direct: link.direct,
    device,
    publicKey: base64url(own.publicKey),
    secretKey,
    ...(link.pin.length ? { pin: base64url(link.pin) } : {}),
  };
}

/** The keys of a stored credential. Throws LEAT_BAD_CREDENTIAL. */
export async function keysOf(
  credential: Credential,
  crypto: Primitives,
): Promise<{ agent: Uint8Array<ArrayBuffer>; own: KeyPair }> {
  try {
    const agent = fromBase64url(credential.agent);
    const publicKey = fromBase64url(credential.publicKey);
    const { secretKey } = credential;
    if (credential.version !== 1 || agent.length !== keySize || publicKey.length !== keySize) throw new Error('sizes');
    if (typeof secretKey !== 'string') return { agent, own: { secret: secretKey, publicKey } };
    const secret = fromBase64url(secretKey);
    const own = await crypto.fromSecret(secret, false);
    if (base64url(own.publicKey) !== credential.publicKey) throw new Error('the keys do not belong together');
    return { agent, own };
  } catch (cause) {
    throw new LeatError('LEAT_BAD_CREDENTIAL', undefined, { cause });
  }
}
