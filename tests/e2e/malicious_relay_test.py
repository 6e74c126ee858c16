"""A relay that swaps, replays, reflects, reorders, drops, cuts and flips, at each message (threat 23), and
one that only listens: what it saw and what lies in its memory (docs/threat_model.md)."""

import base64
import collections
import contextlib
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import threading

import harness
from harness import LEAT, SOON, wait_until
from meddler import DOWN, UP, Frames, Meddler, frame, memory_of
from sealed import SealedCase, by_way_of, curl
from wire import Client, Origin, answer, body_pieces

SEED = int(os.environ.get("LEAT_SEED", "0")) or random.randrange(1, 1 << 31)
BODY = random.Random(7).randbytes(80_000)  # several records
HALF = 50_000
OK = b"HTTP/1.1 200 "
# Whether any of its head is the service's, what came of its body, and whether it came to an end instead of a cut.
Answer = collections.namedtuple("Answer", "begun body clean")
# At every message.
ATTACKS = ("flips", "shortens", "cuts_in_the_middle_and_calls_it_an_end", "drops", "replays", "reorders", "reflects",
           "ends_in_good_order_what_has_not_ended", "says_what_another_session_said", "flips_in_the_other_suite",
           "flips_while_a_device_pairs")


class MaliciousRelayTest(SealedCase):
    def setUp(self):
        super().setUp()
        self.fired = threading.Event()
        self.chance = random.Random(SEED)
        self.origin = Origin(self, self.serve)
        self.undetected = []
        self.counting = self.whole = False
        self.suite = "aesgcm"
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        self.home(("http", self.origin.address, "den"), relay=relay)
        self.lines = 0

    def serve(self, request, connection):
        """Half of an answer; the rest when the attack has been made and was not noticed."""
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY[:HALF])
        if self.counting:
            return False
        if self.fired.wait(2 * harness.PATIENCE):
            connection.sock.settimeout(12.0 * harness.PATIENCE)  # a ping is due after 2 s, death after 6
            try:
                if connection.sock.recv(1):
                    self.undetected.append("more of the request")
            except TimeoutError:
                self.undetected.append("the session went on")
            except OSError:
                pass  # the agent cut it
            return False
        self.whole = True
        connection.send(BODY[HALF:])
        return False

    def device(self, meddler, name):
        """Paired by way of the meddler, whose attack begins later."""
        attack, meddler.attack = meddler.attack, None
        link = by_way_of(self.link("--name", name), "ws://" + meddler.address)
        process = self.connect(link, name=f"pair-{name}", state=name)
        process.stop()
        meddler.attack = attack
        return name

    def attempt(self, meddler, name, agent="den"):
        """The Answer that a program behind `leat connect` gets."""
        process = self.connect(agent, "--suite", self.suite, name=f"use-{self.lines}", state=name, wait=False)
        self.lines += 1
        received = b""
        try:
            with socket.create_connection(("127.0.0.1", process.port), SOON) as local:
                local.settimeout(20.0 * harness.PATIENCE)
                local.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                while piece := local.recv(65536):
                    received += piece
                clean = True
        except OSError:
            clean = False
        process.terminate()
        process.wait(SOON)
        begun = received != b"" and received[:len(OK)] == OK[:len(received)]
        body = received.partition(b"\r\n\r\n")[2]
        if received and not begun:
            self.assertIn(b'"code":"LEAT_', body)  # of `leat connect` itself: it has no answer
            body = b""
        return Answer(begun, body, clean)

    def attack(self, make, directions=(UP, DOWN), first=0, left_out=0, pairing=False):
        """make(passage, direction, index, unit, state) at each message that a session has, one session for
        each, with a device that is paired or, if `pairing`, by which one pairs; all must be noticed."""
        current = {}

        def change(passage, direction, index, unit):
            state = states.setdefault(passage, {})
            if (direction, index) != current["at"] and not state.get("again"):
                return [unit]
            units = make(passage, direction, index, unit, state)
            self.struck = passage
            self.fired.set()
            return units

        states = {}
        meddler = Meddler(self, self.server.plain(), lambda passage, direction, index, unit: [unit])
        name = self.device(meddler, "device")

        def attempt():
            if not pairing:
                return self.attempt(meddler, name)
            fresh = f"fresh-{self.lines}"
            return self.attempt(meddler, fresh, by_way_of(self.link("--name", fresh), "ws://" + meddler.address))

        self.counting = True
        seen = []
        for _ in range(3):  # now and then one has a message more to say
            self.assertEqual(attempt(), (True, BODY[:HALF], True))
            seen.append(meddler.passages[-1].seen)
        self.counting = False
        counts = {way: statistics.median(len(each[way]) for each in seen) for way in (UP, DOWN)}
        meddler.attack = change
        for direction in directions:
            indices = range(first, counts[direction] - left_out)
            self.assertGreaterEqual(len(indices), 2)
            tried = self.tried(indices)
            for index in tried:
                where = f"{direction} {index}, LEAT_SEED={SEED}"
                current.update(at=(direction, index))
                for _ in range(20):  # a session may put into fewer messages what it has to say
                    self.fired.clear()
                    self.undetected.clear()
                    self.whole = False
                    got = attempt()
                    if self.fired.is_set():
                        break
                else:
                    self.fail(f"never tried: {where} of {list(tried)}")
                self.assertTrue(BODY.startswith(got.body), where)
                if got.body == BODY:
                    # What the device says last acknowledges the end, and what it hears last may stand behind
                    # that end, or have been passed on before it was said again: the answer was whole.
                    self.assertTrue(self.whole and (direction == UP or index + 1 >= counts[DOWN]), where)
                    if direction == UP:
                        self.not_closed_in_good_order(self.struck, index, where)
                    continue
                self.assertEqual(self.undetected, [], where)
                self.assertFalse(got.clean and got.begun, where)
            harness.report(f"{self._testMethodName}, {direction}", f"{len(tried)} messages")
        for request in self.origin.requests:
            self.assertEqual(request.words, ["GET", "/", "HTTP/1.1"])

    def end_of(self, passage):
        """Of its session, as the agent has it."""
        return wait_until(lambda: [line for line in self.tunnel.process.log().splitlines()
                                   if '"event":"sealed.ended"' in line and f'"peer":"{passage.name}"' in line],
                          "the session ends")[0]

    def not_closed_in_good_order(self, passage, index, where):
        """The agent took nothing for the device's that came behind the attack. The last two messages of a session are
        its goodbye and the sealed end."""
        end = self.end_of(passage)
        if index < len(passage.seen[UP]) - 2:
            self.assertNotIn("closed by the device", end, where)

    def tried(self, indices):
        """All; where everything is slow each attack takes the first two and a third of the others, in turns, so that
        together they try every one."""
        if not harness.SANITIZED:
            return indices
        turn = ATTACKS.index(self._testMethodName.removeprefix("test_")) % 3
        return [index for index in indices if index < indices.start + 2 or index % 3 == turn]

    def test_nothing_is_wrong_without_an_attack(self):
        meddler = Meddler(self, self.server.plain())
        self.assertEqual(self.attempt(meddler, self.device(meddler, "device")), (True, BODY, True))
        self.assertIn("closed by the device", self.end_of(meddler.passages[-1]))

    def flip(self, passage, direction, index, unit, state):
        at = self.chance.randrange(2, len(unit))
        return [unit[:at] + bytes([unit[at] ^ 1 << self.chance.randrange(8)]) + unit[at + 1:]]

    def test_flips(self):
        self.attack(self.flip)

    def test_flips_in_the_other_suite(self):
        self.suite = "nacl"
        self.attack(self.flip)

    def test_flips_while_a_device_pairs(self):
        self.attack(self.flip, pairing=True)

    def test_shortens(self):
        self.attack(lambda passage, direction, index, unit, state:
                    [struct.pack(">H", len(unit) - 3) + unit[2:]])

    def test_cuts_in_the_middle_and_calls_it_an_end(self):
        def cut(passage, direction, index, unit, state):
            passage.send(direction, unit[:len(unit) // 2])
            passage.end()
            return []

        self.attack(cut)

    def test_swaps_keys(self):
        """The ephemeral key of either message of the handshake: another, or one of low order."""
        for key in (bytes(32), b"\1" + bytes(31), random.Random(SEED).randbytes(31) + b"\x40"):
            for direction in (UP, DOWN):
                with self.subTest(key=key.hex(), direction=direction):
                    self.swap_key(key, direction)

    def swap_key(self, key, direction):
        self.fired.clear()

        def swap(passage, way, index, unit):
            if (way, index) != (direction, 0):
                return [unit]
            self.fired.set()
            return [unit[:3] + key + unit[3 + len(key):]]

        meddler = Meddler(self, self.server.plain(), swap)
        before = len(self.origin.requests)
        got = self.attempt(meddler, self.device(meddler, f"{direction}-{key.hex()[:8]}"))
        self.assertTrue(self.fired.is_set())
        self.assertEqual((got.begun, len(self.origin.requests)), (False, before))

    def test_drops(self):
        self.attack(lambda *_: [], first=1)

    def test_replays(self):
        self.attack(lambda passage, direction, index, unit, state: [unit, unit])

    def test_reorders(self):
        def hold(passage, direction, index, unit, state):
            if "held" in state:
                held = state.pop("held")
                state.pop("again")
                return [unit, held]
            state.update(held=unit, again=True, way=direction)
            return []

        def swap(passage, direction, index, unit, state):
            if state.get("way", direction) != direction:
                return [unit]
            return hold(passage, direction, index, unit, state)

        self.attack(swap, first=1, left_out=1)  # the last has none to change places with

    def test_reflects(self):
        def reflect(passage, direction, index, unit, state):
            other = passage.seen[DOWN if direction == UP else UP]
            return [other[-1]] if other else [unit, unit]

        self.attack(reflect)

    def test_ends_in_good_order_what_has_not_ended(self):
        def end(passage, direction, index, unit, state):
            passage.end()
            return []

        self.attack(end)

    def test_says_what_another_session_said(self):
        recorded = {}

        def replay(passage, direction, index, unit, state):
            earlier = recorded.get((direction, index))
            return [earlier] if earlier and earlier != unit else [unit, unit]

        meddler = Meddler(self, self.server.plain())

        def record(passage, direction, index, unit):
            recorded[direction, index] = unit
            return [unit]

        meddler.attack = record
        self.attempt(meddler, self.device(meddler, "recorded"))
        self.assertGreater(len(recorded), 6)
        self.attack(replay)

    def test_changes_the_kinds_of_messages(self):
        """Hello for pairing hello, and a reply for a refusal: the only bytes in the clear."""
        for kind, direction in ((2, UP), (4, DOWN)):
            self.fired.clear()

            def change(passage, way, index, unit, kind=kind, direction=direction):
                if way != direction or index != 0:
                    return [unit]
                self.fired.set()
                return [unit[:2] + bytes([kind]) + unit[3:]]

            meddler = Meddler(self, self.server.plain(), change)
            got = self.attempt(meddler, self.device(meddler, f"kind-{kind}"))
            self.assertTrue(self.fired.is_set())
            self.assertFalse(got.begun)

    def test_puts_another_agent_in_its_place(self):
        """The relay sends the visitor to an agent of its own, which knows all but the key."""
        mine = Origin(self, lambda request, connection: answer(connection, b"mine"))
        server = self.server
        home = self.tunnel
        device = self.connect(self.link("--name", "device"), name="before")
        device.stop()
        config = self.folder / "evil.yaml"
        config.write_text(f"services:\n  - target: http://{mine.address}\n    id: den\n    sealed: true\n")
        home.process.stop()
        evil_folder = self.folder / "evil"
        evil_folder.mkdir()
        devices = (home.folder / "devices.json").read_text()
        (evil_folder / "devices.json").write_text(devices)
        os.chmod(evil_folder / "devices.json", 0o600)
        self.agent(server, "agent", None, "--config", config, folder=evil_folder, token=self.token, name="evil")
        told = self.refused("den")
        self.assertIn("LEAT_KEY_CHANGED", told)
        self.assertEqual(mine.requests, [])

    def test_leads_to_another_service_of_the_same_agent(self):
        other = Origin(self, lambda request, connection: answer(connection, b"other"))
        config = self.folder / "agent.yaml"
        config.write_text(config.read_text() +
                          f"  - target: http://{other.address}\n    id: attic\n    sealed: true\n")
        self.tunnel.process.stop()
        self.agent(self.server, "agent", None, "--config", config, folder=self.tunnel.folder, token=self.token,
                   name="both")
        meddler = Meddler(self, self.server.plain())
        name = self.device(meddler, "device")
        meddler.change_head = lambda head: head.replace(b"/sealed/den ", b"/sealed/attic ")
        process = self.connect("den", name="led", state=name, wait=False)
        wait_until(lambda: "LEAT_TAMPERED" in process.log(), "it is noticed", alive=[process])
        self.assertEqual((self.origin.requests, other.requests), ([], []))

    def test_a_replayed_pairing_uses_nothing_up(self):
        """Message 1 of a pairing, again and again: no device, no link used up, no service dialled."""
        meddler = Meddler(self, self.server.plain(), lambda passage, direction, index, unit: [unit])
        held = threading.Event()

        def hold(passage, direction, index, unit):
            if direction == UP and index == 0:
                held.set()
                return []
            return [unit]

        meddler.attack = hold
        link = by_way_of(self.link("--name", "slow"), "ws://" + meddler.address)
        process = self.start("waiting", [LEAT, "connect", link, "--local", "127.0.0.1:0", "--state-dir",
                                         self.folder / "slow", "--name", "slow"])
        self.assertTrue(held.wait(SOON))
        hello = meddler.passages[0].seen[UP][0]
        process.kill()
        process.wait()
        process.is_leat = False
        for _ in range(6):  # more than the tries a pairing has
            with contextlib.closing(websocket(self.server.plain(), "/sealed/den")) as replay:
                replay.send(b"\x82" + bytes([128 | 126]) + struct.pack(">H", len(hello)) + bytes(4) + hello)
                self.assertEqual(replay.reader.exactly(1), b"\x82")  # a reply, which nobody can read
        state = json.loads((self.tunnel.folder / "devices.json").read_text())
        self.assertEqual(state["devices"], [])
        self.assertFalse(state["pairings"][0]["used"])
        self.assertEqual(self.origin.requests, [])
        # Who has the link still gets in.
        meddler.attack = None
        self.connect(link, name="slow", state="slow")
        self.assertEqual(list(self.devices()), ["slow"])


def websocket(address, path):
    client = Client(socket.create_connection(address, SOON))
    client.request("GET", path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: leat-sealed.1")
    if client.head().status != 101:
        raise AssertionError("no upgrade")
    return client


class ListeningRelayTest(SealedCase):
    def traces(self, text):
        """How a text may stand somewhere: as it is, in hex, in base64 whatever stands before it."""
        out = {text, text.hex().encode(), text.hex().upper().encode()}
        for shift in range(3):
            encoded = base64.b64encode(bytes(shift) + text)
            cut = encoded[4 if shift else 0: len(encoded) // 4 * 4 - 4]
            out |= {cut, cut.replace(b"+", b"-").replace(b"/", b"_")}
        return out

    def serve(self, request, connection):
        if request.get("upgrade"):
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
            frames = Frames(connection.reader)
            while True:  # until it is cut
                connection.send(frame(*frames.next(), masked=False))
        b"".join(body_pieces(connection.reader, request))
        body = self.secret["answer"] * 1000
        connection.send(b"HTTP/1.1 200 OK\r\nX-Secret: %b\r\nContent-Length: %d\r\n\r\n"
                        % (self.secret["reply"], len(body)) + body[:len(body) // 2])
        if not self.half.wait(SOON):
            return False
        connection.send(body[len(body) // 2:])
        return True

    def visit(self, port, prefix=""):
        """Requests that have every secret in them. Gives the WebSocket that is still open."""
        text = {part: value.decode() for part, value in self.secret.items()}
        self.post = [f"{prefix}/{text['path']}", "-H", "X-Secret: " + text["field"], "-d", text["body"] * 100]
        for request in (self.post, [f"{prefix}/?q={text['query']}"], [f"{prefix}/", "-X", text["method"]]):
            done = curl(port, *request, "-D", "-")
            self.assertIn(self.secret["answer"], done.stdout, done)
            self.assertIn(self.secret["reply"], done.stdout)
        self.assertEqual(self.origin.requests[-1].words[0], text["method"])
        visitor = websocket(("127.0.0.1", port), f"{prefix}/socket")
        self.addCleanup(visitor.close)
        frames = Frames(visitor.reader)
        for _ in range(20):
            visitor.send(frame(1, self.secret["frame"], masked=True))
            self.assertEqual(frames.next(), (1, self.secret["frame"]))
        return visitor

    def found(self, part, where):
        return any(trace in where for trace in self.traces(self.secret[part]))

    def test_neither_what_passed_nor_its_memory_has_a_word_of_it(self):
        chance = random.Random(SEED)
        self.secret = {part: f"SENTINEL{part}{chance.getrandbits(96):024x}".encode()
                       for part in ("path", "query", "field", "body", "answer", "reply", "frame")}
        self.secret["method"] = b"MKCALENDAR"  # which only needs to be one that nothing else has
        self.half = threading.Event()  # the second half of an answer may come
        self.half.set()
        self.origin = Origin(self, self.serve)
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        outer = Meddler(self, relay.plain())  # between agent and relay
        inner = Meddler(self, relay.plain())  # between device and relay
        config = self.folder / "agent.yaml"
        config.write_text(f"services:\n  - target: http://{self.origin.address}\n    id: den\n    sealed: true\n"
                          f"  - target: http://{self.origin.address}\n    id: open\n    public: true\n")
        folder = self.folder / "agent"
        folder.mkdir()
        process = self.start("agent", [LEAT, "agent", "--config", config, "--relay", "ws://" + outer.address,
                                       "--state-dir", folder],
                             env={"LEAT_TOKEN": relay.token("agent")})
        state = lambda: harness.read_json(folder / "agent.json") or {}
        wait_until(lambda: state().get("state") == "online" and all(each["urls"] for each in state()["tunnels"]),
                   "the agent is online", alive=[process])

        class Tunnel:
            pass

        self.tunnel = Tunnel()
        self.tunnel.folder = folder
        device = self.connect(by_way_of(self.link(), "ws://" + inner.address), "--service", "den")
        for _ in range(7):
            self.visit(device.port)
        # And once more, with an answer half on its way while the relay is looked at.
        self.half.clear()
        with subprocess.Popen(["curl", "-sS", "-N", "--max-time", "60", "-o", self.folder / "late",
                               f"http://127.0.0.1:{device.port}{self.post[0]}", *self.post[1:]]) as late:
            wait_until(lambda: (self.folder / "late").exists() and (self.folder / "late").stat().st_size,
                       "the answer has begun", alive=[late])
            memory = b"".join(memory_of(relay.process.pid))
            self.half.set()
            self.assertEqual(late.wait(SOON), 0)
        searched = {"between agent and relay": b"".join(outer.noted),
                    "between device and relay": b"".join(inner.noted),
                    "in the relay's memory": memory}
        self.assertGreater(len(searched["between device and relay"]), 20 * 1000 * len(self.secret["answer"]))
        self.assertGreater(len(searched["between agent and relay"]), 20 * 1000 * len(self.secret["answer"]))
        self.assertIn(b"/sealed/den", searched["between device and relay"])
        self.assertIn(b"den", searched["in the relay's memory"])
        for part, value in self.secret.items():
            for trace in self.traces(value):
                for where, bytes_ in searched.items():
                    if part != "method" or where != "in the relay's memory":  # which has the names of all
                        self.assertNotIn(trace, bytes_, f"{part} {where}, LEAT_SEED={SEED}")
        # The search can find: all of it, when it takes the plain way through the same relay and its agent.
        seen = len(outer.noted)
        self.visit(relay.plain()[1], "/tunnel/open")
        captured, memory = b"".join(outer.noted[seen:]), b"".join(memory_of(relay.process.pid))
        for part in self.secret:
            self.assertTrue(self.found(part, captured), f"{part}, sent in the clear, LEAT_SEED={SEED}")
        self.assertTrue(any(self.found(part, memory) for part in ("path", "answer", "frame")), f"LEAT_SEED={SEED}")
        self.assertTrue(self.found("answer", b"".join(memory_of(device.pid))))


if __name__ == "__main__":
    harness.main()
