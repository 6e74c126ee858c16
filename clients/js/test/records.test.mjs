// The limits of keys, ends and padding (docs/protocol.md §7.3). 2^20 records and 2^30 bytes are counted
// without making them; senders and receivers are then held to smaller numbers.
import test from 'node:test';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { concat } from '../dist/bytes.js';
import { parseLink } from '../dist/credential.js';
import { primitives, suiteKey } from '../dist/crypto.js';
import { RECORD, RecordReceiver, RecordSender, Volume } from '../dist/records.js';
import { Session } from '../dist/session.js';
import { Agent, pipePair, straight } from './agent.mjs';

globalThis.crypto ??= webcrypto; // Node 18 has none

const tag = new Uint8Array(16);
/** Seals nothing, but knows how often it was rekeyed and whether it was erased. */
const clearKey = (log, generation = 0) => ({
  seal: async (counter, plain) => plain,
  open: async (counter, body) => body.subarray(0, -16),
  rekey: async () => clearKey(log, log.push(generation + 1) && generation + 1),
  erase: () => log.push(`erased ${generation}`),
});
const typeOf = (unit) => unit[2];

test('a key carries 2^20 records and 2^30 bytes', () => {
  const records = new Volume();
  for (let i = 0; i < 2 ** 20; i++) {
    if (!records.takes(1)) assert.fail(`full after ${i}`);
    records.add(1);
  }
  assert.equal(records.takes(1), false);
  records.reset();
  assert.equal(records.takes(1), true);
  const bytes = new Volume();
  for (let i = 0; i < 2 ** 16; i++) {
    if (!bytes.takes(2 ** 14)) assert.fail(`full after ${i}`);
    bytes.add(2 ** 14);
  }
  assert.equal(bytes.takes(1), false);
});

test('then the sender rekeys by itself, by records and by bytes', async () => {
  const log = [];
  const byCount = new RecordSender(clearKey(log), 0, new Volume(100, 2 ** 30));
  const one = Uint8Array.of(1);
  for (let i = 0; i < 100; i++) assert.equal((await byCount.data(one, 0)).length, 1);
  assert.deepEqual((await byCount.data(one, 0)).map(typeOf), [RECORD.rekey, RECORD.data]);
  assert.deepEqual(log, [1, 'erased 0']);
  for (let i = 1; i < 100; i++) assert.equal((await byCount.data(one, 0)).length, 1);
  assert.equal((await byCount.data(one, 0)).length, 2);
  const byBytes = new RecordSender(clearKey([]), 0, new Volume(2 ** 20, 1_000));
  for (let i = 0; i < 10; i++) assert.equal((await byBytes.data(new Uint8Array(60), 0, 40)).length, 1);
  assert.equal((await byBytes.data(one, 0)).length, 2);
});

test('what a new key of the suite nacl was cut from is overwritten', async (t) => {
  const key = await suiteKey(await primitives('noble'), 'nacl', new Uint8Array(32).fill(7));
  const cut = [];
  const { slice } = Uint8Array.prototype;
  t.after(() => (Uint8Array.prototype.slice = slice));
  Uint8Array.prototype.slice = function (...range) {
    const part = slice.apply(this, range);
    if (this.length === 48 && part.length === 32) cut.push([this, part]);
    return part;
  };
  await key.rekey();
  Uint8Array.prototype.slice = slice;
  assert.equal(cut.length, 1);
  const [[from, part]] = cut;
  assert.ok(part.some((byte) => byte));
  assert.ok(from.every((byte) => byte === 0));
});

test('what a handshake was made with is overwritten, however it ends', async () => {
  const held = [];
  const keep = (bytes) => held.push([bytes, bytes.some((byte) => byte)]) && bytes;
  const noble = await primitives('noble');
  const crypto = {
    ...noble,
    async generate(extractable) {
      const pair = await noble.generate(extractable);
      keep(pair.secret);
      return pair;
    },
    async hkdf(salt, input, info, size) {
      const out = await noble.hkdf(salt, input, info, size);
      return info.length ? keep(out) : out; // the psk of a pairing
    },
  };
  const agent = await Agent.make({ crypto: 'noble' });
  const own = await noble.generate(false);
  const start = (pipe) => {
    const { pairing: id, secret } = parseLink(agent.link());
    const said = { device: 'd', tunnel: 'tunnel', suites: ['nacl'], padding: 0 };
    return Session.start(pipe, { crypto, agent: agent.own.publicKey, own, pairing: { id, secret }, ...said });
  };
  const session = await start(straight(agent)());
  session.close();
  const cut = pipePair();
  cut.agent.close();
  await assert.rejects(start(cut.client), { code: 'LEAT_CARRIER_CUT' });
  const ended = pipePair();
  void ended.agent.read().then(() => ended.agent.close());
  await assert.rejects(start(ended.client), { code: 'LEAT_CARRIER_CUT' });
  assert.equal(held.length, 6);
  for (const [bytes, secret] of held) {
    assert.ok(secret);
    assert.ok(bytes.every((byte) => byte === 0));
  }
});

test('a key is used for an hour', async () => {
  const sender = new RecordSender(clearKey([]), 5_000);
  assert.equal((await sender.data(Uint8Array.of(1), 5_000 + 3_599_999)).length, 1);
  assert.equal((await sender.data(Uint8Array.of(1), 5_000 + 3_600_000)).length, 2);
  assert.equal((await sender.data(Uint8Array.of(1), 5_000 + 3_600_001)).length, 1);
});

test('a peer that does not rekey is at fault, by records and by bytes', async () => {
  const record = (size) =>
    concat(Uint8Array.of(RECORD.data, size >> 8, size & 255), new Uint8Array(size).fill(1), tag);
  const byCount = new RecordReceiver(clearKey([]), new Volume(100, 2 ** 30));
  for (let i = 0; i < 100; i++) await byCount.open(record(1));
  await assert.rejects(byCount.open(record(1)), { fault: 'rekey_overdue' });
  const log = [];
  const byBytes = new RecordReceiver(clearKey(log), new Volume(2 ** 20, 1_000));
  for (let i = 0; i < 10; i++) await byBytes.open(record(100));
  await assert.rejects(byBytes.open(record(1)), { fault: 'rekey_overdue' });
  assert.deepEqual(log, ['erased 0']);
  await assert.rejects(byBytes.open(record(1)), { fault: 'not_authentic' });
});

const faults = {
  bad_type: [0, 0, 0],
  'bad_type ': [4, 0, 0],
  malformed: [1, 0, 0],
  'malformed: size beyond': [1, 0, 2, 7],
  'malformed: padding': [1, 0, 1, 7, 0, 1],
  'malformed: rekey with content': [2, 0, 1, 7],
  'malformed: end of seven': [3, 0, 7, 0, 0, 0, 0, 0, 0, 0],
  bad_count: [3, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1],
};
for (const [name, plain] of Object.entries(faults)) {
  test(`an authentic record with a fault is final: ${name}`, async () => {
    const log = [];
    const receiver = new RecordReceiver(clearKey(log));
    await assert.rejects(receiver.open(Uint8Array.from([...plain, ...tag])), { fault: name.split(/[: ]/)[0] });
    assert.deepEqual(log, ['erased 0']);
    await assert.rejects(receiver.open(Uint8Array.from([1, 0, 1, 7, ...tag])), { fault: 'not_authentic' });
    assert.equal(receiver.ended, false);
  });
}

for (const suite of ['aesgcm', 'nacl']) {
  test(`${suite}: rekeys, padding and the end, both sides`, async () => {
    const crypto = await primitives();
    const key = globalThis.crypto.getRandomValues(new Uint8Array(32));
    const sender = new RecordSender(await suiteKey(crypto, suite, key), 0);
    const receiver = new RecordReceiver(await suiteKey(crypto, suite, key));
    const seen = [];
    for (let i = 0; i < 5; i++) {
      const content = new Uint8Array(1 + i * 4_000).fill(i);
      // An hour passes between any two.
      for (const unit of await sender.data(content, i * 3_600_000, i)) {
        const opened = await receiver.open(unit.subarray(2));
        seen.push(opened.type);
        if (opened.type === RECORD.data) assert.deepEqual(opened.content, content);
      }
    }
    assert.deepEqual(seen, [1, 2, 1, 2, 1, 2, 1, 2, 1]);
    await receiver.open((await sender.end()).subarray(2));
    assert.ok(receiver.ended);
    assert.equal(receiver.judge(19), 'after_end');
    await assert.rejects(sender.data(Uint8Array.of(1), 0), { code: 'LEAT_PROTOCOL' });
  });
}

test('padding hides sizes, rekeys and ends', async () => {
  const sender = new RecordSender(clearKey([]), 0, new Volume(3, 2 ** 30), 256);
  const units = [];
  for (const size of [1, 256, 257, 1]) units.push(...(await sender.data(new Uint8Array(size).fill(1), 0)));
  units.push(await sender.end());
  assert.deepEqual(units.map(typeOf), [1, 1, 1, 2, 1, 3]);
  const head = 2 + 3;
  assert.deepEqual(units.map((unit) => unit.length - head), [256, 256, 512, 256, 256, 256]);
  const whole = new RecordSender(clearKey([]), 0, new Volume(), 10_000);
  const [most] = await whole.data(new Uint8Array(10_001), 0);
  assert.equal(most.length - head, 16_384);
  const receiver = new RecordReceiver(clearKey([]));
  for (const unit of units) await receiver.open(concat(unit.subarray(2), tag));
  assert.ok(receiver.ended);
});
