// The link of a sealed session (docs/protocol.md §2.1, §2.3 to §2.6, §8.2), the client's side and, with
// `agent`, the other: chunks, acknowledgements, pings, close. It holds no socket and no clock. What was
// sent stays in the log until it is acknowledged, with its offset, so that another carrier could go on.
import type { Bytes } from './bytes.js';
import { ByteQueue, concat, utf8, text as decodeText, view } from './bytes.js';
import { LeatError, shown, shownCode } from './errors.js';

export const CHUNK = { open: 2, opened: 3, data: 4, ack: 5, ping: 6, pong: 7, close: 8 } as const;
const names = new Map<number, string>(Object.entries(CHUNK).map(([name, kind]) => [kind, name]));

const HEADER = 3;
const MAX_BODY = 16_381;
/** Data in a chunk, so that the sealed unit fits one frame of the session outside (§8.2). */
export const MAX_DATA = 16_345;
const LOG_BYTES = 4 << 20;
const ACK_BYTES = 65_536;
const ACK_MS = 10;
const PING_MS = 2_000;
const DEAD_MS = 6_000;

const u64 = (value: number): Bytes => {
  const out = new Uint8Array(8);
  view(out).setBigUint64(0, BigInt(value));
  return out;
};
const readU64 = (bytes: Bytes, at = 0): number => Number(view(bytes).getBigUint64(at));

export const chunk = (kind: number, ...body: Bytes[]): Bytes => {
  const size = body.reduce((sum, part) => sum + part.length, 0);
  return concat(Uint8Array.of(size >> 8, size & 255, kind), ...body);
};

/** §8.2: version, intent, session, epoch, received. */
export const openBody = (): Bytes => {
  const body = new Uint8Array(30);
  body[0] = 1;
  return body;
};

/** The body of `close` (§2.6). */
export const closeBody = (code: string, why: string): Bytes =>
  concat(Uint8Array.of(code.length), utf8(code), utf8(shown(why)));

/** What was sent and not yet acknowledged, by offset. */
export class Log {
  private parts: Bytes[] = [];
  /** The offset of the first byte held, and that behind the last. */
  start = 0;
  end = 0;

  get room(): number {
    return LOG_BYTES - (this.end - this.start);
  }
  append(bytes: Bytes): void {
    this.parts.push(bytes);
    this.end += bytes.length;
  }
  /** Lets go of what lies before `offset`. */
  release(offset: number): void {
    while (this.start < offset) {
      const first = this.parts[0];
      const n = Math.min(first.length, offset - this.start);
      this.start += n;
      if (n === first.length) this.parts.shift();
      else this.parts[0] = first.subarray(n);
    }
  }
  /** What a peer that has received up to `offset` still has to get. */
  from(offset: number): Bytes[] {
    if (offset < this.start || offset > this.end) throw new LeatError('LEAT_SESSION_LOST');
    let skip = offset - this.start;
    return this.parts.flatMap((part) => {
      const rest = part.subarray(Math.min(skip, part.length));
      skip -= part.length - rest.length;
      return rest.length ? [rest] : [];
    });
  }
}

export interface LinkEvents {
  /** Bytes of §1, in order. */
  data(bytes: Bytes): void;
  /** The peer's half of the handshake has come. */
  opened(session: Bytes): void;
  /** The peer has ended the session. */
  closed(reason: LeatError): void;
}

export class Link {
  /** Session bytes taken. */
  received = 0;
  readonly log = new Log();
  /** The last measured round trip in milliseconds. */
  roundTrip: number | undefined;

  private readonly input = new ByteQueue();
  private readonly output: Bytes[] = [];
  private established = false;
  private over = false;
  private acked = 0;
  private unackedSince: number | undefined;
  private lastHeard: number;
  private lastPing = -Infinity;
  private pingValue = 0;
  private pingSentAt: number | undefined;
  private pongDue: Bytes | undefined;

  constructor(
    private readonly events: LinkEvents,
    now: number,
    private readonly agent = false,
  ) {
    this.lastHeard = now;
    if (!agent) this.output.push(chunk(CHUNK.open, openBody()));
  }

  /** Takes bytes of the carrier. Throws LEAT_PROTOCOL for a fault of the peer. */
  feed(bytes: Bytes, now: number): void {
    this.lastHeard = now;
    this.input.push(bytes);
    while (!this.over && this.input.size >= HEADER) {
      const [high, low, kind] = this.input.peek(HEADER);
      const length = high * 256 + low;
      this.judge(kind, length);
      if (this.input.size < HEADER + length) return;
      this.input.take(HEADER);
      this.take(kind, this.input.take(length), now);
    }
  }

  /** True if something other than data waits to be sent, or an ack may go along with data. */
  wants(now: number): boolean {
    return this.output.length > 0 || this.pongDue !== undefined || this.pingDue(now) || this.ackDue(now);
  }

  /**
   * The next content of a record: at most MAX_DATA + 3 bytes, empty if there is nothing. `pull` gives bytes
   * of the session, at most as many as it is asked for.
   */
  pull(now: number, pull: (max: number) => Bytes | undefined): Bytes {
    const parts = this.output.splice(0);
    if (this.pongDue) parts.push(chunk(CHUNK.pong, this.pongDue));
    this.pongDue = undefined;
    if (this.over) return concat(...parts);
    if (this.established && this.pingDue(now)) parts.push(this.ping(now));
    const used = parts.reduce((sum, part) => sum + part.length, 0);
    const room = Math.min(MAX_DATA - used - HEADER - 8, this.log.room);
    const data = room > 0 && (this.established || !this.agent) ? pull(room) : undefined;
    if (this.received > this.acked && (data || this.ackDue(now))) {
      parts.push(chunk(CHUNK.ack, u64(this.received)));
      this.acked = this.received;
      this.unackedSince = undefined;
    }
    if (data?.length) {
      this.log.append(data);
      parts.push(chunk(CHUNK.data, data));
    }
    return concat(...parts);
  }

  /** Ends the session: `close` is the last thing that goes out. */
  close(code = '', why = ''): void {
    if (this.over) return;
    this.over = true;
    this.output.push(chunk(CHUNK.close, closeBody(code, why)));
  }

  /** When `wants` or `dead` may change by themselves. */
  deadline(now: number): number {
    const ping = this.pingSentAt === undefined ? Math.max(this.lastHeard, this.lastPing) + PING_MS : Infinity;
    const ack = this.unackedSince === undefined ? Infinity : this.unackedSince + ACK_MS;
    return Math.max(now, Math.min(ping, ack, this.deadAt));
  }

  /** When nothing will have been heard for 6 s, … */
  get deadAt(): number {
    return this.lastHeard + DEAD_MS;
  }
  /** … and whether that is so. */
  dead(now: number): boolean {
    return now >= this.deadAt;
  }

  /** The agent's answer to `open`. */
  answer(session: Bytes): void {
    this.established = true;
    this.output.push(chunk(CHUNK.opened, session, u64(0)));
  }

  private judge(kind: number, length: number): void {
    const fits: Record<string, boolean> = {
      open: this.agent && !this.established && length === 30,
      opened: !this.agent && !this.established && length === 24,
      data: this.established && length >= 1 && length <= MAX_BODY,
      ack: this.established && length === 8,
      ping: this.established && length === 8,
      pong: this.established && length === 8,
      close: length >= 1 && length <= 561,
    };
    if (!fits[names.get(kind) ?? '']) throw new LeatError('LEAT_PROTOCOL', `a chunk of kind ${kind} out of place`);
  }

  private take(kind: number, body: Bytes, now: number): void {
    switch (kind) {
      case CHUNK.open:
        return this.takeOpen(body);
      case CHUNK.opened:
        if (readU64(body, 16) !== 0) throw new LeatError('LEAT_PROTOCOL', 'a new session that has received');
        this.established = true;
        return this.events.opened(body.slice(0, 16));
      case CHUNK.data:
        this.received += body.length;
        this.unackedSince ??= now;
        return this.events.data(body);
      case CHUNK.ack:
        return this.takeAck(readU64(body));
      case CHUNK.ping:
        this.pongDue = body.slice();
        return;
      case CHUNK.pong:
        return this.takePong(readU64(body), now);
      case CHUNK.close:
        return this.takeClose(body);
    }
  }

  private takeOpen(body: Bytes): void {
    if (body[0] !== 1) throw new LeatError('LEAT_VERSION_MISMATCH');
    if (body[1] !== 0) throw new LeatError('LEAT_SESSION_LOST');
    this.answer(crypto.getRandomValues(new Uint8Array(16)));
    this.events.opened(new Uint8Array(16));
  }

  private takeAck(offset: number): void {
    if (offset <= this.log.start || offset > this.log.end) throw new LeatError('LEAT_PROTOCOL', 'a wrong ack');
    this.log.release(offset);
  }

  private takePong(value: number, now: number): void {
    if (this.pingSentAt === undefined || value !== this.pingValue) {
      throw new LeatError('LEAT_PROTOCOL', 'a pong that answers nothing');
    }
    this.roundTrip = now - this.pingSentAt;
    this.pingSentAt = undefined;
  }

  private takeClose(body: Bytes): void {
    const size = body[0];
    if (size > 48 || size > body.length - 1 || body.length - 1 - size > 512) {
      throw new LeatError('LEAT_PROTOCOL', 'a malformed close');
    }
    this.over = true;
    const code = decodeText(body.subarray(1, 1 + size));
    const why = shown(decodeText(body.subarray(1 + size)));
    this.events.closed(new LeatError(code ? shownCode(code) : 'LEAT_CARRIER_CUT', why || undefined));
  }

  private ackDue(now: number): boolean {
    if (this.unackedSince === undefined) return false;
    return this.received - this.acked >= ACK_BYTES || now - this.unackedSince >= ACK_MS;
  }

  private pingDue(now: number): boolean {
    return (
      this.established &&
      this.pingSentAt === undefined &&
      (this.lastPing === -Infinity || now - Math.max(this.lastHeard, this.lastPing) >= PING_MS)
    );
  }

  private ping(now: number): Bytes {
    this.lastPing = this.pingSentAt = now;
    return chunk(CHUNK.ping, u64(++this.pingValue));
  }
}
