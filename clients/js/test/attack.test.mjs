// Whoever carries the bytes changes, drops, repeats, swaps or cuts them, at every index and in both
// directions: it never comes to more than a cut, nothing wrong is given out, and no end is believed.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { connect } from '../dist/index.js';
import { primitives } from '../dist/crypto.js';
import { Session } from '../dist/session.js';
import { UNIT, unit } from '../dist/session.js';
import { keysOf } from '../dist/credential.js';
import { Agent, pipePair, straight, testPlatform } from './agent.mjs';
import { serve } from './world.mjs';

const ANSWER = Array.from({ length: 300 }, (_, i) => `token ${i}`).join(' ');

const answering = () =>
  serve(
    http.createServer((request, response) => {
      response.shouldKeepAlive = false;
      response.writeHead(200, { 'content-length': ANSWER.length });
      for (let at = 0; at < ANSWER.length; at += 500) response.write(ANSWER.slice(at, at + 500));
      response.end();
    }),
  );

/** One request, of which every byte that is given out must be right, however it ends. */
async function exchange(client) {
  let text = '';
  try {
    const decoder = new TextDecoder();
    for await (const part of (await client.fetch('/')).body) text += decoder.decode(part, { stream: true });
    return text === ANSWER ? undefined : `a clean end of ${text.length} characters`;
  } catch {
    return ANSWER.startsWith(text) ? undefined : 'plaintext that was never sent';
  }
}

/**
 * Makes requests, one every turn and then one now and then, until the session has ended; the code it ended with.
 * What was cut short is noticed when more is said, and a busy machine may have put all of the first into one message.
 */
async function ending(credential, where) {
  let ended;
  const onstate = ({ error }) => (ended ??= error);
  const client = await connect(credential, { timeout: 0, onstate }).catch((error) => void (ended = error));
  const requests = [];
  for (let turn = 0; !ended; turn++) {
    assert.ok(turn < 500, `${where}: unnoticed`);
    if (turn < 40 || turn % 20 === 0) requests.push(exchange(client));
    await new Promise((resolve) => setTimeout(resolve, turn < 40 ? 1 : 10)); // sleep: traffic, with a bound
  }
  client?.close();
  for (const wrong of await Promise.all(requests)) assert.equal(wrong, undefined, where);
  return ended.code;
}

const flipped = (bytes, bit) => {
  bytes[bit >> 3] ^= 1 << (bit & 7);
  return bytes;
};

const attacks = {
  'the first bit': (bytes) => [flipped(bytes, 7)],
  'another length': (bytes) => [flipped(bytes, 0)],
  'the last bit': (bytes) => [flipped(bytes, 8 * bytes.length - 1)],
  'a bit in the middle': (bytes) => [flipped(bytes, 4 * bytes.length + 3)],
  drop: () => [],
  repeat: (bytes) => [bytes, bytes.slice()],
  'cut short': (bytes) => [bytes.subarray(0, bytes.length - 1)],
  'one byte more': (bytes) => [bytes, Uint8Array.of(0)],
  'swap with the next': undefined,
};
/** Of the handshake and the first record each side waits for what the other says. */
const WAITS = 2;
const INDICES = 6;

for (const suite of ['aesgcm', 'nacl']) {
  test(`${suite}: flipped, dropped, repeated, swapped, cut at every index`, async (t) => {
    const service = await answering();
    t.after(() => service.close());
    const agent = await Agent.make({ targets: { web: service.port }, suite });
    testPlatform(() => straight(agent));
    const first = await connect(agent.link());
    const { credential } = first;
    first.close();

    let tried = 0;
    for (const side of ['client', 'agent']) {
      for (let at = 0; at < INDICES; at++) {
        for (const [name, attack] of Object.entries(attacks)) {
          const where = `${name}, ${side} ${at}`;
          if (!attack && at < WAITS) continue; // there is no next before the answer
          // Nobody says anything more: all that is left to whoever stands between is to cut.
          const starves = at < WAITS && /drop|short|length/.test(name);
          let pair;
          let held;
          let fault;
          let serving;
          const change = (from, index, bytes) => {
            if (from !== side || index < at) return [bytes];
            if (index > at) return held && index === at + 1 ? [bytes, held] : [bytes];
            tried++;
            if (starves) setImmediate(() => pair.client.close());
            if (attack) return attack(bytes);
            held = bytes;
            return [];
          };
          // One session: what comes after it finds nobody.
          testPlatform(() => {
            if (pair) return undefined;
            pair = pipePair(change);
            return () => {
              serving = agent.serve(pair.agent).catch((error) => {
                fault = error.code;
                pair.agent.close();
              });
              return pair.client;
            };
          });
          const code = await ending(credential, where);
          await serving;
          if (starves) assert.equal(code, 'LEAT_CARRIER_CUT', where);
          else if (side === 'agent' && (at > 0 || /repeat|more/.test(name))) assert.equal(code, 'LEAT_TAMPERED', where);
          else if (side === 'agent') assert.match(code, /^LEAT_(KEY_CHANGED|PROTOCOL)$/, where);
          else if (at > 0 || /repeat|more/.test(name)) assert.deepEqual([code, fault], ['LEAT_CARRIER_CUT', 'LEAT_TAMPERED'], where);
          else assert.match(code, /^LEAT_(PROTOCOL|CARRIER_CUT)$/, where); // what is no hello is refused
        }
      }
    }
    assert.equal(tried, 2 * (INDICES * Object.keys(attacks).length - WAITS));
  });
}

test('every bit of the reply', async () => {
  const agent = await Agent.make();
  testPlatform(() => straight(agent));
  const first = await connect(agent.link());
  const { credential } = first;
  first.close();
  const crypto = await primitives();
  const keys = await keysOf(credential, crypto);
  const start = (bit) => {
    const pair = pipePair((side, index, bytes) => {
      if (side !== 'agent' || index) return [bytes];
      queueMicrotask(() => pair.client.close()); // nothing follows the reply
      return [flipped(bytes, bit)];
    });
    void agent.accept(pair.agent);
    const options = { crypto, ...keys, device: 'd', tunnel: 'tunnel', suites: ['aesgcm', 'nacl'], padding: 0 };
    return Session.start(pair.client, options);
  };
  const codes = new Map();
  const bits = [];
  for (let bit = 0; bit < 8 * 60; bit++) bits.push(bit);
  await Promise.all(
    bits.map(async (bit) => {
      const error = await start(bit).then(
        () => undefined,
        (reason) => reason,
      );
      assert.ok(error, `bit ${bit} went unnoticed`);
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    }),
  );
  const known = ['LEAT_KEY_CHANGED', 'LEAT_PROTOCOL', 'LEAT_CARRIER_CUT']; // a length that is too long is waited for
  for (const code of codes.keys()) assert.ok(known.includes(code), code);
  assert.ok(codes.get('LEAT_KEY_CHANGED') > 400);
});

test('another key is refused, whoever says that it is all right', async () => {
  const agent = await Agent.make();
  const impostor = await Agent.make();
  testPlatform(() => straight(agent));
  const first = await connect(agent.link());
  const { credential } = first;
  first.close();
  // One that answers as it can: it cannot read the hello, so it says so, or makes something up.
  testPlatform(() => straight(impostor));
  await assert.rejects(connect(credential, { timeout: 0 }), (error) => error.code === 'LEAT_PROTOCOL');
  const answers = {
    'a reply of random bytes': [unit(UNIT.reply, crypto.getRandomValues(new Uint8Array(80))), 'LEAT_KEY_CHANGED'],
    'a reply that begins with a point of low order': [unit(UNIT.reply, new Uint8Array(80)), 'LEAT_KEY_CHANGED'],
    'words that the key has changed': [unit(UNIT.refused, new TextEncoder().encode('LEAT_KEY_CHANGED')), 'LEAT_KEY_CHANGED'],
    'words that mean nothing': [unit(UNIT.refused, new TextEncoder().encode('<b>hello')), 'LEAT_PROTOCOL'],
    'an unknown kind': [unit(7, new Uint8Array(60)), 'LEAT_PROTOCOL'],
    'a length of nothing': [Uint8Array.of(0, 0), 'LEAT_PROTOCOL'],
    'a length beyond': [Uint8Array.of(0x40, 0), 'LEAT_PROTOCOL'],
    'no relay at all': [new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'), 'LEAT_PROTOCOL'],
  };
  for (const [name, [bytes, code]] of Object.entries(answers)) {
    testPlatform(() => () => {
      const pair = pipePair();
      void pair.agent.read().then(() => pair.agent.write(bytes));
      return pair.client;
    });
    await assert.rejects(connect(credential, { timeout: 0 }), (error) => error.code === code, name);
  }
  testPlatform(() => straight(agent));
  const again = await connect(credential);
  assert.equal(again.credential.agent, credential.agent);
  again.close();
});

test('a hello that is replayed gets nothing that can be read, and changes nothing', async () => {
  const agent = await Agent.make();
  const sent = [];
  testPlatform(() =>
    straight(agent, (side, index, bytes) => {
      if (side === 'client') sent.push(bytes.slice());
      return [bytes];
    }),
  );
  const client = await connect(agent.link());
  client.close();
  assert.equal(agent.devices.size, 1);
  agent.devices.clear();
  for (const [id] of agent.pairings) agent.pairings.set(id, new Uint8Array(16)); // as if it were unused
  const pair = pipePair();
  const serving = agent.accept(pair.agent);
  for (const bytes of sent) await pair.client.write(bytes);
  await pair.client.read();
  pair.client.close();
  await serving;
  assert.equal(agent.devices.size, 0);
});
