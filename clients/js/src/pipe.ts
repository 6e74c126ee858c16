// The ordered byte pipe under a sealed session, and the one that every browser has: a WebSocket to a
// relay (docs/protocol.md §8.1).
import type { Bytes } from './bytes.js';
import { copyOf } from './bytes.js';
import { throwIfAborted } from './elsewhere.js';
import { LeatError, shownCode } from './errors.js';

export interface Pipe {
  /** The next bytes; undefined at the end. One call at a time. Rejects when the pipe broke. */
  read(): Promise<Bytes | undefined>;
  /** Resolves when there is room for more. */
  write(bytes: Bytes): Promise<void>;
  /** Cuts it; a read that waits ends. */
  close(): void;
}

export const SUBPROTOCOL = 'leat-sealed.1';

/** Bytes that arrive by themselves, for whoever asks. */
export class Arrivals {
  private queue: Bytes[] = [];
  private ended = false;
  private error: LeatError | undefined;
  private waiting: { resolve(bytes: Bytes | undefined): void; reject(error: LeatError): void } | undefined;

  push(bytes: Bytes): void {
    if (this.ended || !bytes.length) return;
    if (this.waiting) this.waiting.resolve(bytes);
    else this.queue.push(bytes);
    this.waiting = undefined;
  }
  end(error?: LeatError): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    if (error) this.waiting?.reject(error);
    else this.waiting?.resolve(undefined);
    this.waiting = undefined;
  }
  next(): Promise<Bytes | undefined> {
    const bytes = this.queue.shift();
    if (bytes) return Promise.resolve(bytes);
    if (this.error) return Promise.reject(this.error);
    if (this.ended) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => (this.waiting = { resolve, reject }));
  }
  get size(): number {
    return this.queue.reduce((sum, part) => sum + part.length, 0);
  }
}

/** What a relay's close of the WebSocket says, as a hint to a person: undefined is an end. */
export function closeHint(code: number, reason: string): LeatError | undefined {
  if (code === 1000) return undefined;
  if (code === 1013 && reason) {
    const named = shownCode(reason);
    return new LeatError(named === 'LEAT_NO_SUCH_SERVICE' ? 'LEAT_AGENT_OFFLINE' : named);
  }
  return new LeatError('LEAT_CARRIER_CUT');
}

/** What is used of the browser's WebSocket. */
type Socket = Pick<WebSocket, 'binaryType' | 'bufferedAmount' | 'readyState' | 'close' | 'send'> & {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: never) => void) | null;
};
export type SocketClass = new (url: string, protocols: string[]) => Socket;

/** Written and not yet taken by the network; a WebSocket has no event for it, so it is looked at. */
const HIGH_WATER = 256 * 1024;
const LOOK_MS = 4;

/** Rejects with LEAT_AGENT_OFFLINE or LEAT_RELAY_UNREACHABLE. */
export async function relaySocket(url: string, socketClass: SocketClass, signal: AbortSignal): Promise<Pipe> {
  const socket = new socketClass(url, [SUBPROTOCOL]);
  socket.binaryType = 'arraybuffer';
  const arrivals = new Arrivals();
  const cut = () => {
    arrivals.end();
    socket.close();
  };
  const opened = await new Promise<boolean>((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onerror = () => {};
    socket.onmessage = ({ data }) => arrivals.push(copyOf(data));
    socket.onclose = ({ code, reason }) => {
      arrivals.end(closeHint(code, reason));
      resolve(false);
    };
    signal.addEventListener('abort', () => (cut(), resolve(false)), { once: true });
  });
  throwIfAborted(signal);
  if (!opened) throw new LeatError((await answers(url)) ? 'LEAT_AGENT_OFFLINE' : 'LEAT_RELAY_UNREACHABLE');
  return {
    read: () => arrivals.next(),
    write: async (bytes) => {
      if (socket.readyState !== 1) throw new LeatError('LEAT_CARRIER_CUT');
      socket.send(bytes);
      while (socket.bufferedAmount > HIGH_WATER && socket.readyState === 1) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },
    close: cut,
  };
}

/** A page does not learn why a WebSocket did not open: whether there is a relay at all tells one from the other. */
async function answers(url: string): Promise<boolean> {
  const address = new URL(url.replace(/^ws/, 'http'));
  address.pathname = '/healthz';
  try {
    await globalThis.fetch(address, { mode: 'no-cors', cache: 'no-store' });
    return true;
  } catch {
    return false;
  }
}
