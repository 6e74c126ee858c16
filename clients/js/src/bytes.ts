// Bytes: joining and cutting them, and the two ways they are written as text.

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
// Made when they are needed: where there is no TextDecoder, `connect` says so (lacking() in elsewhere.ts).
let decoder: TextDecoder | undefined;
let strictDecoder: TextDecoder | undefined;

export const utf8 = (text: string): Bytes => encoder.encode(text) as Bytes;
/** Replaces what is not UTF-8: for texts that are shown to a person. */
export const text = (bytes: Bytes): string => (decoder ??= new TextDecoder()).decode(bytes);
/** Throws for what is not UTF-8. */
export const strictText = (bytes: Bytes): string =>
  (strictDecoder ??= new TextDecoder('utf-8', { fatal: true })).decode(bytes);

/** A copy in memory of its own, whatever kind of buffer it came in. */
export const copyOf = (source: ArrayBuffer | ArrayBufferView): Bytes =>
  source instanceof ArrayBuffer || !ArrayBuffer.isView(source)
    ? new Uint8Array((source as ArrayBuffer).slice(0))
    : new Uint8Array(source.buffer.slice(source.byteOffset, source.byteOffset + source.byteLength) as ArrayBuffer);

export function concat(...parts: Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const equal = (a: Bytes, b: Bytes): boolean => {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
};

export const view = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

export function base64url(bytes: Bytes): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

/** Throws for anything but the alphabet of RFC 4648 §5 without padding. */
export function fromBase64url(encoded: string): Bytes {
  if (!/^[\w-]*$/.test(encoded)) throw new Error('not base64url');
  return Uint8Array.from(atob(encoded.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
}

/** Bytes in the order they came, taken in other portions than they were put in. */
export class ByteQueue {
  size = 0;
  private parts: Bytes[] = [];

  push(bytes: Bytes): void {
    if (!bytes.length) return;
    this.parts.push(bytes);
    this.size += bytes.length;
  }

  /** Exactly the next `size` bytes, which must be there. */
  take(size: number): Bytes {
    const first = this.parts[0];
    this.size -= size;
    if (!size) return new Uint8Array(0);
    if (first.length > size) {
      this.parts[0] = first.subarray(size);
      return first.subarray(0, size);
    }
    if (first.length === size) return this.parts.shift()!;
    const out = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const part = this.parts[0];
      const n = Math.min(part.length, size - at);
      out.set(n === part.length ? part : part.subarray(0, n), at);
      at += n;
      if (n === part.length) this.parts.shift();
      else this.parts[0] = part.subarray(n);
    }
    return out;
  }

  /** The next bytes as they lie there, at most `max`. */
  takeSome(max: number): Bytes {
    return this.take(Math.min(this.parts[0]?.length ?? 0, max));
  }

  /** The next `size` bytes or fewer, which stay. */
  peek(size: number): Bytes {
    const want = Math.min(size, this.size);
    if (want && this.parts[0].length >= want) return this.parts[0].subarray(0, want);
    const bytes = this.take(want);
    if (want) this.parts.unshift(bytes);
    this.size += want;
    return bytes;
  }

  clear(): void {
    this.parts = [];
    this.size = 0;
  }
}
