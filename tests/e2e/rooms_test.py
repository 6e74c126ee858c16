"""Rooms: WebSocket visitors at /client?room=ID, a WebSocket server at home behind `leat ws`."""

import json
import subprocess

import harness
from frames import BINARY, TEXT, WebSocket, close, frame, upgrade_fields
from harness import MiB, PEERS, scaled, wait_until
from wire import Client, Origin, answer


def accept_upgrade(request, connection):
    """Switches, says in a text which request that was, and echoes bytes."""
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Accept: x\r\nSet-Cookie: a=b; Path=/\r\n\r\n")
    said = json.dumps([request.words[1], request.fields]).encode()
    connection.send(frame(TEXT, said, masked=False))
    while True:
        connection.reader.more()
        connection.send(connection.reader.buffer)
        connection.reader.buffer = b""


class RoomsTest(harness.Case):
    def room(self, relay, target, *arguments, **options):
        return self.agent(relay, "ws", str(target), *arguments, **options)

    def echo_server(self):
        server = self.start("server", ["node", PEERS / "websocket_server.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        return int(server.stdout.readline())

    def test_messages_keep_their_boundaries_and_types(self):
        """What npm's ws sends comes back as it was: sizes 0 to 16 MiB, text and binary, a ping, a close code."""
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        agent = self.room(relay, self.echo_server(), "--room", "notes")
        self.assertEqual(agent.online()["tunnels"][0]["urls"],
                         [f"wss://{relay.address}/client?room=notes"])
        host, port = relay.plain()
        urls = [f"wss://{relay.address}/client?room=notes", f"ws://{host}:{port}/client/doc?room=notes"]
        clients = [self.start(f"client-{number}", ["node", PEERS / "websocket_client.mjs", url,
                                                   scaled(16 * MiB)], stdout=subprocess.PIPE)
                   for number, url in enumerate(urls)]
        for client in clients:
            output = client.stdout.read()
            client.stdout.close()
            self.assertEqual(client.wait(harness.SOON), 0, client.log())
            self.assertEqual(json.loads(output), {"messages": 1014, "code": 4321})

    def test_a_room_has_a_host_of_its_own(self):
        origin = Origin(self, accept_upgrade)
        relay = self.relay("--domain", "relay.test", "--wildcard")
        agent = self.room(relay, f"ws://{origin.address}", "--room", "notes")
        port = relay.port
        self.assertEqual(agent.online()["tunnels"][0]["urls"], [f"wss://relay.test:{port}/client?room=notes",
                                                                f"wss://notes.relay.test:{port}/"])
        for target in ("/", "/doc?x=1", "/client/doc?room=other", "/agent"):
            with self.subTest(target), WebSocket(relay.connect(), target, "Origin: https://notes.relay.test",
                                                 host="notes.relay.test") as visitor:
                self.assertEqual(visitor.status, 101)
                self.assertEqual(visitor.answer.get("set-cookie"), "a=b; Path=/")  # the host is the room's alone
                seen, fields = json.loads(visitor.receive()[2])
                fields = {name.lower(): value for name, value in fields}
                self.assertEqual(seen, target)
                self.assertEqual(fields["origin"], f"http://{origin.address}")
                self.assertNotIn("x-forwarded-prefix", fields)
        with Client(relay.connect()) as visitor:  # what is no WebSocket is not the server's to answer
            visitor.request("GET", "/", host="notes.relay.test")
            self.assertEqual(visitor.response()[0].status, 426)

    def test_what_the_server_at_home_sees(self):
        origin = Origin(self, accept_upgrade)
        relay = self.relay()
        self.room(relay, f"ws://{origin.address}", "--room", "notes")
        for asked, seen in (("/client?room=notes", "/"),
                            ("/client/?room=notes", "/"),
                            ("/client/a/b%20c?x=1&room=notes&y=%26", "/a/b%20c?x=1&y=%26"),
                            ("/client/doc?room=notes", "/doc"),
                            ("/client/x/../doc?&room=notes&", "/doc")):
            with self.subTest(asked), WebSocket(relay.connect(), asked, "Origin: https://localhost",
                                                "Sec-WebSocket-Extensions: permessage-deflate",
                                                "Sec-WebSocket-Protocol: y") as visitor:
                self.assertEqual(visitor.status, 101)
                self.assertIsNone(visitor.answer.get("set-cookie"))  # the path is that of all rooms
                opcode, _, said = visitor.receive()
                self.assertEqual(opcode, TEXT)
                target, fields = json.loads(said)
                fields = {name.lower(): value for name, value in fields}
                self.assertEqual(target, seen)
                self.assertEqual(fields["host"], origin.address)
                self.assertEqual(fields["origin"], f"http://{origin.address}")
                self.assertEqual(fields["x-forwarded-prefix"], "/client")
                self.assertEqual(fields["x-forwarded-proto"], "https")
                # The two ends agree by themselves on these.
                self.assertEqual(fields["sec-websocket-extensions"], "permessage-deflate")
                self.assertEqual(fields["sec-websocket-protocol"], "y")
                # And on what they send: any frame passes, a reserved bit too.
                for odd in (frame(BINARY, b"x", reserved=4), frame(TEXT, b"\xff"), close(4999, b"x")):
                    visitor.send(odd)
                    self.assertEqual(visitor.reader.exactly(len(odd)), odd)

    def test_a_foreign_page_is_the_servers_to_refuse(self):
        origin = Origin(self, lambda request, connection: answer(connection, b"no", "403 Forbidden"))
        relay = self.relay()
        self.room(relay, origin.port, "--room", "notes")
        with Client(relay.connect()) as visitor:
            for _ in range(2):
                visitor.request("GET", "/client?room=notes", *upgrade_fields("Origin: https://evil.test"))
                message, body = visitor.response()
                self.assertEqual((message.status, body), (403, b"no"))
        self.assertEqual([request.get("origin") for request in origin.requests],
                         ["https://evil.test"] * 2)

    def test_the_origin_the_server_is_told(self):
        origin = Origin(self, accept_upgrade)
        relay = self.relay()
        self.room(relay, origin.port, "--room", "notes", "--origin", "https://app.test", "--host-header",
                  "preserve")
        with WebSocket(relay.connect(), "/client?room=notes", "Origin: https://a.test") as visitor:
            _, fields = json.loads(visitor.receive()[2])
            self.assertIn(["Origin", "https://app.test"], fields)
            self.assertIn(["Host", "localhost"], fields)

    def test_offline_unknown_and_other_kinds_are_the_same(self):
        origin = Origin(self, accept_upgrade)
        relay = self.relay()
        agent = self.room(relay, origin.port, "--room", "notes")
        self.agent(relay, "http", origin.address, "--id", "web", "--public", name="web")

        def ask(room):
            with WebSocket(relay.connect(), f"/client?room={room}") as visitor:
                fields = [(key, value) for key, value in visitor.answer.fields
                          if key.lower() not in ("date", "x-request-id")]
                return visitor.status, fields, visitor.body(visitor.answer)
        agent.process.stop()
        wait_until(lambda: ask("notes")[0] == 503, "the relay knows that the agent is gone")
        gone = ask("notes")
        self.assertEqual(json.loads(gone[2])["error"]["code"], "LEAT_AGENT_OFFLINE")
        for other in ("none", "web", "N%20o", "-", "a" * 64, ""):
            with self.subTest(other):
                self.assertEqual(ask(other), gone)

    def test_what_is_no_visitor_of_a_room(self):
        origin = Origin(self, accept_upgrade)
        relay = self.relay()
        self.room(relay, origin.port, "--room", "notes")
        upgrade = upgrade_fields()
        for path, fields, status, code in [
            ("/client?room=notes", (), 426, "WEBSOCKET_ONLY"),
            ("/client?room=none", (), 426, "WEBSOCKET_ONLY"),
            ("/client?room=notes", ("Connection: Upgrade", "Upgrade: chat"), 426, "WEBSOCKET_ONLY"),
            ("/client?room=notes", upgrade[:2] + ("Sec-WebSocket-Version: 8",) + upgrade[3:], 426,
             "WEBSOCKET_ONLY"),
            ("/client", upgrade, 404, "NO_SUCH_PATH"),
            ("/client?rooms=notes", upgrade, 404, "NO_SUCH_PATH"),
            # Two rooms are one for the one who routes and another for the one who looks.
            ("/client?room=notes&room=other", upgrade, 404, "NO_SUCH_PATH"),
            ("/clients?room=notes", upgrade, 404, "NO_SUCH_PATH"),
            ("/client?room=notes", upgrade[:3] + ("Sec-WebSocket-Key: short",), 400, "BAD_REQUEST"),
        ]:
            with self.subTest(path=path, fields=fields), Client(relay.connect()) as visitor:
                message, body = visitor.get(path, *fields)
                self.assertEqual(message.status, status)
                self.assertEqual(json.loads(body)["error"]["code"], "LEAT_" + code)
        self.assertEqual(origin.requests, [])
        # Nor is a room's visitor one of what else is served under its id.
        with WebSocket(relay.connect(), "/tunnel/notes/") as visitor:
            self.assertEqual(visitor.status, 503)

    def test_variables_of_another_gateway_fill_in(self):
        """ROOM_ID and LOCAL_PORT stand in for --room and TARGET."""
        origin = Origin(self, accept_upgrade)
        relay = self.relay()
        agent = self.agent(relay, "ws", environment={"ROOM_ID": "old", "LOCAL_PORT": str(origin.port)})
        self.assertEqual(agent.id(), "old")
        with WebSocket(relay.connect(), "/client?room=old") as visitor:
            self.assertEqual(visitor.status, 101)

    def test_a_room_without_a_name_is_a_secret(self):
        origin = Origin(self, accept_upgrade)
        relay = self.relay()
        agent = self.room(relay, origin.port)
        self.assertEqual(len(agent.id()), 16)
        with WebSocket(relay.connect(), f"/client?room={agent.id()}") as visitor:
            self.assertEqual(visitor.status, 101)


if __name__ == "__main__":
    harness.main()
