"""The link of docs/protocol.md §2 spelled out, on a WebSocket: for tests that are a native agent chunk by chunk."""

import pathlib
import struct
import subprocess
import tempfile

import yamux
from frames import BINARY, WebSocket, frame
from wire import Cut

CHALLENGE, OPEN, OPENED, DATA, ACK, PING, PONG, CLOSE = range(1, 9)
MOST = 16381  # bytes in a chunk
CONTROL = 1   # the stream of docs/protocol.md §3
HELLO, WELCOME, IDENTITY, TOKEN = 1, 2, 4, 5  # fields of proto/control.proto


def varint(number):
    out = b""
    while number > 0x7f:
        out, number = out + bytes([number & 0x7f | 0x80]), number >> 7
    return out + bytes([number])


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def chunks(session):
    """Bytes of a session as chunks."""
    return b"".join(struct.pack(">HB", len(piece), DATA) + piece
                    for piece in (session[at:at + MOST] for at in range(0, len(session), MOST)))


class Identity:
    """An agent's key."""

    def __init__(self, folder):
        self.file = pathlib.Path(folder) / "identity.pem"
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", self.file)
        self.public = self._openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")[-32:]

    @staticmethod
    def _openssl(*words):
        return subprocess.run(["openssl", *words], check=True, stdout=subprocess.PIPE).stdout

    def sign(self, message):
        with tempfile.NamedTemporaryFile() as file:  # of a pipe pkeyutl cannot tell the length
            file.write(message)
            file.flush()
            return self._openssl("pkeyutl", "-sign", "-inkey", self.file, "-rawin", "-in", file.name)


class Native(WebSocket):
    """A native agent without tunnels, welcomed."""

    def __init__(self, sock, identity, token):
        super().__init__(sock, "/agent", "Sec-WebSocket-Protocol: leat.1")
        if self.status != 101:
            raise AssertionError(f"no upgrade: {self.status}")
        self.bytes = self.session = b""
        nonce = self._expect(CHALLENGE)[1:]
        mine = struct.pack(">BB32s16sIQ", 1, 0, identity.public, b"", 0, 0)
        self._send(OPEN, mine + identity.sign(b"leat/1 open\0\0" + nonce + mine))
        self._expect(OPENED)
        hello = field(HELLO, b"\x08\1\x10\1" + field(IDENTITY, identity.public) + field(TOKEN, token.encode()))
        hello = varint(len(hello)) + hello
        self.say(yamux.packet(yamux.WINDOW, yamux.SYN, CONTROL, 0) +
                 yamux.packet(yamux.DATA, 0, CONTROL, len(hello), hello))
        answer = self._payload()
        if answer[1] != WELCOME << 3 | 2:
            raise AssertionError(f"no Welcome: {answer!r}")

    def say(self, session):
        self.send(frame(BINARY, chunks(session)))

    def _send(self, kind, body):
        self.send(frame(BINARY, struct.pack(">HB", len(body), kind) + body))

    def _exactly(self, size):
        while len(self.bytes) < size:
            opcode, _, payload = self.receive()
            if opcode != BINARY:
                raise Cut(f"a frame of opcode {opcode}: {payload!r}")
            self.bytes += payload
        data, self.bytes = self.bytes[:size], self.bytes[size:]
        return data

    def chunk(self):
        """The next one: (kind, body). A ping is answered."""
        length, kind = struct.unpack(">HB", self._exactly(3))
        body = self._exactly(length)
        if kind == PING:
            self._send(PONG, body)
        return kind, body

    def _expect(self, wanted):
        kind, body = self.chunk()
        if kind != wanted:
            raise AssertionError(f"a chunk of kind {kind}, not {wanted}: {body!r}")
        return body

    def _session(self, size):
        while len(self.session) < size:
            kind, body = self.chunk()
            if kind == CLOSE:
                raise AssertionError(f"closed: {body!r}")
            self.session += body if kind == DATA else b""
        data, self.session = self.session[:size], self.session[size:]
        return data

    def _payload(self):
        """Of the next frame that carries some."""
        while True:
            _, kind, _, _, length = struct.unpack(">BBHII", self._session(12))
            if kind == yamux.DATA and length > 0:
                return self._session(length)

    def closed(self):
        """The code of the relay's close, or None where it was cut off behind more than it read."""
        try:
            while True:
                kind, body = self.chunk()
                if kind == CLOSE:
                    return body[1:1 + body[0]].decode()
        except Cut:
            return None
