"""yamux (docs/protocol.md §1) spelled out: for tests that are a bare agent frame by frame."""

import struct

from frames import BINARY, WebSocket, frame

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def packet(kind, flags, stream, length, payload=b""):
    return struct.pack(">BBHII", 0, kind, flags, stream, length) + payload


class Peer(WebSocket):
    """A bare agent whose upgrade was accepted, or not: see status. It answers pings."""

    def __init__(self, sock, path, *fields):
        super().__init__(sock, path, *fields)
        self.bytes = b""

    def say(self, kind, flags, stream, length=None, payload=b""):
        length = len(payload) if length is None else length
        self.send(frame(BINARY, packet(kind, flags, stream, length, payload)))

    def _exactly(self, size):
        while len(self.bytes) < size:
            opcode, _, payload = self.receive()
            if opcode != BINARY:
                raise AssertionError(f"a frame of opcode {opcode}: {payload!r}")
            self.bytes += payload
        data, self.bytes = self.bytes[:size], self.bytes[size:]
        return data

    def _frame(self):
        _, kind, flags, stream, length = struct.unpack(">BBHII", self._exactly(12))
        payload = self._exactly(length) if kind == DATA else b""
        if kind == PING and flags & SYN:
            self.say(PING, ACK, 0, length)
        return kind, flags, stream, length, payload

    def next(self):
        """The next frame that is no ping: (kind, flags, stream, length, payload)."""
        while True:
            found = self._frame()
            if found[0] != PING:
                return found

    def settle(self):
        """The relay has read all that was said so far. What it said meanwhile is skipped."""
        self.say(PING, SYN, 0, 4711)
        while self._frame()[:4] != (PING, ACK, 0, 4711):
            pass

    def stream(self):
        """The id of the next stream that the relay opens, acknowledged."""
        kind, flags, stream, _, _ = self.next()
        if (kind, flags) != (WINDOW, SYN):
            raise AssertionError(f"expected a SYN, found {(kind, flags)}")
        self.say(WINDOW, ACK, stream, 0)
        return stream

    def text(self, stream, end):
        """What comes on a stream up to a mark, with all else skipped but what ends it."""
        found = b""
        while end not in found:
            kind, flags, number, _, payload = self.next()
            if number == stream and flags & (FIN | RST):
                raise AssertionError(f"the stream ended after {found!r}")
            if number == stream and kind == DATA:
                found += payload
        return found
