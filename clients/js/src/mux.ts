// The multiplexer: yamux v0 as docs/protocol.md §1 has it, by default the side that opens streams. It
// holds no socket and no clock: bytes go in by feed() and are asked for by pull(), so that what is sent
// next is decided only when the carrier can take it.
import type { Bytes } from './bytes.js';
import { ByteQueue, concat, view } from './bytes.js';
import { LeatError } from './errors.js';
import { MuxStream } from './stream.js';

export const TYPE = { data: 0, window: 1, ping: 2, goAway: 3 } as const;
export const FLAG = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;

const HEADER = 12;
const MAX_PONGS = 32;
const MAX_STREAMS = 32_768;
/** Largest payload of a data frame: with the headers of frame and chunk one TLS record (§1.6). */
const MAX_FRAME = 16_369;
/** Above it receive windows do not grow: half of what a session may hold. */
const GROWTH_BUDGET = 8 << 20;

export function frame(type: number, flags: number, id: number, length: number): Bytes {
  const out = new Uint8Array(HEADER);
  const fields = view(out);
  out[1] = type;
  fields.setUint16(2, flags);
  fields.setUint32(4, id);
  fields.setUint32(8, length);
  return out;
}

export interface MuxOptions {
  /** Something waits to be pulled. */
  wake(): void;
  /** Clock and round trip in milliseconds, for the growth of windows. */
  now(): number;
  roundTrip(): number | undefined;
  /** Given: the side that accepts streams. */
  accept?(stream: MuxStream): void;
}

const fault = (why: string) => new LeatError('LEAT_PROTOCOL', `multiplexer: ${why}`);

export class Mux {
  /** Set once the session is over: what every stream was told. */
  error: LeatError | undefined;

  private readonly streams = new Map<number, MuxStream>();
  private readonly input = new ByteQueue();
  private pongs: Bytes[] = [];
  /** Streams with something to send, in the order of their turns. */
  private readonly ready = new Set<MuxStream>();
  private nextId: number;
  private highestSeen = 0;
  private leaving = false;
  /** Of the data frame whose payload is coming. */
  private payloadLeft = 0;
  private payloadStream: MuxStream | undefined;
  private payloadEnds = false;

  constructor(readonly options: MuxOptions) {
    this.nextId = options.accept ? 2 : 1;
  }

  get open(): number {
    return this.streams.size;
  }

  openStream(): MuxStream {
    if (this.error) throw this.error;
    if (this.leaving || this.nextId > 0xffff_fffd) throw new LeatError('LEAT_DRAINING', 'the agent takes no new streams');
    if (this.streams.size >= MAX_STREAMS) throw new LeatError('LEAT_AGENT_BUSY', 'too many streams are open');
    const stream = new MuxStream(this, this.nextId, true);
    this.nextId += 2;
    this.streams.set(stream.id, stream);
    return stream;
  }

  /** True if no new stream can be opened here. */
  get full(): boolean {
    return this.leaving || this.error !== undefined;
  }

  /** Ends every stream; nothing is sent or taken any more. */
  end(error: LeatError): void {
    if (this.error) return;
    this.error = error;
    for (const stream of [...this.streams.values()]) stream.fail(error);
    this.streams.clear();
    this.ready.clear();
    this.input.clear();
  }

  // --- in ---

  /** Throws LEAT_PROTOCOL for a fault of the peer. */
  feed(bytes: Bytes): void {
    this.input.push(bytes);
    while (!this.error) {
      if (this.payloadLeft) {
        if (!this.input.size) return;
        this.takePayload();
      } else {
        if (this.input.size < HEADER) return;
        this.takeHeader(this.input.take(HEADER));
      }
    }
  }

  private takePayload(): void {
    const bytes = this.input.takeSome(this.payloadLeft);
    this.payloadLeft -= bytes.length;
    this.payloadStream?.take(bytes);
    if (!this.payloadLeft && this.payloadEnds) this.payloadStream?.takeFin();
  }

  private takeHeader(header: Bytes): void {
    const [version, type] = header;
    const fields = view(header);
    const flags = fields.getUint16(2);
    const id = fields.getUint32(4);
    const length = fields.getUint32(8);
    if (version !== 0) throw fault('bad_version');
    if (type > TYPE.goAway) throw fault('bad_type');
    if (flags > 15 || (flags & FLAG.syn && flags & FLAG.ack)) throw fault('bad_flags');
    const session = type >= TYPE.ping;
    if (session !== (id === 0)) throw fault('bad_stream_id');
    if (type === TYPE.ping) this.takePing(flags, header);
    else if (type === TYPE.goAway) this.takeGoAway(flags, length);
    else this.takeStreamFrame(type, flags, id, length);
  }

  private takePing(flags: number, header: Bytes): void {
    if (flags === FLAG.ack) return; // we ask none: an answer counts for nothing
    if (flags !== FLAG.syn) throw fault('bad_flags');
    if (this.pongs.length < MAX_PONGS) {
      this.pongs.push(concat(frame(TYPE.ping, FLAG.ack, 0, 0).subarray(0, 8), header.subarray(8)));
    }
    this.options.wake();
  }

  private takeGoAway(flags: number, code: number): void {
    if (flags) throw fault('bad_flags');
    if (code) throw fault(`the agent went away with code ${code}`);
    this.leaving = true;
  }

  private takeStreamFrame(type: number, flags: number, id: number, length: number): void {
    if (flags & FLAG.syn) this.takeSyn(id);
    const stream = this.streams.get(id);
    this.payloadStream = undefined;
    this.payloadEnds = false;
    this.payloadLeft = type === TYPE.data ? length : 0;
    if (!stream) return; // of a stream that is gone: skipped
    if (flags & FLAG.rst) return stream.takeReset();
    // Judged as a whole before any of it takes effect (§1.4).
    stream.judge(type === TYPE.data, length, flags);
    stream.takeAck();
    if (type === TYPE.window) stream.takeCredit(length);
    if (this.payloadLeft) {
      this.payloadStream = stream;
      this.payloadEnds = (flags & FLAG.fin) !== 0;
    } else if (flags & FLAG.fin) {
      stream.takeFin();
    }
  }

  private takeSyn(id: number): void {
    if (!this.options.accept || id % 2 === 0) throw fault('bad_stream_id');
    if (id <= this.highestSeen) throw fault('bad_stream_id');
    this.highestSeen = id;
    const stream = new MuxStream(this, id, false);
    this.streams.set(id, stream);
    this.mark(stream);
    this.options.accept(stream);
  }

  // --- out ---

  /** At most `max` bytes to send, if there are any. */
  pull(max: number): Bytes | undefined {
    const parts: Bytes[] = [];
    let room = max;
    const put = (part: Bytes) => {
      parts.push(part);
      room -= part.length;
    };
    while (this.pongs.length && room >= HEADER) put(this.pongs.shift()!);
    // First what costs twelve bytes each, then data, each stream in its turn.
    for (const stream of this.ready) {
      for (let next; room >= HEADER && (next = stream.pullControl()); ) put(next);
      if (!stream.wants) this.ready.delete(stream);
    }
    for (const stream of this.ready) {
      if (room <= HEADER) break;
      this.ready.delete(stream);
      const data = stream.pullData(Math.min(room - HEADER, MAX_FRAME));
      if (data) {
        put(frame(TYPE.data, 0, stream.id, data.length));
        put(data);
        for (let next; room >= HEADER && (next = stream.pullControl()); ) put(next);
      }
      if (stream.wants) this.ready.add(stream);
    }
    return parts.length ? concat(...parts) : undefined;
  }

  /** True if pull() would give something. */
  get wants(): boolean {
    return this.pongs.length > 0 || this.ready.size > 0;
  }

  // --- of the streams ---

  /** @internal */
  mark(stream: MuxStream): void {
    if (this.error || !stream.wants) return;
    this.ready.add(stream);
    this.options.wake();
  }

  /** @internal */
  forget(stream: MuxStream): void {
    if (this.streams.get(stream.id) === stream) this.streams.delete(stream.id);
    this.ready.delete(stream);
    if (this.payloadStream === stream) this.payloadStream = undefined;
  }

  /** @internal True while receive windows may grow by so much. */
  mayGrow(by: number): boolean {
    let sum = by;
    for (const stream of this.streams.values()) sum += stream.window;
    return sum <= GROWTH_BUDGET;
  }
}
