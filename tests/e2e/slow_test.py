"""Ten thousand visitors who never finish their first request, at the plain door and at the TLS door (threat 15)."""

import contextlib
import resource
import select
import socket
import ssl
import statistics

import harness
from harness import KiB, MiB, PATIENCE, SOON, report, wait_until
from wire import Client, Origin, Stopwatch, answer

SLOW = 10_000
BOUND = 64 * MiB


class SlowTest(harness.Case):
    def setUp(self):
        super().setUp()
        wanted = SLOW * 3 // 2  # visitors get three quarters
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

    def times(self, count):
        """How long healthy visitors wait for their answers, half of them at each door."""
        return [self.healthy(sock) for _ in range(count // 2)
                for sock in (socket.create_connection(self.server.plain(), timeout=SOON), self.server.connect())]

    def notice_nothing(self, what, before, beside):
        report(f"healthy visitors {what}", f"{1000 * statistics.median(beside):.1f} ms, at the most "
               f"{1000 * max(beside):.0f} ms; before {1000 * statistics.median(before):.1f} ms")
        self.assertLess(statistics.median(beside), 4 * statistics.median(before) + 0.1 * PATIENCE)
        self.assertLess(max(beside), 1 * PATIENCE)

    def flood(self, what, padding):
        """SLOW plain connections whose heads stop behind padding(number) bytes; bounds what they cost the relay and
        its healthy visitors."""
        before = self.times(40)
        memory = self.server.process.memory()
        during = []
        for number in range(SLOW):
            self.connect(self.server.plain()[1], number,
                         b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * padding(number))
            if number % 500 == 499:
                during += self.times(2)
        self.notice_nothing("during the flood", before, during)
        self.notice_nothing("after it", before, self.times(20))
        after = self.server.process.memory()
        most, grown = after["VmHWM"] - memory["VmRSS"], after["RssAnon"] - memory["RssAnon"]
        report(f"{SLOW} slow plain connections with {what}",
               f"{most / MiB:.1f} MiB at the most, in the end {grown / MiB:.1f} MiB, {grown // SLOW} bytes each")
        self.assertLess(most, BOUND)

    @staticmethod
    def closed(sock):
        """Whether the relay has closed it; it says nothing to who has said nothing whole."""
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(0):
            return False
        with contextlib.suppress(ConnectionError):
            return sock.recv(1) == b""
        return True

    def connect(self, port, number, first):
        # More than one address: of one there are not so many ports, nor, at the TLS door, so many admitted.
        sock = socket.create_connection(("127.0.0.1", port), timeout=SOON,
                                        source_address=(f"127.0.1.{1 + number % 50}", 0))
        self.slow.append(sock)
        with contextlib.suppress(ConnectionError):  # one that was refused
            sock.sendall(first)

    def test_plain(self):
        self.flood("short heads", lambda number: 100)
        # Each is told so after its ten seconds.
        for sock in self.slow:
            sock.settimeout(2 * SOON)
            self.assertIn(b"408", sock.recv(4 * KiB))
        self.healthy(socket.create_connection(self.server.plain(), timeout=SOON))

    def test_plain_with_large_heads(self):
        self.large_heads("60 KiB of a head", lambda number: 60 * KiB, least=10)

    def test_plain_with_heads_of_all_sizes(self):
        # What is left when there is no room for the large ones, smaller ones take.
        self.large_heads("2 to 60 KiB of a head", lambda number: 60 * KiB >> number % 6, least=500)

    def large_heads(self, what, padding, least):
        self.flood(what, padding)
        # Some had room, and are told after their ten seconds; the others were closed.
        told = refused = 0
        for sock in self.slow:
            sock.settimeout(2 * SOON)
            try:
                said = sock.recv(4 * KiB)
            except ConnectionError:
                said = b""
            told += b"408" in said
            refused += said == b""
        report(what, f"{told} had room, {refused} were refused")
        self.assertEqual(told + refused, SLOW)
        self.assertGreater(told, least)
        self.assertGreater(refused, SLOW // 20)
        self.healthy(socket.create_connection(self.server.plain(), timeout=SOON))

    def test_tls(self):
        before = self.times(20)
        memory = self.server.process.memory()["RssAnon"]
        outgoing = ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols([f"x-{number}".ljust(250, "x") for number in range(60)])
        tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="slow.example")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        self.assertGreater(len(hello), 12 * KiB)
        for _ in range(5):
            in_time = self.hellos_without_end(hello[:-1], before, memory)
            if in_time:
                break
            self.leave()
            wait_until(self.served, "a visitor is served again")
        self.assertTrue(in_time, "the first ones' ten seconds were over each time before the last had come")
        # Half of them end in their own time, and everybody is let in again.
        self.leave()
        wait_until(self.served, "a visitor is served again")

    def hellos_without_end(self, part, before, memory):
        """All of it but the last byte: as much as a stranger can make the relay look at. False: it took too long to say
        who was refused."""
        watch = Stopwatch()
        for number in range(990):
            self.connect(self.server.port, number, part)
        self.notice_nothing("beside unfinished ClientHellos", before, self.times(10))
        grown = self.server.process.memory()["RssAnon"] - memory
        report("990 ClientHellos that lack a byte", f"{grown / MiB:.1f} MiB")
        self.assertLess(grown, 8 * MiB)
        # From other addresses too there are no more than a thousand; who is in stays in.
        for number in range(100):
            self.connect(self.server.port, number, part)
        self.healthy(socket.create_connection(self.server.plain(), timeout=SOON))
        wait_until(lambda: sum(map(self.closed, self.slow)) >= 90, "all but a thousand are closed")
        early = [number for number, sock in enumerate(self.slow[:990]) if self.closed(sock)]
        closed = sum(map(self.closed, self.slow))
        if watch.seconds() >= 10:  # limits::kHandshakeTimeout
            return False
        self.assertEqual((early, closed), ([], 90))
        return True

    def leave(self):
        for sock in self.slow:
            sock.close()
        self.slow.clear()

    def served(self):
        try:
            self.healthy(self.server.connect())
            return True
        except OSError:
            return False


if __name__ == "__main__":
    harness.main()
