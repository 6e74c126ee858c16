"""curl moves 1 GiB each way, through an HTTP tunnel and through a raw TCP tunnel; every digest is equal."""

import hashlib
import json
import subprocess

import harness
from harness import GiB, MiB, report, scaled
from wire import Data, Origin, Stopwatch, answer, body_pieces, chunk


def serve(request, connection):
    """GET /length/N, GET /chunked/N: so many bytes. PUT: answers with the digest of what came."""
    method, path, _ = request.words
    if method == "PUT":
        if request.get("expect", "").lower() == "100-continue":
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest, size = hashlib.sha256(), 0
        for piece in body_pieces(connection.reader, request):
            digest.update(piece)
            size += len(piece)
        return answer(connection, json.dumps(
            {"sha256": digest.hexdigest(), "size": size, "chunked": request.chunked}).encode())
    _, framing, size = path.split("/")
    data = Data(int(size))
    if framing == "chunked":
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in data.pieces():
            connection.send(chunk(bytes(piece)))
        connection.send(b"0\r\n\r\n")
    else:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % data.size)
        for piece in data.pieces():
            connection.send(piece)
    return True


class TransferTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.size = scaled(GiB)
        data = Data(self.size)
        self.digest = data.sha256()
        self.file = self.folder / "upload"
        with open(self.file, "wb") as file:
            for piece in data.pieces():
                file.write(piece)
        self.origin = Origin(self, serve)

    def curl(self, *arguments):
        """Digest, size and beginning of what curl got. Its standard input is the file."""
        with open(self.file, "rb") as file:
            curl = self.start("curl", ["curl", "--http1.1", "--silent", "--show-error", "--fail", *arguments],
                              stdin=file, stdout=subprocess.PIPE)
        digest, head, size = hashlib.sha256(), b"", 0
        while piece := curl.stdout.read(MiB):
            digest.update(piece)
            head = head or piece
            size += len(piece)
        curl.stdout.close()
        self.assertEqual(curl.wait(harness.SOON), 0, curl.log())
        return digest.hexdigest(), size, head

    def all_ways(self, kind, url, *options):
        for framing in ("length", "chunked"):
            with self.subTest(kind=kind, direction="down", framing=framing):
                watch = Stopwatch()
                digest, size, _ = self.curl(*options, f"{url}{framing}/{self.size}")
                self.assertEqual(size, self.size)
                self.assertEqual(digest, self.digest)
                report(f"{kind} download, {framing}", f"{size / MiB / watch.seconds():.0f} MiB/s")
            with self.subTest(kind=kind, direction="up", framing=framing):
                watch = Stopwatch()
                # curl announces the length of a file, and cannot know that of its standard input.
                source = self.file if framing == "length" else "-"
                _, _, head = self.curl(*options, "--upload-file", source, f"{url}put")
                self.assertEqual(json.loads(head), {"sha256": self.digest, "size": self.size,
                                                    "chunked": framing == "chunked"})
                report(f"{kind} upload, {framing}", f"{self.size / MiB / watch.seconds():.0f} MiB/s")
        self.assertEqual(self.origin.errors, [])

    def test_http(self):
        relay = self.relay()
        agent = self.agent(relay, "http", self.origin.address)
        self.all_ways("http", agent.url(), *relay.curl_pin())

    def test_tcp(self):
        port, options = self.tcp_port()
        relay = self.relay(*options)
        self.agent(relay, "tcp", self.origin.address, "--id", "bulk", "--remote-port", port, "--public")
        self.all_ways("tcp", f"http://127.0.0.1:{port}/")


if __name__ == "__main__":
    harness.main()
