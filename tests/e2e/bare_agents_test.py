"""Rooms served without leat: the Go and Node programs of examples/room-agent, and a peer spelled out."""

import contextlib
import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import time

import harness
import room_agents
import wire
import yamux
from frames import WebSocket, upgrade_fields
from harness import MiB, PEERS, ROOT, run_leat, scaled, wait_until
from wire import Client, Origin
from yamux import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, Peer


def switch(connection):
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


class Programs(harness.Case):
    def program(self, kind, relay, room, port):
        return room_agents.start(self, kind, f"wss://{relay.address}", room, port, relay.token(kind),
                                 relay.folder / "cert.pem")

    def visit(self, relay, room, name):
        url = f"wss://{relay.address}/client/doc?room={room}"
        return self.start(name, ["node", PEERS / "websocket_client.mjs", url, scaled(16 * MiB)],
                          stdout=subprocess.PIPE)

    def check(self, client):
        output = client.stdout.read()
        client.stdout.close()
        self.assertEqual(client.wait(harness.SOON), 0, client.log())
        self.assertEqual(json.loads(output), {"messages": 1014, "code": 4321})

    def run_program(self, kind):
        server = self.start("server", ["node", PEERS / "websocket_server.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        port = int(server.stdout.readline())
        relay = self.relay()
        agent = self.program(kind, relay, "notes", port)
        for client in [self.visit(relay, "notes", f"client-{number}") for number in range(3)]:
            self.check(client)
        # A relay that is gone and back: the program comes back, to the same room.
        relay.process.send_signal(signal.SIGKILL)
        relay.process.wait()
        again = self.relay(folder=relay.folder, listen=relay.address, name="again")
        room_agents.serves(agent, times=2)
        self.check(self.visit(again, "notes", "client-last"))

    def test_what_the_page_shows_is_the_program(self):
        shown = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/doors.md").read_text(), re.M | re.S)
        self.assertEqual(len(shown), 1)
        self.assertIn(shown[0], (ROOT / "examples/room-agent/room_agent.mjs").read_text())

    def test_a_program_in_go(self):
        self.run_program("go")

    def test_a_program_for_node(self):
        self.run_program("node")

    def test_a_program_whose_server_is_down(self):
        relay = self.relay()
        for kind in room_agents.KINDS:
            with self.subTest(kind):
                self.program(kind, relay, kind, harness.free_port())
                with WebSocket(relay.connect(), f"/client?room={kind}") as visitor:
                    self.assertEqual(visitor.status, 502)
                    error = json.loads(visitor.body(visitor.answer))["error"]
                    self.assertEqual(error["code"], "LEAT_SERVICE_CUT")


class OnTheWire(harness.Case):
    def serve(self, relay, token, room="notes"):
        peer = Peer(relay.connect(), f"/agent?room={room}", f"Authorization: Bearer {token}")
        self.addCleanup(peer.close)
        self.assertEqual(peer.status, 101)
        return peer

    def visitor(self, relay, path="/client/doc?room=notes&x=1", *fields):
        """Has asked, and waits for its answer."""
        plain = "plain_listen" in relay.state
        visitor = Client(socket.create_connection(relay.plain()) if plain else relay.connect())
        self.addCleanup(visitor.close)
        visitor.request("GET", path, *upgrade_fields(*fields), host="relay.test")
        return visitor

    def test_a_stream_begins_with_the_visitors_request(self):
        relay = self.relay()
        peer = self.serve(relay, relay.token())
        self.assertIsNone(peer.answer.get("sec-websocket-protocol"))
        self.assertIsNone(peer.answer.get("sec-websocket-extensions"))
        visitor = self.visitor(relay, "/client/doc?room=notes&x=1", "Origin: https://page.test")
        stream = peer.stream()
        self.assertEqual(stream % 2, 0)
        request = wire.Message(peer.text(stream, b"\r\n\r\n")[:-4])
        self.assertEqual(request.words, ["GET", "/doc?x=1", "HTTP/1.1"])
        for name, value in (("host", "relay.test"), ("origin", "https://page.test"),
                            ("upgrade", "websocket"), ("x-forwarded-prefix", "/client"),
                            ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")):
            self.assertEqual(request.get(name), value)
        # What the visitor sends before the answer waits for it.
        visitor.send(b"early")
        peer.say(DATA, 0, stream, payload=b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                          b"Upgrade: websocket\r\nSet-Cookie: a=b\r\n\r\nhello")
        answer = visitor.head()
        self.assertEqual((answer.status, answer.get("set-cookie")), (101, None))
        self.assertEqual(visitor.reader.exactly(5), b"hello")
        self.assertEqual(peer.text(stream, b"early"), b"early")
        # Both ways in frames of at most 16 KiB, ended by FIN.
        visitor.send(bytes(100_000))
        got = 0
        while got < 100_000:
            kind, _, number, length, payload = peer.next()
            if kind == DATA:
                self.assertEqual(number, stream)
                self.assertLessEqual(length, 16 * 1024)
                got += len(payload)
        peer.say(WINDOW, FIN, stream, 0)
        self.assertTrue(visitor.reader.at_end())
        visitor.close()
        kind, flags, number, _, _ = peer.next()
        self.assertEqual((kind, number), (WINDOW, stream))
        self.assertTrue(flags & (FIN | RST))

    def test_an_answer_that_declines_leaves_the_visitors_connection(self):
        relay = self.relay()
        peer = self.serve(relay, relay.token())
        visitor = self.visitor(relay)
        for _ in range(3):
            stream = peer.stream()
            peer.text(stream, b"\r\n\r\n")
            # A server that keeps its connection says no FIN; the relay does not wait for it.
            peer.say(DATA, 0, stream, payload=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            message, body = visitor.response()
            self.assertEqual((message.status, body), (403, b"no"))
            while True:
                kind, flags, number, _, _ = peer.next()
                self.assertEqual(number, stream)
                if flags & RST:
                    break
            visitor.request("GET", "/client?room=notes", *upgrade_fields())

    def test_streams_of_the_agent_are_reset_and_256_are_all(self):
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        peer = self.serve(relay, relay.token())
        peer.say(WINDOW, SYN, 1, 0)
        while True:
            kind, flags, stream, _, _ = peer.next()
            if flags & RST:
                break
        self.assertEqual(stream, 1)
        visitors = [self.visitor(relay) for _ in range(256)]
        streams = set()
        while len(streams) < 256:
            kind, flags, stream, _, _ = peer.next()
            if flags & SYN:
                streams.add(stream)
                peer.say(WINDOW, ACK, stream, 0)
        with WebSocket(relay.connect(), "/client?room=notes") as one_more:
            self.assertEqual(one_more.status, 503)
            error = json.loads(one_more.body(one_more.answer))["error"]
            self.assertEqual(error["code"], "LEAT_AGENT_BUSY")
        # Without TLS an end alone may come from who still waits for the answer; a reset does not.
        visitors[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        visitors[0].close()
        wait_until(lambda: peer.next()[1] & RST, "the stream of who left is reset")
        visitor = self.visitor(relay)
        peer.stream()
        visitor.close()

    def test_who_says_go_away_is_asked_no_more(self):
        relay = self.relay()
        token = relay.token()
        first = self.serve(relay, token)
        visitor = self.visitor(relay)
        stream = first.stream()
        first.text(stream, b"\r\n\r\n")
        first.say(GO_AWAY, 0, 0, 0)
        first.settle()
        with WebSocket(relay.connect(), "/client?room=notes") as late:
            self.assertEqual(late.status, 503)
        # What it has is served to its end.
        first.say(DATA, 0, stream, payload=b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(visitor.head().status, 403)
        second = self.serve(relay, token)
        self.visitor(relay)
        second.stream()

    def test_the_one_that_came_last_serves_and_the_others_stand_by(self):
        relay = self.relay()
        token = relay.token()
        first, second = self.serve(relay, token), self.serve(relay, token)
        self.visitor(relay)
        second.stream()
        second.close()
        wait_until(lambda: "bare agent left" in relay.process.log(), "the relay knows that it is gone")
        self.visitor(relay)
        first.stream()
        # A leat agent of the same owner comes before them.
        origin = Origin(self, lambda request, connection: switch(connection))
        self.agent(relay, "ws", origin.port, "--room", "notes", token=token)
        with WebSocket(relay.connect(), "/client?room=notes") as visitor:
            self.assertEqual(visitor.status, 101)

    def test_what_breaks_the_protocol_ends_the_session_alone(self):
        relay = self.relay()
        token = relay.token()
        good = self.serve(relay, token, "good")
        for name, wrong in (("version", b"\1" + bytes(11)),
                            ("type", b"\0\7" + bytes(10)),
                            ("too much", yamux.packet(DATA, SYN, 1, 256 * 1024 + 1)),
                            ("parity", yamux.packet(WINDOW, SYN, 2, 0))):
            with self.subTest(name):
                peer = self.serve(relay, token, "bad")
                peer.send(yamux.frame(yamux.BINARY, wrong))
                kind, _, stream, code, _ = peer.next()
                self.assertEqual((kind, stream, code), (GO_AWAY, 0, 1))
                self.assertEqual(peer.closed_with(), 1000)
        self.visitor(relay, "/client?room=good")
        good.stream()

    def test_a_relay_that_drains_ends_them_in_order(self):
        relay = self.relay()
        peer = self.serve(relay, relay.token())
        relay.process.send_signal(signal.SIGTERM)
        self.assertEqual(peer.next()[:4], (GO_AWAY, 0, 0, 0))
        self.assertEqual(peer.closed_with(), 1000)
        relay.process.stop()


class Credentials(harness.Case):
    def ask(self, relay, path, *fields):
        """Status, and the code of an error."""
        with WebSocket(relay.connect(), path, *fields) as peer:
            if peer.status == 101:
                return 101, None
            return peer.status, json.loads(peer.body(peer.answer))["error"]["code"]

    def bearer(self, token):
        return f"Authorization: Bearer {token}"

    def test_by_field_or_by_query_and_never_in_a_log(self):
        relay = self.relay("--log-level", "debug")
        token, stranger = relay.token("mine"), relay.token("theirs")
        for path, fields, expected in [
            ("/agent?room=notes", (), (401, "LEAT_NO_TOKEN")),
            ("/agent?room=notes", (self.bearer(""),), (401, "LEAT_NO_TOKEN")),
            ("/agent?room=notes", (self.bearer("leat_no"),), (401, "LEAT_BAD_TOKEN")),
            ("/agent?room=notes", ("Authorization: Basic " + token,), (401, "LEAT_BAD_TOKEN")),
            ("/agent?room=notes&token=leat_no", (), (401, "LEAT_BAD_TOKEN")),
            ("/agent?room=notes&token=a&token=b", (), (401, "LEAT_NO_TOKEN")),
            ("/agent?room=Notes", (self.bearer(token),), (400, "LEAT_BAD_TUNNEL_ID")),
            ("/agent?room=notes", (self.bearer(token),), (101, None)),
            ("/agent?room=notes", ("authorization: bearer  " + token,), (101, None)),
            (f"/agent?token={token}&room=notes", (), (101, None)),
            # The field counts.
            (f"/agent?token={token}&room=notes", (self.bearer("leat_no"),), (401, "LEAT_BAD_TOKEN")),
            # One owner.
            ("/agent?room=notes", (self.bearer(stranger),), (409, "LEAT_TUNNEL_TAKEN")),
            ("/agent?room=other", (self.bearer(stranger),), (101, None)),
            ("/agent?room=other", (self.bearer(token),), (409, "LEAT_TUNNEL_TAKEN")),
            # A subprotocol is a promise that no bare agent keeps; leat.1 is native.
            ("/agent?room=notes", (self.bearer(token), "Sec-WebSocket-Protocol: yamux"),
             (426, "LEAT_WEBSOCKET_ONLY")),
            ("/agent?room=", (self.bearer(token),), (426, "LEAT_WEBSOCKET_ONLY")),
            ("/agent", (self.bearer(token),), (426, "LEAT_WEBSOCKET_ONLY")),
            ("/agent?room=notes", (self.bearer(token), "Origin: https://page.test"),
             (403, "LEAT_NOT_FOR_PAGES")),
        ]:
            with self.subTest(path=path, fields=fields):
                self.assertEqual(self.ask(relay, path, *fields), expected)
        # What a native agent owns is nobody else's either, and the reverse.
        origin = Origin(self, lambda request, connection: False)
        self.agent(relay, "http", origin.address, "--id", "web", "--public", token=token)
        self.assertEqual(self.ask(relay, "/agent?room=web", self.bearer(stranger))[0], 409)
        log = relay.process.log()
        self.assertIn("bare agent joined", log)
        self.assertNotIn(token, log)
        self.assertNotIn(stranger, log)

    def test_a_revoked_token_ends_the_session_within_a_second(self):
        relay = self.relay()
        token = relay.token("old")
        with Peer(relay.connect(), f"/agent?room=notes&token={token}") as peer:
            self.assertEqual(peer.status, 101)
            begin = time.monotonic()
            run_leat("token", "revoke", "--state-dir", relay.folder, "--name", "old")
            self.assertEqual(peer.next()[:4], (GO_AWAY, 0, 0, 0))
            self.assertLess(time.monotonic() - begin, harness.PATIENCE)
        # The room stays with the name that the operator gave, and is nobody else's.
        other = relay.token("other")
        self.assertEqual(self.ask(relay, f"/agent?room=notes&token={other}")[0], 409)
        new = relay.token("old")
        self.assertEqual(self.ask(relay, f"/agent?room=notes&token={new}")[0], 101)

    def test_a_room_that_is_taken_away_is_served_no_more(self):
        key = self.folder / "admin.key"
        key.write_text("an-admin-key-of-the-operators")
        key.chmod(0o600)
        relay = self.relay("--admin-listen", "127.0.0.1:0", "--admin-key-file", key)
        admin = http.client.HTTPConnection(*harness.split_address(relay.state["admin_listen"]),
                                           timeout=harness.SOON)
        self.addCleanup(admin.close)

        def ask_admin(method, path):
            admin.request(method, path, headers={"Authorization": f"Bearer {key.read_text()}"})
            answer = admin.getresponse()
            return answer.status, answer.read()
        token, stranger = relay.token("mine"), relay.token("theirs")
        with Peer(relay.connect(), f"/agent?room=notes&token={token}") as peer, \
                Client(relay.connect()) as visitor:
            visitor.request("GET", "/client?room=notes", *upgrade_fields())
            stream = peer.stream()
            peer.text(stream, b"\r\n\r\n")
            peer.say(DATA, 0, stream, payload=b"HTTP/1.1 101 Switching Protocols\r\n"
                                              b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            self.assertEqual(visitor.head().status, 101)
            self.assertEqual(ask_admin("DELETE", "/api/v1/tunnels/notes")[0], 204)
            with self.assertRaises(wire.Cut):
                visitor.reader.more()
            kind = peer.next()
            while kind[0] != GO_AWAY:  # first the visitor's stream
                kind = peer.next()
            # Whoever comes first has it now, and who had it is out.
            self.assertEqual(self.ask(relay, f"/agent?room=notes&token={stranger}"), (101, None))
            self.assertEqual(self.ask(relay, f"/agent?room=notes&token={token}"),
                             (409, "LEAT_TUNNEL_TAKEN"))
        visits = wait_until(lambda: json.loads(ask_admin("GET", "/api/v1/connections?tunnel=notes")[1])
                            ["connections"], "the visit is written down")
        self.assertEqual([visit["owner"] for visit in visits], ["mine"])

    def test_an_operator_ends_it_within_a_second(self):
        key = self.folder / "admin.key"
        key.write_text("an-admin-key-of-32-characters-ok\n")
        key.chmod(0o600)
        relay = self.relay("--admin-listen", "127.0.0.1:0", "--admin-key-file", key, "--open-rooms")
        token = relay.token("mine")

        def admin(method, path):
            connection = http.client.HTTPConnection(*harness.split_address(relay.state["admin_listen"]),
                                                    timeout=harness.SOON)
            with contextlib.closing(connection):
                connection.request(method, "/api/v1" + path, headers={"X-Admin-Key": key.read_text().strip()})
                response = connection.getresponse()
                return response.status, json.loads(response.read() or b"null")

        def ends(peer, method, path):
            begin = time.monotonic()
            self.assertEqual(admin(method, path)[0], 204)
            self.assertEqual(peer.next()[:4], (GO_AWAY, 0, 0, 0))
            self.assertLess(time.monotonic() - begin, harness.PATIENCE)

        for path, room in ((f"/agent?room=notes&token={token}", "notes"), ("/agent?room=open", "open")):
            with Peer(relay.connect(), path) as cut, Peer(relay.connect(), "/agent?room=other") as other:
                listed = {agent["tunnels"][0]: agent for agent in admin("GET", "/agents")[1]["agents"]}
                self.assertEqual(set(listed), {room, "other"})
                self.assertEqual(listed[room]["owner"], "mine" if "token" in path else "")
                self.assertRegex(listed[room]["since"], r"^\d{4}-\d\d-\d\dT")
                ends(cut, "DELETE", "/agents/" + listed[room]["identity"])
                other.settle()
            with Peer(relay.connect(), path) as peer:
                ends(peer, "DELETE", f"/tunnels/{room}")
            self.assertEqual(admin("DELETE", f"/tunnels/{room}")[0], 404)
        with Peer(relay.connect(), f"/agent?room=notes&token={token}") as peer:
            ends(peer, "DELETE", "/tokens/mine")

    def test_as_many_sessions_as_a_token_may_have(self):
        relay = self.relay()
        token = relay.token()
        peers = []
        for number in range(64):
            peer = Peer(relay.connect(), f"/agent?room=notes&token={token}")
            self.addCleanup(peer.close)
            peers.append(peer)
            if number % 8 == 7:  # on a slow machine the first would be taken for dead before the last is there
                for other in peers:
                    other.say(PING, SYN, 0, number)
        self.assertEqual({peer.status for peer in peers}, {101})
        path = f"/agent?room=notes&token={token}"
        self.assertEqual(self.ask(relay, path), (429, "LEAT_TOO_MANY_SESSIONS"))
        peers[0].close()
        wait_until(lambda: self.ask(relay, path)[0] == 101, "the place of who left is free")

    def test_open_rooms_only_where_the_operator_says_so(self):
        relay = self.relay("--open-rooms")
        self.assertIn("OPEN ROOMS", relay.process.log())
        token = relay.token()
        with Peer(relay.connect(), "/agent?room=open") as peer:
            self.assertEqual(peer.status, 101)
            with Client(relay.connect()) as visitor:
                visitor.request("GET", "/client?room=open", *upgrade_fields())
                peer.stream()
            # Who names itself must be who it says, and an owner is an owner.
            self.assertEqual(self.ask(relay, "/agent?room=open&token=leat_no"),
                             (401, "LEAT_BAD_TOKEN"))
            self.assertEqual(self.ask(relay, f"/agent?room=owned&token={token}"), (101, None))
            self.assertEqual(self.ask(relay, "/agent?room=owned"), (409, "LEAT_TUNNEL_TAKEN"))
            # From when the room has an owner, nobody else serves it, were the owner away.
            self.assertEqual(self.ask(relay, f"/agent?room=open&token={token}"), (101, None))

            def offline():
                with WebSocket(relay.connect(), "/client?room=open") as visitor:
                    return visitor.status == 503
            wait_until(offline, "the owner's agent is gone")
        # A native agent is an owner too.
        with Peer(relay.connect(), "/agent?room=later") as peer:
            origin = Origin(self, lambda request, connection: switch(connection))
            agent = self.agent(relay, "ws", origin.port, "--room", "later", token=token)
            agent.process.stop()

            def gone():
                with WebSocket(relay.connect(), "/client?room=later") as visitor:
                    return visitor.status == 503
            wait_until(gone, "nobody serves it")

    def test_pages_that_the_operator_lists_may_be_agents(self):
        relay = self.relay("--agent-origins", "https://one.test, http://localhost:8080")
        token = relay.token()
        for origin, status in [("https://one.test", 101), ("http://localhost:8080", 101),
                               ("http://one.test", 403), ("https://one.test:444", 403),
                               ("https://one.test.evil.test", 403), ("null", 403), ("", 403)]:
            for path, fields in ((f"/agent?room=notes&token={token}", ()),
                                 ("/agent", ("Sec-WebSocket-Protocol: leat.1",))):
                with self.subTest(origin=origin, path=path):
                    with WebSocket(relay.connect(), path, f"Origin: {origin}", *fields) as peer:
                        self.assertEqual(peer.status, status)
        with WebSocket(relay.connect(), "/agent", "Sec-WebSocket-Protocol: leat.1",
                       "Origin: https://one.test", "Origin: https://evil.test") as peer:
            self.assertEqual(peer.status, 403)


if __name__ == "__main__":
    harness.main()
