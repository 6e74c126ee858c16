// A service for the sealed client: takes and gives bytes by their hash, says back what comes by WebSocket, and knows
// who is still being served.
//
//   node sealed_origin.mjs        prints its port
import http from 'node:http';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { WebSocketServer } from 'ws';

let endless = 0;

/** The same bytes for everybody who asks for so many. */
function* bytes(size) {
  const block = Buffer.alloc(65_536);
  for (let at = 0; at < size; at += block.length) {
    for (let i = 0; i < block.length; i += 4) block.writeUInt32LE(Math.imul(at + i, 2654435761) >>> 0, i);
    yield Buffer.from(block.subarray(0, Math.min(block.length, size - at)));
  }
}

const server = http.createServer(async (request, response) => {
  const [, what, size] = request.url.split('/');
  if (what === 'hash') {
    const hash = createHash('sha256');
    for await (const part of request) hash.update(part);
    response.end(hash.digest('hex'));
  } else if (what === 'bytes') {
    response.setHeader('content-length', size);
    for (const part of bytes(Number(size))) if (!response.write(part)) await once(response, 'drain');
    response.end();
  } else if (what === 'endless') {
    endless++;
    response.on('close', () => endless--);
    response.write('begun');
  } else {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ endless, headers: request.headers, url: request.url }));
  }
});
const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered].at(-1) });
sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
