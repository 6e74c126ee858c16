// As much of protobuf's wire format as the messages of a client need (proto/control.proto and
// proto/sealed.proto): varints and length-delimited fields; all other types are skipped.
import type { Bytes } from './bytes.js';
import { concat, text, utf8 } from './bytes.js';

type Value = string | number | boolean | Bytes;
/** Field number and what it holds; defaults (zero, empty, false) are left out, as proto3 does. */
export type Field = [number, Value | undefined];

export function varint(value: number): Bytes {
  const out: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 128);
  out.push(value);
  return Uint8Array.from(out);
}

export function encode(...fields: Field[]): Bytes {
  const parts: Bytes[] = [];
  for (const [number, value] of fields) {
    if (!value || (value as Bytes).length === 0) continue;
    if (typeof value === 'number' || value === true) {
      parts.push(varint(number * 8), varint(Number(value)));
    } else {
      const bytes = typeof value === 'string' ? utf8(value) : (value as Bytes);
      parts.push(varint(number * 8 + 2), varint(bytes.length), bytes);
    }
  }
  return concat(...parts);
}

/** The fields of one message, in the order they came. Throws for bytes that are no message. */
export class Message {
  private readonly fields: [number, number | Bytes][] = [];

  constructor(private readonly input: Bytes) {
    while (this.at < input.length) {
      const tag = this.varint();
      const number = Math.floor(tag / 8);
      if (!number) throw new Error('field 0');
      const type = tag % 8;
      if (type === 0) this.fields.push([number, this.varint()]);
      else if (type === 2) this.fields.push([number, this.take(this.varint())]);
      else if (type === 1) this.take(8);
      else if (type === 5) this.take(4);
      else throw new Error('no such wire type');
    }
  }

  bytes(number: number): Bytes {
    return this.all(number, (value): value is Bytes => typeof value !== 'number').at(-1) ?? new Uint8Array(0);
  }
  text(number: number): string {
    return text(this.bytes(number));
  }
  texts(number: number): string[] {
    return this.all(number, (value): value is Bytes => typeof value !== 'number').map(text);
  }
  number(number: number): number {
    return this.all(number, (value): value is number => typeof value === 'number').at(-1) ?? 0;
  }
  has(number: number): boolean {
    return this.fields.some(([field]) => field === number);
  }
  messages(number: number): Message[] {
    return this.all(number, (value): value is Bytes => typeof value !== 'number').map((part) => new Message(part));
  }

  private at = 0;

  private all<T extends number | Bytes>(number: number, fits: (value: number | Bytes) => value is T): T[] {
    return this.fields.filter(([field, value]) => field === number && fits(value)).map(([, value]) => value as T);
  }

  private varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.take(1)[0];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error('a varint of more than ten bytes');
  }

  private take(size: number): Bytes {
    if (!(size <= this.input.length - this.at)) throw new Error('cut off');
    return this.input.subarray(this.at, (this.at += size));
  }
}
