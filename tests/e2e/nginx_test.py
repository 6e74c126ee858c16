"""An nginx behind the agent, 200 visitors that keep their connections, every answer checked."""

import asyncio
import contextlib
import hashlib
import random
import socket
import ssl

import harness
from harness import KiB, MiB, free_port, report, wait_until
from wire import Stopwatch

VISITORS = 200
REQUESTS = 50 if not harness.SANITIZED else 10
SIZES = (0, 1, 100, 16383, 16384, 16385, 100 * KiB, MiB)


class NginxTest(harness.Case):
    def setUp(self):
        super().setUp()
        files = self.folder / "files"
        files.mkdir()
        self.digests = {}
        for size in SIZES:
            data = random.Random(size).randbytes(size)
            (files / str(size)).write_bytes(data)
            self.digests[size] = hashlib.sha256(data).digest()
        self.port = free_port()
        config = self.folder / "nginx.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  keepalive_requests 100000;
  server {{
    listen 127.0.0.1:{self.port};
    location /echo/ {{ default_type text/plain; return 200 "$request_uri"; }}
    location /file/ {{ alias {files}/; }}
  }}
}}
""")
        nginx = self.start("nginx", ["/usr/sbin/nginx", "-c", config, "-p", self.folder])

        def listening():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            return False

        wait_until(listening, "nginx listens", alive=[nginx])

    async def visitor(self, number, relay, path, context):
        reader, writer = await asyncio.open_connection(relay.host, relay.port, ssl=context,
                                                       server_hostname="localhost", limit=64 * KiB)
        chance = random.Random(number)
        for request in range(REQUESTS):
            size = chance.choice(SIZES[:-1]) if request % 25 else SIZES[-1]
            echo = request % 2 == 0
            target = f"/echo/{number}/{request}" if echo else f"/file/{size}"
            writer.write(f"GET {path}{target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.assertTrue(head.startswith("HTTP/1.1 200"), head)
            length = int(next(line for line in head.split("\r\n")
                              if line.lower().startswith("content-length:")).split(":")[1])
            body = await reader.readexactly(length)
            if echo:
                self.assertEqual(body, target.encode())
            else:
                self.assertEqual((length, hashlib.sha256(body).digest()), (size, self.digests[size]))
        writer.close()

    async def all_visitors(self, relay, path):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await asyncio.wait_for(
            asyncio.gather(*(self.visitor(number, relay, path, context)
                             for number in range(VISITORS))), 60 * harness.PATIENCE)

    def test_200_connections_many_requests_each(self):
        relay = self.relay()
        agent = self.agent(relay, "http", f"http://127.0.0.1:{self.port}")
        watch = Stopwatch()
        asyncio.run(self.all_visitors(relay, agent.path("")))
        report(f"{VISITORS} connections", f"{VISITORS * REQUESTS / watch.seconds():.0f} requests/s")


if __name__ == "__main__":
    harness.main()
