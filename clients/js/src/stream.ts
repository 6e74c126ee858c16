// One stream of the multiplexer (docs/protocol.md §1.3 to §1.5): its state, its windows, what was
// received and not yet read, what was written and not yet sent.
import type { Bytes } from './bytes.js';
import { ByteQueue } from './bytes.js';
import { LeatError } from './errors.js';
import type { Mux } from './mux.js';
import { FLAG, TYPE, frame } from './mux.js';

const FIRST_WINDOW = 256 * 1024;
const MAX_WINDOW = 4 << 20;
const MAX_CREDIT = 0xffff_ffff;

interface Waiter {
  /** Of a write: how many bytes must still leave. */
  left: number;
  resolve(): void;
  reject(error: unknown): void;
}

export class MuxStream {
  /** What ended it before its time. */
  error: LeatError | undefined;
  /** Told when that happens. */
  onerror: ((error: LeatError) => void) | undefined;
  /** The receive window that is aimed at. */
  window = FIRST_WINDOW;

  private needSyn: boolean;
  private needAck: boolean;
  private finAsked = false;
  private finSent = false;
  private finReceived = false;
  private needReset = false;

  private sendCredit = FIRST_WINDOW;
  private readonly output = new ByteQueue();
  private writers: Waiter[] = [];

  /** What the peer may still send. */
  private receiveCredit = FIRST_WINDOW;
  /** Read and not yet granted again. */
  private grant = 0;
  private lastGrant = 0;
  private readonly input = new ByteQueue();
  private reader: { resolve(bytes: Bytes | undefined): void; reject(error: unknown): void } | undefined;

  /** @internal */
  constructor(
    private readonly mux: Mux,
    readonly id: number,
    ours: boolean,
  ) {
    this.needSyn = ours;
    this.needAck = !ours;
  }

  // --- for whoever uses it ---

  /** The next bytes; undefined at the end. One call at a time. Rejects when the stream was cut. */
  read(): Promise<Bytes | undefined> {
    if (this.input.size) {
      const bytes = this.input.takeSome(Infinity);
      this.credit(bytes.length);
      return Promise.resolve(bytes);
    }
    if (this.error) return Promise.reject(this.error);
    if (this.finReceived) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => (this.reader = { resolve, reject }));
  }

  /** Resolves once the carrier has taken the bytes; they must not change before. */
  write(bytes: Bytes): Promise<void> {
    if (this.error) return Promise.reject(this.error);
    if (this.finAsked) return Promise.reject(new LeatError('LEAT_PROTOCOL', 'written after the end'));
    if (!bytes.length) return Promise.resolve();
    this.output.push(bytes);
    return new Promise((resolve, reject) => {
      this.writers.push({ left: bytes.length, resolve, reject });
      this.mux.mark(this);
    });
  }

  /** Nothing more will be written. */
  finish(): void {
    if (this.error || this.finAsked) return;
    this.finAsked = true;
    this.mux.mark(this);
  }

  /** Ends it at once, both ways. */
  reset(error = new LeatError('LEAT_CLOSED', 'the stream was given up')): void {
    if (this.error || this.done) return;
    const neverSent = this.needSyn;
    this.fail(error);
    if (neverSent) return this.mux.forget(this);
    this.needReset = true;
    this.mux.mark(this);
  }

  /** Both directions have ended well. */
  get done(): boolean {
    return this.finSent && this.finReceived;
  }

  // --- for the multiplexer ---

  /** @internal */
  get wants(): boolean {
    return (
      this.needReset ||
      (!this.error &&
        (this.needSyn ||
          this.needAck ||
          this.grantDue ||
          (this.output.size > 0 && this.sendCredit > 0) ||
          (this.finAsked && !this.finSent && !this.output.size)))
    );
  }

  /** @internal The next of its frames without payload. */
  pullControl(): Bytes | undefined {
    if (this.needReset) {
      this.needReset = false;
      this.mux.forget(this);
      return frame(TYPE.window, FLAG.rst, this.id, 0);
    }
    if (this.error) return undefined;
    if (this.needSyn || this.needAck) {
      const flag = this.needSyn ? FLAG.syn : FLAG.ack;
      this.needSyn = this.needAck = false;
      return frame(TYPE.window, flag, this.id, 0);
    }
    if (this.grantDue) {
      const delta = this.grant;
      this.receiveCredit += delta;
      this.grant = 0;
      return frame(TYPE.window, 0, this.id, delta);
    }
    if (this.finAsked && !this.finSent && !this.output.size) {
      this.finSent = true;
      if (this.done) this.mux.forget(this);
      return frame(TYPE.window, FLAG.fin, this.id, 0);
    }
    return undefined;
  }

  /** @internal */
  pullData(max: number): Bytes | undefined {
    const size = Math.min(max, this.sendCredit, this.output.size);
    if (this.error || this.needSyn || this.needAck || size <= 0) return undefined;
    this.sendCredit -= size;
    const bytes = this.output.take(size);
    for (let left = size; left > 0; ) {
      const writer = this.writers[0];
      const n = Math.min(left, writer.left);
      left -= n;
      writer.left -= n;
      if (!writer.left) this.writers.shift()!.resolve();
    }
    return bytes;
  }

  /** @internal Throws for what the state, or the credit, does not allow. */
  judge(data: boolean, length: number, flags: number): void {
    const fault = (why: string) => new LeatError('LEAT_PROTOCOL', `multiplexer: ${why}`);
    if (this.needReset) return;
    if (this.finReceived && (data || flags & (FLAG.ack | FLAG.fin))) throw fault('bad_state');
    if (data && length > this.receiveCredit) throw fault('window_exceeded');
    if (!data && this.sendCredit + length > MAX_CREDIT) throw fault('window_overflow');
    if (data) this.receiveCredit -= length;
  }

  /** @internal */
  takeAck(): void {
    // Nobody waits for it.
  }

  /** @internal */
  takeCredit(credit: number): void {
    this.sendCredit += credit;
    this.mux.mark(this);
  }

  /** @internal */
  take(bytes: Bytes): void {
    if (this.error) return;
    if (!this.reader) return this.input.push(bytes);
    const { resolve } = this.reader;
    this.reader = undefined;
    this.credit(bytes.length);
    resolve(bytes);
  }

  /** @internal */
  takeFin(): void {
    this.finReceived = true;
    if (this.done) this.mux.forget(this);
    if (this.error || this.input.size) return;
    this.reader?.resolve(undefined);
    this.reader = undefined;
  }

  /** @internal */
  takeReset(): void {
    this.mux.forget(this);
    this.needReset = false;
    this.fail(new LeatError('LEAT_SERVICE_CUT'));
  }

  /** @internal */
  fail(error: LeatError): void {
    if (this.error) return;
    this.error = error;
    this.input.clear();
    this.output.clear();
    this.reader?.reject(error);
    this.reader = undefined;
    for (const writer of this.writers.splice(0)) writer.reject(error);
    this.onerror?.(error);
  }

  private get grantDue(): boolean {
    return this.grant > 0 && this.grant >= this.window / 2 - 16_384 && !this.finReceived;
  }

  /** Bytes have been taken: their credit goes back, with more if the window was what held the peer up. */
  private credit(size: number): void {
    if (this.finReceived) return;
    this.grant += size;
    if (!this.grantDue) return;
    const now = this.mux.options.now();
    const roundTrip = this.mux.options.roundTrip() ?? 0;
    const grown = Math.min(2 * this.window, MAX_WINDOW);
    if (now - this.lastGrant < 2 * roundTrip && grown > this.window && this.mux.mayGrow(grown - this.window)) {
      this.grant += grown - this.window;
      this.window = grown;
    }
    this.lastGrant = now;
    this.mux.mark(this);
  }
}
