// The body of a request: what may be given to `fetch`, as bytes that can be sent, with their type and,
// where it is known, their number.
import type { Bytes } from './bytes.js';
import { concat, copyOf, utf8 } from './bytes.js';
import { reasonOf } from './elsewhere.js';

export interface RequestBody {
  /** Of the type the body has by itself; `Content-Type` of the caller goes before. */
  type: string | null;
  /** Bytes, if known before. */
  length: number | undefined;
  /** True if `chunks` may be called again, for a redirect that sends it again. */
  replayable: boolean;
  /** `stop` ends them also while the caller's stream has nothing to give, and cancels that. */
  chunks(stop: AbortSignal): AsyncIterable<Bytes>;
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

type Reader = ReadableStreamDefaultReader<unknown>;
type Reads = ReturnType<Reader['read']>[];

/** `reads`: those that have been made. */
async function* readAll(reader: Reader, stop: AbortSignal, reads: Reads = []): AsyncGenerator<Bytes> {
  const cancel = () => void reader.cancel(stop.aborted ? reasonOf(stop) : undefined).catch(() => {});
  let ended = false;
  try {
    if (stop.aborted) return;
    stop.addEventListener('abort', cancel);
    for (;;) {
      const { done, value } = await (reads.shift() ?? reader.read());
      if (done) return void (ended = true);
      yield asBytes(value);
    }
  } finally {
    stop.removeEventListener('abort', cancel);
    if (!ended) cancel();
  }
}

/** What of a Request's body is there at once. */
const AT_ONCE_BYTES = 1 << 20;
const AT_ONCE_MS = 20;

const streamed = (chunks: RequestBody['chunks']): RequestBody => ({
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
      chunks: (stop) => readAll(source.stream().getReader(), stop),
    };
  }
  if (typeof (source as ReadableStream).getReader === 'function') {
    return streamed((stop) => readAll((source as ReadableStream).getReader(), stop));
  }
  if (typeof (source as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function') {
    return streamed(async function* (stop) {
      if (stop.aborted) return;
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

/** A Request does not tell whether its body is a stream: it is taken for none if all of it is there at once. */
export async function bodyOfRequest(stream: ReadableStream<unknown>): Promise<RequestBody> {
  const reader = stream.getReader();
  const reads: Reads = [];
  const parts: Bytes[] = [];
  let late: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise<undefined>((resolve) => (late = setTimeout(() => resolve(undefined), AT_ONCE_MS)));
  try {
    for (let size = 0; size <= AT_ONCE_BYTES; size += parts[parts.length - 1].length) {
      const read = reader.read();
      read.catch(() => {});
      reads.push(read);
      const got = await Promise.race([read, waited]);
      if (!got) break;
      if (got.done) return whole(concat(...parts), null);
      parts.push(asBytes(got.value));
    }
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    clearTimeout(late);
  }
  return streamed((stop) => readAll(reader, stop, reads));
}
