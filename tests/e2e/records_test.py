"""What goes to the wire in one TLS record: whole ones at speed, small ones where the link is slow, since what has been
encrypted cannot be overtaken."""

import contextlib
import socket
import threading
import time

import harness
from harness import KiB, MiB, SOON, report
from wire import Client, Origin, download, read_head

SLOW = 256 * KiB  # bytes a second
FULL = 16 * KiB   # the most that a record may carry (RFC 8446 §5.1)
SMALL = 4 * KiB   # limits of what may be unsent on a link of 4 MB/s or less (SendGovernor)
TLS = 64          # header, type and tag of a record, and more
DATA = 23         # its type (RFC 8446 §5.1)


class Road:
    """A TCP hop for one connection between agent and relay that notes the lengths of the agent's records as they
    pass, and after how many bytes. With a rate it never passes more than that, whatever it has not passed before."""

    def __init__(self, case, relay, rate=None):
        self.case, self.rate, self.records, self.left, self.header, self.passed = case, rate, [], 0, b"", 0
        self.listener = socket.socket()
        if rate:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KiB)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.relay, self.ends, self.stop = (relay.host, relay.port), [], threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        case.addCleanup(self._end)

    def _end(self):
        self.stop.set()
        for end in (self.listener, *self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.thread.join(SOON)
        self.case.assertFalse(self.thread.is_alive())
        for end in (self.listener, *self.ends):
            end.close()

    def _serve(self):
        try:
            agent = self.listener.accept()[0]
        except OSError:
            return
        self.listener.close()  # who comes again is refused at once
        relay = socket.create_connection(self.relay)
        self.ends = [agent, relay]
        back = threading.Thread(target=self._pass, args=(relay, agent), daemon=True)
        back.start()
        self._pass(agent, relay, self._look)
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        back.join(SOON)

    def _pass(self, source, sink, look=None):
        slow = look and self.rate
        due = time.monotonic()
        try:
            while piece := source.recv(4 * KiB if slow else 64 * KiB):
                if look:
                    look(piece)
                if slow:
                    due = max(due, time.monotonic()) + len(piece) / self.rate
                    if self.stop.wait(max(0.0, due - time.monotonic())):
                        return
                sink.sendall(piece)
        except OSError:
            return

    def _look(self, piece):
        self.passed += len(piece)
        at = 0
        while at < len(piece):
            if self.left:
                step = min(self.left, len(piece) - at)
                self.left -= step
            else:
                step = min(5 - len(self.header), len(piece) - at)
                self.header += piece[at:at + step]
                if len(self.header) == 5:
                    self.left = int.from_bytes(self.header[3:], "big")
                    if self.header[0] == DATA:
                        self.records.append((self.left, self.passed))
                    self.header = b""
            at += step


class RecordsTest(harness.Case):
    def records(self, size, rate=None):
        """Lengths of the agent's records of the second half of a download."""
        relay = self.relay()
        road = Road(self, relay, rate)
        relay.address, there = road.address, relay.address
        agent = self.agent(relay, "http", Origin(self, download).address)
        relay.address = there
        with Client(relay.connect()) as client:
            client.request("GET", agent.path(f"/{size}"))
            self.assertEqual(read_head(client.reader).status, 200)
            self.assertEqual(sum(len(piece) for piece in client.reader.pieces(size)), size)
        return [length for length, passed in road.records if passed > size // 2]

    def test_full_at_speed(self):
        lengths = self.records(64 * MiB)
        full = sum(length > FULL - TLS for length in lengths)
        report("full records at speed", f"{full} of {len(lengths)}")
        self.assertGreater(full, len(lengths) / 4)

    def test_small_where_the_link_is_slow(self):
        lengths = self.records(MiB, SLOW)
        report("records at 256 KiB/s", f"{len(lengths)} of {min(lengths)} to {max(lengths)} bytes")
        self.assertGreater(len(lengths), 100)
        # An interval in which the machine did something else may be measured as a faster one.
        small = sum(length <= SMALL + TLS for length in lengths)
        self.assertGreater(small, 0.9 * len(lengths))


if __name__ == "__main__":
    harness.main()
