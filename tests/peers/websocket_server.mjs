// A WebSocket server that echoes what it gets and closes with the code and reason it is asked for by a text
// "close CODE REASON". Prints its port.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 64 << 20 }, () => {
  console.log(server.address().port);
});
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    const [verb, code, reason] = isBinary ? [] : data.toString().split(" ");
    if (verb === "close") socket.close(Number(code), reason);
    else if (verb === "ping") socket.ping(code);
    else socket.send(data, { binary: isBinary });
  });
});
