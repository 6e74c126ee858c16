"""Out of file descriptors, relay and agent: what is open goes on, nothing spins, and as soon as there are
descriptors again whoever waited is served."""

import contextlib
import json
import os
import pathlib
import resource
import socket
import time

import harness
from harness import PATIENCE, wait_until
from wire import Client, Origin, Stopwatch, answer


def processor_time(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def no_more_descriptors(process):
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
    first_free = min(set(range(len(used) + 1)) - used)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
    yield
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


class Descriptors(harness.Case):
    def setUp(self):
        super().setUp()
        self.origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        self.server = self.relay("--plain-listen", "127.0.0.1:0")
        self.tunnel = self.agent(self.server, "http", self.origin.address, "--metrics-listen", "127.0.0.1:0")

    def connect(self, address):
        client = Client(socket.create_connection(address, harness.SOON))
        self.addCleanup(client.close)
        return client

    def idle(self, process, seconds=1.0):
        """It uses next to no processor time in that second."""
        before = processor_time(process)
        wait_until(Elapsed(seconds), "a second has passed")
        self.assertLess(processor_time(process) - before, 0.2 * PATIENCE)

    def waits(self, client):
        client.reader.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            client.reader.sock.recv(1)
        client.reader.sock.settimeout(harness.SOON)

    def test_the_relay(self):
        old = self.connect(self.server.plain())
        self.assertEqual(old.get(self.tunnel.path())[1], b"hello")
        with no_more_descriptors(self.server.process):
            late = [self.connect(self.server.plain()) for _ in range(5)]
            for client in late:
                client.request("GET", self.tunnel.path())
            self.assertEqual(old.get(self.tunnel.path())[1], b"hello", "what is open goes on")
            self.idle(self.server.process)
            for client in late:
                self.waits(client)
        watch = Stopwatch()
        for client in late:
            self.assertEqual(client.response()[1], b"hello")
        self.assertLess(watch.seconds(), 1.0 * PATIENCE)

    def test_the_agent(self):
        client = self.connect(self.server.plain())
        said = [json.loads(line) for line in self.tunnel.process.log().splitlines() if '"metrics"' in line]
        metrics = harness.split_address(said[0]["listen"])
        with no_more_descriptors(self.tunnel.process):
            late = self.connect(metrics)
            late.request("GET", "/metrics")
            message, body = client.get(self.tunnel.path())
            self.assertEqual(message.status, 502)
            self.assertIn(b"LEAT_SERVICE_UNREACHABLE", body)
            self.idle(self.tunnel.process)
            self.waits(late)
        watch = Stopwatch()
        self.assertEqual(self.connect(self.server.plain()).get(self.tunnel.path())[1], b"hello")
        self.assertIn(b"leat_build_info", late.response()[1])
        self.assertLess(watch.seconds(), 1.0 * PATIENCE)
        self.assertEqual(len([1 for line in self.tunnel.process.log().splitlines() if "relay.welcome" in line]), 1)


class Elapsed:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def __call__(self):
        return time.monotonic() >= self.end


if __name__ == "__main__":
    harness.main()
