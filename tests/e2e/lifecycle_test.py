"""Starts, ends and deaths: nothing is lost that need not be, and nothing that was cut looks complete."""

import contextlib
import datetime
import hashlib
import itertools
import json
import signal
import socket
import subprocess
import threading

import harness
from harness import DRAIN, PATIENCE, SOON, KiB, MiB, report, run_leat, scaled, wait_until
from wire import Client, Cut, Data, Origin, Stopwatch, answer, chunk


class Gate:
    """An answer of two halves; the second waits until open() is called."""

    def __init__(self):
        self.begun = threading.Event()
        self.opened = threading.Event()
        self.answer = lambda request, connection: answer(connection, b"hello")

    def open(self):
        self.opened.set()

    def __call__(self, request, connection):
        if request.words[1] != "/gate":
            return self.answer(request, connection)
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"first "))
        self.begun.set()
        if not self.opened.wait(DRAIN * 2):
            raise AssertionError("the gate was never opened")
        connection.send(chunk(b"second") + b"0\r\n\r\n")
        return True


class LifecycleTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.gate = Gate()
        self.addCleanup(self.gate.open)
        self.origin = Origin(self, self.gate)
        self.server = self.relay()
        self.token = self.server.token()
        self.tunnel = self.agent(self.server, "http", self.origin.address, "--id", "life", "--public",
                                 token=self.token)
        self.path = "/tunnel/life"

    def download(self):
        """A visitor in the middle of an answer."""
        client = Client(self.server.connect())
        self.addCleanup(client.close)
        client.request("GET", f"{self.path}/gate")
        message = client.head()
        self.assertEqual(message.status, 200)
        self.assertEqual(client.reader.until(b"\r\n"), b"6")
        self.assertEqual(client.reader.exactly(8), b"first \r\n")
        return client

    def rest(self, client):
        """What is left of download(), to its very end."""
        self.assertEqual(client.reader.until(b"\r\n"), b"6")
        self.assertEqual(client.reader.exactly(8), b"second\r\n")
        self.assertEqual(client.reader.until(b"\r\n\r\n"), b"0")

    def get(self, path="/", relay=None):
        with Client((relay or self.server).connect()) as client:
            return client.get(self.path + path)

    def works(self, relay=None):
        try:
            return self.get(relay=relay)[1] == b"hello"
        except (Cut, OSError):
            return False

    # --- deaths ---

    def test_a_killed_relay_comes_back_and_so_does_the_agent(self):
        client = self.download()
        listen, folder = self.server.address, self.server.folder
        self.server.process.kill()
        self.server.process.wait()
        with self.assertRaises(Cut):
            self.rest(client)
        relay = self.relay(folder=folder, listen=listen, name="relay-again")
        watch = Stopwatch()
        self.assertEqual(relay.pin, self.server.pin)
        wait_until(lambda: self.works(relay), "the tunnel serves again", seconds=2 * PATIENCE)
        report("back after the relay's return", f"{watch.seconds():.2f} s")

    def test_a_relay_that_is_killed_again_and_again_finds_the_agent_back_each_time(self):
        relay, slowest = self.server, 0.0
        for number in range(14):  # more than five seconds, after which waits might grow
            relay.process.kill()
            relay.process.wait()
            relay = self.relay(folder=relay.folder, listen=relay.address, name=f"relay-{number}")
            watch = Stopwatch()
            wait_until(lambda: self.works(relay), f"the tunnel serves, round {number}", seconds=5 * PATIENCE)
            slowest = max(slowest, watch.seconds())
        report("slowest return of fourteen", f"{slowest:.2f} s")

    def test_the_agent_keeps_trying_while_the_relay_is_away(self):
        listen, folder = self.server.address, self.server.folder
        self.server.process.kill()
        self.server.process.wait()
        # Somebody else at the relay's address, who hangs up: each visit is one more try.
        with socket.create_server((self.server.host, self.server.port)) as somebody:
            somebody.settimeout(SOON)
            for _ in range(3):
                somebody.accept()[0].close()
        self.assertFalse(self.tunnel.online())
        relay = self.relay(folder=folder, listen=listen, name="relay-again")
        wait_until(lambda: self.works(relay), "the tunnel serves again", seconds=5 * PATIENCE)

    def test_an_agent_killed_in_mid_download_is_an_error_for_the_visitor(self):
        client = self.download()
        self.tunnel.process.kill()
        watch = Stopwatch()
        with self.assertRaises(Cut):
            self.rest(client)
        report("visitor told of the agent's death after", f"{watch.seconds():.2f} s")
        self.assertLess(watch.seconds(), 1.0 * PATIENCE)
        again = self.agent(self.server, "http", self.origin.address, "--id", "life", "--public",
                           token=self.token, folder=self.tunnel.folder, name="agent-again")
        self.assertTrue(again.online())
        self.assertTrue(self.works())

    def test_an_agent_that_returns_at_once_takes_its_name_back(self):
        self.tunnel.process.kill()
        again = self.agent(self.server, "http", self.origin.address, "--id", "life", "--public",
                           token=self.token, folder=self.tunnel.folder, name="agent-again")
        self.name_is_back(again)

    def test_a_frozen_agent_does_not_keep_its_name(self):
        """A half-open connection: the relay hears nothing, not even an end, while the same agent is back."""
        self.tunnel.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.tunnel.process.send_signal, signal.SIGCONT)
        again = self.agent(self.server, "http", self.origin.address, "--id", "life", "--public",
                           token=self.token, folder=self.tunnel.folder, name="agent-again")
        self.name_is_back(again)
        # Awake again, it learns that it was replaced, and does not fight.
        self.tunnel.process.send_signal(signal.SIGCONT)
        # 3: nor does a supervisor start it again for that (RestartPreventExitStatus).
        self.assertEqual(self.tunnel.process.wait(SOON), 3)
        self.assertIn("LEAT_REPLACED", self.tunnel.process.log())
        self.assertTrue(self.works())

    def name_is_back(self, agent):
        """From the agent's welcome on: what comes before is the time a process takes to start."""
        self.assertTrue(agent.online())
        self.assertTrue(self.works())
        events = [json.loads(line) for line in agent.process.log().splitlines() if line.startswith("{")]
        times = {event["event"]: datetime.datetime.fromisoformat(event["ts"]) for event in events}
        taken = (times["tunnel.bound"] - times["relay.welcome"]).total_seconds()
        report("name back after", f"{taken:.3f} s")
        self.assertLess(taken, 0.2 * PATIENCE)

    def test_an_agent_started_before_its_relay_waits_for_it(self):
        listen, folder = self.server.address, self.server.folder
        self.tunnel.process.stop()
        self.server.process.stop()
        agent = self.agent(self.server, "http", self.origin.address, "--id", "life", "--public",
                           token=self.token, name="early", wait=False)
        wait_until(lambda: "LEAT_RELAY_UNREACHABLE" in agent.process.log(), "the agent tries")
        relay = self.relay(folder=folder, listen=listen, name="late")
        wait_until(lambda: self.works(relay), "the tunnel serves")

    # --- orderly ends ---

    def test_a_relay_that_drains_finishes_what_is_begun(self):
        client = self.download()
        self.server.process.send_signal(signal.SIGTERM)

        def refused():
            try:
                socket.create_connection((self.server.host, self.server.port), timeout=SOON).close()
            except ConnectionError:
                return True
            return False
        wait_until(refused, "the relay takes nothing new")
        self.assertIsNone(self.server.process.poll())
        self.gate.open()
        self.rest(client)
        self.assertEqual(self.server.process.wait(DRAIN), 0)

    def test_an_agent_that_drains_finishes_what_is_begun(self):
        client = self.download()
        self.tunnel.process.send_signal(signal.SIGTERM)
        wait_until(lambda: self.get()[0].status == 503, "the relay sends it nothing new")
        self.assertIsNone(self.tunnel.process.poll())
        self.gate.open()
        self.rest(client)
        self.assertEqual(self.tunnel.process.wait(DRAIN), 0)

    def read_slowly(self, process):
        """Slow visitors get everything, though the process is told to end meanwhile. Their answers end at
        different times of a socket's buffer being emptied, some of them while it is full."""
        bodies = [Data(scaled(8 * MiB) + number * 192 * KiB, number) for number in range(8)]

        def serve(request, connection):
            data = bodies[int(request.words[1].removeprefix("/slow/"))]
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % data.size)
            for piece in data.pieces():
                connection.send(piece)
            return True
        self.gate.answer = serve
        visitors = []
        for number, data in enumerate(bodies):
            client = Client(self.server.connect(receive_buffer=64 * KiB))
            self.addCleanup(client.close)
            client.request("GET", f"{self.path}/slow/{number}")
            self.assertEqual(client.head().status, 200)
            visitors.append((client.reader.pieces(data.size), hashlib.sha256()))
        process.send_signal(signal.SIGTERM)
        reading = set(range(len(bodies)))
        while reading:
            for number in sorted(reading):
                pieces, digest = visitors[number]
                taken = sum(digest.update(piece) or 1 for piece in itertools.islice(pieces, 4))
                if taken == 0:
                    reading.remove(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        for (_, digest), data in zip(visitors, bodies):
            self.assertEqual(digest.hexdigest(), data.sha256())
        self.assertEqual(process.wait(DRAIN), 0)

    def test_an_agent_that_drains_waits_for_a_slow_visitor(self):
        self.read_slowly(self.tunnel.process)

    def test_a_relay_that_drains_waits_for_a_slow_visitor(self):
        self.read_slowly(self.server.process)

    def test_what_never_ends_is_ended_after_thirty_seconds(self):
        client = self.download()
        watch = Stopwatch()
        self.server.process.stop(seconds=DRAIN)
        report("drain of a relay with an endless download", f"{watch.seconds():.1f} s")
        with self.assertRaises(Cut):
            self.rest(client)

    def test_an_idle_relay_and_agent_end_at_once(self):
        for process in (self.tunnel.process, self.server.process):
            watch = Stopwatch()
            process.stop()
            report(f"{process.name}, TERM to exit", f"{watch.seconds():.2f} s")
            self.assertLess(watch.seconds(), 3 * PATIENCE)

    def test_interrupt_is_term(self):
        for process in (self.tunnel.process, self.server.process):
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(DRAIN), 0)

    # --- state for scripts ---

    def test_state_files(self):
        state = self.tunnel.online()
        self.assertEqual(state["tunnels"][0]["id"], "life")
        self.assertEqual(state["tunnels"][0]["urls"][0].rstrip("/"),
                         f"https://{self.server.address}/tunnel/life")
        self.assertEqual(self.server.state["pid"], self.server.process.pid)
        with Client(self.server.connect()) as client:
            self.assertEqual(client.get("/healthz")[0].status, 200)
        self.server.process.stop()
        wait_until(lambda: not self.tunnel.online(), "agent.json says that it is offline")

    def test_a_generated_id_survives_a_restart(self):
        first = self.agent(self.server, "http", self.origin.address, name="secret", token=self.token)
        made = first.id()
        self.assertGreaterEqual(len(made), 16)
        first.process.stop()
        second = self.agent(self.server, "http", self.origin.address, name="secret-again",
                            folder=first.folder, token=self.token)
        self.assertEqual(second.id(), made)

    def test_the_agents_configuration_file(self):
        self.tunnel.process.stop()
        config = self.folder / "leat.yaml"
        config.write_text(f"""\
relay: {self.server.address}
pin: {self.server.pin}
state_dir: {self.folder}/daemon
services:
  - id: life
    public: true
    kind: http
    target: http://{self.origin.address}
""")
        (self.folder / "daemon").mkdir()
        checked = run_leat("config", "check", config)
        self.assertEqual(checked.returncode, 0, checked)
        self.start("daemon", [harness.LEAT, "agent", "--config", config], env={"LEAT_TOKEN": self.token})
        wait_until(self.works, "the tunnel of the file serves")


class AdminTest(harness.Case):
    def test_health_on_a_listener_of_its_own(self):
        relay = self.relay("--admin-listen", "127.0.0.1:0")
        address = harness.split_address(relay.state["admin_listen"])
        with Client(socket.create_connection(address, timeout=SOON)) as client:
            for path in ("/healthz", "/readyz"):
                self.assertEqual(client.get(path)[0].status, 200)
            self.assertEqual(client.get("/tunnel/x/")[0].status, 404)


if __name__ == "__main__":
    harness.main()
