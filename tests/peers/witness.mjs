// Node's http server as a witness: what it was asked goes to standard output, a JSON object for each request,
// before the answer does. A request that broke off has "whole": false; what Node could not make sense of is a
// complaint.
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import http from "node:http";

const note = (entry) => writeSync(1, JSON.stringify(entry) + "\n");
let serials = 0;

const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
  const { method, url: target } = request;
  const digest = createHash("sha256");
  let length = 0;
  request.on("data", (data) => {
    length += data.length;
    digest.update(data);
  });
  request.on("error", () => {});
  request.on("close", () => {
    if (!request.complete) note({ whole: false, method, target });
  });
  request.on("end", () => {
    const serial = `node-${++serials}`;
    note({ whole: true, serial, method, target, length, digest: digest.digest("hex") });
    response.writeHead(200, {
      Server: "node",
      "X-Serial": serial,
      "X-Target": target,
      "Content-Length": 3,
    });
    response.end("ok\n");
  });
});
server.on("clientError", (error, socket) => {
  if (error.code !== "ECONNRESET" && error.code !== "EPIPE" && error.code !== "HPE_INVALID_EOF_STATE") {
    note({ complaint: `${error.code} ${error.message}: ${error.rawPacket}` });
  }
  socket.destroy();
});
server.listen(0, "127.0.0.1", 1024, () => note({ port: server.address().port }));
process.on("SIGTERM", () => process.exit(0));
