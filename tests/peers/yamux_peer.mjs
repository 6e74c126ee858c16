// The other side of yamux_js_test.cc: a yamux from npm that plays one named scenario over a TCP
// connection it dials.
//
//   node yamux_peer.mjs -impl libp2p|yamux-js -role client|server -scenario NAME -addr HOST:PORT
//     -limit N   streams of the other side that it takes
//     -bytes N   echo this many bytes of a stream and close it, rather than all up to its end
//
// Exit code 0: everything was as it should be. A line on standard input is the test's word to go on.
// yamux-js 0.2.0 is what it is: it loses the bytes of a frame that is cut, so that whole frames are
// handed to it here; it does not tell its user of FIN or RST; and it returns credit when bytes
// arrive.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import net from "node:net";
import readline from "node:readline";
import { yamux } from "@chainsafe/libp2p-yamux";

const require = createRequire(import.meta.url);
const { Session } = require("yamux-js/lib/session");
const { STREAM_STATES } = require("yamux-js/lib/constants");

const WINDOW = 256 * 1024;
const MIB = 1 << 20;

const flags = {};
for (let i = 2; i < process.argv.length; i += 2) flags[process.argv[i].slice(1)] = process.argv[i + 1];
const client = flags.role === "client";
const limit = Number(flags.limit ?? 1000);

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const goOn = async () => assert.ok(!(await lines.next()).done);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)); // sleep: its users say why

// A promise that resolves when `condition` holds.
async function until(condition, what) {
  for (let i = 0; !condition(); i++) {
    assert.ok(i < 6000, `waited in vain until ${what}`);
    await sleep(10); // sleep: nothing here tells when that is
  }
}

// Values in the order in which they come.
class Queue {
  #values = [];
  #waiting = [];
  push(value) {
    const next = this.#waiting.shift();
    if (next) next(value);
    else this.#values.push(value);
  }
  next() {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

// --- @chainsafe/libp2p-yamux ---

class LibStream {
  constructor(stream) {
    this.stream = stream;
    this.out = new Queue();
    const { out } = this;
    this.sunk = stream
      .sink(
        (async function* () {
          for (;;) {
            const { bytes, taken } = await out.next();
            if (bytes === null) return;
            yield bytes;
            taken();
          }
        })(),
      )
      .catch(() => {});
    this.source = stream.source[Symbol.asyncIterator]();
  }
  // Resolves when all of it has been framed.
  send(bytes) {
    return new Promise((taken) => this.out.push({ bytes, taken }));
  }
  async read() {
    const { value, done } = await this.source.next();
    return done ? null : Buffer.from(value.subarray());
  }
  async finish() {
    this.out.push({ bytes: null });
    await this.sunk;
  }
  credit() {
    return this.stream.sendWindowCapacity;
  }
  async wasReset() {
    await assert.rejects(async () => {
      while ((await this.read()) !== null);
    }, /reset/);
  }
}

function libp2p(socket) {
  const log = Object.assign(() => {}, { trace() {}, error() {}, enabled: false });
  const incoming = new Queue();
  const muxer = yamux({ maxInboundStreams: limit, enableKeepAlive: false })({
    logger: { forComponent: () => log },
  }).createStreamMuxer({
    direction: client ? "outbound" : "inbound",
    onIncomingStream: (stream) => incoming.push(new LibStream(stream)),
  });
  const ended = Promise.all([
    muxer.sink(socket),
    (async () => {
      for await (const bytes of muxer.source) {
        if (!socket.write(bytes.subarray()) && !socket.destroyed) await once(socket, "drain");
      }
      socket.end();
    })(),
  ]).catch(() => {});
  return {
    open: async () => new LibStream(muxer.newStream()),
    accept: () => incoming.next(),
    ping: () => muxer.ping(),
    goAway: () => muxer.close({ signal: AbortSignal.timeout(30_000) }),
    ended,
    takesNone: () => muxer.isClosed(),
  };
}

// --- yamux-js ---

class JsStream {
  constructor(stream) {
    this.stream = stream;
    this.in = new Queue();
    stream.on("data", (bytes) => this.in.push(bytes));
    stream.on("error", (error) => this.in.push(error));
  }
  send(bytes) {
    return new Promise((resolve, reject) =>
      this.stream.write(bytes, (error) => (error ? reject(error) : resolve())),
    );
  }
  async read() {
    const bytes = await this.in.next();
    if (bytes instanceof Error) throw bytes;
    return bytes;
  }
  async finish() {
    this.stream.close();
  }
  credit() {
    return this.stream.sendWindow;
  }
  async wasReset() {
    await until(() => this.stream.state === STREAM_STATES.Reset, "the stream is reset");
  }
}

function yamuxJs(socket) {
  const incoming = new Queue();
  const session = new Session(
    client,
    { enableKeepAlive: false, acceptBacklog: limit, logger: () => {} },
    (stream) => incoming.push(new JsStream(stream)),
  );
  session.on("data", (bytes) => socket.write(bytes));
  session.on("error", () => {});
  let held = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    held = Buffer.concat([held, bytes]);
    for (;;) {
      if (held.length < 12) return;
      const size = 12 + (held[1] === 0 ? held.readUInt32BE(8) : 0);
      if (held.length < size) return;
      session.write(held.subarray(0, size));
      held = held.subarray(size);
    }
  });
  return {
    open: async () => new JsStream(session.open()),
    accept: () => incoming.next(),
    ping: async () => {
      session.ping();
      await until(() => session.pings.size === 0, "the ping is answered");
    },
    goAway: async () => session.goAway(0),
    ended: once(socket, "close"),
    takesNone: () => session.remoteGoAway,
  };
}

// --- scenarios ---

// Byte number i of what this side (seed 2) or the other (seed 1) sends.
const content = (seed, i) => ((i & 255) ^ (((i >> 8) & 255) * 31) ^ (((i >> 16) & 255) * 7) ^ seed) & 255;

async function send(stream, seed, n, piece) {
  for (let at = 0; at < n; at += piece) {
    const bytes = Buffer.alloc(Math.min(piece, n - at));
    for (let i = 0; i < bytes.length; i++) bytes[i] = content(seed, at + i);
    await stream.send(bytes);
  }
}

async function expect(stream, seed, n) {
  for (let at = 0; at < n; ) {
    const bytes = await stream.read();
    assert.ok(bytes, `the end after ${at} of ${n} bytes`);
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== content(seed, at + i)) assert.fail(`wrong byte at ${at + i}`);
    }
    at += bytes.length;
    assert.ok(at <= n, "more than there should be");
  }
}

async function expectEnd(stream) {
  if (flags.impl === "yamux-js") return;
  assert.equal(await stream.read(), null);
}

const both = (stream, n, piece) => Promise.all([send(stream, 2, n, piece), expect(stream, 1, n)]);

async function echo(mux) {
  for (;;) {
    const stream = await mux.accept();
    (async () => {
      for (let n = 0; n < Number(flags.bytes ?? Infinity); ) {
        const bytes = await stream.read();
        if (bytes === null) break;
        await stream.send(bytes);
        n += bytes.length;
      }
      await stream.finish();
    })();
  }
}

const scenarios = {
  async echo(mux) {
    echo(mux);
  },
  async open(mux) {
    for (let i = 0; i < 20; i++) {
      const stream = await mux.open();
      await send(stream, 1, 1000 * i, 700);
      await expect(stream, 1, 1000 * i);
      await stream.finish();
      await expectEnd(stream);
    }
  },
  async "open-tiny"(mux) {
    const stream = await mux.open();
    await send(stream, 1, 3000, 1);
    await expect(stream, 1, 3000);
    await stream.finish();
  },
  async "open-unused"(mux) {
    for (let i = 0; i < 10; i++) await (await mux.open()).finish();
  },
  async bulk(mux) {
    const stream = await mux.accept();
    await both(stream, 16 * MIB, 100_000);
    await stream.finish();
    await expectEnd(stream);
  },
  async "bulk-open"(mux) {
    const stream = await mux.open();
    await both(stream, 16 * MIB, 100_000);
    await stream.finish();
    await expectEnd(stream);
  },
  async "half-close-them"(mux) {
    const stream = await mux.accept();
    await expect(stream, 1, 10);
    await expectEnd(stream);
    await send(stream, 2, MIB, 10_000);
    await stream.finish();
  },
  async "half-close-us"(mux) {
    const stream = await mux.open();
    await send(stream, 2, MIB, 10_000);
    await stream.finish();
  },
  async "stall-us"(mux) {
    const stream = await mux.accept();
    await goOn();
    await expect(stream, 1, 2 * WINDOW);
    await expectEnd(stream);
    await stream.finish();
  },
  async "stall-them"(mux) {
    const stream = await mux.open();
    await send(stream, 2, WINDOW, WINDOW);
    const more = send(stream, 3, WINDOW, WINDOW);
    await until(() => stream.credit() === 0, "the window is used up");
    await mux.ping(); // what was said of more credit comes before the answer
    assert.equal(stream.credit(), 0);
    console.log("stalled");
    await more;
    await stream.finish();
  },
  async "wide-them"(mux) {
    const stream = await mux.open();
    await send(stream, 2, MIB, 10_000);
    await stream.finish();
  },
  async "reset-by-them"(mux) {
    const stream = await mux.accept();
    await expect(stream, 1, 10);
    await send(stream, 2, 1, 1);
    await stream.wasReset();
  },
  // It takes -limit streams, and refuses what is opened beyond them.
  async "reset-by-us"(mux) {
    echo(mux);
  },
  async "too-many"(mux) {
    const streams = [];
    for (let i = 0; i < 256; i++) {
      const stream = await mux.open();
      await send(stream, 1, 10, 10);
      await expect(stream, 1, 10);
      streams.push(stream);
    }
    await (await mux.open()).wasReset();
    for (const stream of streams) {
      await send(stream, 1, 10, 10);
      await stream.finish();
    }
  },
  async many(mux) {
    const one = async () => {
      const stream = await mux.open();
      await send(stream, 1, 5000, 999);
      await expect(stream, 1, 5000);
      return stream;
    };
    const streams = await Promise.all(Array.from({ length: 257 }, one));
    await Promise.all(streams.map((stream) => stream.finish()));
  },
  async ping(mux) {
    for (let i = 0; i < 20; i++) await mux.ping();
  },
  // Pings answered in time while both directions are full of data.
  async "ping-beside-bulk"(mux) {
    const stream = await mux.open();
    const moved = both(stream, 400_000, 10_000);
    for (let i = 0; i < 5; i++) {
      const begun = performance.now();
      await mux.ping();
      assert.ok(performance.now() - begun < 5000, "a ping took too long");
    }
    await moved;
    await stream.finish();
  },
  // A stream of theirs and one of ours, each used in one direction only.
  async "one-way"(mux) {
    const theirs = await mux.accept();
    const ours = await mux.open();
    const upload = (async () => {
      const begun = performance.now();
      for (let i = 0; i < 800; i++) {
        await send(ours, 2, 5000, 5000);
        await sleep(Math.max(0, begun + 100 * (i + 1) - performance.now())); // sleep: the pace, by the clock
      }
    })();
    await Promise.all([upload, expect(theirs, 1, 800 * 5000)]);
    await expectEnd(theirs);
    await ours.finish();
    await theirs.finish();
  },
  // Their go-away: of one that goes on with what is open (yamux-js), and one that ends with it.
  async "go-away-us"(mux) {
    const stream = await mux.accept();
    await both(stream, MIB, 5000);
    if (flags.impl === "libp2p") await stream.finish();
    await mux.goAway();
    if (flags.impl === "yamux-js") await stream.finish();
  },
  async "go-away-them"(mux) {
    const stream = await mux.open();
    await send(stream, 2, 1, 1);
    await expect(stream, 1, 1);
    await until(() => mux.takesNone(), "it has heard of the go-away");
    await stream.finish();
  },
  async "end-us"(mux, socket) {
    await expect(await mux.accept(), 1, 10);
    socket.destroy();
    process.exit(0);
  },
  async "end-them"(mux) {
    await send(await mux.open(), 2, 10, 10);
    console.log("sent");
    await mux.ended;
  },
};

setTimeout(() => { // sleep: none, but an end for what hangs
  console.error(flags.scenario, "hangs");
  process.exit(3);
}, 120_000).unref();

const [host, port] = flags.addr.split(":");
const socket = net.connect(Number(port), host);
socket.on("error", () => {});
await once(socket, "connect");
socket.setNoDelay(true);
const mux = (flags.impl === "libp2p" ? libp2p : yamuxJs)(socket);
try {
  await scenarios[flags.scenario](mux, socket);
  await goOn();
} catch (error) {
  console.error(flags.impl, flags.scenario, error);
  process.exit(1);
}
process.exit(0);
