// Links, credentials, ways and reconnecting.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { connect, isPairingLink } from '../dist/index.js';
import { backoff } from '../dist/client.js';
import { base64url } from '../dist/bytes.js';
import { keysOf, parseLink } from '../dist/credential.js';
import { primitives } from '../dist/crypto.js';
import { LeatError } from '../dist/errors.js';
import { closeHint } from '../dist/pipe.js';
import { encode } from '../dist/protobuf.js';
import { Session } from '../dist/session.js';
import { firstWay } from '../dist/ways.js';
import { Agent, pipePair, straight, testPlatform } from './agent.mjs';
import { serve, until, world } from './world.mjs';

const ok = (request, response) => response.end('ok');

async function paired(t, options = {}) {
  const service = await serve(ok);
  t.after(() => service.close());
  const agent = await Agent.make({ targets: { web: service.port } });
  testPlatform(() => straight(agent));
  const client = await connect(agent.link(options.link), options);
  t.after(() => client.close());
  return { agent, client };
}

test('pairing: a link becomes a credential, the credential a session', async (t) => {
  const stored = [];
  const { agent, client } = await paired(t, { device: 'phone', oncredential: (fresh) => stored.push(fresh) });
  assert.equal(stored.length, 1);
  const { credential } = client;
  assert.deepEqual(JSON.parse(JSON.stringify(credential)), credential);
  assert.equal(credential.agent, base64url(agent.own.publicKey));
  assert.equal(credential.device, 'phone');
  assert.equal(credential.name, 'home');
  assert.deepEqual(client.via, { kind: 'relay', address: 'ws://relay.test' });
  const again = await connect(JSON.parse(JSON.stringify(credential)));
  assert.equal(await (await again.fetch('/')).text(), 'ok');
  again.close();
  assert.equal(agent.devices.size, 1);
  await assert.rejects(again.fetch('/'), { code: 'LEAT_CLOSED' });
});

test('a credential that cannot be stored: the link is not used up, and the reason is the one given', async (t) => {
  const { agent } = await paired(t);
  const link = agent.link();
  const full = new Error('the storage is full');
  let calls = 0;
  for (const oncredential of [
    () => {
      calls++;
      throw full;
    },
    async () => {
      calls++;
      throw full;
    },
  ]) {
    await assert.rejects(connect(link, { oncredential }), full);
  }
  assert.equal(calls, 2);
  assert.equal(agent.devices.size, 1);
  // It is waited for.
  let stored;
  const slow = new Promise((resolve) => (stored = resolve));
  const connecting = connect(link, { oncredential: () => slow });
  await until(() => agent.sessions.size > 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(agent.devices.size, 1);
  stored();
  (await connecting).close();
  assert.equal(agent.devices.size, 2);
});

test('an onstate that throws is an error of the page, not of the connection', async (t) => {
  const thrown = [];
  const { queueMicrotask } = globalThis;
  t.after(() => (globalThis.queueMicrotask = queueMicrotask));
  globalThis.queueMicrotask = (task) => {
    try {
      task();
    } catch (error) {
      thrown.push(error.message);
    }
  };
  const states = [];
  const { client } = await paired(t, {
    onstate({ state }) {
      states.push(state);
      throw new Error(`at ${state}`);
    },
  });
  assert.equal(await (await client.fetch('/')).text(), 'ok');
  client.close();
  await until(() => thrown.length === 2);
  assert.deepEqual(states, ['connected', 'disconnected']);
  assert.deepEqual(thrown, ['at connected', 'at disconnected']);
});

test('in a browser the secret key cannot be read, and is stored as it is', async (t) => {
  const { client } = await paired(t, { keysAsText: false });
  const { secretKey } = client.credential;
  assert.equal(secretKey.extractable, false);
  await assert.rejects(globalThis.crypto.subtle.exportKey('pkcs8', secretKey));
  const again = await connect({ ...client.credential });
  again.close();
});

test('a link is used once; what is wrong with it is said', async (t) => {
  const { agent } = await paired(t);
  const link = agent.link();
  (await connect(link)).close();
  await assert.rejects(connect(link), { code: 'LEAT_PAIRING_USED' });
  await assert.rejects(connect(agent.link({ ends: 1 })), { code: 'LEAT_PAIRING_OVER' });
  const forgotten = agent.link({ ends: 4e9 });
  agent.pairings.clear();
  await assert.rejects(connect(forgotten), { code: 'LEAT_PAIRING_OVER' });
  const field = (number, value) => encode([number, value]);
  const message = (...fields) => `#leat1=${base64url(Uint8Array.from(fields.flatMap((part) => [...part])))}`;
  const key = field(1, new Uint8Array(32).fill(1));
  const id = field(2, new Uint8Array(8).fill(1));
  const secret = field(3, new Uint8Array(16).fill(1));
  const tunnel = field(4, 'tunnel');
  const relay = field(5, 'wss://relay.test:443');
  assert.equal(parseLink(message(key, id, secret, tunnel, relay)).relays[0], 'wss://relay.test:443');
  const bad = [
    '',
    'https://chat.example/',
    'https://chat.example/#other=AAAA',
    '#leat1=',
    '#leat1=!',
    '#leat1=AAAA',
    message(id, secret, tunnel, relay),
    message(field(1, new Uint8Array(31).fill(1)), id, secret, tunnel, relay),
    message(key, secret, tunnel, relay),
    message(key, id, tunnel, relay),
    message(key, id, secret, tunnel),
    message(key, id, secret, relay),
    message(key, id, secret, tunnel, field(5, 'https://relay.test')),
    message(key, id, secret, tunnel, field(5, 'wss://relay.test/path?query')),
    message(key, id, secret, tunnel, field(5, 'wss://user@relay.test')),
  ];
  for (const link of bad) assert.throws(() => parseLink(link), { code: 'LEAT_BAD_LINK' }, link);
  for (const link of bad) await assert.rejects(connect(link), { code: 'LEAT_BAD_LINK' });
  assert.equal(isPairingLink('https://chat.example/#leat1=AAAA'), true);
  assert.equal(isPairingLink('https://chat.example/#other'), false);
});

test('a credential that is none', async (t) => {
  const { client } = await paired(t);
  const { credential } = client;
  const other = (await paired(t)).client.credential;
  const bad = [
    { ...credential, version: 2 },
    { ...credential, agent: 'AAAA' },
    { ...credential, publicKey: other.publicKey },
    { ...credential, secretKey: '' },
    {},
  ];
  for (const each of bad) await assert.rejects(connect(each), { code: 'LEAT_BAD_CREDENTIAL' });
});

test('cut between reply and first record, at either side of it: the pairing still comes through', async (t) => {
  for (const lost of [1, 0]) {
    const service = await serve(ok);
    t.after(() => service.close());
    const agent = await Agent.make({ targets: { web: service.port } });
    let attempts = 0;
    testPlatform(() => () => {
      const first = attempts++ === 0;
      const pair = pipePair((side, index, bytes) => {
        // The client's first record is lost; or it arrives and the agent's answer to it does not.
        if (!first || side !== (lost ? 'client' : 'agent') || index !== 1) return [bytes];
        queueMicrotask(() => pair.client.close());
        return [];
      });
      void agent.accept(pair.agent);
      return pair.client;
    });
    const client = await connect(agent.link());
    assert.equal(attempts, lost ? 3 : 2); // hello, refused as unknown, and paired anew; or hello
    assert.equal(await (await client.fetch('/')).text(), 'ok');
    assert.equal(agent.devices.size, 1);
    client.close();
  }
});

test('relays in turn', async (t) => {
  const service = await serve(ok);
  t.after(() => service.close());
  const agent = await Agent.make({ targets: { web: service.port } });
  const asked = [];
  testPlatform((address) => {
    asked.push(address.replace('/sealed/tunnel', ''));
    return address.startsWith('ws://third') ? straight(agent) : undefined;
  });
  const relays = ['ws://first.test', 'ws://second.test', 'ws://third.test'];
  const client = await connect(agent.link({ relays }));
  assert.deepEqual(asked, relays);
  assert.deepEqual(client.via, { kind: 'relay', address: 'ws://third.test' });
  client.close();
});

test("a direct address goes before the relay, one that leads elsewhere does not matter, and the agent's word is kept", async (t) => {
  const service = await serve(ok);
  t.after(() => service.close());
  const agent = await Agent.make({ targets: { web: service.port } });
  const impostor = await Agent.make();
  const used = [];
  testPlatform((address) => {
    used.push(address);
    if (address === '192.0.2.1:1') return straight(impostor);
    if (address === '192.0.2.2:2' || address.startsWith('ws:')) return straight(agent);
    return undefined;
  });
  const link = { direct: ['192.0.2.1:1', '192.0.2.3:3'] };
  agent.direct = ['192.0.2.1:1', '192.0.2.2:2'];
  const stored = [];
  const client = await connect(agent.link(link), { oncredential: (fresh) => stored.push(fresh) });
  assert.equal(client.via.kind, 'relay');
  assert.deepEqual(client.credential.direct, agent.direct);
  assert.deepEqual(stored.at(-1).direct, agent.direct);
  client.close();
  const again = await connect(client.credential);
  assert.deepEqual(again.via, { kind: 'direct', address: '192.0.2.2:2' });
  again.close();
  const relayed = await connect(client.credential, { direct: false });
  assert.equal(relayed.via.kind, 'relay');
  relayed.close();
});

test('addresses that lead nowhere do not hold a pairing up', async (t) => {
  const service = await serve(ok);
  t.after(() => service.close());
  const agent = await Agent.make({ targets: { web: service.port } });
  const dialled = [];
  testPlatform(() => straight(agent), { direct: (address) => new Promise(() => dialled.push(address)) });
  // The time that is left to it is that of the head start, not that of an address which is silent.
  const direct = ['192.0.2.1:1', '192.0.2.2:2'];
  const client = await connect(agent.link({ direct }), { timeout: 5_000 });
  assert.deepEqual(dialled, direct);
  assert.equal(client.via.kind, 'relay');
  client.close();
});

test('of several ways one at a time pairs, and none after it', async () => {
  const ways = ['a', 'b', 'c'].map((address) => ({ kind: 'direct', address }));
  let running = 0;
  const asked = [];
  const attempt = (through) => (way, signal, turn) =>
    turn(async () => {
      assert.equal(++running, 1, 'two at a time');
      asked.push(way.address);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (way.address !== through) throw new LeatError('LEAT_CARRIER_CUT');
      return way.address;
    });
  const { signal } = new AbortController();
  assert.equal(await firstWay(ways, true, attempt('b'), signal), 'b');
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(asked.splice(0), ['a', 'b']);
  await assert.rejects(firstWay(ways, true, attempt('none'), signal), { code: 'LEAT_CARRIER_CUT' });
  assert.deepEqual(asked, ['a', 'b', 'c']);
});

test('of two ways that come through in the same moment one is taken, and the other let go', async () => {
  for (const kinds of [['direct', 'direct'], ['direct', 'relay'], ['relay', 'direct']]) {
    const ways = kinds.map((kind, at) => ({ kind, address: `${at}` }));
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const begun = [];
    const lost = [];
    const attempt = async ({ address }) => {
      begun.push(address);
      if (begun.length === ways.length) open();
      await gate;
      return address;
    };
    const won = await firstWay(ways, false, attempt, new AbortController().signal, (other) => lost.push(other));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([won, ...lost].sort(), ['0', '1']);
  }
});

test('a session that is given up before it has begun leaves neither pipe nor key', async () => {
  const agent = await Agent.make();
  testPlatform(() => straight(agent));
  const client = await connect(agent.link());
  client.close();
  const crypto = await primitives();
  const keys = await keysOf(client.credential, crypto);
  const pair = pipePair();
  const serving = agent.accept(pair.agent);
  const options = { crypto, ...keys, device: 'd', tunnel: 'tunnel', suites: ['nacl'], padding: 0 };
  const session = await Session.start(pair.client, options);
  session.close();
  await serving;
  assert.equal((await session.closed).code, 'LEAT_CLOSED');
  assert.equal(session.sender.usable, false);
  assert.equal(pair.count.client, 1);
});

test('of several ways one session begins', async () => {
  const began = [];
  const attempt = (delays) => async (way, signal) => {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, delays[way.address]);
      signal.addEventListener('abort', () => (clearTimeout(timer), reject(signal.reason)));
    });
    began.push(way.address);
    return way.address;
  };
  const ways = [
    { kind: 'direct', address: 'a' },
    { kind: 'direct', address: 'b' },
    { kind: 'relay', address: 'c' },
  ];
  const { signal } = new AbortController();
  assert.equal(await firstWay(ways, false, attempt({ a: 5_000, b: 5, c: 0 }), signal), 'b');
  assert.deepEqual(began.splice(0), ['b']);
  assert.equal(await firstWay(ways, false, attempt({ a: 5_000, b: 5_000, c: 0 }), signal), 'c');
  assert.deepEqual(began, ['c']);
  const failing = async (way) => {
    throw new LeatError({ a: 'LEAT_KEY_CHANGED', b: 'LEAT_RELAY_UNREACHABLE', c: 'LEAT_AGENT_OFFLINE' }[way.address]);
  };
  await assert.rejects(firstWay(ways, false, failing, signal), { code: 'LEAT_KEY_CHANGED' });
  await assert.rejects(firstWay(ways.slice(1), true, failing, signal), { code: 'LEAT_AGENT_OFFLINE' });
  const stopped = new AbortController();
  const waiting = firstWay(ways, false, attempt({ a: 5_000, b: 5_000, c: 5_000 }), stopped.signal);
  stopped.abort(new LeatError('LEAT_CLOSED'));
  await assert.rejects(waiting, { code: 'LEAT_CLOSED' });
});

test('a session that was cut: what ran in it fails, the next request makes another', async (t) => {
  const states = [];
  let pair;
  let held;
  const service = await serve((request, response) => {
    if (request.url === '/hold') held = response.write('begun') || true;
    else response.end('ok');
  });
  t.after(() => service.close());
  const agent = await Agent.make({ targets: { web: service.port } });
  testPlatform(() => () => {
    pair = pipePair();
    void agent.accept(pair.agent);
    return pair.client;
  });
  const client = await connect(agent.link(), { onstate: (state) => states.push(state) });
  t.after(() => client.close());
  const response = await client.fetch('/hold');
  await until(() => held);
  pair.client.close();
  await assert.rejects(response.text(), { code: 'LEAT_CARRIER_CUT' });
  await until(() => states.length === 2);
  assert.equal(await (await client.fetch('/')).text(), 'ok');
  assert.deepEqual(states.map(({ state }) => state), ['connected', 'disconnected', 'connected']);
  assert.equal(states[1].error.code, 'LEAT_CARRIER_CUT');
});

test('revoked: the session ends with that word, and so does the next attempt', async (t) => {
  const { agent, client } = await paired(t);
  agent.revoke();
  await until(() => client.fetch('/').then(() => false, (error) => error.code === 'LEAT_REVOKED'));
  agent.devices.clear();
  await assert.rejects(client.fetch('/'), { code: 'LEAT_UNKNOWN_DEVICE' });
});

test('an agent that comes back is waited for', async (t) => {
  const { agent, client } = await paired(t);
  const { credential } = client;
  let tries = 0;
  testPlatform(() => (tries++ < 1 ? undefined : straight(agent)));
  const waiting = await connect(credential);
  assert.equal(await (await waiting.fetch('/')).text(), 'ok');
  waiting.close();
  testPlatform(() => undefined);
  await assert.rejects(connect(credential, { timeout: 0 }), { code: 'LEAT_AGENT_OFFLINE' });
  await assert.rejects(connect(credential, { signal: AbortSignal.abort(new Error('mine')) }), { message: 'mine' });
});

test('backoff: at once, full jitter below 2 s, after 5 s doubling to 15', () => {
  assert.deepEqual(backoff(2_000, 100, 0.5), { wait: 1_000, bound: 2_000 });
  assert.deepEqual(backoff(2_000, 5_000, 1), { wait: 2_000, bound: 2_000 });
  assert.deepEqual(backoff(2_000, 5_001, 0.5), { wait: 2_000, bound: 4_000 });
  assert.deepEqual(backoff(4_000, 9_000, 0), { wait: 0, bound: 8_000 });
  assert.deepEqual(backoff(8_000, 60_000, 1), { wait: 15_000, bound: 15_000 });
});

test("what a relay's close says", () => {
  assert.equal(closeHint(1000, ''), undefined);
  assert.equal(closeHint(1013, 'LEAT_AGENT_BUSY').code, 'LEAT_AGENT_BUSY');
  assert.equal(closeHint(1013, 'LEAT_NO_SUCH_SERVICE').code, 'LEAT_AGENT_OFFLINE');
  assert.equal(closeHint(1011, '').code, 'LEAT_CARRIER_CUT');
});

test('padding fills records up', async (t) => {
  const sizes = [];
  const { client } = await world(t, ok, {
    padding: 512,
    change: (side, index, bytes) => {
      if (side === 'client' && index) sizes.push(bytes.length);
      return [bytes];
    },
  });
  assert.equal(await (await client.fetch('/')).text(), 'ok');
  for (const size of sizes) assert.equal((size - 21) % 512, 0, `${size}`);
});

test('in Node: a direct address over TCP, and a relay that is none', async (t) => {
  const service = await serve(ok);
  t.after(() => service.close());
  const agent = await Agent.make({ targets: { web: service.port } });
  const sockets = new Set();
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    const input = [];
    let wake;
    socket.on('data', (data) => (input.push(new Uint8Array(data)), wake?.()));
    socket.on('close', () => (input.push(undefined), wake?.()));
    socket.on('error', () => {});
    void agent.accept({
      async read() {
        while (!input.length) await new Promise((resolve) => (wake = resolve));
        return input.shift();
      },
      write: async (bytes) => void socket.write(bytes),
      close: () => socket.destroy(),
    });
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  // The real thing again, in place of the tests' own platform.
  const node = await import(`../dist/node.js?fresh=${Math.random()}`);
  const address = `127.0.0.1:${listener.address().port}`;
  const client = await connect(agent.link({ direct: [address], relays: [`ws://127.0.0.1:${service.port}`] }));
  assert.deepEqual(client.via, { kind: 'direct', address });
  assert.equal(await (await client.fetch('/')).text(), 'ok');
  client.close();
  const { credential } = client;
  await assert.rejects(node.connect(credential, { direct: false, timeout: 0 }), { code: 'LEAT_RELAY_UNREACHABLE' });
});
