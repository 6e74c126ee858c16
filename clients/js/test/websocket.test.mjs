// client.WebSocket against the `ws` package's server is in tests/e2e; here a server that sends exactly
// what each test says.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { createHash } from 'node:crypto';
import { FrameReader, OP, writeFrame } from '../dist/frames.js';
import { until, world } from './world.mjs';

const accept = (key) => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** A frame of a server: not masked. */
const frame = (first, payload = '') => {
  const body = Buffer.from(payload);
  const size = body.length < 126 ? [body.length] : [126, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([first, ...size]), body]);
};

/** Takes off the mask of what a client sent. */
const unmasked = (bytes) => {
  const out = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at];
    let size = bytes[at + 1] & 127;
    assert.ok(bytes[at + 1] & 128, 'not masked');
    let header = 2;
    if (size === 126) [size, header] = [bytes.readUInt16BE(at + 2), 4];
    else if (size === 127) [size, header] = [Number(bytes.readBigUInt64BE(at + 2)), 10];
    if (bytes.length < at + header + 4 + size) return { frames: out, rest: bytes.subarray(at) };
    const mask = bytes.subarray(at + header, at + header + 4);
    const payload = Buffer.from(bytes.subarray(at + header + 4, at + header + 4 + size).map((byte, i) => byte ^ mask[i & 3]));
    out.push({ op: first & 15, fin: first >= 128, payload });
    at += header + 4 + size;
  }
  return { frames: out, rest: Buffer.alloc(0) };
};

/** A service that upgrades and gives its socket to `serve`; received frames are in `seen`. */
async function socketWorld(t, serve, fields = () => []) {
  const seen = [];
  const server = http.createServer();
  server.on('upgrade', (request, socket) => {
    const more = fields(request);
    if (more === undefined) return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
    lines.push(`Sec-WebSocket-Accept: ${accept(request.headers['sec-websocket-key'])}`, ...more);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    let input = Buffer.alloc(0);
    socket.on('data', (data) => {
      const { frames, rest } = unmasked(Buffer.concat([input, data]));
      input = rest;
      for (const frame of frames) {
        seen.push(frame);
        if (frame.op === OP.close) socket.end(Buffer.concat([Buffer.from([0x88, frame.payload.length]), frame.payload]));
      }
    });
    socket.on('error', () => {});
    serve?.(socket, request);
  });
  const { client, agent } = await world(t, server);
  return { client, agent, seen };
}

const events = (socket) => {
  const list = [];
  for (const type of ['open', 'message', 'error', 'close']) socket.addEventListener(type, (event) => list.push(event));
  return list;
};
const types = (list) => list.map((event) => event.type).join(' ');
const closed = (list) => until(() => list.at(-1)?.type === 'close');

test('text, binary and Blob, both ways', async (t) => {
  const { client, seen } = await socketWorld(t, (socket) => {
    socket.write(Buffer.concat([frame(0x81, 'grüße'), frame(0x82, 'bin')]));
  });
  const socket = new client.WebSocket('ws://localhost/path');
  assert.equal(socket.readyState, client.WebSocket.CONNECTING);
  assert.equal(socket.url, 'ws://localhost/path');
  assert.throws(() => socket.send('x'), { name: 'InvalidStateError' });
  socket.binaryType = 'arraybuffer';
  const list = events(socket);
  await until(() => list.length === 3);
  assert.equal(types(list), 'open message message');
  assert.equal(list[1].data, 'grüße');
  assert.ok(list[2].data instanceof ArrayBuffer);
  assert.equal(Buffer.from(list[2].data).toString(), 'bin');
  socket.send('text');
  socket.send(new Blob(['blob']));
  socket.send(Uint8Array.of(1, 2).subarray(1));
  assert.equal(socket.bufferedAmount, 9);
  await until(() => seen.length === 3);
  assert.deepEqual(seen.map(({ op, payload }) => [op, payload.toString('latin1')]), [
    [OP.text, 'text'],
    [OP.binary, 'blob'],
    [OP.binary, '\x02'],
  ]);
  await until(() => socket.bufferedAmount === 0);
  socket.close(4001, 'done');
  assert.equal(socket.readyState, socket.CLOSING);
  await closed(list);
  const { code, reason, wasClean } = list.at(-1);
  assert.deepEqual([code, reason, wasClean], [4001, 'done', true]);
  assert.equal(socket.readyState, socket.CLOSED);
});

test('a Blob is what a page gets by default; handlers as properties', async (t) => {
  const { client } = await socketWorld(t, (socket) => socket.write(frame(0x82, 'bin')));
  const socket = new client.WebSocket('http://localhost/');
  const data = await new Promise((resolve) => (socket.onmessage = (event) => resolve(event.data)));
  assert.ok(data instanceof Blob);
  assert.equal(await data.text(), 'bin');
  const ended = new Promise((resolve) => (socket.onclose = resolve));
  socket.close();
  assert.equal((await ended).code, 1005);
});

test('fragments with a ping between them; the pong', async (t) => {
  const { client, seen } = await socketWorld(t, (socket) => {
    for (const byte of Buffer.concat([frame(0x01, 'a'), frame(0x89, 'hello'), frame(0x00, 'b'), frame(0x80, 'c')])) {
      socket.write(Buffer.from([byte]));
    }
  });
  const list = events(new client.WebSocket('/'));
  await until(() => list.length === 2 && seen.length === 1);
  assert.equal(list[1].data, 'abc');
  assert.deepEqual([seen[0].op, seen[0].payload.toString()], [OP.pong, 'hello']);
});

test('of very many pings the last is answered', async (t) => {
  const pings = Array.from({ length: 20_000 }, (_, at) => frame(0x89, String(at).padStart(100)));
  const { client, seen } = await socketWorld(t, (socket) => socket.write(Buffer.concat(pings)));
  events(new client.WebSocket('/'));
  await until(() => seen.at(-1)?.payload.toString().trim() === '19999');
  assert.ok(seen.length < 2_000, `${seen.length} pongs`);
});

test('the server closes; the service vanishes', async (t) => {
  const { client } = await socketWorld(t, (socket, request) => {
    if (request.url === '/close') socket.write(frame(0x88, Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from('bye')])));
    else if (request.url === '/empty') socket.write(frame(0x88));
    else socket.destroy();
  });
  for (const [path, code, reason, clean, order] of [
    ['/close', 4000, 'bye', true, 'open close'],
    ['/empty', 1005, '', true, 'open close'],
    ['/gone', 1006, '', false, 'open error close'],
  ]) {
    const list = events(new client.WebSocket(path));
    await closed(list);
    const last = list.at(-1);
    assert.deepEqual([last.code, last.reason, last.wasClean], [code, reason, clean], path);
    assert.equal(types(list), order);
  }
});

/** Timers of 3 s, which is what a peer has to answer a close, fire when the test says. */
function heldTimers(t) {
  const { setTimeout } = globalThis;
  const held = [];
  t.after(() => (globalThis.setTimeout = setTimeout));
  globalThis.setTimeout = (task, ms, ...rest) =>
    ms === 3_000 ? held.push(() => task(...rest)) && {} : setTimeout(task, ms, ...rest);
  return held;
}

/** A service that takes nothing before `resume`, and then counts. */
async function slowWorld(t, serve) {
  const slow = { taken: 0 };
  const { client, agent } = await socketWorld(t, (socket) => {
    socket.removeAllListeners('data').pause();
    slow.resume = () => {
      socket.on('data', (data) => {
        slow.taken += data.length;
        slow.end?.(socket);
      });
      socket.resume();
    };
    serve?.(socket);
  });
  return { slow, client, agent };
}
const LARGE = 16 << 20;

test('what was sent before a close leaves first, however long it takes', async (t) => {
  const timers = heldTimers(t);
  const { slow, client } = await slowWorld(t);
  const socket = new client.WebSocket('/');
  const list = events(socket);
  await until(() => list.length);
  socket.send(new Uint8Array(LARGE));
  socket.close(1000);
  await until(() => slow.resume);
  for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(socket.bufferedAmount > 0);
  assert.equal(timers.length, 0, 'the peer is given its time before it can have heard of the close');
  slow.end = (socket) => {
    if (slow.taken === 14 + LARGE + 8) socket.end(frame(0x88, Buffer.from([0x03, 0xe8])));
  };
  slow.resume();
  await closed(list);
  assert.deepEqual([list.at(-1).code, list.at(-1).wasClean], [1000, true]);
  assert.equal(slow.taken, 14 + LARGE + 8);
});

test('a server that closes and takes nothing more is waited for as long as any', async (t) => {
  const timers = heldTimers(t);
  let server;
  const { client } = await slowWorld(t, (socket) => (server = socket));
  const socket = new client.WebSocket('/');
  const list = events(socket);
  await until(() => list.length);
  socket.send(new Uint8Array(LARGE));
  server.write(frame(0x88, Buffer.from([0x0f, 0xa0])));
  await until(() => timers.length);
  assert.equal(socket.readyState, socket.CLOSING);
  timers[0]();
  await closed(list);
  assert.equal(types(list), 'open close');
  assert.deepEqual([list.at(-1).code, list.at(-1).wasClean], [4000, false]);
});

test('subprotocols', async (t) => {
  let offered;
  const { client } = await socketWorld(t, undefined, (request) => {
    offered = request.headers['sec-websocket-protocol'];
    return request.url === '/other' ? ['Sec-WebSocket-Protocol: c'] : ['Sec-WebSocket-Protocol: b'];
  });
  const socket = new client.WebSocket('/', ['a', 'b']);
  const list = events(socket);
  await until(() => list.length);
  assert.equal(offered, 'a, b');
  assert.equal(socket.protocol, 'b');
  const other = events(new client.WebSocket('/other', 'a'));
  await closed(other);
  assert.equal(types(other), 'error close');
  assert.throws(() => new client.WebSocket('/', ['a', 'a']), { name: 'SyntaxError' });
  assert.throws(() => new client.WebSocket('ftp://localhost/'), { name: 'SyntaxError' });
  assert.throws(() => socket.close(1001), { name: 'InvalidAccessError' });
  assert.throws(() => socket.close(1000, 'x'.repeat(124)), { name: 'SyntaxError' });
});

test('what does not agree to be a WebSocket', async (t) => {
  for (const fields of [
    () => undefined,
    () => ['Sec-WebSocket-Extensions: permessage-deflate'],
    () => ['Sec-WebSocket-Accept: AAAA'],
  ]) {
    const { client } = await socketWorld(t, undefined, fields);
    const list = events(new client.WebSocket('/'));
    await closed(list);
    assert.equal(types(list), 'error close');
  }
});

test('faults of the server end it with the right code', async (t) => {
  const faults = {
    'a reserved bit': [frame(0xc1, 'a'), 1002],
    'a masked frame': [Buffer.from([0x81, 0x80, 1, 2, 3, 4]), 1002],
    'an unknown frame': [frame(0x83), 1002],
    'a fragmented ping': [frame(0x09), 1002],
    'a ping of 126 bytes': [frame(0x89, 'x'.repeat(126)), 1002],
    'a continuation of nothing': [frame(0x80, 'a'), 1002],
    'a text inside a text': [Buffer.concat([frame(0x01, 'a'), frame(0x81, 'b')]), 1002],
    'text that is not UTF-8': [frame(0x81, Buffer.from([0xff])), 1007],
    'a close code of 1005': [frame(0x88, Buffer.from([0x03, 0xed])), 1002],
    'a close of one byte': [frame(0x88, 'a'), 1002],
    'a reason that is not UTF-8': [frame(0x88, Buffer.from([0x03, 0xe8, 0xff])), 1007],
    'a message over 64 MiB': [Buffer.from([0x82, 127, 0, 0, 0, 0, 0x10, 0, 0, 0]), 1009],
  };
  let bytes;
  const { client, seen } = await socketWorld(t, (socket) => socket.write(bytes));
  for (const [name, [sent, code]] of Object.entries(faults)) {
    bytes = sent;
    seen.length = 0;
    const list = events(new client.WebSocket('/'));
    await closed(list);
    assert.deepEqual([list.at(-1).code, list.at(-1).wasClean], [1006, false], name);
    assert.equal(types(list), 'open error close', name);
    await until(() => seen.length);
    assert.deepEqual([seen[0].op, seen[0].payload.readUInt16BE(0)], [OP.close, code], name);
  }
});

test('frames of every size, in whatever portions', () => {
  for (const size of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = new Uint8Array(size).fill(7);
    const masked = Buffer.from(writeFrame(OP.binary, payload));
    const { frames } = unmasked(masked);
    assert.equal(frames.length, 1);
    assert.equal(frames[0].payload.length, size);
    const header = size < 126 ? [size] : size < 65_536 ? [126, size >> 8, size & 255] : [127, 0, 0, 0, 0, 0, 1, 0, 0];
    const plain = Uint8Array.from([0x82, ...header, ...payload]);
    const reader = new FrameReader();
    const messages = [];
    for (let at = 0; at < plain.length; at += 1000) messages.push(...reader.feed(plain.slice(at, at + 1000)));
    assert.deepEqual(messages.map(({ op, payload }) => [op, payload.length]), [[OP.binary, size]]);
  }
});
