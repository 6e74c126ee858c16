// What differs between environments: how a relay and an agent's own address are reached. This is what
// every environment with a global WebSocket has; node.ts puts Node's in its place.
import type { Bytes } from './bytes.js';
import { LeatError } from './errors.js';
import type { Pipe, SocketClass } from './pipe.js';
import { relaySocket } from './pipe.js';

export interface Platform {
  /** `url`: the relay's WebSocket. `pin`: of its key, if it can be checked. */
  relay(url: string, options: RelayOptions, signal: AbortSignal): Promise<Pipe>;
  /** TCP to an agent's own address; not there in browsers. */
  direct?(address: string, signal: AbortSignal): Promise<Pipe>;
  /** Secret keys are stored as text. */
  keysAsText: boolean;
}

export interface RelayOptions {
  pin?: Bytes;
  ca?: string;
  WebSocket?: unknown;
}

export const browser: Platform = {
  relay(url, options, signal) {
    const socketClass = (options.WebSocket ?? globalThis.WebSocket) as SocketClass | undefined;
    if (!socketClass) throw new LeatError('LEAT_NOT_SUPPORTED', 'there is no WebSocket here');
    return relaySocket(url, socketClass, signal);
  },
  keysAsText: typeof indexedDB === 'undefined',
};

let current = browser;
export const platform = (): Platform => current;
export const usePlatform = (other: Platform): void => {
  current = other;
};
