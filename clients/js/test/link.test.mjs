// Link and multiplexer (docs/protocol.md §1, §2, §8.2) in virtual time, client against agent.
import test from 'node:test';
import assert from 'node:assert/strict';
import { concat, view } from '../dist/bytes.js';
import { CHUNK, Link, Log, MAX_DATA, chunk, closeBody } from '../dist/link.js';
import { FLAG, Mux, TYPE, frame } from '../dist/mux.js';

const u64 = (value) => {
  const out = new Uint8Array(8);
  view(out).setBigUint64(0, BigInt(value));
  return out;
};
const opened = () => chunk(CHUNK.opened, new Uint8Array(16).fill(5), u64(0));
const kinds = (bytes) => {
  const out = [];
  for (let at = 0; at < bytes.length; at += 3 + bytes[at] * 256 + bytes[at + 1]) out.push(bytes[at + 2]);
  return out;
};

function newLink() {
  const seen = { data: 0, opened: 0, closed: undefined };
  const link = new Link(
    {
      data: (bytes) => (seen.data += bytes.length),
      opened: () => seen.opened++,
      closed: (error) => (seen.closed = error),
    },
    0,
  );
  return { link, seen };
}
function establishedLink() {
  const made = newLink();
  made.link.pull(0, () => undefined);
  made.link.feed(opened(), 0);
  made.link.pull(0, () => undefined); // the first ping
  return made;
}

test('open has 30 bytes and goes first, with data at once', () => {
  const { link } = newLink();
  const content = link.pull(0, () => new Uint8Array(5));
  assert.deepEqual(kinds(content), [CHUNK.open, CHUNK.data]);
  assert.equal(content[0] * 256 + content[1], 30);
  assert.deepEqual([...content.subarray(3, 33)], [1, ...new Array(29).fill(0)]);
});

test('a unit with everything fits one frame outside', () => {
  const { link } = establishedLink();
  link.feed(chunk(CHUNK.pong, u64(1)), 1);
  link.feed(chunk(CHUNK.data, new Uint8Array(9)), 1);
  link.feed(chunk(CHUNK.ping, u64(1)), 1);
  const content = link.pull(3_000, (max) => new Uint8Array(max));
  assert.deepEqual(kinds(content), [CHUNK.pong, CHUNK.ping, CHUNK.ack, CHUNK.data]);
  assert.ok(content.length <= MAX_DATA + 3, `${content.length}`);
});

test('acks: 64 KiB or 10 ms', () => {
  const { link, seen } = establishedLink();
  link.feed(chunk(CHUNK.data, new Uint8Array(100)), 50);
  assert.equal(link.wants(59), false);
  assert.equal(link.deadline(50), 60);
  assert.equal(link.wants(60), true);
  const ack = link.pull(60, () => undefined);
  assert.deepEqual([...ack], [...chunk(CHUNK.ack, u64(100))]);
  for (let i = 0; i < 8; i++) link.feed(chunk(CHUNK.data, new Uint8Array(8_192)), 70);
  assert.equal(link.wants(70), true);
  assert.equal(seen.data, 100 + 65_536);
});

test('the log keeps what is not acknowledged, by offset, and is bounded', () => {
  const { link } = establishedLink();
  let given = 0;
  for (;;) {
    const content = link.pull(0, (max) => {
      given += max;
      return new Uint8Array(max).fill(given & 255);
    });
    if (!content.length) break;
  }
  assert.equal(given, 4 << 20);
  assert.equal(link.log.end, given);
  link.feed(chunk(CHUNK.ack, u64(1_000_000)), 1);
  assert.equal(link.log.start, 1_000_000);
  assert.equal(concat(...link.log.from(1_000_001)).length, given - 1_000_001);
  assert.throws(() => link.log.from(999_999), { code: 'LEAT_SESSION_LOST' });
  assert.throws(() => link.log.from(given + 1), { code: 'LEAT_SESSION_LOST' });
  assert.ok(link.pull(1, (max) => new Uint8Array(max)).length > 0);
});

test('the log gives the same bytes again', () => {
  const log = new Log();
  const all = Uint8Array.from({ length: 1_000 }, (_, i) => i & 255);
  for (let at = 0; at < 1_000; at += 7) log.append(all.subarray(at, Math.min(at + 7, 1_000)));
  log.release(333);
  for (const from of [333, 334, 500, 999, 1_000]) assert.deepEqual(concat(...log.from(from)), all.slice(from));
});

test('silence: a ping after 2 s, the end after 6', () => {
  const { link } = newLink();
  link.pull(0, () => undefined);
  link.feed(opened(), 0);
  assert.deepEqual(kinds(link.pull(0, () => undefined)), [CHUNK.ping]);
  link.feed(chunk(CHUNK.pong, u64(1)), 30);
  assert.equal(link.roundTrip, 30);
  assert.equal(link.wants(2_029), false);
  assert.equal(link.deadline(30), 2_030);
  assert.equal(link.wants(2_030), true);
  assert.deepEqual(kinds(link.pull(2_030, () => undefined)), [CHUNK.ping]);
  assert.equal(link.wants(5_000), false);
  assert.equal(link.dead(6_029), false);
  assert.equal(link.dead(6_030), true);
});

test('of several pings the last is answered', () => {
  const { link } = establishedLink();
  link.feed(concat(chunk(CHUNK.ping, u64(1)), chunk(CHUNK.ping, u64(2))), 1);
  assert.deepEqual([...link.pull(1, () => undefined)], [...chunk(CHUNK.pong, u64(2))]);
});

test('close ends the session, in words that can be shown', () => {
  const { link, seen } = establishedLink();
  link.feed(chunk(CHUNK.close, closeBody('LEAT_REVOKED', 'by the owner')), 1);
  assert.equal(seen.closed.code, 'LEAT_REVOKED');
  assert.equal(seen.closed.message, 'by the owner');
  link.feed(chunk(CHUNK.data, new Uint8Array(9)), 1);
  assert.equal(seen.data, 0);
  const other = establishedLink();
  other.link.feed(chunk(CHUNK.close, concat(Uint8Array.of(3), new TextEncoder().encode('<b>x\n\u0007y'))), 1);
  assert.equal(other.seen.closed.code, 'LEAT_PROTOCOL');
  assert.equal(other.seen.closed.message, 'x??y');
});

test('chunks out of place, each a fault', () => {
  const fault = { code: 'LEAT_PROTOCOL' };
  const before = [
    chunk(CHUNK.data, Uint8Array.of(1)),
    chunk(CHUNK.ack, u64(1)),
    chunk(CHUNK.ping, u64(1)),
    chunk(CHUNK.open, new Uint8Array(30)),
    chunk(1, new Uint8Array(33)),
    chunk(0),
    chunk(9),
    chunk(CHUNK.opened, new Uint8Array(25)),
    chunk(CHUNK.opened, new Uint8Array(16), u64(1)),
  ];
  for (const bytes of before) assert.throws(() => newLink().link.feed(bytes, 0), fault, `${bytes[2]}`);
  const after = [
    opened(),
    chunk(CHUNK.data),
    Uint8Array.of(0x3f, 0xfe, CHUNK.data), // 16,382: judged by the header
    chunk(CHUNK.ack, u64(0)),
    chunk(CHUNK.ack, u64(1)),
    chunk(CHUNK.pong, u64(2)),
    chunk(CHUNK.close),
    chunk(CHUNK.close, new Uint8Array(562)),
    chunk(CHUNK.close, Uint8Array.of(49), new Uint8Array(49)),
    chunk(CHUNK.close, Uint8Array.of(2, 65)),
  ];
  for (const bytes of after) assert.throws(() => establishedLink().link.feed(bytes, 0), fault, `${bytes}`);
});

// --- the multiplexer ---

function pairOfMux(options = {}) {
  let clock = 0;
  const accepted = [];
  const common = { wake() {}, now: () => clock, roundTrip: () => 100, ...options };
  const client = new Mux(common);
  const agent = new Mux({ ...common, accept: (stream) => accepted.push(stream) });
  const pump = () => {
    for (let moved = true; moved; ) {
      moved = false;
      for (const [from, to] of [[client, agent], [agent, client]]) {
        const bytes = from.pull(1 + Math.floor(Math.random() * 5_000) + 12);
        if (!bytes) continue;
        moved = true;
        for (let at = 0; at < bytes.length; at += 700) to.feed(bytes.slice(at, at + 700));
      }
    }
  };
  return { client, agent, accepted, pump, tick: (ms) => (clock += ms) };
}
const tickOf = () => new Promise((resolve) => setImmediate(resolve));

test('opening: SYN of length 0, then data; ACK at once; FIN by itself', async () => {
  const client = new Mux({ wake() {}, now: () => 0, roundTrip: () => 0 });
  const stream = client.openStream();
  void stream.write(Uint8Array.of(1, 2));
  stream.finish();
  const sent = client.pull(1_000);
  assert.deepEqual(
    [...sent],
    [...frame(TYPE.window, FLAG.syn, 1, 0), ...frame(TYPE.data, 0, 1, 2), 1, 2, ...frame(TYPE.window, FLAG.fin, 1, 0)],
  );
  assert.equal(client.openStream().id, 3);
});

test('bytes exact, EOF last, streams forgotten', async () => {
  const { client, agent, accepted, pump } = pairOfMux();
  const stream = client.openStream();
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) & 255);
  const writing = stream.write(bytes);
  stream.finish();
  pump();
  await writing;
  const got = [];
  for (let part; (part = await accepted[0].read()); ) got.push(part);
  assert.deepEqual(concat(...got), bytes);
  void accepted[0].write(Uint8Array.of(9));
  accepted[0].finish();
  pump();
  assert.deepEqual([...(await stream.read())], [9]);
  assert.equal(await stream.read(), undefined);
  assert.equal(client.open + agent.open, 0);
});

test('a sender stops at the window and goes on with credit; the window grows when it holds the sender up', async () => {
  const { client, accepted, pump, tick } = pairOfMux();
  const stream = client.openStream();
  void stream.write(new Uint8Array(8 << 20)).catch(() => {});
  pump();
  let first = 0;
  const agentStream = accepted[0];
  for (let i = 0; i < 1_000 && first < 256 * 1024; i++) first += (await agentStream.read()).length;
  assert.equal(first, 256 * 1024);
  let reading = agentStream.read();
  pump();
  assert.ok((await reading).length > 0);
  let total = 0;
  for (let round = 0; round < 200 && total < 6 << 20; round++) {
    tick(1);
    reading = agentStream.read();
    pump();
    total += (await reading).length;
  }
  assert.ok(agentStream.window > 256 * 1024, `${agentStream.window}`);
  assert.ok(agentStream.window <= 4 << 20);
});

test('reset is at once, and both ways', async () => {
  const { client, agent, accepted, pump } = pairOfMux();
  const stream = client.openStream();
  await Promise.race([stream.write(Uint8Array.of(1)), Promise.resolve(pump())]);
  pump();
  accepted[0].reset();
  pump();
  await assert.rejects(stream.read(), { code: 'LEAT_SERVICE_CUT' });
  await assert.rejects(stream.write(Uint8Array.of(1)), { code: 'LEAT_SERVICE_CUT' });
  assert.equal(client.open + agent.open, 0);
  const silent = client.openStream();
  silent.reset();
  assert.equal(client.pull(1_000), undefined, 'a SYN that never left leaves no trace');
});

test('a small stream is not held up by a large one', () => {
  const client = new Mux({ wake() {}, now: () => 0, roundTrip: () => 0 });
  const bulk = client.openStream();
  void bulk.write(new Uint8Array(200_000)).catch(() => {});
  client.pull(5_000);
  const small = client.openStream();
  void small.write(Uint8Array.of(7)).catch(() => {});
  const after = concat(client.pull(5_000), client.pull(5_000));
  const syn = [...frame(TYPE.data, 0, small.id, 1), 7].join();
  assert.ok([...after].join().includes(syn));
});

test('pings are answered, 32 at most; go-away 0 lets streams end and opens none', () => {
  const client = new Mux({ wake() {}, now: () => 0, roundTrip: () => 0 });
  for (let i = 0; i < 40; i++) client.feed(frame(TYPE.ping, FLAG.syn, 0, i));
  const pongs = client.pull(10_000);
  assert.equal(pongs.length, 32 * 12);
  assert.deepEqual([...pongs.subarray(12, 24)], [...frame(TYPE.ping, FLAG.ack, 0, 1)]);
  client.feed(frame(TYPE.goAway, 0, 0, 0));
  assert.throws(() => client.openStream(), { code: 'LEAT_DRAINING' });
});

test('faults of the peer', () => {
  const bad = {
    version: Uint8Array.from([1, ...frame(TYPE.data, 0, 1, 0).subarray(1)]),
    type: frame(4, 0, 1, 0),
    flags: frame(TYPE.window, 16, 1, 0),
    'SYN and ACK': frame(TYPE.window, 3, 2, 0),
    'ping without a flag': frame(TYPE.ping, 0, 0, 0),
    'ping on a stream': frame(TYPE.ping, FLAG.syn, 1, 0),
    'data on stream 0': frame(TYPE.data, 0, 0, 0),
    'go-away with a flag': frame(TYPE.goAway, 1, 0, 0),
    'go-away 1': frame(TYPE.goAway, 0, 0, 1),
    'a SYN of our parity': frame(TYPE.window, FLAG.syn, 1, 0),
    'a SYN to a client': frame(TYPE.window, FLAG.syn, 2, 0),
    'beyond the window': frame(TYPE.data, 0, 1, 256 * 1024 + 1),
    'credit beyond 2^32 - 1': frame(TYPE.window, 0, 1, 0xffff_ffff),
    'data after FIN': concat(frame(TYPE.window, FLAG.fin, 1, 0), frame(TYPE.data, 0, 1, 1)),
    'FIN twice': concat(frame(TYPE.window, FLAG.fin, 1, 0), frame(TYPE.window, FLAG.fin, 1, 0)),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    const client = new Mux({ wake() {}, now: () => 0, roundTrip: () => 0 });
    client.openStream();
    client.pull(100);
    assert.throws(() => client.feed(bytes), { code: 'LEAT_PROTOCOL' }, name);
  }
  const client = new Mux({ wake() {}, now: () => 0, roundTrip: () => 0 });
  client.feed(concat(frame(TYPE.data, 0, 77, 3), Uint8Array.of(1, 2, 3), frame(TYPE.window, FLAG.rst, 77, 0)));
  assert.equal(client.open, 0, 'frames of streams that are gone are skipped');
});

test('sessions over portions of any size come through', async () => {
  const { client, accepted, pump } = pairOfMux();
  const streams = Array.from({ length: 20 }, () => client.openStream());
  for (const [i, stream] of streams.entries()) {
    void stream.write(new Uint8Array(10_000 + i).fill(i)).catch(() => {});
    stream.finish();
  }
  pump();
  await tickOf();
  for (const stream of accepted) {
    const parts = [];
    for (let part; (part = await stream.read()); ) parts.push(part);
    const all = concat(...parts);
    const i = (stream.id - 1) / 2;
    assert.deepEqual(all, new Uint8Array(10_000 + i).fill(i));
  }
});
