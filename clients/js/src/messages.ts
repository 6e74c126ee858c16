// The messages a client sends and reads (proto/sealed.proto, proto/control.proto).
import type { Bytes } from './bytes.js';
import { concat } from './bytes.js';
import type { Suite } from './crypto.js';
import { suites } from './crypto.js';
import { LeatError, shown, shownCode } from './errors.js';
import { Message, encode, varint } from './protobuf.js';

export const SOFTWARE = 'leat-client/0.1.0';

export const KINDS = { http: 1, tcp: 2 } as const;
export type Kind = keyof typeof KINDS;

export interface Service {
  id: string;
  kind: Kind;
}

const read = <T>(bytes: Bytes, what: string, parse: (message: Message) => T): T => {
  let message: Message;
  try {
    message = new Message(bytes);
  } catch (cause) {
    throw new LeatError('LEAT_PROTOCOL', `this is no ${what}`, { cause });
  }
  return parse(message);
};

/** The failure a `Failure` field reports, if it is there. */
const failure = (message: Message, field: number): LeatError | undefined => {
  if (!message.has(field)) return undefined;
  const said = message.messages(field).at(-1);
  const reason = shown(said?.text(2) ?? '');
  return new LeatError(shownCode(said?.text(1) ?? ''), reason || undefined);
};

export const encodeHello = (hello: { device: string; tunnel: string; pairing?: Bytes; suites: Suite[] }): Bytes =>
  encode(
    [1, hello.device],
    [2, hello.pairing],
    [3, Uint8Array.from(hello.suites.map((suite) => suites[suite]))], // packed
    [4, SOFTWARE],
    [5, hello.tunnel],
  );

export interface Reply {
  suite: Suite;
  services: Service[];
  direct: string[];
  software: string;
}

/** Throws what the agent refuses with, and LEAT_PROTOCOL for a suite that was not offered. */
export const decodeReply = (bytes: Bytes, offered: Suite[]): Reply =>
  read(bytes, 'SealedReply', (message) => {
    const refused = failure(message, 2);
    if (refused) throw refused;
    const suite = offered.find((name) => suites[name] === message.number(1));
    if (!suite) throw new LeatError('LEAT_PROTOCOL', 'the agent chose a suite that was not offered');
    const services = message.messages(4).flatMap((part): Service[] => {
      const kind = (Object.keys(KINDS) as Kind[]).find((name) => KINDS[name] === part.number(2));
      return kind ? [{ id: part.text(1), kind }] : [];
    });
    return { suite, services, direct: message.texts(5), software: shown(message.text(3)) };
  });

export interface PairingLink {
  agent: Bytes;
  pairing: Bytes;
  secret: Bytes;
  tunnel: string;
  relays: string[];
  direct: string[];
  /** Seconds since 1970; 0: not said. */
  ends: number;
  name: string;
  /** SHA-256 of the relay's key, for those who can check it; empty: none. */
  pin: Bytes;
}

export const decodePairingLink = (bytes: Bytes): PairingLink =>
  read(bytes, 'PairingLink', (message) => ({
    agent: message.bytes(1),
    pairing: message.bytes(2),
    secret: message.bytes(3),
    tunnel: message.text(4),
    relays: message.texts(5),
    direct: message.texts(6),
    ends: message.number(7),
    name: message.text(8),
    pin: message.bytes(9),
  }));

const framed = (message: Bytes): Bytes => concat(varint(message.length), message);

/** The preamble of a stream (§4), framed. */
export const openStream = (service: string, kind: Kind): Bytes => framed(encode([1, service], [2, KINDS[kind]]));

const MAX_PREAMBLE = 4096;

/**
 * The size of a framed message and where it begins, once its length is there. Throws LEAT_PROTOCOL for a
 * length above 4,096 or not in its shortest form.
 */
export function preambleSize(bytes: Bytes): { header: number; size: number } | undefined {
  let size = 0;
  for (let i = 0; i < bytes.length; i++) {
    size += (bytes[i] & 127) * 2 ** (7 * i);
    const last = bytes[i] < 128;
    if (size > MAX_PREAMBLE || i > 2 || (last && i > 0 && bytes[i] === 0)) break;
    if (last) return { header: i + 1, size };
    if (i === bytes.length - 1) return undefined;
  }
  if (!bytes.length) return undefined;
  throw new LeatError('LEAT_PROTOCOL', 'a preamble that is too long');
}

/** Throws the failure an OpenReply reports. */
export const checkOpenReply = (bytes: Bytes): void =>
  read(bytes, 'OpenReply', (message) => {
    const refused = failure(message, 1);
    if (refused) throw refused;
  });
