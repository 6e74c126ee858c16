// The client: one sealed session at a time, made when it is needed and again when it was lost, and the
// `fetch` and `WebSocket` that travel in it.
import type { Bytes } from './bytes.js';
import { fromBase64url } from './bytes.js';
import type { Credential } from './credential.js';
import { keysOf, newCredential, parseLink } from './credential.js';
import type { KeyPair, Primitives, Suite } from './crypto.js';
import { primitives } from './crypto.js';
import { abort, lacking, reasonOf, safely, throwIfAborted } from './elsewhere.js';
import { LeatError } from './errors.js';
import type { FetchInit } from './fetch.js';
import { leatFetch } from './fetch.js';
import type { Service } from './messages.js';
import { platform } from './platform.js';
import { Session, now } from './session.js';
import type { MuxStream } from './stream.js';
import { firstWay } from './ways.js';
import type { Turn, Way } from './ways.js';
import type { StreamSource } from './websocket.js';
import { LeatWebSocket } from './websocket.js';

export interface ConnectOptions {
  /** What the agent's list of devices shall call this one, at pairing. */
  device?: string;
  /** Keep the secret key as text, which JSON can hold. Default: only where there is no IndexedDB. */
  keysAsText?: boolean;
  /**
   * Told of the credential whenever there is something new in it to be stored. At pairing the link is used up only
   * after this has returned, or the promise that it gave has resolved; what it throws is what `connect` rejects with.
   */
  oncredential?(credential: Credential): void | Promise<void>;
  /** Told when a session begins and which way it goes, and when it ended and why. */
  onstate?(state: ConnectionState): void;
  /** How long a request, and `connect` itself, waits for a connection. Default 15,000 ms; 0: one try. */
  timeout?: number;
  /** Try the agent's own addresses too, where that is possible. Default true. */
  direct?: boolean;
  /** What relative URLs are relative to; its host is what the service sees as `Host`. Default `http://localhost/`. */
  base?: string | URL;
  /** Fill records with zeros to a multiple of so many bytes, to hide sizes. Default 0: not. */
  padding?: number;
  /** Gives up. */
  signal?: AbortSignal;
  /** One kind of primitives throughout, instead of the best there is. */
  crypto?: 'webcrypto' | 'noble';
  /** Record suites, best first. Default: the faster one here first. */
  suites?: Suite[];
  /** Another WebSocket class for the way to the relay. */
  WebSocket?: unknown;
  /** In Node: certificates (PEM) to trust beside a pin of the link. */
  ca?: string;
}

export type ConnectionState = { state: 'connected'; via: Way } | { state: 'disconnected'; error: LeatError };

/** `fetch` and `WebSocket` to one service. Both may be passed on by themselves. */
export interface ServiceClient {
  /**
   * As the global `fetch`. Of the URL, path and query count; the host is what the service gets as `Host`.
   * Rejects with a TypeError that has a `code`, or with the signal's reason.
   */
  readonly fetch: (input: string | URL | Request, init?: FetchInit) => Promise<Response>;
  /** The browser's class, over this client. Both kinds of URL are taken, `ws:` and `http:`, and relative ones. */
  readonly WebSocket: typeof globalThis.WebSocket;
}

export interface Client extends ServiceClient {
  /** To be stored, and given to `connect` the next time. */
  readonly credential: Credential;
  /** What this device may use, as the agent said when the session began. */
  readonly services: readonly Service[];
  /** How the last session went. */
  readonly via: Way | undefined;
  /** Other services than the tunnel's own, by their id. */
  service(id: string): ServiceClient;
  /** Makes the connection now, if there is none. */
  ready(): Promise<void>;
  /** Ends the session and everything in it. */
  close(): void;
}

// Reconnecting: at once, then full jitter below 2 s until the outage is 5 s old, then doubling to 15 s.
const FIRST_BOUND_MS = 2_000;
const LAST_BOUND_MS = 15_000;
const PATIENT_AFTER_MS = 5_000;

/** How long to wait before the n-th try after the first, `outage` ms after the connection was lost. */
export function backoff(bound: number, outage: number, random: number): { wait: number; bound: number } {
  const next = outage > PATIENT_AFTER_MS ? Math.min(2 * bound, LAST_BOUND_MS) : bound;
  return { wait: random * next, bound: next };
}

/** `promise`, unless the signal comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop!: () => void;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(reasonOf(signal));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
  });
  return Promise.race([promise, stopped]).finally(() => signal.removeEventListener('abort', stop));
}

/** What a callback of the application threw: not a connection that failed. */
class Thrown {
  constructor(readonly error: unknown) {}
}

class SealedClient implements Client {
  readonly fetch: ServiceClient['fetch'];
  readonly WebSocket: ServiceClient['WebSocket'];
  services: readonly Service[] = [];
  via: Way | undefined;

  private session: Session | undefined;
  private connecting: Promise<Session> | undefined;
  private readonly closing = new AbortController();
  private readonly base: string;
  private outageSince: number | undefined;
  private bound = FIRST_BOUND_MS;
  private notBefore = 0;
  /** The pairing hello has been answered: the agent may know this device already. */
  private answered = false;

  constructor(
    public credential: Credential,
    private readonly options: ConnectOptions,
    private readonly crypto: Primitives,
    private readonly agent: Bytes,
    private readonly own: KeyPair,
    private pairing: { id: Bytes; secret: Bytes } | undefined,
  ) {
    this.base = new URL(options.base ?? 'http://localhost/').href;
    ({ fetch: this.fetch, WebSocket: this.WebSocket } = this.service(''));
  }

  service(id: string): ServiceClient {
    const source: StreamSource = {
      service: id,
      base: this.base,
      open: () => this.openStream(),
    };
    return {
      fetch: (input, init) => leatFetch(source, input, init),
      WebSocket: class extends LeatWebSocket {
        constructor(url: string | URL, protocols?: string | string[]) {
          super(source, url, protocols);
        }
      } as unknown as ServiceClient['WebSocket'],
    };
  }

  async ready(): Promise<void> {
    await this.current();
  }

  close(): void {
    abort(this.closing, new LeatError('LEAT_CLOSED'));
    this.session?.close();
  }

  private async openStream(): Promise<MuxStream> {
    return (await this.current()).openStream();
  }

  /** The session in use, or a new one. */
  private current(): Promise<Session> {
    if (this.session?.usable) return Promise.resolve(this.session);
    if (this.closing.signal.aborted) return Promise.reject(reasonOf(this.closing.signal));
    this.connecting ??= this.establish().finally(() => (this.connecting = undefined));
    return this.connecting;
  }

  private async establish(): Promise<Session> {
    const limit = new AbortController();
    const stop = () => abort(limit, reasonOf(this.closing.signal));
    this.closing.signal.addEventListener('abort', stop);
    let last: LeatError | undefined;
    const { timeout = 15_000 } = this.options;
    const late = timeout && setTimeout(() => abort(limit, last ?? new LeatError('LEAT_TIMEOUT')), timeout);
    try {
      for (;;) {
        await this.pause(limit.signal);
        try {
          return await this.attempt(limit.signal);
        } catch (error) {
          if (error instanceof Thrown) throw error.error;
          if (limit.signal.aborted) throw last ?? reasonOf(limit.signal);
          last = error as LeatError;
          this.failed();
          if (last.final || !timeout) throw last;
        }
      }
    } finally {
      if (late) clearTimeout(late);
      this.closing.signal.removeEventListener('abort', stop);
    }
  }

  private async pause(signal: AbortSignal): Promise<void> {
    const wait = this.notBefore - now();
    if (wait <= 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await orAborted(new Promise<void>((resolve) => (timer = setTimeout(resolve, wait))), signal).finally(() =>
      clearTimeout(timer),
    );
  }

  private failed(): void {
    this.outageSince ??= now();
    const { wait, bound } = backoff(this.bound, now() - this.outageSince, Math.random());
    this.bound = bound;
    this.notBefore = now() + wait;
  }

  private ways(): Way[] {
    const { direct, relays } = this.credential;
    const dials = platform().direct && this.options.direct !== false;
    return [
      ...(dials ? direct : []).map((address): Way => ({ kind: 'direct', address })),
      ...relays.map((address): Way => ({ kind: 'relay', address })),
    ];
  }

  private async attempt(signal: AbortSignal): Promise<Session> {
    const first = this.pairing && !this.answered;
    try {
      return await this.attemptAs(first ? this.pairing : undefined, signal);
    } catch (error) {
      // The connection may have been cut between the agent's reply and our first record.
      const unknown = (error as LeatError).code === 'LEAT_UNKNOWN_DEVICE';
      if (!this.pairing || first || !unknown) throw error;
      return this.attemptAs(this.pairing, signal);
    }
  }

  private async attemptAs(pairing: typeof this.pairing, signal: AbortSignal): Promise<Session> {
    const { session, way } = await firstWay(
      this.ways(),
      pairing !== undefined,
      async (way, limit, turn) => ({ session: await this.through(way, pairing, limit, turn), way }),
      signal,
      (late) => late.session.close(),
    );
    if (pairing) this.answered = true;
    try {
      await orAborted(this.learn(session), signal);
      session.begin();
      await orAborted(session.opened, signal);
    } catch (error) {
      session.close();
      throw error;
    }
    this.pairing?.secret.fill(0);
    this.pairing = undefined;
    this.outageSince = undefined;
    this.bound = FIRST_BOUND_MS;
    this.notBefore = 0;
    this.session = session;
    this.via = way;
    this.services = session.reply.services;
    this.tell({ state: 'connected', via: way });
    void session.closed.then((error) => this.tell({ state: 'disconnected', error }));
    return session;
  }

  /** A handshake over one way. A hello of a pairing counts as a try, so that one is made at a time. */
  private async through(way: Way, pairing: typeof this.pairing, signal: AbortSignal, turn: Turn): Promise<Session> {
    const { tunnel, pin, device } = this.credential;
    const { ca, WebSocket, padding = 0 } = this.options;
    const options = { pin: pin ? fromBase64url(pin) : undefined, ca, WebSocket };
    const pipe = await (way.kind === 'direct'
      ? platform().direct!(way.address, signal)
      : platform().relay(`${way.address}/sealed/${encodeURIComponent(tunnel)}`, options, signal));
    const cut = () => pipe.close();
    if (signal.aborted) cut();
    signal.addEventListener('abort', cut);
    const { crypto, agent, own } = this;
    // Without WebCrypto NaCl's is the faster one, and the one that takes the same time for every key.
    const fitting: Suite[] = this.crypto.name === 'noble' ? ['nacl', 'aesgcm'] : ['aesgcm', 'nacl'];
    const suites = this.options.suites ?? fitting;
    try {
      const said = { crypto, agent, own, device, tunnel, suites, pairing, padding };
      return await turn(() => Session.start(pipe, said));
    } catch (error) {
      cut();
      throw error;
    } finally {
      signal.removeEventListener('abort', cut);
      if (signal.aborted) cut();
    }
  }

  /** What the agent says of itself, in a reply that is known to be its own. */
  private async learn({ reply }: Session): Promise<void> {
    const fresh = reply.direct.length > 0 && reply.direct.join() !== this.credential.direct.join();
    if (fresh) this.credential = { ...this.credential, direct: reply.direct };
    if (!fresh && !this.pairing) return;
    try {
      await this.options.oncredential?.(this.credential);
    } catch (error) {
      throw new Thrown(error);
    }
  }

  private tell(state: ConnectionState): void {
    safely(() => this.options.onstate?.(state));
  }
}

/**
 * Connects to an agent: with a pairing link the first time, which uses the link up, and with the
 * credential that came of it (`client.credential`) from then on.
 */
export async function connect(link: string | URL | Credential, options: ConnectOptions = {}): Promise<Client> {
  throwIfAborted(options.signal);
  const lack = lacking();
  if (lack) throw new LeatError('LEAT_NOT_SUPPORTED', lack);
  const crypto = await primitives(options.crypto);
  const asText = options.keysAsText ?? platform().keysAsText;
  let client: SealedClient;
  if (typeof link === 'string' || link instanceof URL) {
    const parsed = parseLink(link);
    const own = await crypto.generate(asText);
    const credential = await newCredential(parsed, own, options.device ?? 'a device', asText);
    const pairing = { id: parsed.pairing, secret: parsed.secret };
    const stored = asText ? (await keysOf(credential, crypto)).own : own;
    client = new SealedClient(credential, options, crypto, parsed.agent, stored, pairing);
  } else {
    const { agent, own } = await keysOf(link, crypto);
    client = new SealedClient(link, options, crypto, agent, own, undefined);
  }
  try {
    await (options.signal ? orAborted(client.ready(), options.signal) : client.ready());
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}
