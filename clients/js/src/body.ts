// The body of a request: what may be given to `fetch`, as bytes that can be sent, with their type and,
// where it is known, their number.
import type { Bytes } from './bytes.js';
import { copyOf, utf8 } from './bytes.js';

export interface RequestBody {
  /** Of the type the body has by itself; `Content-Type` of the caller goes before. */
  type: string | null;
  /** Bytes, if known before. */
  length: number | undefined;
  /** True if `chunks` may be called again, for a redirect that sends it again. */
  replayable: boolean;
  chunks(): AsyncIterable<Bytes>;
}

export type BodySource = BodyInit | AsyncIterable<Uint8Array | string>;

/** Portions in which bytes that are there at once are written. */
const PORTION = 256 * 1024;

const whole = (bytes: Bytes, type: string | null): RequestBody => ({
  type,
  length: bytes.length,
  replayable: true,
  async *chunks() {
    for (let at = 0; at < bytes.length; at += PORTION) yield bytes.subarray(at, at + PORTION);
  },
});

const asBytes = (part: unknown): Bytes => {
  if (typeof part === 'string') return utf8(part);
  if (ArrayBuffer.isView(part) || part instanceof ArrayBuffer) return copyOf(part);
  throw new TypeError('a body of something else than bytes');
};

async function* readAll(stream: ReadableStream<unknown>): AsyncGenerator<Bytes> {
  const reader = stream.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return void (ended = true);
      yield asBytes(value);
    }
  } finally {
    if (!ended) void reader.cancel().catch(() => {});
  }
}

const streamed = (chunks: () => AsyncIterable<Bytes>): RequestBody => ({
  type: null,
  length: undefined,
  replayable: false,
  chunks,
});

export async function requestBody(source: BodySource): Promise<RequestBody> {
  if (typeof source === 'string') return whole(utf8(source), 'text/plain;charset=UTF-8');
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return whole(copyOf(source), null);
  if (source instanceof URLSearchParams) {
    return whole(utf8(source.toString()), 'application/x-www-form-urlencoded;charset=UTF-8');
  }
  if (typeof Blob !== 'undefined' && source instanceof Blob) {
    return {
      type: source.type || null,
      length: source.size,
      replayable: true,
      chunks: () => readAll(source.stream()),
    };
  }
  if (typeof (source as ReadableStream).getReader === 'function') {
    return streamed(() => readAll(source as ReadableStream));
  }
  if (typeof (source as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function') {
    return streamed(async function* () {
      for await (const part of source as AsyncIterable<unknown>) yield asBytes(part);
    });
  }
  // FormData, of this environment or brought by a package: its encoding is the environment's business.
  if (typeof (source as FormData).append === 'function') {
    const encoded = new Response(source as FormData);
    return whole(new Uint8Array(await encoded.arrayBuffer()), encoded.headers.get('content-type'));
  }
  return whole(utf8(String(source)), 'text/plain;charset=UTF-8');
}
