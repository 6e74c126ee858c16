"""What goes to the wire in one TLS record: whole ones at speed, small ones where the link is slow, since what has been
encrypted cannot be overtaken."""

import socket
import threading

import harness
from harness import KiB, MiB, SOON, report
from wire import Client, Data, Origin, Stopwatch, read_head

SLOW = 256 * KiB  # bytes a second
FULL = 16 * KiB   # the most that a record may carry (RFC 8446 §5.1)
SMALL = 4 * KiB   # limits of what may be unsent on a link of 4 MB/s or less (SendGovernor)
TLS = 64          # header, type and tag of a record, and more
DATA = 23         # its type (RFC 8446 §5.1)


def download(request, connection):
    data = Data(int(request.words[1].strip("/")))
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % data.size)
    for piece in data.pieces():
        connection.send(piece)
    return True


class Road:
    """A TCP hop between agent and relay that reads the lengths of the agent's records as they pass, at a rate."""

    def __init__(self, case, relay, rate=None):
        self.rate, self.lengths, self.left, self.header = rate, [], 0, b""
        self.listener = socket.socket()
        case.addCleanup(self.listener.close)
        if rate:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KiB)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.relay, self.stop = (relay.host, relay.port), threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        case.addCleanup(self._end)

    def _end(self):
        self.stop.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(SOON)

    def _serve(self):
        try:
            agent = self.listener.accept()[0]
        except OSError:
            return
        with agent, socket.create_connection(self.relay) as relay:
            back = threading.Thread(target=self._pass, args=(relay, agent), daemon=True)
            back.start()
            self._pass(agent, relay, self._look)
            for end in (agent, relay):
                end.shutdown(socket.SHUT_RDWR)
            back.join(SOON)

    def _pass(self, source, sink, look=None):
        watch, passed = Stopwatch(), 0
        try:
            while piece := source.recv(4 * KiB if look and self.rate else 64 * KiB):
                if look:
                    look(piece)
                    passed += len(piece)
                    if self.rate and self.stop.wait(max(0.0, passed / self.rate - watch.seconds())):
                        return
                sink.sendall(piece)
        except OSError:
            return

    def _look(self, piece):
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
                        self.lengths.append(self.left)
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
            got, half = 0, None
            for piece in client.reader.pieces(size):
                got += len(piece)
                if half is None and got >= size // 2:
                    half = len(road.lengths)
        self.assertEqual(got, size)
        return road.lengths[half:]

    def test_full_at_speed(self):
        lengths = self.records(64 * MiB)
        full = sum(length > FULL - TLS for length in lengths)
        report("full records at speed", f"{full} of {len(lengths)}")
        self.assertGreater(full, len(lengths) / 2)

    def test_small_where_the_link_is_slow(self):
        lengths = self.records(MiB, SLOW)
        report("records at 256 KiB/s", f"{len(lengths)} of {min(lengths)} to {max(lengths)} bytes")
        self.assertGreater(len(lengths), 512 * KiB // (SMALL + TLS))
        self.assertLessEqual(max(lengths), SMALL + TLS)


if __name__ == "__main__":
    harness.main()
