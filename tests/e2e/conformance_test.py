"""RFC 6455 sections 5 to 7 on the relay's own endpoints: /agent, native and bare, and /sealed/ID (threats 20 and 22).

What is inside the messages is bytes: yamux for a bare agent, chunks of the link for a native one, sealed records for
the agent behind the third. A case that is allowed ends with a question of yamux's that the relay answers, or a pong;
one that is not, with a close code."""

import socket
import struct

import harness
from frames import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, close, frame, header, upgrade_fields
from sealed import SealedCase
from wire import Client, Cut, Origin, answer
from yamux import ACK, SYN, WINDOW, packet
from yamux import PING as YAMUX_PING

CONTINUATION = 0
PROTOCOL, UNSUPPORTED, BAD_DATA, TOO_BIG = 1002, 1003, 1007, 1009
QUESTION, ANSWER = packet(YAMUX_PING, SYN, 0, 77), packet(YAMUX_PING, ACK, 0, 77)

# Everything that ends with a code, sent behind the upgrade.
REFUSED = {
    # 5.1: a client masks
    "not masked": (frame(BINARY, b"x", masked=False), PROTOCOL),
    "a ping not masked": (frame(PING, b"x", masked=False), PROTOCOL),
    "an empty frame not masked": (frame(BINARY, masked=False), PROTOCOL),
    # 5.2: reserved bits (no extension was agreed on), opcodes, the shortest length
    **{f"reserved bits {bits} of {name}": (frame(opcode, b"", reserved=bits), PROTOCOL)
       for bits in range(1, 8)
       for name, opcode in (("a message", BINARY), ("a ping", PING), ("a close", CLOSE))},
    **{f"opcode {opcode}": (frame(opcode, b"x"), PROTOCOL) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "125 bytes in a length of 16 bits": (frame(BINARY, bytes(125), form=16), PROTOCOL),
    "65535 bytes in a length of 64 bits": (header(BINARY, 65535, form=64) + b"mask", PROTOCOL),
    "the highest bit of a length": (struct.pack(">BBQ", 0x82, 0xff, 1 << 63) + b"mask", PROTOCOL),
    "all bits of a length": (b"\x82\xff" + b"\xff" * 8 + b"mask", PROTOCOL),
    # 5.4: fragments
    "a continuation of nothing": (frame(CONTINUATION, b"x"), PROTOCOL),
    "a continuation of a whole message": (frame(BINARY) + frame(CONTINUATION), PROTOCOL),
    "a message inside another": (frame(BINARY, b"", fin=False) + frame(BINARY, b""), PROTOCOL),
    "a text inside a binary message": (frame(BINARY, b"", fin=False) + frame(TEXT, b""), PROTOCOL),
    # 5.5: control frames
    "a ping of 126 bytes": (frame(PING, bytes(126)), PROTOCOL),
    "a pong of 64 KiB": (header(PONG, 65536), PROTOCOL),
    "a ping in two": (frame(PING, b"x", fin=False), PROTOCOL),
    "a close in two": (frame(CLOSE, b"", fin=False), PROTOCOL),
    # 5.6 and 8.1: what is in a message
    "a text": (frame(TEXT, b"hello"), UNSUPPORTED),
    "a text of nothing": (frame(TEXT), UNSUPPORTED),
    "a text that is not UTF-8": (frame(TEXT, b"\xff"), BAD_DATA),
    "an overlong form": (frame(TEXT, b"\xc0\xaf"), BAD_DATA),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), BAD_DATA),
    "beyond U+10FFFF": (frame(TEXT, b"\xf4\x90\x80\x80"), BAD_DATA),
    "half a character": (frame(TEXT, "ä".encode()[:1]), BAD_DATA),
    # 7.4: sizes and codes
    "a message of 64 MiB and a byte": (header(BINARY, (64 << 20) + 1) + b"mask", TOO_BIG),
    "a message of 2^62 bytes": (header(BINARY, 1 << 62) + b"mask", TOO_BIG),
    "64 MiB in fragments": (frame(BINARY, b"", fin=False) +
                            header(CONTINUATION, (64 << 20) + 1, fin=False) + b"mask", TOO_BIG),
    "a close of one byte": (frame(CLOSE, b"\3"), PROTOCOL),
    **{f"close code {code}": (close(code), PROTOCOL)
       for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)},
    "a reason that is not UTF-8": (close(1000, b"\xc0\xaf"), BAD_DATA),
    "half a character for a reason": (close(1000, "ä".encode()[:1]), BAD_DATA),
}

# Closes that are in order, and the code of the answer.
CLOSES = {
    "without a code": (frame(CLOSE), None),
    "with a reason of 123 bytes": (close(1000, b"x" * 123), 1000),
    "with a reason of many alphabets": (close(1001, "aä水𐍈".encode()), 1001),
    **{f"with {code}": (close(code), code)
       for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
                    4999)},
    "between two fragments": (frame(BINARY, b"", fin=False) + close(1000), 1000),
    "and what follows is not read": (close(1000) + frame(TEXT, b"\xff") + b"\xff" * 20, 1000),
}


def whole(payload):
    return frame(BINARY, payload)


def split(payload, at, between=b""):
    return frame(BINARY, payload[:at], fin=False) + between + frame(CONTINUATION, payload[at:])


# Forms of one message that a bare agent may choose; each is the same question.
ALLOWED = {
    "one frame": whole(QUESTION),
    "two frames": split(QUESTION, 5),
    "a frame a byte": b"".join(frame(CONTINUATION if i else BINARY, QUESTION[i:i + 1], fin=i == 11)
                               for i in range(12)),
    "a message a byte": b"".join(whole(QUESTION[i:i + 1]) for i in range(12)),
    "empty fragments": frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) +
    frame(CONTINUATION, QUESTION, fin=False) + frame(CONTINUATION),
    "empty messages around it": whole(b"") + whole(QUESTION) + whole(b""),
    "a pong nobody asked for": frame(PONG, b"x" * 125) + whole(QUESTION),
    "a pong between its fragments": split(QUESTION, 3, frame(PONG)),
    "a mask of zeros": header(BINARY, 12) + bytes(4) + QUESTION,
    "a length of 16 bits": whole(QUESTION + packet(WINDOW, 0, 1, 0) * 20),
    "a length of 64 bits": whole(QUESTION + packet(WINDOW, 0, 1, 0) * 6000),
}


class Conformance(SealedCase):
    def setUp(self):
        super().setUp()
        self.server = self.relay("--plain-listen", "127.0.0.1:0")
        token = self.server.token()
        service = Origin(self, lambda request, connection: answer(connection))
        self.home(("http", service.address, "den"), relay=self.server)
        self.endpoints = {"bare": (f"/agent?room=notes&token={token}", ()),
                          "native": ("/agent", ("Sec-WebSocket-Protocol: leat.1",)),
                          "sealed": ("/sealed/den", ("Sec-WebSocket-Protocol: leat-sealed.1",))}

    def open(self, endpoint, *fields):
        path, more = self.endpoints[endpoint]
        peer = WebSocket(socket.create_connection(self.server.plain()), path, *more, *fields)
        self.assertEqual(peer.status, 101)
        return peer

    def closed(self, peer):
        """The code, and nothing behind the close."""
        code = peer.closed_with()
        try:
            self.assertTrue(peer.reader.at_end())
        except Cut:
            pass  # what we sent behind our own close was not read
        return code

    def test_what_is_refused_and_with_which_code(self):
        for endpoint in self.endpoints:
            for name, (sent, code) in REFUSED.items():
                with self.subTest(name, endpoint=endpoint), self.open(endpoint) as peer:
                    peer.send(sent)
                    self.assertEqual(self.closed(peer), code)

    def test_what_is_refused_is_so_in_any_pieces(self):
        for name, (sent, code) in REFUSED.items():
            with self.subTest(name), self.open("bare") as peer:
                try:
                    for i in range(min(len(sent), 40)):
                        peer.send(sent[i:i + 1])
                    peer.send(sent[40:])
                except OSError:
                    pass  # refused before its last byte
                self.assertEqual(self.closed(peer), code)

    def test_closes_are_answered_in_kind(self):
        for endpoint in self.endpoints:
            for name, (sent, code) in CLOSES.items():
                with self.subTest(name, endpoint=endpoint), self.open(endpoint) as peer:
                    peer.send(sent)
                    self.assertEqual(self.closed(peer), code)

    def test_messages_may_be_cut_in_any_way(self):
        for name, sent in ALLOWED.items():
            with self.subTest(name), self.open("bare") as peer:
                peer.send(sent)
                got = b""
                while ANSWER not in got:
                    opcode, fin, payload = peer.receive()
                    self.assertEqual((opcode, fin), (BINARY, True))
                    got += payload

    def test_pings_are_answered_between_fragments_too(self):
        for endpoint in self.endpoints:
            for payload in (b"", b"hello", bytes(range(125))):
                for sent in (frame(PING, payload), frame(BINARY, b"", fin=False) + frame(PING, payload)):
                    with self.subTest(payload, endpoint=endpoint), self.open(endpoint) as peer:
                        peer.send(sent)
                        answer = peer.receive()
                        while answer[0] == BINARY:  # the relay has questions of its own
                            answer = peer.receive()
                        self.assertEqual(answer, (PONG, True, payload))

    def test_a_relay_that_closes_waits_for_the_answer(self):
        """5.5.1, 7.1.1: the relay's close first, then the end."""
        with self.open("bare") as peer:
            peer.send(whole(packet(9, 0, 0, 0)))  # no such type
            self.assertEqual(peer.closed_with(), 1000)
            peer.send(close(1000))
            self.assertTrue(peer.reader.at_end())

    def test_no_extension_is_agreed_on(self):
        for endpoint in self.endpoints:
            for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate",
                          "unknown"):
                with self.subTest(offer, endpoint=endpoint):
                    with self.open(endpoint, f"Sec-WebSocket-Extensions: {offer}") as peer:
                        self.assertIsNone(peer.answer.get("sec-websocket-extensions"))
                        peer.send(frame(BINARY, b"\x00", reserved=4))
                        self.assertEqual(self.closed(peer), PROTOCOL)

    def test_the_opening_handshake(self):
        """4.2.1: what is no handshake of version 13 is told so, and which version there is."""
        path, more = self.endpoints["bare"]
        good = dict(field.split(": ") for field in upgrade_fields())
        for name, value, status in [("Connection", "keep-alive", 426), ("Upgrade", "h2c", 426),
                                    ("Upgrade", "websockets", 426),
                                    ("Sec-WebSocket-Version", "8", 426),
                                    ("Sec-WebSocket-Version", "13, 8", 426),
                                    ("Sec-WebSocket-Key", "c2hvcnQ=", 400),
                                    ("Sec-WebSocket-Key", "x" * 24, 400)]:
            with self.subTest(name=name, value=value), Client(self.server.connect()) as client:
                fields = [f"{key}: {text}" for key, text in {**good, name: value}.items()]
                message, _ = client.get(path, *fields, *more)
                self.assertEqual(message.status, status)
                if status == 426:
                    self.assertEqual(message.get("sec-websocket-version"), "13")
        with Client(self.server.connect()) as client:
            client.request("POST", path, *upgrade_fields(), body=b"x")
            self.assertEqual(client.head().status, 400)


if __name__ == "__main__":
    harness.main()
