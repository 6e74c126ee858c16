// leat-client, as Node imports it: the way to a relay is a WebSocket of its own over node:tls, which can
// check the link's pin, and an agent's own addresses can be dialled.
import net from 'node:net';
import tls from 'node:tls';
import { createHash, webcrypto } from 'node:crypto';
import type { Bytes } from './bytes.js';
import { ByteQueue, copyOf, equal, text, utf8 } from './bytes.js';
import { reasonOf } from './elsewhere.js';
import { LeatError, leatError, shownCode } from './errors.js';
import { FrameReader, OP, acceptKey, closePayload, newKey, pongs, readClose, writeFrame } from './frames.js';
import type { Head } from './http.js';
import { listed, parseHead, valuesOf } from './http.js';
import type { Pipe } from './pipe.js';
import { Arrivals, SUBPROTOCOL, closeHint, relaySocket } from './pipe.js';
import type { SocketClass } from './pipe.js';
import type { RelayOptions } from './platform.js';
import { usePlatform } from './platform.js';

export * from './index.js';

// Node 18 has it, but not as a global.
globalThis.crypto ??= webcrypto as Crypto;

const HIGH_WATER = 1 << 20;
const MAX_HEAD = 65_536;

/** A connected socket as a pipe: it is not read while more lies here than it should. */
function socketPipe(socket: net.Socket): Pipe {
  const arrivals = new Arrivals();
  socket.setNoDelay(true);
  socket.on('data', (data: Buffer) => {
    arrivals.push(copyOf(data));
    if (arrivals.size > HIGH_WATER) socket.pause();
  });
  socket.on('end', () => arrivals.end());
  socket.on('close', () => arrivals.end(new LeatError('LEAT_CARRIER_CUT')));
  socket.on('error', (cause) => arrivals.end(new LeatError('LEAT_CARRIER_CUT', undefined, { cause })));
  return {
    async read() {
      const bytes = await arrivals.next();
      if (socket.isPaused() && arrivals.size <= HIGH_WATER / 2) socket.resume();
      return bytes;
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new LeatError('LEAT_CARRIER_CUT'));
        if (socket.write(bytes)) return resolve();
        const settle = () => {
          socket.off('drain', settle).off('close', settle);
          if (socket.destroyed) reject(new LeatError('LEAT_CARRIER_CUT'));
          else resolve();
        };
        socket.on('drain', settle).on('close', settle);
      }),
    close() {
      // What was written still leaves; nothing more is read.
      arrivals.end();
      socket.end();
      socket.resume();
      const cut = setTimeout(() => socket.destroy(), 1_000).unref();
      socket.once('close', () => clearTimeout(cut));
    },
  };
}

const connected = <T extends net.Socket>(socket: T, event: string, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = () => socket.destroy(reasonOf(signal) as Error);
    const done = (settle: () => void) => {
      signal.removeEventListener('abort', abort);
      settle();
    };
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    socket.once(event, () => done(() => resolve(socket)));
    socket.once('error', (cause) =>
      done(() => reject(cause instanceof LeatError ? cause : new LeatError('LEAT_RELAY_UNREACHABLE', undefined, { cause }))),
    );
    socket.once('close', () => done(() => reject(new LeatError('LEAT_RELAY_UNREACHABLE'))));
  });

const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

function direct(address: string, signal: AbortSignal): Promise<Pipe> {
  const match = /^(.+):(\d+)$/.exec(address);
  if (!match) throw new LeatError('LEAT_RELAY_UNREACHABLE', `${address} is no address`);
  const socket = net.connect({ host: bare(match[1]), port: Number(match[2]) });
  return connected(socket, 'connect', signal).then(socketPipe);
}

function checkPin(socket: tls.TLSSocket, pin: Bytes): void {
  const key = socket.getPeerX509Certificate()!.publicKey.export({ type: 'spki', format: 'der' });
  const found = copyOf(createHash('sha256').update(key).digest());
  if (!equal(found, pin)) {
    socket.destroy();
    throw new LeatError('LEAT_PIN_MISMATCH');
  }
}

async function connectTo(url: URL, { pin, ca }: RelayOptions, signal: AbortSignal): Promise<Pipe> {
  const host = bare(url.hostname);
  if (url.protocol === 'ws:') {
    const socket = net.connect({ host, port: Number(url.port || 80) });
    return socketPipe(await connected(socket, 'connect', signal));
  }
  const socket = tls.connect({
    host,
    port: Number(url.port || 443),
    servername: net.isIP(host) ? undefined : host,
    ALPNProtocols: ['http/1.1'],
    ca,
    // A pin stands for itself: it is checked below, and the certificate need not be anybody's.
    rejectUnauthorized: !pin,
  });
  await connected(socket, 'secureConnect', signal);
  if (pin) checkPin(socket, pin);
  return socketPipe(socket);
}

/** A head, and what came behind it. */
async function readHead(pipe: Pipe): Promise<{ head: Head; rest: Bytes }> {
  const input = new ByteQueue();
  for (;;) {
    const bytes = await pipe.read();
    if (!bytes) throw new LeatError('LEAT_RELAY_UNREACHABLE', 'what answers there is no relay');
    input.push(bytes);
    const end = text(input.peek(MAX_HEAD)).indexOf('\r\n\r\n');
    if (end >= 0) return { head: parseHead(input.take(end + 4)), rest: input.take(input.size) };
    if (input.size >= MAX_HEAD) throw new LeatError('LEAT_RELAY_UNREACHABLE', 'what answers there is no relay');
  }
}

/** The code in a relay's answer that is not 101. */
async function refusal(pipe: Pipe, head: Head, rest: Bytes): Promise<LeatError> {
  const length = Math.min(Number(valuesOf(head.fields, 'content-length')[0] ?? 0), MAX_HEAD);
  let body = text(rest);
  for (let bytes; body.length < length && (bytes = await pipe.read()); ) body += text(bytes);
  const code = /"code":"(LEAT_[A-Z_]+)"/.exec(body)?.[1];
  return code ? new LeatError(shownCode(code)) : new LeatError('LEAT_RELAY_UNREACHABLE', `the relay answered ${head.status}`);
}

async function relay(address: string, options: RelayOptions, signal: AbortSignal): Promise<Pipe> {
  if (options.WebSocket) return relaySocket(address, options.WebSocket as SocketClass, signal);
  const url = new URL(address);
  const pipe = await connectTo(url, options, signal);
  const abort = () => pipe.close();
  signal.addEventListener('abort', abort);
  try {
    const key = newKey();
    await pipe.write(
      utf8(
        `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
      ),
    );
    const { head, rest } = await readHead(pipe);
    if (head.status !== 101) throw await refusal(pipe, head, rest);
    const agrees =
      listed(head.fields, 'upgrade').join() === 'websocket' &&
      valuesOf(head.fields, 'sec-websocket-accept').join() === (await acceptKey(key)) &&
      valuesOf(head.fields, 'sec-websocket-protocol').join() === SUBPROTOCOL;
    if (!agrees) throw new LeatError('LEAT_RELAY_UNREACHABLE', 'what answers there is no relay');
    return websocketPipe(pipe, rest);
  } catch (error) {
    pipe.close();
    throw leatError(error, 'LEAT_RELAY_UNREACHABLE');
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The bytes inside the binary messages of a WebSocket. */
function websocketPipe(pipe: Pipe, first: Bytes): Pipe {
  const frames = new FrameReader(false);
  const pong = pongs((frame) => pipe.write(frame));
  const ready: Bytes[] = [];
  let ended: { error: LeatError | undefined } | undefined;
  const take = (bytes: Bytes) => {
    for (const { op, payload } of frames.feed(bytes)) {
      if (op === OP.binary && payload.length) ready.push(payload);
      if (op === OP.ping) pong(payload);
      if (op !== OP.close) continue;
      const { code, reason } = readClose(payload);
      ended = { error: closeHint(code, reason) };
      return;
    }
  };
  take(first);
  return {
    async read() {
      for (;;) {
        if (ready.length) return ready.shift();
        if (ended?.error) throw ended.error;
        if (ended) return undefined;
        const bytes = await pipe.read();
        if (!bytes) throw new LeatError('LEAT_CARRIER_CUT');
        take(bytes);
      }
    },
    write: (bytes) => pipe.write(writeFrame(OP.binary, bytes)),
    close() {
      void pipe.write(writeFrame(OP.close, closePayload(1000, ''))).catch(() => {});
      pipe.close();
    },
  };
}

usePlatform({ relay, direct, keysAsText: true });
