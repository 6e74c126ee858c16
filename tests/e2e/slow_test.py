"""Ten thousand visitors who never finish their first request, at the plain door and at the TLS door (threat 15)."""

import resource
import socket
import ssl

import harness
from harness import KiB, MiB, SOON, report, wait_until
from wire import Client, Origin, Stopwatch, answer

SLOW = 10_000
BOUND = 64 * MiB


class SlowTest(harness.Case):
    def setUp(self):
        super().setUp()
        wanted = SLOW + 1000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertGreaterEqual(hard, wanted, "too few descriptors: raise the hard limit")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        origin = Origin(self, lambda request, connection: answer(connection, b"well"))
        self.server = self.relay("--plain-listen", "127.0.0.1:0")
        tunnel = self.agent(self.server, "http", origin.address)
        self.path = tunnel.path()
        self.slow = []
        self.addCleanup(lambda: [sock.close() for sock in self.slow])

    def healthy(self, sock):
        """How long its answer takes, in seconds."""
        with Client(sock) as client:
            watch = Stopwatch()
            client.request("GET", self.path)
            message, body = client.response()
            self.assertEqual((message.status, body), (200, b"well"))
            return watch.seconds()

    def connect(self, port, number, first):
        # More than one address: of one there are not so many ports, nor, at the TLS door, so many admitted.
        sock = socket.create_connection(("127.0.0.1", port), timeout=SOON,
                                        source_address=(f"127.0.1.{1 + number % 50}", 0))
        sock.sendall(first)
        self.slow.append(sock)

    def test_plain(self):
        memory = self.server.process.memory()["RssAnon"]
        self.healthy(socket.create_connection(self.server.plain(), timeout=SOON))
        head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 100
        for number in range(SLOW):
            self.connect(self.server.plain()[1], number, head)
        times = []
        for _ in range(10):
            times.append(self.healthy(socket.create_connection(self.server.plain(), timeout=SOON)))
            times.append(self.healthy(self.server.connect()))
        report("a healthy visitor beside them", f"{1000 * max(times):.0f} ms at the most of {len(times)} requests")
        self.assertLess(max(times), 1)
        held = self.server.process.memory()["VmHWM"] - memory
        grown = self.server.process.memory()["RssAnon"] - memory
        report(f"{SLOW} slow plain connections", f"{grown / MiB:.1f} MiB, {grown // SLOW} bytes each")
        self.assertLess(grown, BOUND)
        self.assertGreater(held, 0)
        # Each is told so after its ten seconds.
        for sock in self.slow:
            sock.settimeout(2 * SOON)
            self.assertIn(b"408", sock.recv(4 * KiB))
        self.healthy(socket.create_connection(self.server.plain(), timeout=SOON))

    def test_tls(self):
        memory = self.server.process.memory()["RssAnon"]
        outgoing = ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols([f"x-{number}".ljust(250, "x") for number in range(60)])
        tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="slow.example")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        self.assertGreater(len(hello), 12 * KiB)
        # All of it but the last byte: as much as a stranger can make the relay look at.
        for number in range(990):
            self.connect(self.server.port, number, hello[:-1])
        self.healthy(self.server.connect())
        grown = self.server.process.memory()["RssAnon"] - memory
        report("990 ClientHellos that lack a byte", f"{grown / MiB:.1f} MiB")
        self.assertLess(grown, 8 * MiB)
        # From other addresses too there are no more than a thousand; who is in stays in.
        for number in range(100):
            self.connect(self.server.port, number, hello[:-1])
        self.healthy(socket.create_connection(self.server.plain(), timeout=SOON))
        # Half of them end in their own time, and everybody is let in again.
        for sock in self.slow:
            sock.close()
        self.slow.clear()

        def served():
            try:
                self.healthy(self.server.connect())
                return True
            except OSError:
                return False

        wait_until(served, "a visitor is served again")


if __name__ == "__main__":
    harness.main()
