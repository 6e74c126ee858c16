// The records of docs/protocol.md §7.3, one direction each, and their faults (§7.4). Any fault is final.
import type { Bytes } from './bytes.js';
import { view } from './bytes.js';
import type { SuiteKey } from './crypto.js';
import { LeatError } from './errors.js';

export const RECORD = { data: 1, rekey: 2, end: 3 } as const;
export const MAX_CONTENT = 16_384;

const HEADER = 3;
const TAG = 16;
const LAST = 2n ** 64n - 1n;
/** What one key may carry in one direction. */
export const KEY_RECORDS = 2 ** 20;
export const KEY_BYTES = 2 ** 30;
const KEY_AGE_MS = 3_600_000;

export type Fault =
  | 'bad_length'
  | 'not_authentic'
  | 'bad_type'
  | 'malformed'
  | 'rekey_overdue'
  | 'bad_count'
  | 'after_end'
  | 'exhausted';

export class RecordFault extends LeatError {
  constructor(readonly fault: Fault) {
    super('LEAT_TAMPERED', `a sealed record was refused: ${fault}`);
  }
}

/** Counts what one key has carried. */
export class Volume {
  private records = 0;
  private bytes = 0;

  constructor(
    private readonly maxRecords = KEY_RECORDS,
    private readonly maxBytes = KEY_BYTES,
  ) {}

  /** True if there is room for one more data record of so many bytes of content and padding. */
  takes(size: number): boolean {
    return this.records + 1 <= this.maxRecords && this.bytes + size <= this.maxBytes;
  }
  add(size: number): void {
    this.records++;
    this.bytes += size;
  }
  reset(): void {
    this.records = this.bytes = 0;
  }
}

/** Makes the records of one direction. Calls must not overlap. */
export class RecordSender {
  private counter = 0n;
  private total = 0n;
  private ended = false;

  constructor(
    private key: SuiteKey | undefined,
    private keyedAt: number,
    private readonly volume = new Volume(),
    /** Every record is filled with zeros to a multiple of this, one without content to one of them. */
    private readonly multiple = 0,
  ) {}

  /**
   * The units for 1 to 16,384 bytes of content: one, or a rekey before it when the key has carried what
   * it may, or is an hour old.
   */
  async data(content: Bytes, now: number, padding = this.padding(content.length)): Promise<Bytes[]> {
    const units: Bytes[] = [];
    const size = content.length + padding;
    if (!this.volume.takes(size) || now - this.keyedAt >= KEY_AGE_MS) units.push(await this.rekey(now));
    this.volume.add(size);
    this.total += BigInt(content.length);
    units.push(await this.seal(RECORD.data, content, padding));
    return units;
  }

  async rekey(now: number): Promise<Bytes> {
    const unit = await this.seal(RECORD.rekey, new Uint8Array(0), this.padding(0));
    const old = this.key!;
    this.key = await old.rekey();
    old.erase();
    this.volume.reset();
    this.keyedAt = now;
    return unit;
  }

  /** The last record of the direction. */
  async end(): Promise<Bytes> {
    const count = new Uint8Array(8);
    view(count).setBigUint64(0, this.total);
    const unit = await this.seal(RECORD.end, count, this.padding(count.length));
    this.ended = true;
    this.erase();
    return unit;
  }

  /** True while there is a key. */
  get usable(): boolean {
    return this.key !== undefined;
  }

  erase(): void {
    this.key?.erase();
    this.key = undefined;
  }

  private padding(content: number): number {
    const filled = Math.max(1, Math.ceil(content / this.multiple)) * this.multiple;
    return this.multiple > 0 ? Math.min(filled, MAX_CONTENT) - content : 0;
  }

  private async seal(type: number, content: Bytes, padding: number): Promise<Bytes> {
    if (!this.key) throw new LeatError('LEAT_PROTOCOL', this.ended ? 'a record after the end' : 'the keys are erased');
    if (this.counter === LAST) throw new RecordFault('exhausted');
    const plain = new Uint8Array(HEADER + content.length + padding);
    plain[0] = type;
    view(plain).setUint16(1, content.length);
    plain.set(content, HEADER);
    const body = await this.key.seal(this.counter++, plain);
    const unit = new Uint8Array(2 + body.length);
    view(unit).setUint16(0, body.length);
    unit.set(body, 2);
    return unit;
  }
}

export interface OpenedRecord {
  type: number;
  /** Of a data record; empty otherwise. */
  content: Bytes;
}

/** Opens the records of one direction. Calls must not overlap. */
export class RecordReceiver {
  ended = false;
  private counter = 0n;
  private total = 0n;

  constructor(
    private key: SuiteKey | undefined,
    private readonly volume = new Volume(),
  ) {}

  /** The fault of a unit of this length, judged before its body has come. */
  judge(length: number): Fault | undefined {
    if (this.ended) return 'after_end';
    return length < HEADER + TAG || length > HEADER + MAX_CONTENT + TAG ? 'bad_length' : undefined;
  }

  /** Opens a body. Throws RecordFault, after which nothing opens any more. */
  async open(body: Bytes): Promise<OpenedRecord> {
    try {
      return await this.tryOpen(body);
    } catch (fault) {
      this.erase();
      throw fault;
    }
  }

  erase(): void {
    this.key?.erase();
    this.key = undefined;
  }

  private async tryOpen(body: Bytes): Promise<OpenedRecord> {
    const unfit = this.judge(body.length);
    if (unfit) throw new RecordFault(unfit);
    if (!this.key) throw new RecordFault('not_authentic');
    if (this.counter === LAST) throw new RecordFault('exhausted');
    let plain: Bytes;
    try {
      plain = await this.key.open(this.counter++, body);
    } catch {
      throw new RecordFault('not_authentic');
    }
    const type = plain[0];
    const size = view(plain).getUint16(1);
    if (type < RECORD.data || type > RECORD.end) throw new RecordFault('bad_type');
    if (size > plain.length - HEADER) throw new RecordFault('malformed');
    for (let i = HEADER + size; i < plain.length; i++) if (plain[i]) throw new RecordFault('malformed');
    const content = plain.subarray(HEADER, HEADER + size);
    if (type === RECORD.data) return { type, content: this.data(content, plain.length - HEADER) };
    if (type === RECORD.rekey) await this.rekey(size);
    else this.end(content);
    return { type, content: new Uint8Array(0) };
  }

  private data(content: Bytes, size: number): Bytes {
    if (!content.length) throw new RecordFault('malformed');
    if (!this.volume.takes(size)) throw new RecordFault('rekey_overdue');
    this.volume.add(size);
    this.total += BigInt(content.length);
    return content;
  }

  private async rekey(size: number): Promise<void> {
    if (size) throw new RecordFault('malformed');
    const old = this.key!;
    this.key = await old.rekey();
    old.erase();
    this.volume.reset();
  }

  private end(content: Bytes): void {
    if (content.length !== 8) throw new RecordFault('malformed');
    if (view(content).getBigUint64(0) !== this.total) throw new RecordFault('bad_count');
    this.ended = true;
    this.erase();
  }
}
