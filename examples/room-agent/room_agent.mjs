// Serves a room of a leat relay from a program without any leat code: a WebSocket, yamux on it, and a copy of
// bytes both ways for each visitor (docs/protocol.md §5.7).
//
//   npm install ws@8.18.3 @chainsafe/libp2p-yamux@7.0.4
//   LEAT_TOKEN=… node room_agent.mjs wss://relay.example.com notes 1234
import net from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { yamux } from "@chainsafe/libp2p-yamux";
import { createWebSocketStream, WebSocket } from "ws";

const [relay, room, port] = process.argv.slice(2);
const quiet = Object.assign(() => {}, { trace() {}, error() {}, enabled: false });
const multiplexer = yamux()({ logger: { forComponent: () => quiet } });

async function* bytes(source) {
  for await (const list of source) yield list.subarray();
}

function visit(stream) {
  const local = net.connect(port, "127.0.0.1");
  stream.sink(local).catch((error) => stream.abort(error));
  pipeline(bytes(stream.source), local).catch(() => local.destroy());
}

async function serve() {
  const headers = { authorization: `Bearer ${process.env.LEAT_TOKEN ?? ""}` };
  const socket = new WebSocket(`${relay}/agent?room=${room}`, { headers });
  socket.once("open", () => console.error(`serving ${room}`));
  const carrier = createWebSocketStream(socket);
  const session = multiplexer.createStreamMuxer({ direction: "outbound", onIncomingStream: visit });
  await Promise.all([session.sink(carrier), pipeline(bytes(session.source), carrier)]);
}

for (;;) {
  await serve().catch((error) => console.error(error.message));
  await sleep(1000);
}
