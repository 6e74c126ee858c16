"""Python's http.server as a witness: what it was asked goes to standard output, a JSON object for each request,
before the answer does. A request that broke off has "whole": false; what it could not make sense of is a complaint."""

import hashlib
import http.server
import itertools
import json
import os
import signal
import sys

SERIALS = itertools.count(1)


def note(**entry):
    os.write(1, (json.dumps(entry) + "\n").encode())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def line(self):
        line = self.rfile.readline(4096)
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def exactly(self, size):
        pieces = []
        while size:
            piece = self.rfile.read(min(size, 1 << 16))  # of what will never be there, no buffer
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def chunks(self):
        while size := int(self.line(), 16):
            yield self.exactly(size)
            if self.line() != b"\r\n":
                raise ValueError("a chunk without its end")
        while self.line() != b"\r\n":
            pass

    def answer(self):
        target = self.requestline.split(" ")[1]
        try:
            coding, lengths = self.headers.get("Transfer-Encoding"), self.headers.get_all("Content-Length", [])
            if (coding not in (None, "chunked")) or len(lengths) + (coding is not None) > 1:
                raise ValueError(f"framing {coding!r} {lengths!r}")
            body = b"".join(self.chunks()) if coding else self.exactly(int(lengths[0]) if lengths else 0)
        except EOFError:
            self.close_connection = True
            return note(whole=False, method=self.command, target=target)
        except ValueError as error:
            self.close_connection = True
            return note(complaint=f"{target}: {error}")
        serial = f"python-{next(SERIALS)}"
        note(whole=True, serial=serial, method=self.command, target=target, length=len(body),
             digest=hashlib.sha256(body).hexdigest())
        self.send_response(200)
        self.send_header("X-Serial", serial)
        self.send_header("X-Target", target)
        self.send_header("Content-Length", "3")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok\n")
        self.wfile.flush()

    def log_message(self, *_):
        pass

    def send_error(self, code, message=None, explain=None):
        note(complaint=f"{code} {message} {explain}: {getattr(self, 'raw_requestline', b'')!r}")
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            note(complaint=repr(sys.exc_info()[1]))


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server = Server(("127.0.0.1", 0), Handler)
note(port=server.server_port)
server.serve_forever()
