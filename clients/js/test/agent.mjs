// The agent's side of a sealed session (docs/protocol.md §7, §8), built from the client's own parts: what
// the tests talk to where they want to choose every byte, or change it on its way. The real agent is in
// tests/e2e.
import net from 'node:net';
import '../dist/node.js'; // what Node 18 lacks
import { base64url, concat, equal, view } from '../dist/bytes.js';
import { primitives, suiteKey, suites } from '../dist/crypto.js';
import { Link } from '../dist/link.js';
import { Mux } from '../dist/mux.js';
import { SymmetricState, pairingPsk } from '../dist/noise.js';
import { Message, encode, varint } from '../dist/protobuf.js';
import { Arrivals } from '../dist/pipe.js';
import { RecordFault, RecordReceiver, RecordSender } from '../dist/records.js';
import { UNIT, UnitReader, now, unit } from '../dist/session.js';
import { usePlatform } from '../dist/platform.js';

/** The answering side of the handshake. */
export class Responder {
  constructor(crypto, own, ephemeral) {
    Object.assign(this, { crypto, own, ephemeral });
  }
  async read(pattern, message) {
    const { crypto, own } = this;
    this.theirs = message.slice(0, 32);
    const state = (this.state = await SymmetricState.start(crypto, pattern, own.publicKey));
    this.psk = pattern === 'IKpsk2';
    await state.mixHash(this.theirs);
    if (this.psk) await state.mixKey(this.theirs.slice());
    await state.mixKey(await crypto.agree(own, this.theirs));
    this.peer = await state.decryptAndHash(message.subarray(32, 80));
    await state.mixKey(await crypto.agree(own, this.peer));
    return state.decryptAndHash(message.subarray(80));
  }
  async write(payload, psk) {
    const { crypto, state } = this;
    const ephemeral = this.ephemeral ?? (await crypto.generate(false));
    await state.mixHash(ephemeral.publicKey);
    if (this.psk) await state.mixKey(ephemeral.publicKey.slice());
    await state.mixKey(await crypto.agree(ephemeral, this.theirs));
    await state.mixKey(await crypto.agree(ephemeral, this.peer));
    if (this.psk) await state.mixKeyAndHash(psk.slice());
    const message = concat(ephemeral.publicKey, await state.encryptAndHash(payload));
    this.binding = state.h;
    const [receiveKey, sendKey] = await state.split();
    return { message, receiveKey, sendKey };
  }
}

/** Two ends of a pipe. `change(direction, index, bytes)` gives what arrives of the n-th write. */
export function pipePair(change = (_, __, bytes) => [bytes]) {
  const ends = { client: new Arrivals(), agent: new Arrivals() };
  const count = { client: 0, agent: 0 };
  let cut = false;
  const end = (mine, other) => ({
    read: () => ends[mine].next(),
    async write(bytes) {
      if (cut) throw new Error('the pipe is cut');
      for (const part of change(mine, count[mine]++, bytes.slice())) ends[other].push(part);
    },
    close() {
      cut = true;
      ends.client.end();
      ends.agent.end();
    },
  });
  return { client: end('client', 'agent'), agent: end('agent', 'client'), count };
}

const framed = (message) => concat(varint(message.length), message);

export class Agent {
  /** `targets`: service id to TCP port. */
  constructor(crypto, own, { targets = {}, suite, name = 'home' } = {}) {
    Object.assign(this, { crypto, own, targets, suite, name });
    this.pairings = new Map();
    this.devices = new Map();
    this.sessions = new Set();
    this.direct = [];
    this.streams = 0;
  }

  static async make(options = {}) {
    const crypto = await primitives(options.crypto);
    return new Agent(crypto, await crypto.generate(false), options);
  }

  /** A pairing link. */
  link({ relays = ['ws://relay.test'], direct = [], ends = 0, agent = this.own.publicKey } = {}) {
    const id = globalThis.crypto.getRandomValues(new Uint8Array(8));
    const secret = globalThis.crypto.getRandomValues(new Uint8Array(16));
    this.pairings.set(base64url(id), secret);
    const message = concat(
      encode([1, agent], [2, id], [3, secret], [4, 'tunnel']),
      ...relays.map((relay) => encode([5, relay])),
      ...direct.map((address) => encode([6, address])),
      encode([7, ends], [8, this.name]),
    );
    return `https://chat.example/#leat1=${base64url(message)}`;
  }

  /** Serves one pipe to its end. */
  async accept(pipe) {
    try {
      await this.serve(pipe);
    } catch {
      pipe.close();
    }
  }

  async serve(pipe) {
    const units = new UnitReader(pipe);
    const body = await units.next((length) => {
      if (length > 1_121) throw new Error('not a hello');
    });
    if (!body) return;
    const pairs = body[0] === UNIT.pairingHello;
    const responder = new Responder(this.crypto, this.own);
    const refuse = async (code) => {
      await pipe.write(unit(UNIT.refused, new TextEncoder().encode(code)));
      pipe.close();
    };
    let hello;
    try {
      hello = new Message(await responder.read(pairs ? 'IKpsk2' : 'IK', body.subarray(1)));
    } catch {
      return refuse('LEAT_PROTOCOL');
    }
    if (hello.text(5) !== 'tunnel') return refuse('LEAT_TAMPERED'); // the link's, by whatever way it came
    const peer = base64url(responder.peer);
    const id = base64url(hello.bytes(2));
    const secret = this.pairings.get(id);
    if (pairs && secret === undefined) return refuse('LEAT_PAIRING_OVER');
    if (pairs && secret === 'used') return refuse('LEAT_PAIRING_USED');
    if (!pairs && this.devices.get(peer) === 'revoked') return refuse('LEAT_REVOKED');
    if (!pairs && !this.devices.has(peer)) return refuse('LEAT_UNKNOWN_DEVICE');
    const offered = [...hello.bytes(3)];
    const suite = this.suite ?? Object.keys(suites).find((name) => suites[name] === offered[0]);
    const services = Object.keys(this.targets).map((name) => encode([4, encode([1, name], [2, 1])]));
    const reply = concat(
      encode([1, suites[suite]], [3, 'test-agent']),
      ...services,
      ...this.direct.map((address) => encode([5, address])),
    );
    const psk = pairs ? await pairingPsk(this.crypto, secret) : undefined;
    const { message, receiveKey, sendKey } = await responder.write(reply, psk);
    await pipe.write(unit(UNIT.reply, message));
    const sender = new RecordSender(await suiteKey(this.crypto, suite, sendKey), now());
    const receiver = new RecordReceiver(await suiteKey(this.crypto, suite, receiveKey));
    const enrol = () => {
      if (!pairs) return;
      this.pairings.set(id, 'used');
      this.devices.set(peer, 'paired');
    };
    const session = new AgentSession(this, pipe, units, sender, receiver, enrol, peer);
    this.sessions.add(session);
    await session.run().finally(() => this.sessions.delete(session));
  }

  revoke() {
    for (const peer of this.devices.keys()) this.devices.set(peer, 'revoked');
    for (const session of this.sessions) session.close('LEAT_REVOKED');
  }
}

export class AgentSession {
  constructor(agent, pipe, units, sender, receiver, enrol) {
    Object.assign(this, { agent, pipe, units, sender, receiver, enrol });
    this.link = new Link(
      { data: (bytes) => this.mux.feed(bytes), opened() {}, closed: () => this.end() },
      now(),
      true,
    );
    this.mux = new Mux({ wake: () => this.wake(), now, roundTrip: () => 1, accept: (stream) => this.stream(stream) });
  }

  async run() {
    const writing = this.write();
    try {
      for (let first = true; ; first = false) {
        const body = await this.units.next((length) => {
          const fault = this.receiver.judge(length);
          if (fault) throw new RecordFault(fault);
        });
        if (!body) break;
        const { content } = await this.receiver.open(body);
        if (first) this.enrol();
        if (this.receiver.ended) break;
        if (content.length) this.link.feed(content, now());
        this.wake();
      }
    } finally {
      this.end();
      await writing;
    }
  }

  close(code) {
    this.link.close(code, '');
    this.over = true;
    this.wake();
  }
  end() {
    this.over = true;
    this.mux.end(new Error('over'));
    this.pipe.close();
    this.wake();
  }
  wake() {
    this.wakeUp?.();
  }

  async write() {
    try {
      for (;;) {
        const content = this.link.pull(now(), (max) => this.mux.pull(max));
        if (content.length) for (const part of await this.sender.data(content, now())) await this.pipe.write(part);
        else if (this.over) return;
        else {
          const wait = this.link.deadline(now()) - now();
          let timer;
          await new Promise((resolve) => {
            this.wakeUp = resolve;
            timer = setTimeout(resolve, Math.max(wait, 1));
          });
          clearTimeout(timer);
        }
      }
    } catch {
      this.end();
    }
  }

  /** A stream goes to a TCP port of this machine, as it is. */
  async stream(stream) {
    this.agent.streams++;
    try {
      await this.connectStream(stream);
    } catch {
      stream.reset();
    } finally {
      this.agent.streams--;
    }
  }

  async connectStream(stream) {
    let input = new Uint8Array(0);
    while (!input.length || input.length < 1 + input[0]) {
      const bytes = await stream.read();
      if (!bytes) return stream.reset();
      input = concat(input, bytes);
    }
    const service = new Message(input.slice(1, 1 + input[0])).text(1) || Object.keys(this.agent.targets)[0];
    const port = this.agent.targets[service];
    const refuse = async (code) => {
      await stream.write(framed(encode([1, encode([1, code])])));
      stream.finish();
    };
    if (!port) return refuse('LEAT_NO_SUCH_SERVICE');
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const connected = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (!connected) return refuse('LEAT_SERVICE_REFUSED');
    // A reset is heard also when nobody reads any more.
    const { fail: failed } = stream;
    stream.fail = (error) => {
      failed.call(stream, error);
      socket.destroy();
    };
    await stream.write(Uint8Array.of(0));
    await Promise.all([this.toService(stream, socket, input.slice(1 + input[0])), this.fromService(stream, socket)]);
  }

  async toService(stream, socket, rest) {
    try {
      if (rest.length) socket.write(rest);
      for (let bytes; (bytes = await stream.read()); ) {
        if (!socket.write(bytes)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
      }
      // A service behind a real agent sees keep-alive; here the end of the request is no end of the connection.
    } catch {
      socket.destroy();
    }
  }

  async fromService(stream, socket) {
    try {
      for await (const data of socket) await stream.write(new Uint8Array(data));
      stream.finish();
    } catch {
      stream.reset();
    }
    socket.destroy();
  }
}

/** Relays and addresses of the tests: by URL or address, what answers there; nothing: LEAT_AGENT_OFFLINE. */
export function testPlatform(answering, options = {}) {
  const dial = async (address) => {
    const answer = answering(address);
    if (!answer) {
      const { LeatError } = await import('../dist/errors.js');
      throw new LeatError('LEAT_AGENT_OFFLINE');
    }
    return answer(address);
  };
  usePlatform({ relay: dial, direct: dial, keysAsText: true, ...options });
}

/** What a relay does that changes nothing. */
export const straight = (agent, change) => () => {
  const pair = pipePair(change);
  void agent.accept(pair.agent);
  return pair.client;
};

export { equal, view };
