// leat-client in Node, as a program of the end-to-end tests.
//
//   node sealed_client.mjs pair LINK FILE      pairs, stores the credential in FILE
//   node sealed_client.mjs WHAT FILE …         connects with it and does one of the things below
//
// Each thing prints lines of JSON. An error is { error: code, message, ms since the start } and ends it.
import fs from 'node:fs';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import * as Y from 'yjs';
import { WebsocketProvider } from 'y-websocket';
import { LeatError, connect } from '../../clients/js/dist/node.js';

const [what, place, ...rest] = process.argv.slice(2);
const say = (object) => console.log(JSON.stringify(object));
const load = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
const micros = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const options = { timeout: 0, direct: process.env.DIRECT !== '0', ...JSON.parse(process.env.OPTIONS ?? '{}') };

const things = {
  /** Streams a completion by OpenAI's own client, as openai_stream.mjs does. */
  async openai(client, tokens) {
    const api = new OpenAI({ baseURL: 'http://localhost/v1', apiKey: 'none', maxRetries: 0, fetch: client.fetch });
    const models = await api.models.list();
    const stream = await api.chat.completions.create({
      model: models.data[0].id,
      messages: [{ role: 'user', content: 'What is a leat?' }],
      max_tokens: Number(tokens),
      stream: true,
    });
    const result = [];
    for await (const event of stream) {
      const text = event.choices[0]?.delta?.content;
      if (text) result.push({ text, sent: event.leat_sent_us, received: micros() });
    }
    say({ tokens: result });
  },

  /** The same by fetch alone. */
  async tokens(client, count) {
    const response = await client.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'leat-sample',
        stream: true,
        max_tokens: Number(count),
        messages: [{ role: 'user', content: 'What is a leat?' }],
      }),
    });
    if (!response.ok) throw new Error(await response.text());
    let text = '';
    const result = [];
    for await (const part of response.body) {
      text += Buffer.from(part).toString();
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const line = text.slice(0, end).replace(/^data: /, '');
        if (line === '[DONE]') continue;
        const event = JSON.parse(line);
        const content = event.choices[0]?.delta?.content;
        if (content) result.push({ text: content, sent: event.leat_sent_us, received: micros() });
      }
    }
    say({ tokens: result });
  },

  /** Bytes there and back, by their hashes. */
  async transfer(client, size) {
    const began = performance.now();
    const response = await client.fetch(`/bytes/${size}`);
    const hash = createHash('sha256');
    let got = 0;
    const parts = [];
    for await (const part of response.body) {
      hash.update(part);
      got += part.length;
      parts.push(part);
    }
    const downloaded = performance.now();
    async function* body() {
      yield* parts;
    }
    const upload = await client.fetch('/hash', { method: 'PUT', body: body(), duplex: 'half' });
    const there = await upload.text();
    const seconds = [downloaded - began, performance.now() - downloaded].map((ms) => ms / 1000);
    say({ got, here: hash.digest('hex'), there, seconds });
  },

  /** Begins an answer that never ends and aborts it; then says who is still served. */
  async abort(client) {
    const abort = new AbortController();
    const response = await client.fetch('/endless', { signal: abort.signal });
    const reader = response.body.getReader();
    await reader.read();
    const during = (await (await client.fetch('/')).json()).endless;
    abort.abort();
    const name = await reader.read().catch((error) => error.name);
    let after;
    do after = (await (await client.fetch('/')).json()).endless;
    while (after);
    say({ during, after, name });
  },

  /** What the service sees of a request. */
  async headers(client, path) {
    say(await (await client.fetch(path, { headers: { authorization: 'Bearer sealed' } })).json());
  },

  async status(client, path) {
    const response = await client.fetch(path);
    say({ status: response.status, body: await response.text() });
  },

  /** Reads an answer that never ends, until something ends it. */
  async watch(client) {
    const response = await client.fetch('/endless');
    const reader = response.body.getReader();
    await reader.read();
    say({ watching: true });
    try {
      for (;;) await reader.read();
    } catch (error) {
      say({ ended: error.code, at: Date.now() });
      throw error;
    }
  },

  /** A Yjs document: each line of standard input is inserted, each text that came is printed. */
  async yjs(client, room) {
    const doc = new Y.Doc();
    const provider = new WebsocketProvider('ws://localhost', room, doc, {
      WebSocketPolyfill: client.WebSocket,
      disableBc: true,
    });
    const shared = doc.getText('shared');
    provider.on('status', ({ status }) => say({ status }));
    shared.observe(() => say({ text: shared.toString() }));
    for await (const line of createInterface({ input: process.stdin })) shared.insert(shared.length, line);
    provider.destroy();
  },

  async nothing() {},
};

const began = performance.now();
try {
  let file = place;
  let credential;
  if (what === 'pair') file = rest.shift();
  else credential = load(place);
  const store = (fresh) => fs.writeFileSync(file, JSON.stringify(fresh), { mode: 0o600 });
  const client = await connect(credential ?? place, { device: 'node', oncredential: store, ...options });
  say({ via: client.via, services: client.services, ms: performance.now() - began });
  if (what !== 'pair') await things[what](client, ...rest);
  client.close();
} catch (error) {
  if (!(error instanceof LeatError)) console.error(error);
  say({ error: error.code ?? String(error), message: error.message, next: error.next, ms: performance.now() - began });
}
// What is left is nobody's to wait for.
setTimeout(() => process.exit(0), 1_500).unref(); // sleep: none, but an end for what hangs
