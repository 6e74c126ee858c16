"""Two users edit one document: npm's y-websocket provider, @y/websocket-server at home, leat between."""

import json
import signal
import subprocess
import threading

import harness
import room_agents
from harness import PEERS, free_port, wait_until


class Document:
    """A document of one user; the lines it prints are read as they come."""

    def __init__(self, case, name, server, room, certificate):
        self.process = case.start(name, ["node", PEERS / "yjs_document.mjs", server, "notes", room],
                                  env={"NODE_EXTRA_CA_CERTS": str(certificate)},
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        case.addCleanup(self.process.stdout.close)
        case.addCleanup(self.process.stdin.close)
        self.state = {"map": {}, "status": False}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.state = json.loads(line)

    def set(self, key, value):
        self.process.stdin.write(json.dumps({"set": [key, value]}).encode() + b"\n")
        self.process.stdin.flush()


class YjsTest(harness.Case):
    def y_server(self):
        port = free_port()
        server = self.start("y-server", ["node", PEERS / "node_modules/@y/websocket-server/src/server.js"],
                            env={"HOST": "127.0.0.1", "PORT": str(port)})
        wait_until(lambda: "running at" in server.log(), "the y-websocket server runs", alive=[server])
        return port

    def documents(self, server, relay, names):
        return [Document(self, name, server, "notes", relay.folder / "cert.pem") for name in names]

    def converge(self, documents, expected):
        wait_until(lambda: all(document.state["map"] == expected for document in documents),
                   f"both documents are {expected}", alive=[d.process for d in documents])

    def converges(self, serve, plain=False):
        """Two documents become one, and again after the relay was killed, with edits made meanwhile."""
        port = self.y_server()
        listen = ("--plain-listen", f"127.0.0.1:{free_port()}") if plain else ()
        relay = self.relay(*listen)
        serve(relay, port)
        if plain:
            server = "ws://%s:%d/client" % relay.plain()
        else:
            server = f"wss://{relay.address}/client"
        one, two = documents = self.documents(server, relay, ["one", "two"])
        one.set("from one", 1)
        two.set("from two", "zwei")
        self.converge(documents, {"from one": 1, "from two": "zwei"})

        relay.process.send_signal(signal.SIGKILL)
        relay.process.wait()
        wait_until(lambda: not one.state["status"] and not two.state["status"], "both know it")
        one.set("from one", 2)
        two.set("meanwhile", [1, 2, 3])
        self.relay(*listen, folder=relay.folder, listen=relay.address, name="again")
        expected = {"from one": 2, "from two": "zwei", "meanwhile": [1, 2, 3]}
        self.converge(documents, expected)
        # A third who comes later gets it all.
        late, = self.documents(server, relay, ["late"])
        two.set("at last", True)
        self.converge([one, two, late], expected | {"at last": True})

    def test_with_leat_ws(self):
        self.converges(lambda relay, port: self.agent(relay, "ws", str(port), "--room", "notes"))

    def test_with_leat_ws_and_visitors_in_the_clear(self):
        self.converges(lambda relay, port: self.agent(relay, "ws", str(port), "--room", "notes"),
                       plain=True)

    def program(self, kind, relay, port):
        room_agents.start(self, kind, f"wss://{relay.address}", "notes", port, relay.token(),
                          relay.folder / "cert.pem")

    def test_with_a_bare_agent_in_go(self):
        self.converges(lambda relay, port: self.program("go", relay, port))

    def test_with_a_bare_agent_for_node(self):
        self.converges(lambda relay, port: self.program("node", relay, port))


if __name__ == "__main__":
    harness.main()
