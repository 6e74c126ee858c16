"""TLS that the relay does not end: chosen by SNI, the ClientHello read and nothing else, OpenSSL and nginx
with certificates of their own behind the agent."""

import contextlib
import hashlib
import pathlib
import re
import socket
import ssl
import subprocess

import harness
from harness import KiB, MiB, SOON, free_port, scaled, wait_until
from names_test import certificate, der
from wire import Client, Cut, Data

DOMAIN = "relay.test"
HOST = "vault.example.com"


def client_hello(name, pad=0):
    """What a real client sends first, as records; bigger with long ALPN lists."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pad:
        context.set_alpn_protocols(["http/1.1"] + [f"x-{number:03}-".ljust(250, "x")
                                                   for number in range(pad // 250)])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing


def as_records(hello, size):
    """The handshake message of these records, cut into records of `size` bytes (RFC 8446 §5.1)."""
    message = b""
    while hello:
        length = int.from_bytes(hello[3:5], "big")
        message, hello = message + hello[5:5 + length], hello[5 + length:]
    return [b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
            for part in (message[at:at + size] for at in range(0, len(message), size))]


class PassthroughTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.pair = certificate(self.folder, "vault", HOST, f"vault.{DOMAIN}")

    def openssl(self):
        """s_server -www; its port."""
        port = free_port()
        server = self.start("s_server", ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                                         self.pair[0], "-key", self.pair[1], "-www"])
        self.listening(port, server)
        return port

    def nginx(self, listen="ssl", location="return 200 $ssl_server_name;"):
        port = free_port()
        config = self.folder / "nginx.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  server {{
    listen 127.0.0.1:{port} {listen};
    ssl_certificate {self.pair[0]};
    ssl_certificate_key {self.pair[1]};
    root {self.folder}/files;
    location / {{ {location} }}
    location /file/ {{ alias {self.folder}/files/; }}
  }}
}}
""")
        server = self.start("nginx", ["/usr/sbin/nginx", "-c", config, "-p", self.folder])
        self.listening(port, server)
        return port

    def listening(self, port, process):
        def there():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True
            return False

        wait_until(there, f"{process.name} listens", alive=[process])

    def publish(self, port, *arguments, **options):
        self.server = self.relay("--domain", DOMAIN)
        return self.agent(self.server, "tls", str(port), *arguments, **options)

    def trusting(self, alpn=()):
        """A visitor who knows the service's certificate, and trusts no other."""
        context = ssl.create_default_context(cafile=self.pair[0])
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, name, context=None):
        plain = socket.create_connection((self.server.host, self.server.port), timeout=SOON)
        return (context or self.trusting()).wrap_socket(plain, server_hostname=name)

    # --- the real programs ---

    def test_openssl_behind_its_own_name(self):
        agent = self.publish(self.openssl(), "--host", HOST, "--id", "vault")
        port = self.server.port
        self.assertEqual(agent.online()["tunnels"][0]["urls"],
                         [f"tls://{HOST}:{port}", f"tls://vault.{DOMAIN}:{port}"])
        for name in (HOST, f"vault.{DOMAIN}", HOST.upper()):
            with self.connect(name) as connection:
                self.assertEqual(connection.getpeercert(True), der(self.pair[0]))
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertIn(b"200 ok", connection.recv(64 * KiB))
        made = subprocess.run(["openssl", "s_client", "-connect", self.server.address, "-servername", HOST,
                               "-CAfile", self.pair[0], "-verify_return_error", "-brief"], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SOON, check=False)
        self.assertIn("Verification: OK", made.stdout)

    def test_nginx_and_uploads_and_downloads(self):
        size = scaled(50 * MiB)
        data = Data(size)
        files = self.folder / "files"
        files.mkdir()
        with open(files / "large", "wb") as file:
            for piece in data.pieces():
                file.write(piece)
        self.publish(self.nginx(), "--host", HOST)
        context = self.trusting(["http/1.1"])
        with self.connect(HOST, context) as connection:
            self.assertEqual(connection.selected_alpn_protocol(), "http/1.1")
            client = Client(connection)
            client.request("GET", "/", host=HOST)
            self.assertEqual(client.response()[1], HOST.encode())
            client.request("GET", "/file/large", host=HOST)
            message = client.head()
            digest = hashlib.sha256()
            for piece in client.reader.pieces(int(message.get("content-length"))):
                digest.update(piece)
            self.assertEqual(digest.hexdigest(), data.sha256())

    def test_the_relays_certificate_is_for_all_other_names(self):
        self.publish(self.openssl(), "--host", HOST, "--id", "vault")
        relays = ssl.PEM_cert_to_DER_cert((self.server.folder / "cert.pem").read_text())
        for name in (None, DOMAIN, "other.example.com", f"other.{DOMAIN}", f"a.vault.{DOMAIN}",
                     "example.com", f"x{HOST}"):
            with self.server.connect(name=name) as connection:
                self.assertEqual(connection.getpeercert(True), relays, name)

    def test_http_and_tls_tunnels_share_port_and_namespace(self):
        self.publish(self.openssl(), "--id", "vault")
        origin = free_port()
        agent = self.agent(self.server, "http", str(origin), "--id", "web", "--public", name="web")
        client = Client(self.server.connect(name=f"web.{DOMAIN}"))
        self.addCleanup(client.close)
        client.request("GET", "/", host=f"web.{DOMAIN}")
        self.assertEqual(client.response()[0].status, 502)  # nobody is there: but that tunnel
        # Its bytes are not the relay's to read: no path leads into it.
        client = Client(self.server.connect(name=DOMAIN))
        self.addCleanup(client.close)
        for path, host in (("/tunnel/vault/", DOMAIN), ("/t/vault/", DOMAIN)):
            client.request("GET", path, host=host)
            self.assertEqual(client.response()[0].status, 503)
        agent.process.stop()

    def test_while_nobody_serves_it_the_name_is_like_any_other(self):
        agent = self.publish(self.openssl(), "--host", HOST, "--id", "vault")
        agent.process.stop()
        for name in (HOST, f"vault.{DOMAIN}"):
            self.assertRaises(ssl.SSLCertVerificationError, self.connect, name)
            client = Client(self.server.connect(name=name))
            client.request("GET", "/", host=name)
            self.assertEqual(client.response()[0].status, 503)
            client.close()

    def test_a_service_that_is_down_is_a_reset(self):
        self.publish(free_port(), "--host", HOST)
        self.assertRaises(OSError, self.connect, HOST)
        wait_until(lambda: "LEAT_SERVICE_REFUSED" in self.server.process.log(), "the relay says why")

    def test_names_belong_to_their_credential(self):
        self.publish(self.openssl(), "--host", HOST)
        thief = self.agent(self.server, "tls", "1", "--host", HOST, name="thief", wait=False)
        self.assertNotEqual(thief.process.wait(SOON), 0)
        self.assertIn("LEAT_TUNNEL_TAKEN", thief.process.log())
        with self.connect(HOST) as connection:
            self.assertEqual(connection.getpeercert(True), der(self.pair[0]))

    def test_without_a_domain_a_host_is_needed_and_enough(self):
        self.server = self.relay()
        port = self.openssl()
        refused = self.agent(self.server, "tls", str(port), name="refused", wait=False)
        self.assertNotEqual(refused.process.wait(SOON), 0)
        self.assertIn("LEAT_BAD_HOST", refused.process.log())
        self.agent(self.server, "tls", str(port), "--host", HOST)
        with self.connect(HOST) as connection:
            self.assertEqual(connection.getpeercert(True), der(self.pair[0]))

    # --- the ClientHello ---

    def shake_hands(self, pieces, tls, incoming, outgoing):
        """The handshake, its first flight in these pieces, each in a segment of its own."""
        with socket.create_connection((self.server.host, self.server.port), timeout=SOON) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                sock.sendall(piece)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    data = sock.recv(64 * KiB)
                    if not data:
                        raise Cut("in the handshake") from None
                    incoming.write(data)
            return tls.getpeercert(True)

    def test_a_hello_in_single_bytes_and_in_single_byte_records(self):
        self.publish(self.openssl(), "--host", HOST)
        want = der(self.pair[0])
        for size in (1, 7, 64, 1400):
            tls, incoming, outgoing = client_hello(HOST)
            hello = outgoing.read()
            pieces = [hello[at:at + size] for at in range(0, len(hello), size)]
            self.assertEqual(self.shake_hands(pieces, tls, incoming, outgoing), want, size)
        for size in (64, 100, 500):
            # OpenSSL takes so many records of a message; that the relay reads them all is what counts.
            tls, incoming, outgoing = client_hello(HOST)
            pieces = as_records(outgoing.read(), size)
            self.assertEqual(self.shake_hands(pieces, tls, incoming, outgoing), want, size)

    def test_a_hello_of_many_kilobytes(self):
        self.publish(self.openssl(), "--host", HOST)
        tls, incoming, outgoing = client_hello(HOST, pad=12 * KiB)
        hello = outgoing.read()
        self.assertGreater(len(hello), 12 * KiB)
        pieces = [hello[at:at + 1000] for at in range(0, len(hello), 1000)]
        self.assertEqual(self.shake_hands(pieces, tls, incoming, outgoing), der(self.pair[0]))

    def test_single_byte_records_reach_the_service_as_they_are(self):
        received = []
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.publish(listener.getsockname()[1], "--host", HOST, "--health", "none")
        _, _, outgoing = client_hello(HOST)
        pieces = as_records(outgoing.read(), 1)
        with socket.create_connection((self.server.host, self.server.port), timeout=SOON) as sock:
            for piece in pieces:
                sock.sendall(piece)
            sock.sendall(b"and what follows")
            sock.shutdown(socket.SHUT_WR)
            listener.settimeout(SOON)
            service, _ = listener.accept()
            service.settimeout(SOON)
            with service:
                while data := service.recv(64 * KiB):
                    received.append(data)
                self.assertEqual(b"".join(received), b"".join(pieces) + b"and what follows")
                service.sendall(b"half-closed, and still answered")
            got = b""
            while data := sock.recv(64 * KiB):
                got += data
            self.assertEqual(got, b"half-closed, and still answered")

    def test_what_is_no_hello_gets_no_further(self):
        self.publish(self.openssl(), "--host", HOST)
        _, _, outgoing = client_hello(HOST)
        hello = outgoing.read()
        endless = b"".join(as_records(b"\x16\x03\x01" + (16000).to_bytes(2, "big") + b"\x01\x00\x90\x00" +
                                      b"x" * 15996, 15996))
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\xff\xff" + b"x" * 99,
                      endless, hello[:5] + b"\x02" + hello[6:], hello[:-1], hello[:9], b"\x16"):
            with socket.create_connection((self.server.host, self.server.port), timeout=SOON) as sock:
                with contextlib.suppress(OSError):
                    sock.sendall(noise)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(64 * KiB):
                        pass
        self.assertNotIn("tcp visitor", self.server.process.log())
        with self.connect(HOST) as connection:  # everybody else is served
            self.assertEqual(connection.getpeercert(True), der(self.pair[0]))

    def test_the_relay_logs_who_came_and_how_much_and_nothing_of_it(self):
        self.publish(self.openssl(), "--host", HOST)
        with self.connect(HOST) as connection:
            visitor = "%s:%d" % connection.getsockname()
            connection.sendall(b"GET /secret-path HTTP/1.0\r\n\r\n")
            connection.recv(64 * KiB)
        log = wait_until(lambda: re.search(r".*tcp visitor left.*", self.server.process.log()),
                         "the visit is logged").group()
        self.assertIn(visitor, log)
        self.assertNotIn("secret-path", self.server.process.log())
        for path in pathlib.Path(self.server.folder).glob("*"):
            self.assertNotIn(b"secret-path", path.read_bytes())


if __name__ == "__main__":
    harness.main()
