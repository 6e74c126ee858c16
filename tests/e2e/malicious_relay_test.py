"""A relay that swaps, replays, reflects, reorders, drops, cuts and flips, at each message (threat 23), and
one that only listens: what it saw and what lies in its memory (docs/threat_model.md)."""

import base64
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import threading

import harness
from harness import LEAT, SOON, wait_until
from meddler import DOWN, UP, Meddler, memory_of
from sealed import SealedCase, by_way_of, curl
from wire import Client, Origin, answer, body_pieces

SEED = int(os.environ.get("LEAT_SEED", "0")) or random.randrange(1, 1 << 31)
BODY = random.Random(7).randbytes(80_000)  # several records
HALF = 50_000
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
        """What a program behind `leat connect` gets of the answer."""
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
        head, _, body = received.partition(b"\r\n\r\n")
        if head and not head.startswith(b"HTTP/1.1 200 "):
            self.assertIn(b'"code":"LEAT_', body)  # of `leat connect` itself: it has no answer
            body = b""
        return body, clean

    def attack(self, make, directions=(UP, DOWN), first=0, left_out=0, pairing=False):
        """make(passage, direction, index, unit, state) at each message that a session has, one session for
        each, with a device that is paired or, if `pairing`, by which one pairs; all must be noticed."""
        current = {}

        def change(passage, direction, index, unit):
            state = states.setdefault(passage, {})
            if (direction, index) != current["at"] and not state.get("again"):
                return [unit]
            units = make(passage, direction, index, unit, state)
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
        self.assertEqual(attempt(), (BODY[:HALF], True))
        self.counting = False
        counts = {way: len(meddler.passages[-1].seen[way]) for way in (UP, DOWN)}
        meddler.attack = change
        for direction in directions:
            indices = range(first, counts[direction] - left_out)
            self.assertGreaterEqual(len(indices), 2)
            missed, tried = [], self.tried(indices)
            for index in tried:
                current.update(at=(direction, index))
                for _ in range(3):  # a session may put into fewer messages what it has to say
                    self.fired.clear()
                    self.undetected.clear()
                    self.whole = False
                    body, clean = attempt()
                    if self.fired.is_set():
                        break
                else:
                    missed.append(index)
                    continue
                where = f"{direction} {index}, LEAT_SEED={SEED}"
                self.assertTrue(BODY.startswith(body), where)
                if body == BODY:
                    # What the device says last acknowledges the end, and what it hears last may stand behind
                    # that end, or have been passed on before it was said again: the answer was whole.
                    self.assertTrue(self.whole and (direction == UP or index + 1 >= counts[DOWN]), where)
                    continue
                self.assertEqual(self.undetected, [], where)
                self.assertFalse(clean and body, where)
            harness.report(f"{self._testMethodName}, {direction}",
                           f"{len(tried) - len(missed)} of {len(tried)} messages")
            self.assertLessEqual(len(missed), 2, f"{direction}: {missed} of {list(tried)}, LEAT_SEED={SEED}")
        for request in self.origin.requests:
            self.assertEqual(request.words, ["GET", "/", "HTTP/1.1"])

    def tried(self, indices):
        """All; where everything is slow each attack takes the first two and a third of the others, in turns, so that
        together they try every one."""
        if not harness.SANITIZED:
            return indices
        turn = ATTACKS.index(self._testMethodName.removeprefix("test_")) % 3
        return [index for index in indices if index < indices.start + 2 or index % 3 == turn]

    def test_nothing_is_wrong_without_an_attack(self):
        meddler = Meddler(self, self.server.plain())
        self.assertEqual(self.attempt(meddler, self.device(meddler, "device")), (BODY, True))

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
        body, _ = self.attempt(meddler, self.device(meddler, f"{direction}-{key.hex()[:8]}"))
        self.assertTrue(self.fired.is_set())
        self.assertEqual((body, len(self.origin.requests)), (b"", before))

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
            body, clean = self.attempt(meddler, self.device(meddler, f"kind-{kind}"))
            self.assertTrue(self.fired.is_set())
            self.assertEqual(body, b"")

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

    def test_neither_what_passed_nor_its_memory_has_a_word_of_it(self):
        chance = random.Random(SEED)
        secret = {part: f"SENTINEL{part}{chance.getrandbits(96):024x}".encode()
                  for part in ("path", "field", "body", "answer", "reply")}

        half = threading.Event()  # the second half of an answer may come
        half.set()

        def serve(request, connection):
            b"".join(body_pieces(connection.reader, request))
            body = secret["answer"] * 1000
            connection.send(b"HTTP/1.1 200 OK\r\nX-Secret: %b\r\nContent-Length: %d\r\n\r\n"
                            % (secret["reply"], len(body)) + body[:len(body) // 2])
            if not half.wait(SOON):
                return False
            connection.send(body[len(body) // 2:])
            return True

        self.origin = Origin(self, serve)
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        outer = Meddler(self, relay.plain())  # between agent and relay
        inner = Meddler(self, relay.plain())  # between device and relay
        config = self.folder / "agent.yaml"
        config.write_text(f"services:\n  - target: http://{self.origin.address}\n    id: den\n    sealed: true\n")
        folder = self.folder / "agent"
        folder.mkdir()
        process = self.start("agent", [LEAT, "agent", "--config", config, "--relay", "ws://" + outer.address,
                                       "--state-dir", folder],
                             env={"LEAT_TOKEN": relay.token("agent")})
        state = lambda: harness.read_json(folder / "agent.json") or {}
        wait_until(lambda: state().get("state") == "online", "the agent is online", alive=[process])

        class Tunnel:
            pass

        self.tunnel = Tunnel()
        self.tunnel.folder = folder
        link = by_way_of(self.link(), "ws://" + inner.address)
        device = self.connect(link)
        text = {part: value.decode() for part, value in secret.items()}
        request = ["/" + text["path"], "-H", "X-Secret: " + text["field"], "-d", text["body"] * 100, "-D", "-"]
        for _ in range(20):
            done = curl(device.port, *request)
            self.assertIn(secret["answer"], done.stdout)
            self.assertIn(secret["reply"], done.stdout)
        # And once more, with an answer half on its way while the relay is looked at.
        half.clear()
        with subprocess.Popen(["curl", "-sS", "-N", "--max-time", "60", "-o", self.folder / "late",
                               f"http://127.0.0.1:{device.port}{request[0]}", *request[1:5]]) as late:
            wait_until(lambda: (self.folder / "late").exists() and (self.folder / "late").stat().st_size,
                       "the answer has begun", alive=[late])
            memory = b"".join(memory_of(relay.process.pid))
            half.set()
            self.assertEqual(late.wait(SOON), 0)
        searched = {"between agent and relay": b"".join(outer.noted),
                    "between device and relay": b"".join(inner.noted),
                    "in the relay's memory": memory}
        self.assertGreater(len(searched["between device and relay"]), 20 * 1000 * len(secret["answer"]))
        self.assertGreater(len(searched["between agent and relay"]), 20 * 1000 * len(secret["answer"]))
        self.assertIn(b"/sealed/den", searched["between device and relay"])
        self.assertIn(b"den", searched["in the relay's memory"])
        for part, value in secret.items():
            for trace in self.traces(value):
                for where, bytes_ in searched.items():
                    self.assertNotIn(trace, bytes_, f"{part} {where}, LEAT_SEED={SEED}")
        # The search can find: the device's own memory has it.
        own = b"".join(memory_of(device.pid))
        self.assertTrue(any(trace in own for trace in self.traces(secret["answer"])))


if __name__ == "__main__":
    harness.main()
