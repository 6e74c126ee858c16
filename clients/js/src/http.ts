// HTTP/1.1 on a stream, the client's side (docs/protocol.md §5; RFC 9112): heads are read strictly, bodies
// as they come, and an end is told from a cut.
import type { Bytes } from './bytes.js';
import { ByteQueue, concat, utf8 } from './bytes.js';
import { LeatError } from './errors.js';
import { checkOpenReply, openStream, preambleSize } from './messages.js';
import type { MuxStream } from './stream.js';

const MAX_HEAD = 65_536;
const MAX_TRAILERS = 16_384;
const MAX_FIELDS = 256;
const MAX_INTERIM = 16;
const MAX_CHUNK_LINE = 18;
/** An agent gives its service 10 s to be connected (§4). */
const OPEN_REPLY_MS = 15_000;

export type FieldList = [name: string, value: string][];

export interface Head {
  status: number;
  reason: string;
  fields: FieldList;
}

export interface RequestHead {
  method: string;
  /** Origin-form. */
  target: string;
  host: string;
  fields: FieldList;
}

const malformed = (why: string) => new LeatError('LEAT_SERVICE_PROTOCOL', `not HTTP/1.1: ${why}`);

export const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const fieldLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;
const statusLine = /^HTTP\/1\.1 ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/;

const latin1 = (bytes: Bytes): string => {
  let out = '';
  for (let at = 0; at < bytes.length; at += 8192) out += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return out;
};

/** The values of a field, each element of a list by itself, in lower case. */
export const listed = (fields: FieldList, name: string): string[] =>
  valuesOf(fields, name).flatMap((value) => value.toLowerCase().split(',').map((part) => part.trim())).filter(Boolean);

export const valuesOf = (fields: FieldList, name: string): string[] =>
  fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);

function parseFields(lines: string[]): FieldList {
  if (lines.length > MAX_FIELDS) throw malformed('more than 256 fields');
  return lines.map((line) => {
    const match = fieldLine.exec(line);
    if (!match) throw malformed('a bad field');
    return [match[1], match[2]];
  });
}

export function parseHead(bytes: Bytes): Head {
  const [first, ...lines] = latin1(bytes).slice(0, -4).split('\r\n');
  const match = statusLine.exec(first);
  if (!match) throw malformed('a bad status line');
  return { status: Number(match[1]), reason: match[2], fields: parseFields(lines) };
}

/** How a body ends: by nothing being there, after so many bytes, by chunks, or with the stream. */
export type Framing = number | 'chunked' | 'end';

export function framingOf(head: Head, method: string): Framing {
  const { fields, status } = head;
  const coding = valuesOf(fields, 'transfer-encoding');
  const lengths = valuesOf(fields, 'content-length');
  if (coding.length && (coding.length > 1 || coding[0].toLowerCase() !== 'chunked' || lengths.length)) {
    throw malformed('a bad Transfer-Encoding');
  }
  if (lengths.length > 1 || (lengths.length && !/^\d{1,19}$/.test(lengths[0]))) throw malformed('a bad Content-Length');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (coding.length) return 'chunked';
  return lengths.length ? Number(lengths[0]) : 'end';
}

/** The head of a request, as bytes. Throws LEAT_BAD_REQUEST for what no head can carry. */
export function writeHead({ method, target, host, fields }: RequestHead): Bytes {
  if (!token.test(method) || method === 'CONNECT') throw new LeatError('LEAT_BAD_REQUEST', `the method ${method}`);
  if (!/^\/[\x21\x22\x24-\x7e]*$/.test(target)) throw new LeatError('LEAT_BAD_REQUEST', 'a bad target');
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of fields) {
    if (!token.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new LeatError('LEAT_BAD_REQUEST', `the field ${name}`);
    }
    lines.push(`${name}: ${value}`);
  }
  const all = `${lines.join('\r\n')}\r\n\r\n`;
  if (all.length > MAX_HEAD || fields.length >= MAX_FIELDS) throw new LeatError('LEAT_BAD_REQUEST', 'too large a head');
  return Uint8Array.from(all, (char) => char.charCodeAt(0));
}

const CRLF = utf8('\r\n');
export const writeChunk = (data: Bytes): Bytes => concat(utf8(data.length.toString(16)), CRLF, data, CRLF);
export const LAST_CHUNK = utf8('0\r\n\r\n');

/** One stream of kind http, from its preamble to its end. */
export class Exchange {
  private readonly input = new ByteQueue();
  private framing: Framing = 0;
  /** Of the chunk that is being read; undefined between two. */
  private left: number | undefined;
  private complete = false;
  /** What followed the last chunk. */
  trailers: FieldList = [];

  constructor(
    readonly stream: MuxStream,
    service: string,
  ) {
    void stream.write(openStream(service, 'http')).catch(() => {});
  }

  /** The final head; `interim` is told of those before it. */
  async head(method: string, interim?: (head: Head) => void): Promise<Head> {
    await this.openReplyInTime();
    for (let count = 0; count <= MAX_INTERIM; count++) {
      const head = parseHead(await this.until('\r\n\r\n', MAX_HEAD, 'head'));
      this.framing = framingOf(head, method);
      if (head.status >= 200 || head.status === 101) {
        this.left = typeof this.framing === 'number' ? this.framing : undefined;
        return head;
      }
      interim?.(head);
    }
    throw malformed('more than 16 interim responses');
  }

  /** The next bytes of the body; undefined after the last. */
  async body(): Promise<Bytes | undefined> {
    if (this.complete) return undefined;
    if (this.framing === 'end') {
      const bytes = this.input.size ? this.input.takeSome(Infinity) : await this.stream.read();
      if (!bytes) this.complete = true;
      return bytes;
    }
    if (this.framing === 'chunked' && !this.left) {
      this.left = await this.chunkSize();
      if (!this.left) {
        this.trailers = await this.trailerSection();
        return this.finished();
      }
    }
    if (!this.left) return this.finished();
    if (!this.input.size && !(await this.more())) throw new LeatError('LEAT_SERVICE_CUT');
    const bytes = this.input.takeSome(this.left);
    this.left -= bytes.length;
    if (this.framing === 'chunked' && !this.left) await this.expectCrlf();
    return bytes;
  }

  /** After a 101: bytes as they are. */
  async pipe(): Promise<Bytes | undefined> {
    return this.input.size ? this.input.takeSome(Infinity) : this.stream.read();
  }

  /** Nothing but FIN follows a complete message (§5.3). */
  private finished(): undefined {
    this.complete = true;
    if (this.input.size) this.stream.reset(malformed('bytes behind the response'));
    void this.more().then(
      // Our request may be unfinished; nobody wants the rest of it.
      () => this.stream.reset(this.input.size ? malformed('bytes behind the response') : undefined),
      () => {},
    );
    return undefined;
  }

  private async openReplyInTime(): Promise<void> {
    const late = setTimeout(() => this.stream.reset(new LeatError('LEAT_TIMEOUT')), OPEN_REPLY_MS);
    try {
      await this.openReply();
    } finally {
      clearTimeout(late);
    }
  }

  private async openReply(): Promise<void> {
    for (;;) {
      const size = preambleSize(this.input.peek(3));
      if (size && this.input.size >= size.header + size.size) {
        this.input.take(size.header);
        return checkOpenReply(this.input.take(size.size));
      }
      if (!(await this.more())) throw new LeatError('LEAT_AGENT_LOST');
    }
  }

  private async chunkSize(): Promise<number> {
    const line = latin1(await this.until('\r\n', MAX_CHUNK_LINE, 'chunk size')).slice(0, -2);
    if (!/^[0-9A-Fa-f]{1,16}$/.test(line)) throw malformed('a bad chunk size');
    return parseInt(line, 16);
  }

  private async expectCrlf(): Promise<void> {
    while (this.input.size < 2) if (!(await this.more())) throw new LeatError('LEAT_SERVICE_CUT');
    const [cr, lf] = this.input.take(2);
    if (cr !== 13 || lf !== 10) throw malformed('a chunk without its end');
  }

  private async trailerSection(): Promise<FieldList> {
    const lines: string[] = [];
    for (let size = 0; ; ) {
      const line = latin1(await this.until('\r\n', MAX_TRAILERS - size, 'trailer')).slice(0, -2);
      if (!line) return parseFields(lines);
      size += line.length + 2;
      lines.push(line);
    }
  }

  /** Bytes up to and with `mark`, at most `max`. */
  private async until(mark: string, max: number, what: string): Promise<Bytes> {
    const marks = utf8(mark);
    for (let from = 0; ; ) {
      const bytes = this.input.peek(Math.max(0, max));
      search: for (let at = from; at + marks.length <= bytes.length; at++) {
        for (let i = 0; i < marks.length; i++) if (bytes[at + i] !== marks[i]) continue search;
        return this.input.take(at + marks.length);
      }
      if (bytes.length >= max) throw malformed(`too long a ${what}`);
      from = Math.max(0, bytes.length - marks.length + 1);
      if (!(await this.more())) throw new LeatError('LEAT_SERVICE_CUT');
    }
  }

  private async more(): Promise<boolean> {
    const bytes = await this.stream.read();
    if (bytes) this.input.push(bytes);
    return bytes !== undefined;
  }
}
