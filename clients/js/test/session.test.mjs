// The loop of a session: what wakes the one that writes, and what ends it when its pipe takes nothing.
import test from 'node:test';
import assert from 'node:assert/strict';
import { primitives } from '../dist/crypto.js';
import { keysOf } from '../dist/credential.js';
import { connect } from '../dist/index.js';
import { Arrivals } from '../dist/pipe.js';
import { Session } from '../dist/session.js';
import { Agent, AgentSession, straight, testPlatform } from './agent.mjs';
import { until } from './world.mjs';

/** A session with an agent that never reads from a stream; what the client writes goes by `carry`, the rest by `back`. */
async function sessionWith(t, carry, back = (bytes, down) => down.push(bytes)) {
  const { stream } = AgentSession.prototype;
  AgentSession.prototype.stream = () => {};
  t.after(() => (AgentSession.prototype.stream = stream));
  const agent = await Agent.make();
  testPlatform(() => straight(agent));
  const client = await connect(agent.link());
  client.close();
  const crypto = await primitives();
  const up = new Arrivals();
  const down = new Arrivals();
  const close = () => {
    up.end();
    down.end();
  };
  const serving = agent.accept({ read: () => up.next(), write: async (bytes) => void back(bytes, down), close });
  const pipe = { read: () => down.next(), write: (bytes) => carry(bytes, up), close };
  const options = { crypto, ...(await keysOf(client.credential, crypto)), device: 'd', tunnel: 'tunnel' };
  const session = await Session.start(pipe, { ...options, suites: ['aesgcm'], padding: 0 });
  t.after(async () => {
    session.close();
    close();
    await serving;
  });
  await session.begin().opened;
  return session;
}

/** Streams with more to send than the log holds, and credit for all of it. */
function fill(session) {
  const writing = Array.from({ length: 20 }, () => session.openStream().write(new Uint8Array(256 << 10)));
  return Promise.all(writing);
}

test('an ack that makes room in the log is enough to go on', async (t) => {
  // Pings, which would wake it too, never come.
  const { setTimeout } = globalThis;
  t.after(() => (globalThis.setTimeout = setTimeout));
  globalThis.setTimeout = (task, ms, ...rest) => (ms > 1_000 ? {} : setTimeout(task, ms, ...rest));
  let held;
  const session = await sessionWith(t, async (bytes, up) => (held ? held.push(bytes) : up.push(bytes)));
  const go = session.pipe.write;
  held = [];
  let done = false;
  const sent = fill(session).then(() => (done = true));
  await until(() => session.link.log.room < 16);
  for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false);
  const before = held;
  held = undefined;
  for (const bytes of before) await go(bytes);
  await until(() => done);
  await sent;
});

test('a peer that falls silent ends a session whose pipe takes nothing', async (t) => {
  const { setTimeout, clearTimeout } = globalThis;
  const { now } = performance;
  t.after(() => {
    Object.assign(globalThis, { setTimeout, clearTimeout });
    performance.now = now;
  });
  let clock = 0;
  const timers = new Map();
  performance.now = () => clock;
  globalThis.setTimeout = (task, ms) => {
    const timer = { unref() {} };
    timers.set(timer, { task, at: clock + ms });
    return timer;
  };
  globalThis.clearTimeout = (timer) => timers.delete(timer);
  let silent = false;
  const session = await sessionWith(
    t,
    (bytes, up) => (silent ? new Promise(() => {}) : Promise.resolve(up.push(bytes))),
    (bytes, down) => silent || down.push(bytes),
  );
  silent = true;
  fill(session).catch(() => {});
  for (let i = 0; i < 20 && !session.over; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock += 500;
    for (const [timer, { task, at }] of [...timers]) if (at <= clock && timers.delete(timer)) task();
  }
  assert.equal(session.over?.code, 'LEAT_CARRIER_CUT');
});
