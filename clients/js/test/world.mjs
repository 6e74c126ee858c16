// A service of node:http, the tests' agent in front of it, and a client that is paired with it.
import http from 'node:http';
import { connect } from '../dist/index.js';
import { Agent, straight, testPlatform } from './agent.mjs';

export async function serve(handler) {
  const once = (request, response) => {
    response.shouldKeepAlive = false; // the tests' agent carries a connection, not an exchange
    return handler(request, response);
  };
  const server = typeof handler === 'function' ? http.createServer(once) : handler;
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket) && socket.on('close', () => sockets.delete(socket)));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    server,
    port: server.address().port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** { client, agent, service } of a test; ends with it. */
export async function world(t, handler, { agent: agentOptions = {}, change, ...options } = {}) {
  const service = await serve(handler);
  const agent = await Agent.make({ targets: { web: service.port }, ...agentOptions });
  testPlatform(() => straight(agent, change));
  const client = await connect(agent.link(), options);
  t.after(async () => {
    client.close();
    await service.close();
  });
  return { client, agent, service };
}

export const until = async (condition) => {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
};

export const bodyOf = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
};
