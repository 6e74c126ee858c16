// WebSocket frames (RFC 6455 §5), the client's side: what is sent is masked, what is received is not;
// messages are put together again and checked. No extension is negotiated.
import type { Bytes } from './bytes.js';
import { ByteQueue, concat, strictText, utf8, view } from './bytes.js';
import { sha1 } from './crypto.js';

export const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** What a peer did that ends the connection, with the code to close it with. */
export class FrameFault extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export function writeFrame(op: number, payload: Bytes): Bytes {
  const size = payload.length;
  const extended = size < 126 ? 0 : size < 65_536 ? 2 : 8;
  const out = new Uint8Array(2 + extended + 4 + size);
  const fields = view(out);
  out[0] = 0x80 | op;
  out[1] = 0x80 | (extended === 0 ? size : extended === 2 ? 126 : 127);
  if (extended === 2) fields.setUint16(2, size);
  if (extended === 8) fields.setBigUint64(2, BigInt(size));
  const at = 2 + extended;
  const mask = crypto.getRandomValues(out.subarray(at, at + 4));
  for (let i = 0; i < size; i++) out[at + 4 + i] = payload[i] ^ mask[i & 3];
  return out;
}

/** 1005 stands for a close frame without a code. */
export const closePayload = (code: number, reason: string): Bytes =>
  code === 1005 ? new Uint8Array(0) : concat(Uint8Array.of(code >> 8, code & 255), utf8(reason));

const closeCodeFits = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);

export function readClose(payload: Bytes): { code: number; reason: string } {
  if (!payload.length) return { code: 1005, reason: '' };
  const code = payload.length < 2 ? 0 : view(payload).getUint16(0);
  if (!closeCodeFits(code)) throw new FrameFault(1002, 'a bad close code');
  return { code, reason: checkedText(payload.subarray(2)) };
}

export interface Message {
  op: number;
  payload: Bytes;
}

const MAX_MESSAGE = 64 << 20;

export function checkedText(bytes: Bytes): string {
  try {
    return strictText(bytes);
  } catch {
    throw new FrameFault(1007, 'text that is not UTF-8');
  }
}

/** Answers pings, by one frame at a time: of those that come meanwhile the last (RFC 6455 §5.5.3). */
export function pongs(write: (frame: Bytes) => Promise<unknown>): (payload: Bytes) => void {
  let owed: Bytes | undefined;
  let writing = false;
  const answer = async () => {
    writing = true;
    for (let payload; (payload = owed); ) {
      owed = undefined;
      await write(writeFrame(OP.pong, payload));
    }
    writing = false;
  };
  return (payload) => {
    owed = payload;
    if (!writing) void answer().catch(() => {}); // a write that failed was the last
  };
}

export class FrameReader {
  private readonly input = new ByteQueue();
  /** What came of a message in several frames, `size` bytes of it: however many they are, one piece of memory. */
  private message: Bytes = new Uint8Array(0);
  private size = 0;
  /** Of the message that is being put together; 0: none. */
  private op = 0;

  /** `joins`: frames are put together to messages; else each is given out as if it were one. */
  constructor(private readonly joins = true) {}

  /** The messages and control frames that are whole now. Throws FrameFault. */
  *feed(bytes: Bytes): Generator<Message> {
    this.input.push(bytes);
    for (;;) {
      const frame = this.next();
      if (!frame) return;
      const { fin, op, payload } = frame;
      if (op >= OP.close) {
        yield { op, payload };
        continue;
      }
      this.op ||= op;
      if (this.joins && (!fin || this.size)) this.join(payload);
      if (!fin && this.joins) continue;
      const message = { op: this.op, payload: this.size ? this.message.subarray(0, this.size) : payload };
      if (fin) this.op = 0;
      this.message = new Uint8Array(0);
      this.size = 0;
      yield message;
    }
  }

  private join(payload: Bytes): void {
    const size = this.size + payload.length;
    if (size > this.message.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.message.length));
      larger.set(this.message);
      this.message = larger;
    }
    this.message.set(payload, this.size);
    this.size = size;
  }

  private next(): { fin: boolean; op: number; payload: Bytes } | undefined {
    if (this.input.size < 2) return undefined;
    const head = this.input.peek(10);
    const fin = head[0] >= 0x80;
    const op = head[0] & 15;
    const short = head[1] & 127;
    this.judge(head[0], head[1], fin, op);
    const size = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (head.length < size) return undefined;
    const length =
      short < 126 ? short : short === 126 ? view(head).getUint16(2) : Number(view(head).getBigUint64(2));
    if (this.size + length > MAX_MESSAGE) throw new FrameFault(1009, 'a message over 64 MiB');
    if (this.input.size < size + length) return undefined;
    this.input.take(size);
    return { fin, op, payload: this.input.take(length) };
  }

  private judge(first: number, second: number, fin: boolean, op: number): void {
    if (first & 0x70) throw new FrameFault(1002, 'a reserved bit');
    if (second & 0x80) throw new FrameFault(1002, 'a masked frame from the server');
    if (!(Object.values(OP) as number[]).includes(op)) throw new FrameFault(1002, 'an unknown frame');
    if (op >= OP.close && (!fin || (second & 127) > 125)) throw new FrameFault(1002, 'a bad control frame');
    if (op < OP.close && (op === OP.more) !== (this.op !== 0)) throw new FrameFault(1002, 'a fragment out of place');
  }
}

/** What a server must answer to a key (RFC 6455 §4.2.2 point 5). */
export async function acceptKey(key: string): Promise<string> {
  return btoa(String.fromCharCode(...(await sha1(utf8(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)))));
}

export const newKey = (): string => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
