// The bundle as React Native's engine has it: no TextDecoder and half a URL until they are brought, no WebCrypto
// (react-native-get-random-values brings getRandomValues), no streams, no EventTarget, no DOMException, an AbortController without reasons, a
// Response that takes text and bytes, and a WebSocket. What Hermes itself does is not tried here.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { createHash } from 'node:crypto';
import { Agent, pipePair } from './agent.mjs';
import { bodyOf, serve, until } from './world.mjs';

const service = await serve(async (request, response) => {
  if (request.url === '/hold') return void response.write('begun');
  const body = await bodyOf(request);
  response.setHeader('X-Seen', `${request.method} ${request.url}`);
  response.end(body.length ? body : 'ok');
});

/** Says back every frame; they are short. */
const echo = http.createServer().on('upgrade', (request, socket) => {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
  socket.write(`${head}Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let input = Buffer.alloc(0);
  socket.on('data', (data) => {
    input = Buffer.concat([input, data]);
    while (input.length >= 6 && input.length >= 6 + (input[1] & 127)) {
      const size = input[1] & 127;
      const payload = input.subarray(6, 6 + size).map((byte, at) => byte ^ input[2 + (at & 3)]);
      socket.write(Buffer.concat([Buffer.from([input[0], size]), payload]));
      input = input.subarray(6 + size);
    }
  });
  socket.on('error', () => {});
});
const echoing = await serve(echo);
const agent = await Agent.make({ targets: { web: service.port, echo: echoing.port }, crypto: 'noble' });

new Headers(); // Node makes its own when it is first asked for, and needs streams for it
const LACKING =
  'ReadableStream WritableStream TransformStream ReadableStreamDefaultReader DecompressionStream CompressionStream ' +
  'TextDecoderStream TextEncoderStream EventTarget Event MessageEvent CustomEvent DOMException structuredClone ' +
  'BroadcastChannel MessageChannel Blob File FormData Request fetch indexedDB navigator';
for (const name of LACKING.split(' ')) delete globalThis[name];

const { getRandomValues } = globalThis.crypto;
const random = globalThis.crypto;
Object.defineProperty(globalThis, 'crypto', {
  value: { getRandomValues: (bytes) => getRandomValues.call(random, bytes) },
});

class Signal {
  aborted = false;
  listeners = new Set();
  addEventListener(_, listener) {
    this.listeners.add(listener);
  }
  removeEventListener(_, listener) {
    this.listeners.delete(listener);
  }
}
globalThis.AbortSignal = Signal;
globalThis.AbortController = class {
  signal = new Signal();
  abort() {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    for (const listener of this.signal.listeners) listener();
  }
};

globalThis.Response = class {
  constructor(body, { status = 200, statusText = '', headers } = {}) {
    if (body !== null && typeof body !== 'string' && !(body instanceof ArrayBuffer)) throw new TypeError('unsupported');
    Object.assign(this, { given: body ?? '', status, statusText, headers, ok: status >= 200 && status < 300 });
  }
  async text() {
    return typeof this.given === 'string' ? this.given : new TextDecoder().decode(this.given);
  }
  async json() {
    return JSON.parse(await this.text());
  }
  async arrayBuffer() {
    return typeof this.given === 'string' ? new TextEncoder().encode(this.given).buffer : this.given;
  }
};

const sockets = [];
globalThis.WebSocket = class {
  readyState = 0;
  bufferedAmount = 0;
  constructor(url, protocols) {
    assert.match(url, /^ws:\/\/relay\.test\/sealed\/tunnel$/);
    assert.deepEqual(protocols, ['leat-sealed.1']);
    sockets.push(this);
    const { client, agent: far } = pipePair();
    this.pipe = client;
    void agent.accept(far);
    queueMicrotask(() => this.opened());
  }
  async opened() {
    this.readyState = 1;
    this.onopen?.({});
    for (;;) {
      const bytes = await this.pipe.read();
      if (!bytes) break;
      this.onmessage?.({ data: bytes.slice().buffer });
    }
    this.close();
  }
  send(bytes) {
    void this.pipe.write(new Uint8Array(bytes)).catch(() => {});
  }
  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.pipe.close();
    this.onclose?.({ code: 1006, reason: '' });
  }
};

// The engine's own, and what its polyfills bring.
const brought = { URL, TextDecoder };
class HalfURL {
  constructor(url, base) {
    this.whole = new brought.URL(url, base);
  }
  get href() {
    return this.whole.href;
  }
  get protocol() {
    throw new Error('URL.protocol is not there');
  }
}
globalThis.URL = HalfURL;
delete globalThis.TextDecoder;

const { connect } = await import('../dist/leat-client.min.js');

test.after(() => Promise.all([service.close(), echoing.close()]));

test('what is missing is named', async () => {
  const link = agent.link();
  await assert.rejects(connect(link), (error) => error.code === 'LEAT_NOT_SUPPORTED' && /url-polyfill/.test(error.message));
  globalThis.URL = brought.URL;
  await assert.rejects(connect(link), (error) => error.code === 'LEAT_NOT_SUPPORTED' && /TextDecoder/.test(error.message));
  globalThis.TextDecoder = class extends brought.TextDecoder {
    constructor(label, options) {
      if (options?.fatal) throw new TypeError('unsupported');
      super(label, options);
    }
  };
  await assert.rejects(connect(link), { code: 'LEAT_NOT_SUPPORTED' });
  globalThis.TextDecoder = brought.TextDecoder;
  for (const [place, name] of [[Promise, 'any'], [globalThis, 'atob'], [globalThis, 'btoa'], [globalThis, 'BigInt']]) {
    const there = Object.getOwnPropertyDescriptor(place, name);
    delete place[name];
    await assert.rejects(connect(link), (error) => error.code === 'LEAT_NOT_SUPPORTED' && error.message.includes(name));
    Object.defineProperty(place, name, there);
  }
  (await connect(link)).close();
});

test('pairs, fetches whole answers, and comes again with what JSON has kept', async () => {
  const client = await connect(agent.link());
  assert.equal(typeof client.credential.secretKey, 'string');
  const response = await client.fetch('/v1/models?x=1');
  assert.equal(response.headers.get('x-seen'), 'GET /v1/models?x=1');
  assert.equal(await response.text(), 'ok');
  const sent = JSON.stringify({ text: 'ü'.repeat(50_000) });
  const echoed = await client.fetch('/echo', { method: 'POST', body: sent });
  assert.deepEqual(await echoed.json(), JSON.parse(sent));
  const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);
  const returned = await client.fetch('/echo', { method: 'PUT', body: bytes });
  assert.deepEqual(new Uint8Array(await returned.arrayBuffer()), bytes);
  assert.equal(await (await client.fetch('/', { method: 'HEAD' })).text(), '');
  client.close();
  const states = [];
  const onstate = ({ state }) => states.push(state);
  const again = await connect(JSON.parse(JSON.stringify(client.credential)), { onstate });
  assert.equal(await (await again.fetch('/')).text(), 'ok');
  // The network is another: the session is gone, and the next request makes a new one.
  const before = sockets.length;
  sockets.at(-1).close();
  await until(() => states.at(-1) === 'disconnected');
  assert.equal(await (await again.fetch('/')).text(), 'ok');
  assert.equal(sockets.length, before + 1);
  again.close();
  await assert.rejects(again.fetch('/'), { code: 'LEAT_CLOSED' });
});

test('an abort without a reason is an AbortError', async () => {
  const client = await connect(agent.link());
  for (const path of ['/hold', '/']) {
    const controller = new AbortController();
    const answer = client.fetch(path, { signal: controller.signal });
    controller.abort();
    await assert.rejects(answer, { name: 'AbortError' });
  }
  const controller = new AbortController();
  const answer = client.fetch('/hold', { signal: controller.signal });
  await until(() => agent.streams > 0);
  controller.abort();
  await assert.rejects(answer, { name: 'AbortError' });
  client.close();
});

test('WebSockets, by handlers and by listeners', async () => {
  const client = await connect(agent.link());
  const { WebSocket } = client.service('echo');
  assert.throws(() => new WebSocket('ftp://x'), { name: 'SyntaxError' });
  const socket = new WebSocket('/');
  socket.binaryType = 'arraybuffer';
  const got = [];
  const opened = new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
  socket.addEventListener('message', ({ data, target }) => got.push([data, target === socket]));
  assert.throws(() => socket.send('early'), { name: 'InvalidStateError' });
  await opened;
  socket.send('text');
  socket.send(Uint8Array.of(1, 2, 3));
  await until(() => got.length === 2);
  assert.deepEqual(got[0], ['text', true]);
  assert.deepEqual(new Uint8Array(got[1][0]), Uint8Array.of(1, 2, 3));
  const closed = new Promise((resolve) => (socket.onclose = resolve));
  socket.close(3001, 'enough');
  const { code, reason, wasClean } = await closed;
  assert.deepEqual({ code, reason, wasClean }, { code: 3001, reason: 'enough', wasClean: true });
  client.close();
});
