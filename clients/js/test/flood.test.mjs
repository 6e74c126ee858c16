// Whoever carries the bytes, and a service, sends frames that cost nothing to send and are to be kept or
// answered: what is kept of them has a bound.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import v8 from 'node:v8';
import vm from 'node:vm';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { connect } from '../dist/node.js';
import { FrameReader, OP } from '../dist/frames.js';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
const held = () => {
  collect();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
};

test('a message in very many fragments takes the memory of its bytes', () => {
  for (const [fragment, count] of [[[0x00, 0], 1_000_000], [[0x00, 1, 7], 1_000_000]]) {
    const reader = new FrameReader();
    const block = Uint8Array.from(Array(1_000).fill(fragment).flat());
    const messages = [...reader.feed(Uint8Array.of(0x02, 1, 7))];
    const before = held();
    for (let sent = 0; sent < count; sent += 1_000) messages.push(...reader.feed(block));
    assert.ok(held() - before < 8 << 20, `${held() - before} bytes are held`);
    messages.push(...reader.feed(Uint8Array.of(0x80, 1, 7)));
    assert.equal(messages.length, 1);
    const size = 2 + fragment[1] * count;
    assert.deepEqual([messages[0].op, messages[0].payload.length], [OP.binary, size]);
    assert.ok(messages[0].payload.every((byte) => byte === 7));
  }
});

const key = () => generateKeyPairSync('x25519');
const jwk = (part) => part.export({ format: 'jwk' });

/** What a relay does after it has agreed to be one; ends with the test. */
async function relayThat(t, act) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    let input = '';
    const read = (data) => {
      input += data.toString('latin1');
      if (!input.includes('\r\n\r\n')) return;
      socket.off('data', read).pause();
      const accept = createHash('sha1')
        .update(`${/Sec-WebSocket-Key: (.*)\r\n/.exec(input)[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64');
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          `Sec-WebSocket-Protocol: leat-sealed.1\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      act(socket);
    };
    socket.on('data', read);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const own = key();
  return {
    version: 1,
    agent: jwk(key().publicKey).x,
    name: 'home',
    tunnel: 'tunnel',
    relays: [`ws://127.0.0.1:${server.address().port}`],
    direct: [],
    device: 'd',
    publicKey: jwk(own.publicKey).x,
    secretKey: jwk(own.privateKey).d,
  };
}

test('pings of a relay that does not read: the last is answered', async (t) => {
  const PINGS = 100_000;
  const pongs = [];
  const numbered = (number) => {
    const ping = Buffer.alloc(127);
    ping.set([0x89, 125]);
    ping.writeUInt32BE(number, 2);
    return ping;
  };
  const credential = await relayThat(t, (socket) => {
    let next = 0;
    const send = () => {
      while (next < PINGS) {
        const block = Array.from({ length: Math.min(1_000, PINGS - next) }, () => numbered(next++));
        if (!socket.write(Buffer.concat(block))) return void socket.once('drain', send);
      }
      let input = Buffer.alloc(0);
      socket.on('data', (data) => {
        for (input = Buffer.concat([input, data]); input.length >= 2; ) {
          const [header, size] = (input[1] & 127) === 126 ? [8, input.readUInt16BE(2)] : [6, input[1] & 127];
          if (input.length < header + size) return;
          const mask = input.subarray(header - 4, header);
          const payload = input.subarray(header, header + size).map((byte, at) => byte ^ mask[at & 3]);
          if ((input[0] & 15) === OP.pong) pongs.push(payload.readUInt32BE(0));
          input = input.subarray(header + size);
        }
        if (pongs.at(-1) === PINGS - 1) socket.destroy();
      });
      socket.resume();
    };
    send();
  });
  await assert.rejects(connect(credential, { timeout: 0 }), { code: 'LEAT_CARRIER_CUT' });
  assert.equal(pongs.at(-1), PINGS - 1);
  assert.ok(pongs.length < PINGS / 10, `${pongs.length} pongs`);
});

test('a frame of an unfinished message is there at once', async (t) => {
  // Refused with a code, in pieces of one byte each of which is a fragment; the message never ends.
  const credential = await relayThat(t, (socket) => {
    const refusal = Buffer.from('LEAT_REVOKED');
    const unit = Buffer.concat([Buffer.from([0, refusal.length + 1, 4]), refusal]);
    socket.write(Buffer.concat(Array.from(unit, (byte, at) => Buffer.from([at ? 0 : 2, 1, byte]))));
    socket.resume();
  });
  await assert.rejects(connect(credential, { timeout: 0 }), { code: 'LEAT_REVOKED' });
});
