// The sealed handshake and its records (docs/protocol.md §7) a second time, written from the
// description over node:crypto alone, and held against the shared vectors. node:crypto has no
// XSalsa20, so NaCl's box is here in full.
//
//   node sealed_vectors.mjs tests/vectors/sealed.json
import crypto from 'node:crypto';
import fs from 'node:fs';
import assert from 'node:assert/strict';

const hex = (text) => Buffer.from(text, 'hex');
const zeros = (n) => Buffer.alloc(n);
const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const hkdf = (salt, input, info, size) =>
  Buffer.from(crypto.hkdfSync('sha256', input, salt, info, size));

// --- X25519 ---

const pkcs8 = (secret) => Buffer.concat([hex('302e020100300506032b656e04220420'), secret]);
const spki = (key) => Buffer.concat([hex('302a300506032b656e032100'), key]);

function keyPair(secret) {
  const privateKey = crypto.createPrivateKey({ key: pkcs8(secret), format: 'der', type: 'pkcs8' });
  const publicKey = crypto.createPublicKey(privateKey);
  return { privateKey, bytes: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32) };
}

function dh(own, peer) {
  const publicKey = crypto.createPublicKey({ key: spki(peer), format: 'der', type: 'spki' });
  return crypto.diffieHellman({ privateKey: own.privateKey, publicKey }); // throws for zeros
}

// --- AES-256-GCM: ciphertext, tag ---

const gcmNonce = (counter) => {
  const nonce = zeros(12);
  nonce.writeBigUInt64BE(counter, 4);
  return nonce;
};

const gcm = {
  seal(key, counter, text, associated = zeros(0)) {
    const cipher = crypto.createCipheriv('aes-256-gcm', key, gcmNonce(counter));
    cipher.setAAD(associated);
    return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  },
  open(key, counter, body, associated = zeros(0)) {
    const cipher = crypto.createDecipheriv('aes-256-gcm', key, gcmNonce(counter));
    cipher.setAAD(associated);
    cipher.setAuthTag(body.subarray(-16));
    return Buffer.concat([cipher.update(body.subarray(0, -16)), cipher.final()]); // throws
  },
  // Noise's REKEY (§4.2).
  rekey: (key) => gcm.seal(key, 2n ** 64n - 1n, zeros(32)).subarray(0, 32),
};

// --- NaCl's box after the key exchange: tag, ciphertext ---

function salsaRounds(input) {
  const x = Uint32Array.from(input);
  const mix = (a, b, c, n) => {
    const sum = (x[b] + x[c]) | 0;
    x[a] ^= (sum << n) | (sum >>> (32 - n));
  };
  const quarter = (a, b, c, d) => {
    mix(b, a, d, 7);
    mix(c, b, a, 9);
    mix(d, c, b, 13);
    mix(a, d, c, 18);
  };
  for (let i = 0; i < 10; i++) {
    for (const column of [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]]) quarter(...column);
    for (const row of [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]]) quarter(...row);
  }
  return x;
}

const words = (bytes) => Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
const bytesOf = (list) => {
  const out = zeros(4 * list.length);
  list.forEach((word, i) => out.writeUInt32LE(word >>> 0, 4 * i));
  return out;
};

// The state of Salsa20: constants on the diagonal, key, and 16 bytes of nonce and counter.
function salsaInput(key, input) {
  const c = words(Buffer.from('expand 32-byte k')), k = words(key), n = words(input);
  return [c[0], ...k.slice(0, 4), c[1], ...n, c[2], ...k.slice(4), c[3]];
}

function hsalsa20(key, input) {
  const x = salsaRounds(salsaInput(key, input));
  return bytesOf([0, 5, 10, 15, 6, 7, 8, 9].map((i) => x[i]));
}

function xsalsa20(key, nonce, size) {
  const subkey = hsalsa20(key, nonce.subarray(0, 16));
  const blocks = [];
  for (let counter = 0n; blocks.length * 64 < size; counter++) {
    const input = Buffer.concat([nonce.subarray(16), zeros(8)]);
    input.writeBigUInt64LE(counter, 8);
    const state = salsaInput(subkey, input);
    const x = salsaRounds(state);
    blocks.push(bytesOf(state.map((word, i) => word + x[i])));
  }
  return Buffer.concat(blocks).subarray(0, size);
}

function poly1305(key, text) {
  const number = (bytes) => BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'));
  const r = number(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < text.length; at += 16) {
    const block = Buffer.concat([text.subarray(at, at + 16), Buffer.of(1)]);
    sum = ((sum + number(block)) * r) % (2n ** 130n - 5n);
  }
  const tag = (sum + number(key.subarray(16, 32))) % 2n ** 128n;
  return hex(tag.toString(16).padStart(32, '0')).reverse();
}

const naclNonce = (counter) => {
  const nonce = zeros(24);
  nonce.writeBigUInt64BE(counter, 16);
  return nonce;
};
const xor = (a, b) => a.map((byte, i) => byte ^ b[i]);

const nacl = {
  seal(key, counter, text) {
    const stream = xsalsa20(key, naclNonce(counter), 32 + text.length);
    const ciphertext = xor(text, stream.subarray(32));
    return Buffer.concat([poly1305(stream.subarray(0, 32), ciphertext), ciphertext]);
  },
  open(key, counter, body) {
    const [tag, ciphertext] = [body.subarray(0, 16), body.subarray(16)];
    const stream = xsalsa20(key, naclNonce(counter), 32 + ciphertext.length);
    const expected = poly1305(stream.subarray(0, 32), ciphertext);
    if (!crypto.timingSafeEqual(tag, expected)) throw new Error('not authentic');
    return xor(ciphertext, stream.subarray(32));
  },
  rekey: (key) => nacl.seal(key, 2n ** 64n - 1n, zeros(32)).subarray(16),
};

// --- Noise IK and IKpsk2 (§7.2) ---

class Symmetric {
  constructor(name) {
    this.h = name.length <= 32 ? Buffer.concat([Buffer.from(name), zeros(32 - name.length)]) : sha256(Buffer.from(name));
    this.ck = this.h;
  }
  mixHash(data) {
    this.h = sha256(this.h, data);
  }
  expand(input, n) {
    const out = hkdf(this.ck, input, zeros(0), 32 * n);
    return Array.from({ length: n }, (_, i) => out.subarray(32 * i, 32 * i + 32));
  }
  mixKey(input) {
    [this.ck, this.k] = this.expand(input, 2);
    this.n = 0n;
  }
  mixKeyAndHash(input) {
    const [ck, h, k] = this.expand(input, 3);
    this.ck = ck;
    this.mixHash(h);
    this.k = k;
    this.n = 0n;
  }
  encrypt(text) {
    const out = gcm.seal(this.k, this.n++, text, this.h);
    this.mixHash(out);
    return out;
  }
  decrypt(body) {
    const out = gcm.open(this.k, this.n++, body, this.h);
    this.mixHash(body);
    return out;
  }
}

class Handshake {
  constructor({ pattern, initiator, prologue, own, ephemeral, peer, psk }) {
    Object.assign(this, { own, ephemeral, peer, psk: pattern === 'IKpsk2' ? psk : undefined });
    this.state = new Symmetric(`Noise_${pattern}_25519_AESGCM_SHA256`);
    this.state.mixHash(prologue);
    this.state.mixHash(initiator ? peer : own.bytes);
  }
  mixEphemeral(key) {
    this.state.mixHash(key);
    if (this.psk) this.state.mixKey(key);
  }
  write1(payload) {
    this.mixEphemeral(this.ephemeral.bytes);
    this.state.mixKey(dh(this.ephemeral, this.peer));
    const identity = this.state.encrypt(this.own.bytes);
    this.state.mixKey(dh(this.own, this.peer));
    return Buffer.concat([this.ephemeral.bytes, identity, this.state.encrypt(payload)]);
  }
  read1(message) {
    this.theirs = message.subarray(0, 32);
    this.mixEphemeral(this.theirs);
    this.state.mixKey(dh(this.own, this.theirs));
    this.peer = this.state.decrypt(message.subarray(32, 80));
    this.state.mixKey(dh(this.own, this.peer));
    return this.state.decrypt(message.subarray(80));
  }
  write2(payload) {
    this.mixEphemeral(this.ephemeral.bytes);
    this.state.mixKey(dh(this.ephemeral, this.theirs));
    this.state.mixKey(dh(this.ephemeral, this.peer));
    if (this.psk) this.state.mixKeyAndHash(this.psk);
    return Buffer.concat([this.ephemeral.bytes, this.state.encrypt(payload)]);
  }
  read2(message) {
    const theirs = message.subarray(0, 32);
    this.mixEphemeral(theirs);
    this.state.mixKey(dh(this.ephemeral, theirs));
    this.state.mixKey(dh(this.own, theirs));
    if (this.psk) this.state.mixKeyAndHash(this.psk);
    return this.state.decrypt(message.subarray(32));
  }
  split() {
    return this.state.expand(zeros(0), 2);
  }
}

// --- units (§7.1) and records (§7.3) ---

const u16 = (n) => Buffer.of(n >> 8, n & 255);
const unit = (kind, message) => Buffer.concat([u16(message.length + 1), Buffer.of(kind), message]);
const types = { data: 1, rekey: 2, end: 3 };

class Sender {
  constructor(suite, key) {
    Object.assign(this, { suite, key, counter: 0n, total: 0n });
  }
  seal(type, content, padding = 0) {
    const inner = Buffer.concat([Buffer.of(types[type]), u16(content.length), content, zeros(padding)]);
    const body = this.suite.seal(this.key, this.counter++, inner);
    if (type === 'data') this.total += BigInt(content.length);
    if (type === 'rekey') this.key = this.suite.rekey(this.key);
    return Buffer.concat([u16(body.length), body]);
  }
  end() {
    const count = zeros(8);
    count.writeBigUInt64BE(this.total);
    return this.seal('end', count);
  }
}

class Receiver {
  constructor(suite, key) {
    Object.assign(this, { suite, key, counter: 0n, total: 0n, ended: false });
  }
  // { type, content }, or throws the name of the fault (§7.4).
  open(record) {
    const fault = (name) => {
      throw name;
    };
    if (this.ended) fault('after_end');
    const length = record.readUInt16BE(0);
    if (length < 19 || length > 16403) fault('bad_length');
    let inner;
    try {
      inner = this.suite.open(this.key, this.counter++, record.subarray(2, 2 + length));
    } catch {
      fault('not_authentic');
    }
    const type = Object.keys(types).find((name) => types[name] === inner[0]) ?? fault('bad_type');
    const size = inner.readUInt16BE(1);
    if (size > inner.length - 3) fault('malformed');
    const content = inner.subarray(3, 3 + size);
    if (inner.subarray(3 + size).some((byte) => byte !== 0)) fault('malformed');
    if (!{ data: size > 0, rekey: size === 0, end: size === 8 }[type]) fault('malformed');
    if (type === 'data') this.total += BigInt(size);
    if (type === 'rekey') this.key = this.suite.rekey(this.key);
    if (type === 'end' && content.readBigUInt64BE() !== this.total) fault('bad_count');
    this.ended = type === 'end';
    return { type, content };
  }
}

// --- the vectors ---

function handshake(vector) {
  const agentStatic = keyPair(hex(vector.agent_static));
  const prologue = Buffer.concat([Buffer.from('leat/1 sealed\0'), agentStatic.bytes]);
  assert.equal(prologue.toString('hex'), vector.prologue);
  const pattern = vector.pattern;
  let psk;
  if (pattern === 'IKpsk2') {
    psk = hkdf(zeros(0), hex(vector.one_time_secret), 'leat/1 pairing', 32);
    assert.equal(psk.toString('hex'), vector.psk);
  }
  const client = new Handshake({
    pattern, prologue, psk, initiator: true, own: keyPair(hex(vector.client_static)),
    ephemeral: keyPair(hex(vector.client_ephemeral)), peer: agentStatic.bytes,
  });
  const agent = new Handshake({
    pattern, prologue, psk, initiator: false, own: agentStatic,
    ephemeral: keyPair(hex(vector.agent_ephemeral)),
  });
  const [hello, reply] = [hex(vector.hello), hex(vector.reply)];
  assert.deepEqual(unit(pattern === 'IK' ? 1 : 2, client.write1(hex(vector.payload_1))), hello);
  assert.equal(agent.read1(hello.subarray(3)).toString('hex'), vector.payload_1);
  assert.deepEqual(agent.peer, client.own.bytes);
  assert.deepEqual(unit(3, agent.write2(hex(vector.payload_2))), reply);
  assert.equal(client.read2(reply.subarray(3)).toString('hex'), vector.payload_2);
  assert.equal(client.state.h.toString('hex'), vector.binding);
  assert.deepEqual(client.state.h, agent.state.h);
  assert.deepEqual(client.split(), agent.split());
  return client.split();
}

function replay(vector) {
  const suite = { aesgcm: gcm, nacl }[vector.suite];
  const [clientKey, agentKey] = handshake(vector);
  assert.equal(clientKey.toString('hex'), vector.client_key);
  assert.equal(agentKey.toString('hex'), vector.agent_key);
  const ends = {
    client: { sender: new Sender(suite, clientKey), receiver: new Receiver(suite, clientKey) },
    agent: { sender: new Sender(suite, agentKey), receiver: new Receiver(suite, agentKey) },
  };
  for (const entry of vector.records) {
    const { sender, receiver } = ends[entry.from];
    const content = entry.size
      ? Buffer.from(Array.from({ length: entry.size }, (_, i) => (entry.fill + i) & 255))
      : hex(entry.content ?? '');
    const record = entry.type === 'end' ? sender.end() : sender.seal(entry.type, content, entry.padding);
    if (entry.record) assert.equal(record.toString('hex'), entry.record);
    else assert.equal(sha256(record).toString('hex'), entry.sha256);
    const opened = receiver.open(record);
    assert.equal(opened.type, entry.type);
    if (entry.type !== 'end') assert.deepEqual(Buffer.from(opened.content), content);
  }
  assert.ok(ends.client.receiver.ended && ends.agent.receiver.ended);
  for (const entry of vector.refused) {
    const first = new Receiver(suite, clientKey);
    assert.throws(() => first.open(hex(entry.record)), (fault) => fault === entry.fault);
  }
  return vector.records.length + vector.refused.length;
}

const { sessions } = JSON.parse(fs.readFileSync(process.argv[2]));
assert.equal(sessions.length, 4);
for (const vector of sessions) {
  console.log(`${vector.pattern} ${vector.suite}: ${replay(vector)} records`);
}
