"""A relay that is not to be trusted: stands in front of the real one's plain door, sees every WebSocket
message that passes, and changes what it is told to."""

import array
import contextlib
import os
import signal
import socket
import struct
import threading

from wire import Reader, Cut

UP, DOWN = "up", "down"  # from the device, or the agent, to the relay; and back


class Frames:
    """WebSocket frames of one direction, without their masks."""

    def __init__(self, reader):
        self.reader = reader

    def next(self):
        """(opcode, payload)"""
        first, second = self.reader.exactly(2)
        size = second & 127
        if size == 126:
            size = struct.unpack(">H", self.reader.exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.reader.exactly(8))[0]
        key = self.reader.exactly(4) if second & 128 else bytes(4)
        payload = self.reader.exactly(size) if size else b""
        if any(key):
            mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
            payload = (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")
        return first & 15, payload


def frame(opcode, payload, masked):
    size = len(payload)
    bit = 128 if masked else 0
    head = bytes([128 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    return head + (bytes(4) if masked else b"") + payload


class Units:
    """Cuts bytes into the units of docs/protocol.md §7.1."""

    def __init__(self):
        self.held = b""

    def feed(self, data):
        self.held += data
        while len(self.held) >= 2:
            size = 2 + struct.unpack(">H", self.held[:2])[0]
            if len(self.held) < size:
                return
            unit, self.held = self.held[:size], self.held[size:]
            yield unit


class Passage:
    """One connection on its way through the meddler."""

    def __init__(self, meddler, near, far):
        self.meddler, self.near, self.far = meddler, near, far
        self.name = "%s:%d" % far.getsockname()  # who comes, as the relay has it
        self.seen = {UP: [], DOWN: []}  # units, as they were sent
        self.lock = threading.Lock()

    def run(self):
        readers = {}
        try:
            for direction, source, sink in ((UP, self.near, self.far), (DOWN, self.far, self.near)):
                readers[direction] = Reader(source)
                head = readers[direction].until(b"\r\n\r\n") + b"\r\n\r\n"
                self.meddler.note(head)
                sink.sendall(self.meddler.change_head(head))
        except (Cut, OSError):
            return self.cut()
        for direction in (UP, DOWN):
            threading.Thread(target=self._pump, args=(direction, readers[direction]), daemon=True).start()

    def _pump(self, direction, reader):
        frames, units = Frames(reader), Units()
        try:
            while True:
                opcode, payload = frames.next()
                self.meddler.note(payload)
                if opcode != 2 or self.meddler.attack is None:
                    self.send(direction, payload, opcode)
                    continue
                for unit in units.feed(payload):
                    index = len(self.seen[direction])
                    self.seen[direction].append(unit)
                    for changed in self.meddler.attack(self, direction, index, unit):
                        self.send(direction, changed)
        except (Cut, OSError):
            self.cut()

    def send(self, direction, payload, opcode=2):
        sink = self.far if direction == UP else self.near
        with self.lock:
            sink.sendall(frame(opcode, payload, masked=direction == UP))

    def end(self):
        """As if either side had closed in good order."""
        for direction in (UP, DOWN):
            with contextlib.suppress(OSError):
                self.send(direction, struct.pack(">H", 1000), 8)
        self.cut()

    def cut(self):
        for side in (self.near, self.far):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class Meddler:
    def __init__(self, case, target, attack=None):
        self.target = target
        self.attack = attack  # (passage, direction, index, unit) -> units to send instead
        self.change_head = lambda head: head
        self.noted = []       # everything that passed, in the clear of its carrier
        self.passages = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        case.addCleanup(self._close)
        threading.Thread(target=self._accept, daemon=True).start()

    def note(self, data):
        self.noted.append(data)

    def _accept(self):
        while True:
            try:
                near, _ = self._socket.accept()
                far = socket.create_connection(self.target)
            except OSError:
                return
            for side in (near, far):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passage = Passage(self, near, far)
            self.passages.append(passage)
            threading.Thread(target=passage.run, daemon=True).start()

    def _close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for passage in self.passages:
            passage.cut()
            for side in (passage.near, passage.far):
                side.close()


PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT = 3 << 62  # of an entry of pagemap: in memory, or swapped out


def memory_of(pid):
    """What a core of a process holds: every page it has of its own or can read, run by run. The process
    stands still meanwhile. Needs what a debugger needs (root, or to be its parent), and fails without."""
    os.kill(pid, signal.SIGSTOP)
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
                open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pages:
            for line in maps:
                span, rights, *rest = line.split()
                begin, end = (int(part, 16) for part in span.split("-"))
                # The kernel's own pages; and a sanitizer's shadow, terabytes of notes on the rest.
                if "r" not in rights or rest[-1] in ("[vvar]", "[vsyscall]") or end - begin > 1 << 38:
                    continue
                for first, last in _runs(pages, begin // PAGE, end // PAGE):
                    yield os.pread(memory.fileno(), (last - first) * PAGE, first * PAGE)
    finally:
        os.kill(pid, signal.SIGCONT)


def _runs(pages, first, last):
    """[begin, end) of the pages that are there."""
    entries = array.array("Q")
    while len(entries) < last - first:
        wanted = (last - first - len(entries)) * 8
        entries.frombytes(os.pread(pages.fileno(), min(wanted, 1 << 20), (first + len(entries)) * 8))
    begin = None
    for number, entry in enumerate(entries):
        if entry & PRESENT and begin is None:
            begin = number
        elif not entry & PRESENT and begin is not None:
            yield first + begin, first + number
            begin = None
    if begin is not None:
        yield first + begin, last
