"""HTTP/1.1 over sockets, spelled out: for tests that care about each byte, on either side."""

import hashlib
import random
import socket
import threading
import time

from harness import MiB, SOON


class Cut(Exception):
    """The peer closed (or reset) where more had to come."""


class Reader:
    """Exact reads from a socket."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def _receive(self):
        try:
            return self.sock.recv(MiB)
        except TimeoutError:
            raise
        except OSError as error:  # a reset, or TLS that ends without close_notify
            raise Cut(str(error)) from error

    def more(self):
        data = self._receive()
        if not data:
            raise Cut(f"end of file after {self.buffer[:200]!r}")
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(mark, 1)
        return line

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def pieces(self, size):
        """size bytes in pieces as they come, without gathering them."""
        while size:
            if not self.buffer:
                self.more()
            piece, self.buffer = self.buffer[:size], self.buffer[size:]
            size -= len(piece)
            yield piece

    def at_end(self):
        """True when the peer has closed in order and nothing is left, false when there is more. Waits for one
        or the other; a reset is a Cut."""
        if self.buffer:
            return False
        self.buffer = self._receive()
        return not self.buffer


class Message:
    """A parsed head. For a request, words are method, target, version; for a response version, status, reason."""

    def __init__(self, text):
        lines = text.decode("latin-1").split("\r\n")
        self.words = lines[0].split(" ", 2)
        self.fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        self.trailers = []

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    @property
    def status(self):
        return int(self.words[1])

    @property
    def chunked(self):
        return (self.get("transfer-encoding") or "").lower() == "chunked"


def read_head(reader):
    return Message(reader.until(b"\r\n\r\n"))


def chunks(reader, message):
    """The chunks of a chunked body as they stand on the wire; trailers go into the message."""
    while True:
        size = int(reader.until(b"\r\n").split(b";")[0], 16)
        if size == 0:
            break
        yield reader.exactly(size)
        if reader.exactly(2) != b"\r\n":
            raise AssertionError("a chunk that does not end in CRLF")
    while True:
        line = reader.until(b"\r\n").decode("latin-1")
        if not line:
            return
        message.trailers.append(tuple(part.strip() for part in line.split(":", 1)))


def body_pieces(reader, message, has_body=True):
    """The body as it comes. A response without a length ends with its connection."""
    if not has_body:
        return
    if message.chunked:
        yield from chunks(reader, message)
    elif message.get("content-length") is not None:
        yield from reader.pieces(int(message.get("content-length")))
    elif message.words[0].startswith("HTTP/"):
        while not reader.at_end():
            data, reader.buffer = reader.buffer, b""
            yield data


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Client:
    """One connection of a visitor."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(SOON)
        self.reader = Reader(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, path, *fields, body=b"", host="localhost"):
        """Sends a request; fields are 'Name: value'. A body gets its Content-Length."""
        if body or method in ("POST", "PUT"):
            fields += (f"Content-Length: {len(body)}",)
        head = "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", f"Host: {host}", *fields))
        self.send(head.encode("latin-1") + b"\r\n" + body)

    def head(self):
        return read_head(self.reader)

    def body(self, message, method="GET"):
        bodiless = method == "HEAD" or message.status in (204, 304) or message.status < 200
        return b"".join(body_pieces(self.reader, message, not bodiless))

    def response(self, method="GET"):
        """The final response and its body; interim ones are skipped."""
        message = self.head()
        while message.status < 200 and message.status != 101:
            message = self.head()
        return message, self.body(message, method)

    def get(self, path, *fields):
        self.request("GET", path, *fields)
        return self.response()


class Origin:
    """A local service. handler(request, connection) answers one request; what it returns as false ends the
    connection. connection has reader, send(), and number, counted from 0."""

    def __init__(self, case, handler, port=0):
        self.handler = handler
        self.requests = []
        self.connections = 0
        self.errors = []
        self._open = set()
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        case.addCleanup(self.close)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                number = self.connections
                self.connections += 1
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        connection = Client(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)
        connection.number = number
        try:
            while True:
                try:
                    request = read_head(connection.reader)
                except Cut:
                    return
                with self._lock:
                    self.requests.append(request)
                if not self.handler(request, connection):
                    return
        except (Cut, OSError) as error:
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def open_connections(self):
        with self._lock:
            return len(self._open)

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def answer(connection, body=b"", status="200 OK", *fields):
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"))
    connection.send(head.encode("latin-1") + b"\r\n" + body)
    return True


class Data:
    """size reproducible bytes in which no two MiB are alike, so that what is lost, doubled or out of order
    changes the digest."""

    def __init__(self, size, seed=1):
        self.size = size
        self._block = bytearray(random.Random(seed).randbytes(MiB))

    def pieces(self):
        sent = 0
        number = 0
        while sent < self.size:
            self._block[0:8] = number.to_bytes(8, "big")
            piece = memoryview(self._block)[: min(MiB, self.size - sent)]
            yield piece
            sent += len(piece)
            number += 1

    def sha256(self):
        digest = hashlib.sha256()
        for piece in Data.pieces(self):
            digest.update(piece)
        return digest.hexdigest()


def download(request, connection):
    """An Origin's answer: as many bytes of Data as the path says."""
    data = Data(int(request.words[1].strip("/")))
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % data.size)
    for piece in data.pieces():
        connection.send(piece)
    return True


class Stopwatch:
    def __init__(self):
        self.begin = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.begin
