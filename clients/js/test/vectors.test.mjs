// The shared vectors (tests/vectors/sealed.json), both sides of the handshake and every record, over each
// kind of primitives.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { primitives, suiteKey, webSymmetric } from '../dist/crypto.js';
import { nobleExchange } from '../dist/noble.js';
import { Initiator, pairingPsk } from '../dist/noise.js';
import { RECORD, RecordFault, RecordReceiver, RecordSender } from '../dist/records.js';
import { UNIT, unit } from '../dist/session.js';
import { Responder } from './agent.mjs';

const hex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes) => Buffer.from(bytes).toString('hex');
const { sessions } = JSON.parse(fs.readFileSync(new URL('../../../tests/vectors/sealed.json', import.meta.url)));

const kinds = {
  webcrypto: await primitives('webcrypto'),
  noble: await primitives('noble'),
  'an older browser: AES-GCM of WebCrypto, X25519 of noble': { ...webSymmetric, ...nobleExchange },
};

async function handshake(crypto, vector) {
  const own = await crypto.fromSecret(hex(vector.client_static), false);
  const agent = await crypto.fromSecret(hex(vector.agent_static), false);
  let psk;
  if (vector.pattern === 'IKpsk2') {
    psk = await pairingPsk(crypto, hex(vector.one_time_secret));
    assert.equal(toHex(psk), vector.psk);
  }
  const initiator = new Initiator({
    crypto,
    agent: agent.publicKey,
    own,
    psk,
    ephemeral: await crypto.fromSecret(hex(vector.client_ephemeral), false),
  });
  const responder = new Responder(crypto, agent, await crypto.fromSecret(hex(vector.agent_ephemeral), false));
  const first = await initiator.write(hex(vector.payload_1));
  assert.equal(toHex(unit(psk ? UNIT.pairingHello : UNIT.hello, first)), vector.hello);
  assert.equal(toHex(await responder.read(vector.pattern, first)), vector.payload_1);
  assert.deepEqual(responder.peer, own.publicKey);
  const second = await responder.write(hex(vector.payload_2), psk);
  assert.equal(toHex(unit(UNIT.reply, second.message)), vector.reply);
  const finished = await initiator.read(second.message);
  assert.equal(toHex(finished.payload), vector.payload_2);
  assert.equal(toHex(finished.binding), vector.binding);
  assert.equal(toHex(responder.binding), vector.binding);
  assert.equal(toHex(finished.sendKey), vector.client_key);
  assert.equal(toHex(finished.receiveKey), vector.agent_key);
  assert.deepEqual(second.sendKey, finished.receiveKey);
  await assert.rejects(initiator.read(second.message), { code: 'LEAT_PROTOCOL' });
  return finished;
}

async function seal(sender, entry, content) {
  if (entry.type === 'end') return sender.end();
  if (entry.type === 'rekey') return sender.rekey(0);
  const units = await sender.data(content, 0, entry.padding);
  assert.equal(units.length, 1);
  return units[0];
}

for (const [name, crypto] of Object.entries(kinds)) {
  for (const vector of sessions) {
    test(`${vector.pattern}, ${vector.suite}, ${name}`, async () => {
      const { sendKey, receiveKey } = await handshake(crypto, vector);
      const ends = {};
      for (const [side, key] of [['client', sendKey], ['agent', receiveKey]]) {
        ends[side] = {
          sender: new RecordSender(await suiteKey(crypto, vector.suite, key), 0),
          receiver: new RecordReceiver(await suiteKey(crypto, vector.suite, key)),
        };
      }
      for (const entry of vector.records) {
        const { sender, receiver } = ends[entry.from];
        const content = entry.size
          ? Uint8Array.from({ length: entry.size }, (_, i) => (entry.fill + i) & 255)
          : hex(entry.content ?? '');
        const record = await seal(sender, entry, content);
        if (entry.record) assert.equal(toHex(record), entry.record);
        else assert.equal(createHash('sha256').update(record).digest('hex'), entry.sha256);
        const opened = await receiver.open(record.subarray(2));
        assert.equal(opened.type, RECORD[entry.type]);
        if (entry.type === 'data') assert.deepEqual(opened.content, content);
      }
      assert.ok(ends.client.receiver.ended && ends.agent.receiver.ended);
      assert.ok(vector.refused.length > 5);
      for (const entry of vector.refused) {
        const receiver = new RecordReceiver(await suiteKey(crypto, vector.suite, sendKey));
        const record = hex(entry.record);
        const opening = async () => {
          const fault = receiver.judge(record[0] * 256 + record[1]);
          if (fault) throw new RecordFault(fault);
          await receiver.open(record.subarray(2));
        };
        await assert.rejects(opening, (error) => error.fault === entry.fault && error.code === 'LEAT_TAMPERED');
      }
    });
  }

  test(`points of low order are refused, ${name}`, async () => {
    const own = await crypto.generate(false);
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ];
    for (const point of points) await assert.rejects(crypto.agree(own, hex(point)), point);
  });
}

test('keys of WebCrypto do not leave it unless that was asked for', async () => {
  const pair = await kinds.webcrypto.generate(false);
  assert.equal(pair.secret.extractable, false);
  await assert.rejects(globalThis.crypto.subtle.exportKey('pkcs8', pair.secret));
  assert.equal((await kinds.webcrypto.generate(true)).secret.extractable, true);
});
