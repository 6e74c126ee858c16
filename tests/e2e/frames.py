"""WebSocket frames (RFC 6455) spelled out: for tests that care about each byte."""

import base64
import os
import struct

from wire import Client

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def upgrade_fields(*more):
    return ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), *more)


def header(opcode, length, fin=True, masked=True, reserved=0, form=None):
    """Of a frame; form 16 or 64 chooses a longer length field than needed."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    bit = 0x80 if masked else 0
    if form == 64 or (form is None and length > 0xffff):
        return struct.pack(">BBQ", first, bit | 127, length)
    if form == 16 or length > 125:
        return struct.pack(">BBH", first, bit | 126, length)
    return struct.pack(">BB", first, bit | length)


def frame(opcode, payload=b"", masked=True, **options):
    start = header(opcode, len(payload), masked=masked, **options)
    if not masked:
        return start + payload
    key = os.urandom(4)
    return start + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def close(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


class WebSocket(Client):
    """A connection whose upgrade was accepted, or not: see status."""

    def __init__(self, sock, path, *fields, host="localhost"):
        super().__init__(sock)
        self.request("GET", path, *upgrade_fields(*fields), host=host)
        self.answer = self.head()
        self.status = self.answer.status

    def receive(self):
        """The next frame: (opcode, fin, payload)."""
        first, second = self.reader.exactly(2)
        length = second & 0x7f
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(self.reader.exactly(size), "big")
        if first & 0x70 or second & 0x80:
            raise AssertionError("a frame with reserved bits, or a mask from a server")
        return first & 0x0f, bool(first & 0x80), self.reader.exactly(length)

    def closed_with(self):
        """The code of the next close frame, with None for none; what comes before is skipped."""
        while True:
            opcode, _, payload = self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else None
