// client.fetch against what fetch does: a service of node:http, reached through a sealed session.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import zlib from 'node:zlib';
import { once } from 'node:events';
import { bodyOf, serve, until, world } from './world.mjs';

const echo = async (request, response) => {
  const body = await bodyOf(request);
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: body.toString('latin1'),
    }),
  );
};

test('a request says what it was given, and nothing of the connection', async (t) => {
  const { client } = await world(t, echo);
  const response = await client.fetch('/v1/models?a=b%20c#part', {
    headers: { Authorization: 'Bearer x', Connection: 'close', TE: 'trailers', 'X-Two': '1, 2' },
  });
  assert.equal(response.status, 200);
  assert.equal(response.statusText, 'OK');
  assert.equal(response.ok, true);
  assert.equal(response.url, 'http://localhost/v1/models?a=b%20c');
  assert.equal(response.redirected, false);
  assert.equal(response.headers.get('content-type'), 'application/json');
  const seen = await response.json();
  assert.equal(seen.url, '/v1/models?a=b%20c');
  assert.equal(seen.method, 'GET');
  assert.equal(seen.headers.host, 'localhost');
  assert.equal(seen.headers.authorization, 'Bearer x');
  assert.equal(seen.headers['x-two'], '1, 2');
  assert.equal(seen.headers.connection, undefined);
  assert.equal(seen.headers.te, undefined);
});

test('bodies of every kind', async (t) => {
  const { client } = await world(t, echo);
  const post = async (body, more) => (await client.fetch('/', { method: 'post', body, ...more })).json();
  const text = await post('grüße');
  assert.equal(text.method, 'POST');
  assert.equal(text.headers['content-type'], 'text/plain;charset=UTF-8');
  assert.equal(text.headers['content-length'], '7');
  assert.equal(Buffer.from(text.body, 'latin1').toString(), 'grüße');
  assert.equal((await post(Uint8Array.of(1, 2, 3).subarray(1))).body, '\x02\x03');
  assert.equal((await post(Uint8Array.of(65).buffer)).body, 'A');
  assert.equal((await post(new DataView(Uint8Array.of(66).buffer))).body, 'B');
  const form = await post(new URLSearchParams({ a: 'b c' }));
  assert.equal(form.body, 'a=b+c');
  assert.match(form.headers['content-type'], /^application\/x-www-form-urlencoded/);
  const blob = await post(new Blob(['xyz'], { type: 'text/x' }));
  assert.equal(blob.body, 'xyz');
  assert.equal(blob.headers['content-type'], 'text/x');
  const data = new FormData();
  data.set('field', 'value');
  const multipart = await post(data);
  assert.match(multipart.headers['content-type'], /^multipart\/form-data; boundary=/);
  assert.match(multipart.body, /name="field"\r\n\r\nvalue/);
  const typed = await post('{}', { headers: { 'Content-Type': 'application/json' } });
  assert.equal(typed.headers['content-type'], 'application/json');
  const none = await (await client.fetch('/', { method: 'POST' })).json();
  assert.equal(none.headers['content-length'], '0');
});

test('a Request, a URL, a stream and an iterator as they are', async (t) => {
  const { client } = await world(t, echo);
  const request = new Request('http://service.test:8080/path', {
    method: 'PUT',
    body: 'content',
    headers: { 'x-a': 'b' },
  });
  const seen = await (await client.fetch(request)).json();
  assert.deepEqual([seen.method, seen.url, seen.body], ['PUT', '/path', 'content']);
  assert.equal(seen.headers.host, 'service.test:8080');
  assert.equal(seen.headers['x-a'], 'b');
  await assert.rejects(client.fetch(request), TypeError);
  assert.equal((await (await client.fetch(new URL('http://localhost/u'))).json()).url, '/u');
  const stream = new ReadableStream({
    start(controller) {
      for (const part of ['one ', 'two']) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });
  const streamed = await (await client.fetch('/', { method: 'POST', body: stream, duplex: 'half' })).json();
  assert.equal(streamed.body, 'one two');
  assert.equal(streamed.headers['transfer-encoding'], 'chunked');
  async function* parts() {
    yield 'a';
    yield Uint8Array.of(98);
  }
  assert.equal((await (await client.fetch('/', { method: 'POST', body: parts() })).json()).body, 'ab');
});

test('what cannot be sent is a TypeError', async (t) => {
  const { client } = await world(t, echo);
  await assert.rejects(client.fetch('/', { body: 'x' }), TypeError);
  await assert.rejects(client.fetch('/', { method: 'HEAD', body: 'x' }), TypeError);
  await assert.rejects(client.fetch('/', { method: 'CONNECT' }), { code: 'LEAT_BAD_REQUEST' });
  await assert.rejects(client.fetch('/', { method: 'a b' }), TypeError);
  await assert.rejects(client.fetch('ftp://localhost/'), { code: 'LEAT_BAD_REQUEST' });
  await assert.rejects(client.fetch('/', { headers: { 'x y': '1' } }), TypeError);
  await assert.rejects(client.fetch('http://'), TypeError);
});

test('responses: statuses, fields twice, no body where there can be none', async (t) => {
  const { client } = await world(t, (request, response) => {
    const [, status] = /\/(\d+)/.exec(request.url);
    response.setHeader('X-Twice', ['a', 'b']);
    response.statusMessage = 'Some Words';
    response.writeHead(Number(status));
    response.end(request.method === 'HEAD' || ['204', '304'].includes(status) ? undefined : 'text');
  });
  for (const status of [200, 201, 299, 400, 404, 418, 500, 599]) {
    const response = await client.fetch(`/${status}`);
    assert.equal(response.status, status);
    assert.equal(response.statusText, 'Some Words');
    assert.equal(response.headers.get('x-twice'), 'a, b');
    assert.equal(await response.text(), 'text');
  }
  for (const status of [204, 304]) {
    const response = await client.fetch(`/${status}`);
    assert.equal(response.body, null);
    assert.equal(await response.text(), '');
  }
  const head = await client.fetch('/200', { method: 'HEAD' });
  assert.equal(head.body, null);
});

test('interim responses are passed over, trailers end a body', async (t) => {
  const { client } = await world(t, (request, response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' });
    response.writeProcessing();
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('a');
    response.addTrailers({ 'X-Sum': '1' });
    response.end();
  });
  assert.equal(await (await client.fetch('/')).text(), 'a');
});

test('codings that nobody asked for are undone', async (t) => {
  const { client } = await world(t, (request, response) => {
    response.setHeader('content-encoding', request.url.slice(1));
    response.end(request.url === '/gzip' ? zlib.gzipSync('packed') : zlib.deflateSync('packed'));
  });
  assert.equal(await (await client.fetch('/gzip')).text(), 'packed');
  assert.equal(await (await client.fetch('/deflate')).text(), 'packed');
});

test('a response streams while it is made', async (t) => {
  let answer;
  const { client } = await world(t, (request, response) => {
    response.write('first');
    answer = response;
  });
  const reader = (await client.fetch('/')).body.getReader();
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'first');
  answer.write('second');
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'second');
  answer.end();
  assert.equal((await reader.read()).done, true);
});

test('a request streams while its response does', async (t) => {
  const { client } = await world(t, (request, response) => {
    request.on('data', (data) => response.write(data));
    request.on('end', () => response.end());
  });
  let controller;
  const body = new ReadableStream({ start: (given) => void (controller = given) });
  const pending = client.fetch('/', { method: 'POST', body, duplex: 'half' });
  controller.enqueue(Buffer.from('ping'));
  const reader = (await pending).body.getReader();
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'ping');
  controller.enqueue(Buffer.from('pong'));
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'pong');
  controller.close();
  assert.equal((await reader.read()).done, true);
});

test('16 MiB both ways at once, exactly', async (t) => {
  const { client } = await world(t, (request, response) => request.pipe(response));
  const bytes = randomBytes(16 << 20);
  const response = await client.fetch('/', { method: 'POST', body: bytes });
  const hash = createHash('sha256');
  for await (const part of response.body) hash.update(part);
  assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'));
});

/** Until `value` stays what it is during twenty round trips through everything. */
async function settled(t, { client, agent }, value) {
  const probe = await serve(echo);
  t.after(() => probe.close());
  agent.targets.probe = probe.port;
  let before;
  do {
    before = value();
    for (let i = 0; i < 20; i++) await (await client.service('probe').fetch('/')).text();
  } while (value() !== before);
}

test('a reader that does not read holds the service back', async (t) => {
  let written = 0;
  const { client, agent } = await world(t, async (request, response) => {
    for (;;) {
      const more = response.write(Buffer.alloc(65_536));
      written += 65_536;
      if (!more) await once(response, 'drain');
    }
  });
  const response = await client.fetch('/');
  await settled(t, { client, agent }, () => written);
  assert.ok(written < 8 << 20, `${written} bytes were taken`);
  await response.body.cancel();
});

test('a slow service holds the sender back', async (t) => {
  let request;
  const { client, agent } = await world(t, (given) => void (request = given));
  let given = 0;
  const body = new ReadableStream(
    {
      pull(controller) {
        given += 65_536;
        controller.enqueue(new Uint8Array(65_536));
      },
    },
    { highWaterMark: 0 },
  );
  const abort = new AbortController();
  const pending = client.fetch('/', { method: 'POST', body, signal: abort.signal });
  await until(() => request);
  await settled(t, { client, agent }, () => given);
  assert.ok(given < 8 << 20, `${given} bytes were taken`);
  abort.abort();
  await assert.rejects(pending, { name: 'AbortError' });
});

test('abort: before, while it waits, in the body; each frees the stream', async (t) => {
  let closed = 0;
  const { client, agent } = await world(t, (request, response) => {
    request.socket.on('close', () => closed++);
    if (request.url === '/body') response.write('begun');
  });
  await assert.rejects(client.fetch('/', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const reason = new Error('mine');
  await assert.rejects(client.fetch('/', { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  const waits = new AbortController();
  const pending = client.fetch('/wait', { signal: waits.signal });
  await until(() => agent.streams === 1);
  waits.abort();
  await assert.rejects(pending, { name: 'AbortError' });
  await until(() => agent.streams === 0 && closed === 1);
  const inBody = new AbortController();
  const response = await client.fetch('/body', { signal: inBody.signal });
  inBody.abort();
  await assert.rejects(response.text(), { name: 'AbortError' });
  await until(() => agent.streams === 0 && closed === 2);
  const cancelled = await client.fetch('/body');
  await cancelled.body.cancel();
  await until(() => agent.streams === 0 && closed === 3);
});

test('a body that waits for its next piece is cancelled when nobody wants it any more', async (t) => {
  let held = false;
  const { client } = await world(t, (request, response) => {
    if (request.url === '/held') held = true;
    if (request.url === '/cut') request.once('data', () => request.socket.destroy());
    else if (request.url === '/early') response.end('enough');
  });
  const body = (ends) =>
    new ReadableStream({
      start: (controller) => controller.enqueue(Uint8Array.of(1)),
      pull: () => new Promise(() => {}),
      cancel: ends,
    });
  for (const path of ['/cut', '/early', '/held', '/at once']) {
    let ended = false;
    const abort = new AbortController();
    const { signal } = abort;
    const pending = client.fetch(path, { method: 'POST', body: body(() => (ended = true)), duplex: 'half', signal });
    if (path === '/early') assert.equal(await (await pending).text(), 'enough');
    else if (path === '/cut') await assert.rejects(pending, { code: 'LEAT_SERVICE_CUT' });
    else {
      if (path === '/held') await until(() => held);
      abort.abort();
      await assert.rejects(pending, { name: 'AbortError' });
    }
    await until(() => ended);
  }
});

test('the body of a Request: bytes have their length and are sent again, a stream flows', async (t) => {
  let begun = false;
  const { client } = await world(t, async (request, response) => {
    if (request.url === '/stream') begun = true;
    if (request.url === '/307') {
      await bodyOf(request);
      response.writeHead(307, { Location: '/end' });
      return response.end();
    }
    return echo(request, response);
  });
  const seen = await (await client.fetch(new Request('http://localhost/307', { method: 'POST', body: 'content' }))).json();
  assert.deepEqual([seen.url, seen.body], ['/end', 'content']);
  assert.equal(seen.headers['content-length'], '7');
  assert.equal(seen.headers['content-type'], 'text/plain;charset=UTF-8');
  const large = 'x'.repeat(3 << 20);
  const whole = await (await client.fetch(new Request('http://localhost/', { method: 'POST', body: large }))).json();
  assert.equal(whole.body, large);
  let controller;
  const stream = new ReadableStream({ start: (given) => void (controller = given) });
  controller.enqueue(Buffer.from('one '));
  const pending = client.fetch(new Request('http://localhost/stream', { method: 'POST', body: stream, duplex: 'half' }));
  await until(() => begun);
  controller.enqueue(Buffer.from('two'));
  controller.close();
  const streamed = await (await pending).json();
  assert.equal(streamed.body, 'one two');
  assert.equal(streamed.headers['transfer-encoding'], 'chunked');
});

test('redirects: follow, manual, error, and what becomes of the method', async (t) => {
  const { client } = await world(t, async (request, response) => {
    const [, status, where] = /^\/(\d\d\d)(.*)/.exec(request.url) ?? [];
    if (!status) return echo(request, response);
    await bodyOf(request);
    response.writeHead(Number(status), { Location: where || '/end' });
    response.end();
  });
  const followed = await client.fetch('/302', { method: 'POST', body: 'x' });
  assert.equal(followed.redirected, true);
  assert.equal(followed.url, 'http://localhost/end');
  const seen = await followed.json();
  assert.deepEqual([seen.method, seen.body, seen.headers['content-type']], ['GET', '', undefined]);
  const kept = await (await client.fetch('/307', { method: 'POST', body: 'x' })).json();
  assert.deepEqual([kept.method, kept.body], ['POST', 'x']);
  assert.equal((await (await client.fetch('/303', { method: 'PUT', body: 'x' })).json()).method, 'GET');
  assert.equal((await (await client.fetch('/301/301/302')).json()).url, '/end');
  const manual = await client.fetch('/302', { redirect: 'manual' });
  assert.deepEqual([manual.status, manual.headers.get('location')], [302, '/end']);
  await assert.rejects(client.fetch('/302', { redirect: 'error' }), { code: 'LEAT_REDIRECT' });
  await assert.rejects(client.fetch('/302http://elsewhere.test/'), { code: 'LEAT_REDIRECT' });
  const body = new ReadableStream({ start: (controller) => controller.close() });
  await assert.rejects(client.fetch('/307', { method: 'POST', body }), { code: 'LEAT_REDIRECT' });
  await assert.rejects(client.fetch('/302'.repeat(22)), { code: 'LEAT_REDIRECT' });
});

test("the agent's reasons are codes", async (t) => {
  const { client, agent } = await world(t, echo);
  await assert.rejects(client.service('nothing').fetch('/'), { code: 'LEAT_NO_SUCH_SERVICE', name: 'LeatError' });
  const closed = await serve(echo);
  await closed.close();
  agent.targets.down = closed.port;
  const failing = client.service('down').fetch('/');
  await assert.rejects(failing, (error) => error instanceof TypeError && error.code === 'LEAT_SERVICE_REFUSED');
  assert.deepEqual(client.services, [{ id: 'web', kind: 'http' }]);
});

// What is no HTTP, or not all of it, is never taken for a response.
const raw = (bytes) => net.createServer((socket) => socket.once('data', () => socket.end(bytes)).on('error', () => {}));
const head = 'HTTP/1.1 200 OK\r\n';
const heads = {
  'another version': 'HTTP/1.0 200 OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status of 600': 'HTTP/1.1 600 OK\r\n\r\n',
  'two spaces': 'HTTP/1.1  200 OK\r\n\r\n',
  'bare LF': 'HTTP/1.1 200 OK\nA: b\n\n\r\n\r\n',
  'bare CR in a value': `${head}A: b\rc\r\n\r\n`,
  'NUL in a value': `${head}A: b\0\r\n\r\n`,
  folding: `${head}A: b\r\n c\r\n\r\n`,
  'a space before the colon': `${head}A : b\r\n\r\n`,
  'a line without a colon': `${head}A\r\n\r\n`,
  'two lengths': `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`,
  'a signed length': `${head}Content-Length: +1\r\n\r\na`,
  'a list of lengths': `${head}Content-Length: 1, 1\r\n\r\na`,
  'length and chunks': `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na`,
  'another coding': `${head}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  'chunked twice': `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  '257 fields': `${head}${'A: b\r\n'.repeat(257)}\r\n`,
  'a head of more than 64 KiB': `${head}A: ${'b'.repeat(65_536)}\r\n\r\n`,
  '17 interim responses': `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(17)}${head}\r\n`,
  'an upgrade nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
};
const cutHeads = { nothing: '', 'half a head': 'HTTP/1.1 200 OK\r\nA: b\r\n' };
const bodies = {
  'a body that ends early': [`${head}Content-Length: 2\r\n\r\na`, 'LEAT_SERVICE_CUT'],
  'chunks that end early': [`${head}Transfer-Encoding: chunked\r\n\r\n3\r\nab`, 'LEAT_SERVICE_CUT'],
  'no last chunk': [`${head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`, 'LEAT_SERVICE_CUT'],
  'no end of trailers': [`${head}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n`, 'LEAT_SERVICE_CUT'],
  'a bad size': [`${head}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`, 'LEAT_SERVICE_PROTOCOL'],
  'a size with an extension': [`${head}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\n\r\n`, 'LEAT_SERVICE_PROTOCOL'],
  'a chunk too long for its size': [`${head}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`, 'LEAT_SERVICE_PROTOCOL'],
  'a size of 17 digits': [`${head}Transfer-Encoding: chunked\r\n\r\n${'0'.repeat(17)}1\r\na`, 'LEAT_SERVICE_PROTOCOL'],
  'a bad trailer': [`${head}Transfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n`, 'LEAT_SERVICE_PROTOCOL'],
};

test('malformed heads', async (t) => {
  const { client, agent } = await world(t, echo);
  const cases = [
    ...Object.entries(heads).map(([name, bytes]) => [name, bytes, 'LEAT_SERVICE_PROTOCOL']),
    ...Object.entries(cutHeads).map(([name, bytes]) => [name, bytes, 'LEAT_SERVICE_CUT']),
  ];
  for (const [name, bytes, code] of cases) {
    const service = await serve(raw(bytes));
    agent.targets.raw = service.port;
    await assert.rejects(client.service('raw').fetch('/'), (error) => error.code === code, name);
    await until(() => agent.streams === 0);
    await service.close();
  }
});

test('malformed bodies', async (t) => {
  const { client, agent } = await world(t, echo);
  for (const [name, [bytes, code]] of Object.entries(bodies)) {
    const service = await serve(raw(bytes));
    agent.targets.raw = service.port;
    const response = await client.service('raw').fetch('/');
    await assert.rejects(response.text(), (error) => error.code === code, name);
    await until(() => agent.streams === 0);
    await service.close();
  }
});

test('a body that ends with its connection, and bytes behind a response', async (t) => {
  const { client, agent } = await world(t, echo);
  const service = await serve(raw(`${head}\r\nall of it`));
  agent.targets.raw = service.port;
  assert.equal(await (await client.service('raw').fetch('/')).text(), 'all of it');
  await service.close();
  const longer = await serve(raw(`${head}Content-Length: 1\r\n\r\nab`));
  agent.targets.raw = longer.port;
  assert.equal(await (await client.service('raw').fetch('/')).text(), 'a');
  await until(() => agent.streams === 0);
  await longer.close();
});
