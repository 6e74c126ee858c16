// The examples of README.md, each run as it stands there.
import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { createHash } from 'node:crypto';
import * as client from 'leat-client';
import { Agent, straight, testPlatform } from './agent.mjs';
import { serve } from './world.mjs';

const readme = fs.readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);

/** A service with models, tokens and an echoing WebSocket. */
function service() {
  const server = http.createServer((request, response) => {
    response.shouldKeepAlive = false;
    request.resume();
    if (request.url === '/v1/models') return response.end('{"data":[]}');
    response.write('data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n');
    response.end('data: [DONE]\n\n');
  });
  server.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const size = data[1] & 127;
      const mask = data.subarray(2, 6);
      const payload = data.subarray(6, 6 + size).map((byte, i) => byte ^ mask[i & 3]);
      socket.write(Buffer.concat([Buffer.from([data[0], size]), payload]));
    });
  });
  return server;
}

test('every example runs', async (t) => {
  const home = await serve(service());
  t.after(() => home.close());
  const agent = await Agent.make({ targets: { web: home.port } });
  testPlatform(() => straight(agent));
  let kept;
  const said = [];
  // What the examples take for granted. The packages of others are used for real in tests/e2e.
  const given = {
    connect: client.connect,
    LeatError: client.LeatError,
    link: agent.link(),
    store: (credential) => (kept = JSON.stringify(credential)),
    stored: async () => JSON.parse(kept),
    console: { log: (...parts) => said.push(parts.join(' ')) },
    process: { stdout: { write: (text) => said.push(Buffer.from(text).toString()) } },
    doc: {},
    OpenAI: class {
      constructor({ baseURL, fetch }) {
        const create = async () => {
          await (await fetch(`${baseURL}/chat/completions`, { method: 'POST', body: '{}' })).text();
          return [{ choices: [{ delta: { content: 'Hi' } }] }];
        };
        this.chat = { completions: { create } };
      }
    },
    WebsocketProvider: class {
      constructor(url, room, doc, { WebSocketPolyfill }) {
        this.socket = new WebSocketPolyfill(`${url}/${room}`);
      }
      destroy() {
        this.socket.close();
      }
    },
  };
  assert.ok(examples.length >= 4);
  const AsyncFunction = (async () => {}).constructor;
  for (const code of examples) {
    assert.match(code, /^import \{ [\w, ]+ \} from 'leat-client';$/m);
    const body = code.replace(/^import .*$/gm, '');
    await new AsyncFunction(...Object.keys(given), body)(...Object.values(given));
  }
  const all = said.join('\n');
  assert.match(all, /^home /m);
  assert.match(all, /^200 /m);
  assert.match(all, /"content":"Hi"/);
  assert.match(all, /^hello$/m);
  assert.match(all, /LEAT_NO_SUCH_SERVICE/);
});

test('the table has every code of the client, and no other', async () => {
  const { codes } = await import('../dist/errors.js');
  const rows = [...readme.matchAll(/^\| (`LEAT_.*?) \|/gm)].map(([, names]) => names);
  const listed = rows.flatMap((names) => names.match(/LEAT_[A-Z_]+/g));
  assert.deepEqual([...listed].sort(), Object.keys(codes).sort());
  const folder = new URL('../src/', import.meta.url);
  for (const name of fs.readdirSync(folder)) {
    const source = fs.readFileSync(new URL(name, folder), 'utf8');
    for (const [, code] of source.matchAll(/\(\s*'(LEAT_[A-Z_]+)'/g)) assert.ok(codes[code], `${name}: ${code}`);
  }
});

test('what is published stands alone', () => {
  const of = (name) => new URL(`../${name}`, import.meta.url);
  const { files, scripts, license } = JSON.parse(fs.readFileSync(of('package.json'), 'utf8'));
  assert.match(scripts.prepack, /build/);
  assert.equal(license, 'MIT');
  assert.equal(fs.readFileSync(of('LICENSE'), 'utf8'), fs.readFileSync(of('../../LICENSE'), 'utf8'));
  for (const [, target] of readme.matchAll(/\]\(([^)]+)\)/g)) {
    const inside = files.some((each) => target === each || target.startsWith(`${each}/`));
    assert.ok(/^(https?:|#)/.test(target) || inside, `${target} leads out of the package`);
  }
});
