// Speaks with websocket_server.mjs and compares what comes back: node websocket_client.mjs URL BYTES
// Prints one JSON object with what it saw; anything wrong is an exception.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const [url, largest] = process.argv.slice(2);
const socket = new WebSocket(url, { rejectUnauthorized: false, maxPayload: 64 << 20 });
await once(socket, "open");

// One at a time: each echo comes back before the next message is sent.
let messages = 0;
for (const size of [0, 1, 125, 126, 65535, 65536, Number(largest)]) {
  for (const binary of [true, false]) {
    const sent = binary ? randomBytes(size) : "ä".repeat(size / 2);
    socket.send(sent);
    const [data, isBinary] = await once(socket, "message");
    assert.equal(isBinary, binary);
    assert.ok(data.equals(Buffer.from(sent)));
    messages++;
  }
}

// Many at once, answered in order.
const burst = Array.from({ length: 1000 }, (_, i) => `message ${i}`);
const echoes = [];
const all = new Promise((resolve) => {
  socket.on("message", (data) => {
    echoes.push(data.toString());
    if (echoes.length === burst.length) resolve();
  });
});
for (const text of burst) socket.send(text);
await all;
assert.deepEqual(echoes, burst);
messages += burst.length;

socket.send("ping hello");
const [payload] = await once(socket, "ping");
assert.equal(payload.toString(), "hello");

socket.send("close 4321 enough");
const [code, reason] = await once(socket, "close");
assert.equal(code, 4321);
assert.equal(reason.toString(), "enough");
console.log(JSON.stringify({ messages, code }));
