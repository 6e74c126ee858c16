// One user's document: node yjs_document.mjs SERVER_URL NAME ROOM
// Of y-websocket's provider as it comes; the room is a parameter of its URL. On each line of standard input
// {"set": [key, value]} it writes into a map, and after every change anywhere it prints the whole map.
import readline from "node:readline";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const [server, name, room] = process.argv.slice(2);
const doc = new Y.Doc();
const map = doc.getMap("map");
const provider = new WebsocketProvider(server, name, doc, {
  params: { room },
  WebSocketPolyfill: WebSocket,
  disableBc: true, // nothing but the network between two documents
});
const show = () => console.log(JSON.stringify({ map: map.toJSON(), status: provider.wsconnected }));
doc.on("update", show);
provider.on("status", show);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [key, value] = JSON.parse(line).set;
  map.set(key, value);
}
process.exit(0);
