// `client.WebSocket`: the browser's interface (https://websockets.spec.whatwg.org) over a sealed stream
// of kind http with an upgrade (docs/protocol.md §5.4, §8.3).
import type { Bytes } from './bytes.js';
import { copyOf, utf8 } from './bytes.js';
import { Target, domException, makeEvent, safely } from './elsewhere.js';
import { leatError } from './errors.js';
import {
  FrameFault,
  FrameReader,
  OP,
  acceptKey,
  checkedText,
  closePayload,
  newKey,
  pongs,
  readClose,
  writeFrame,
} from './frames.js';
import type { FieldList, Head } from './http.js';
import { Exchange, listed, token, valuesOf, writeHead } from './http.js';
import type { MuxStream } from './stream.js';

/** Where a WebSocket gets its stream from. */
export interface StreamSource {
  readonly service: string;
  readonly base: string;
  open(): Promise<MuxStream>;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** How long a close frame that is to be the last may take to leave. */
const GOODBYE_MS = 1_000;
/** How long a peer may take to answer a close. */
const CLOSE_MS = 3_000;

type Handler<E> = ((this: LeatWebSocket, event: E) => unknown) | null;

export interface LeatCloseEvent extends Event {
  code: number;
  reason: string;
  wasClean: boolean;
}

export abstract class LeatWebSocket extends Target {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly CLOSING = CLOSING;
  readonly CLOSED = CLOSED;

  readonly url: string;
  readonly extensions = '';
  protocol = '';
  readyState: number = CONNECTING;
  binaryType: BinaryType = 'blob';
  bufferedAmount = 0;

  onopen: Handler<Event> = null;
  onmessage: Handler<MessageEvent> = null;
  onerror: Handler<Event> = null;
  onclose: Handler<LeatCloseEvent> = null;

  private stream: MuxStream | undefined;
  private readonly frames = new FrameReader();
  /** What send() was given goes out in order, a Blob too, which has to be read first. */
  private sending: Promise<void> = Promise.resolve();
  private readonly pong = pongs((frame) => this.queue(() => this.stream!.write(frame)));
  private closeSent = false;
  private closeReceived: { code: number; reason: string } | undefined;
  private closeTimer: ReturnType<typeof setTimeout> | undefined;

  protected constructor(source: StreamSource, url: string | URL, protocols: string | string[] = []) {
    super();
    const address = new URL(url, source.base);
    address.protocol = address.protocol.replace(/^http/, 'ws');
    const offered = [protocols].flat();
    if (!/^wss?:$/.test(address.protocol) || address.hash) throw domException('not a WebSocket URL', 'SyntaxError');
    if (offered.some((name) => !token.test(name)) || new Set(offered).size < offered.length) {
      throw domException('bad subprotocols', 'SyntaxError');
    }
    this.url = address.href;
    void this.run(source, address, offered);
  }

  send(data: string | ArrayBuffer | ArrayBufferView | Blob): void {
    if (this.readyState === CONNECTING) throw domException('still connecting', 'InvalidStateError');
    const isText = typeof data === 'string';
    const blob = typeof Blob !== 'undefined' && data instanceof Blob ? data : undefined;
    const payload = isText ? utf8(data) : blob ? undefined : copyOf(data as ArrayBuffer | ArrayBufferView);
    const size = payload?.length ?? blob!.size;
    this.bufferedAmount += size;
    if (this.readyState !== OPEN) return;
    void this.queue(async () => {
      await this.stream!.write(
        writeFrame(isText ? OP.text : OP.binary, payload ?? new Uint8Array(await blob!.arrayBuffer())),
      );
      this.bufferedAmount -= size;
    });
  }

  close(code?: number, reason = ''): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw domException('a close code must be 1000 or 3000 to 4999', 'InvalidAccessError');
    }
    if (utf8(reason).length > 123) throw domException('too long a reason', 'SyntaxError');
    if (this.readyState >= CLOSING) return;
    if (this.readyState === CONNECTING) {
      this.readyState = CLOSING;
      return this.fail(1006, '');
    }
    this.readyState = CLOSING;
    this.sendClose(code ?? 1005, reason);
    // Its time begins when the close frame has left: before that, what was sent does.
    void this.queue(async () => {
      if (this.readyState === CLOSING) this.closeTimer = setTimeout(() => this.fail(1006, ''), CLOSE_MS);
    });
  }

  private async run(source: StreamSource, address: URL, offered: string[]): Promise<void> {
    try {
      const stream = await source.open();
      if (this.readyState !== CONNECTING) return stream.reset();
      this.stream = stream;
      const exchange = await this.handshake(new Exchange(stream, source.service), address, offered);
      if (this.readyState !== CONNECTING) return stream.reset();
      this.readyState = OPEN;
      this.emit(makeEvent('open', {}, this));
      await this.receive(exchange);
    } catch (error) {
      const fault = error instanceof FrameFault ? error : undefined;
      if (fault) this.sendClose(fault.code, fault.message);
      this.fail(1006, fault?.message ?? leatError(error, 'LEAT_CARRIER_CUT').code);
    }
  }

  private async handshake(exchange: Exchange, address: URL, offered: string[]): Promise<Exchange> {
    const key = newKey();
    const fields: FieldList = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', '13'],
      ['Sec-WebSocket-Key', key],
      ...offered.slice(0, 1).map((): [string, string] => ['Sec-WebSocket-Protocol', offered.join(', ')]),
    ];
    const target = address.pathname + address.search;
    void exchange.stream.write(writeHead({ method: 'GET', target, host: address.host, fields })).catch(() => {});
    const head = await exchange.head('GET');
    const protocol = valuesOf(head.fields, 'sec-websocket-protocol');
    if (!(await agrees(head, key)) || protocol.length > 1 || (protocol.length && !offered.includes(protocol[0]))) {
      throw new FrameFault(1002, `the service answered ${head.status}`);
    }
    this.protocol = protocol[0] ?? '';
    return exchange;
  }

  private async receive(exchange: Exchange): Promise<void> {
    for (;;) {
      const bytes = await exchange.pipe();
      if (!bytes) break;
      for (const { op, payload } of this.frames.feed(bytes)) this.take(op, payload);
      if (this.closeReceived) break;
    }
    const { closeReceived } = this;
    if (!closeReceived) return this.fail(1006, '');
    this.sendClose(closeReceived.code, '');
    clearTimeout(this.closeTimer);
    const late = new Promise<boolean>((resolve) => (this.closeTimer = setTimeout(resolve, CLOSE_MS, false)));
    const clean = await Promise.race([this.sending.then(() => true), late]);
    if (clean) this.stream!.finish();
    else this.stream!.reset(); // it takes no more of what was to go before the answer
    this.finish(closeReceived.code, closeReceived.reason, clean);
  }

  private take(op: number, payload: Bytes): void {
    if (this.closeReceived) return;
    if (op === OP.close) {
      this.closeReceived = readClose(payload);
      if (this.readyState === OPEN) this.readyState = CLOSING;
    } else if (op === OP.ping) {
      this.pong(payload);
    } else if (op === OP.text || op === OP.binary) {
      this.message(op === OP.text ? checkedText(payload) : payload);
    }
  }

  private message(data: string | Bytes): void {
    if (this.readyState !== OPEN) return;
    const given =
      typeof data === 'string' ? data : this.binaryType === 'blob' ? new Blob([data]) : data.slice().buffer;
    this.emit(makeEvent('message', { data: given, origin: new URL(this.url).origin, lastEventId: '' }, this));
  }

  private sendClose(code: number, reason: string): void {
    if (this.closeSent || !this.stream) return;
    this.closeSent = true;
    void this.queue(() => this.stream!.write(writeFrame(OP.close, closePayload(code, reason))));
  }

  private queue(task: () => Promise<void>): Promise<void> {
    return (this.sending = this.sending.then(task).catch(() => {}));
  }

  private fail(code: number, reason: string): void {
    if (this.readyState === CLOSED) return;
    const { stream } = this;
    // A close frame that was just written should still leave.
    const late = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
    void Promise.race([this.sending, late]).then(() => stream?.reset());
    queueMicrotask(() => this.emit(makeEvent('error', { message: reason }, this)));
    this.finish(code, '', false);
  }

  private finish(code: number, reason: string, wasClean: boolean): void {
    clearTimeout(this.closeTimer);
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    const event = makeEvent('close', { code, reason, wasClean }, this);
    queueMicrotask(() => this.emit(event));
  }

  private emit(event: Event): void {
    const handler = this[`on${event.type}` as 'onopen'];
    if (typeof handler === 'function') safely(() => handler.call(this, event));
    this.dispatchEvent(event);
  }
}

const agrees = async (head: Head, key: string): Promise<boolean> =>
  head.status === 101 &&
  listed(head.fields, 'connection').includes('upgrade') &&
  listed(head.fields, 'upgrade').join() === 'websocket' &&
  !valuesOf(head.fields, 'sec-websocket-extensions').length &&
  valuesOf(head.fields, 'sec-websocket-accept').join() === (await acceptKey(key));
