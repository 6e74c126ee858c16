"""Who is behind a connection: PROXY headers into the relay and towards services (nginx reads them), and the
forwarding fields of proxies that are trusted."""

import contextlib
import json
import re
import socket
import ssl
import struct

import harness
from harness import SOON, free_port, wait_until
from names_test import certificate
from wire import Client, Origin, answer

DOMAIN = "relay.test"
HOST = "vault.example.com"
PROXY = "127.0.0.2"    # a proxy that speaks the PROXY protocol
TRUSTED = "127.0.0.3"  # one that sets X-Forwarded-For


def line(source="203.0.113.7", port=4711):
    return f"PROXY TCP4 {source} 198.51.100.1 {port} 443\r\n".encode()


def binary(source="203.0.113.7", port=4711, command=0x21, extra=b""):
    addresses = socket.inet_aton(source) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", port, 443)
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes((command, 0x11)) +
            (len(addresses) + len(extra)).to_bytes(2, "big") + addresses + extra)


def tells(request, connection):
    """A service that repeats what it was told about its visitor."""
    return answer(connection, json.dumps(dict(request.fields)).encode())


class ProxyTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.pair = certificate(self.folder, "vault", HOST)

    def dial(self, port, source="127.0.0.1"):
        sock = socket.create_connection(("127.0.0.1", port), timeout=SOON, source_address=(source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(sock.close)
        return sock

    def tls(self, sock, name=None):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        secure = context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
        self.addCleanup(secure.close)
        return secure

    def ask(self, sock, path):
        client = Client(sock)
        client.request("GET", path, host="localhost")
        message, body = client.response()
        self.assertEqual(message.status, 200, body)
        return {name.lower(): value for name, value in json.loads(body).items()}

    # --- into the relay ---

    def serve(self, *arguments):
        port, ports = self.tcp_port()
        self.tcp = port
        self.server = self.relay("--domain", DOMAIN, "--plain-listen", "127.0.0.1:0", *ports,
                                 "--proxy-protocol", f"{PROXY}/32,::1", "--trusted-proxies", TRUSTED,
                                 *arguments)
        self.origin = Origin(self, tells)
        self.agent(self.server, "http", self.origin.address, "--id", "web", "--public", name="web")

    def test_both_versions_at_every_door(self):
        self.serve()
        for header in (line(), binary(), binary(extra=b"\x04\x00\x03xyz")):
            for cut in (None, 1, 12, 16, len(header) - 1):
                for port, secure in ((self.server.port, True), (self.server.plain()[1], False)):
                    sock = self.dial(port, PROXY)
                    for part in (header[:cut], header[cut:]) if cut else (header,):
                        sock.sendall(part)
                    seen = self.ask(self.tls(sock) if secure else sock, "/tunnel/web/")
                    self.assertEqual(seen["x-forwarded-for"], "203.0.113.7")
                    self.assertEqual(seen["x-forwarded-proto"], "https" if secure else "http")
                    self.assertIn("for=203.0.113.7;", seen["forwarded"])

    def test_at_a_tcp_port_and_in_front_of_a_passed_through_hello(self):
        self.serve()
        received = []
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        target = listener.getsockname()[1]
        self.agent(self.server, "tcp", str(target), "--remote-port", self.tcp, "--health", "none", name="raw")
        self.agent(self.server, "tls", str(target), "--host", HOST, "--health", "none", name="vault")
        listener.settimeout(SOON)
        sock = self.dial(self.tcp, PROXY)
        sock.sendall(binary() + b"ping")
        service, _ = listener.accept()
        service.settimeout(SOON)
        self.assertEqual(service.recv(100), b"ping")
        service.close()
        sock = self.dial(self.server.port, PROXY)
        outgoing = ssl.MemoryBIO()
        hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
        with contextlib.suppress(ssl.SSLWantReadError):
            hello.do_handshake()
        hello = outgoing.read()
        sock.sendall(line() + hello)
        service, _ = listener.accept()
        service.settimeout(SOON)
        while len(b"".join(received)) < len(hello):
            received.append(service.recv(65536))
        self.assertEqual(b"".join(received), hello)
        service.close()
        self.assertEqual(len(re.findall(r'"tcp visitor".*"visitor":"203.0.113.7:4711"',
                                        self.server.process.log())), 2)

    def test_the_proxys_own_connections(self):
        self.serve()
        for header in (b"PROXY UNKNOWN\r\n", binary(command=0x20)):
            sock = self.dial(self.server.plain()[1], PROXY)
            sock.sendall(header)
            self.assertEqual(self.ask(sock, "/tunnel/web/")["x-forwarded-for"], PROXY)

    def test_without_a_header_it_gets_nowhere(self):
        self.serve()
        for port in (self.server.port, self.server.plain()[1]):
            for noise in (b"GET /tunnel/web/ HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05", b"",
                          b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", line()[:20], binary()[:20],
                          binary()[:14] + b"\xff\xff" + b"x" * 8192):
                sock = self.dial(port, PROXY)
                with contextlib.suppress(OSError):  # closed before all of it is sent, perhaps
                    sock.sendall(noise)
                    sock.shutdown(socket.SHUT_WR)
                    self.assertEqual(sock.recv(100), b"", noise)
        self.assertEqual(self.origin.requests, [])

    def test_nobody_else_may_say_who_it_is(self):
        self.serve()
        # At the TLS door it is no ClientHello, at the other no request.
        sock = self.dial(self.server.port)
        sock.sendall(line())
        with contextlib.suppress(ConnectionResetError):
            self.assertNotIn(b"HTTP/1.1 200", sock.recv(1000))
        client = Client(self.dial(self.server.plain()[1]))
        client.send(line() + b"GET /tunnel/web/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.head().status, 400)
        client = Client(self.dial(self.server.plain()[1]))
        client.request("GET", "/tunnel/web/", "X-Forwarded-For: 10.9.8.7", "Forwarded: for=10.9.8.7",
                       "X-Real-IP: 10.9.8.7", host="localhost")
        _, body = client.response()
        self.assertNotIn(b"10.9.8.7", body)

    def test_a_trusted_proxys_fields_are_continued(self):
        self.serve()
        client = Client(self.dial(self.server.plain()[1], TRUSTED))
        for _ in range(2):
            client.request("GET", "/tunnel/web/x", "X-Forwarded-For: 10.9.8.7, 203.0.113.7",
                           "X-Forwarded-Proto: https", "X-Forwarded-Host: chat.example.com",
                           host="localhost")
            seen = {name.lower(): value for name, value in json.loads(client.response()[1]).items()}
            self.assertEqual(seen["x-forwarded-for"], f"10.9.8.7, 203.0.113.7, {TRUSTED}")
            self.assertEqual(seen["x-forwarded-proto"], "https")
            self.assertEqual(seen["x-forwarded-host"], "chat.example.com")
            self.assertEqual(seen["x-forwarded-prefix"], "/tunnel/web")

    def haproxy(self, **targets):
        """Ports of a haproxy that passes connections on to others with a PROXY header: name=(port, words)."""
        ports = {name: free_port() for name in targets}
        config = self.folder / "haproxy.cfg"
        parts = ["defaults", "  mode tcp", "  timeout connect 10s", "  timeout client 60s",
                 "  timeout server 60s"]
        for name, (port, words) in targets.items():
            parts += [f"listen {name}", f"  bind 127.0.0.1:{ports[name]}", f"  source {PROXY}",
                      f"  server relay 127.0.0.1:{port} {words}"]
        config.write_text("\n".join(parts) + "\n")
        process = self.start("haproxy", ["/usr/sbin/haproxy", "-db", "-f", config])
        self.wait_listening(next(iter(ports.values())), process)
        return ports

    def wait_listening(self, port, process):
        def listening():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True
            return False

        wait_until(listening, f"{process.name} listens", alive=[process])

    def test_haproxy_in_front_of_every_door(self):
        self.serve()
        self.agent(self.server, "tcp", self.origin.address, "--remote-port", self.tcp, name="raw")
        tls, plain = self.server.port, self.server.plain()[1]
        ports = self.haproxy(tls_v1=(tls, "send-proxy"), tls_v2=(tls, "send-proxy-v2"),
                             plain_v1=(plain, "send-proxy"), plain_v2=(plain, "send-proxy-v2-ssl-cn"),
                             raw=(self.tcp, "send-proxy-v2"))
        for name in ("tls_v1", "tls_v2", "plain_v1", "plain_v2"):
            sock = self.dial(ports[name], "127.0.0.77")
            seen = self.ask(self.tls(sock) if name.startswith("tls") else sock, "/tunnel/web/")
            self.assertEqual(seen["x-forwarded-for"], "127.0.0.77", name)
        sock = self.dial(ports["raw"], "127.0.0.78")
        visitor = "%s:%d" % sock.getsockname()
        self.ask(sock, "/")
        self.assertRegex(self.server.process.log(), rf'"tcp visitor".*"visitor":"{visitor}"')

    def test_nginx_in_front_and_trusted(self):
        self.serve()
        port = free_port()
        config = self.folder / "front.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {self.folder}/front.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}/front-body;
  proxy_temp_path {self.folder}/front-proxy;
  fastcgi_temp_path {self.folder}/front-fastcgi;
  uwsgi_temp_path {self.folder}/front-uwsgi;
  scgi_temp_path {self.folder}/front-scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {self.pair[0]};
    ssl_certificate_key {self.pair[1]};
    location / {{
      proxy_pass http://127.0.0.1:{self.server.plain()[1]};
      proxy_bind {TRUSTED};
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
""")
        process = self.start("front", ["/usr/sbin/nginx", "-c", config, "-p", self.folder])
        self.wait_listening(port, process)
        client = Client(self.tls(self.dial(port, "127.0.0.79"), f"web.{DOMAIN}"))
        # The visitor's own claim stands in front of what nginx saw, as it does for any proxy.
        client.request("GET", "/", "X-Forwarded-For: 10.9.8.7", "Forwarded: for=10.9.8.7",
                       host=f"web.{DOMAIN}")
        seen = {name.lower(): value for name, value in json.loads(client.response()[1]).items()}
        self.assertEqual(seen["x-forwarded-for"], f"10.9.8.7, 127.0.0.79, {TRUSTED}")
        self.assertEqual(seen["x-forwarded-proto"], "https")
        self.assertEqual(seen["x-forwarded-host"], f"web.{DOMAIN}")
        self.assertTrue(seen["forwarded"].startswith("for=10.9.8.7;proto=https;"), seen["forwarded"])
        self.assertNotIn("x-forwarded-prefix", seen)

    # --- towards services ---

    def nginx(self):
        """Ports that want a PROXY header: HTTP, and HTTPS."""
        plain, secure = free_port(), free_port()
        config = self.folder / "nginx.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  server {{
    listen 127.0.0.1:{plain} proxy_protocol;
    listen 127.0.0.1:{secure} ssl proxy_protocol;
    ssl_certificate {self.pair[0]};
    ssl_certificate_key {self.pair[1]};
    location / {{ return 200 '{{"visitor":"$proxy_protocol_addr:$proxy_protocol_port"}}'; }}
  }}
}}
""")
        nginx = self.start("nginx", ["/usr/sbin/nginx", "-c", config, "-p", self.folder])
        self.wait_listening(plain, nginx)
        return plain, secure

    def introduced(self, version):
        plain, secure = self.nginx()
        tcp, ports = self.tcp_port()
        server = self.relay("--domain", DOMAIN, "--plain-listen", "127.0.0.1:0", *ports,
                            "--trusted-proxies", TRUSTED)
        protocol = ("--proxy-protocol", version)
        self.agent(server, "http", str(plain), "--id", "web", "--public", *protocol, name="web")
        self.agent(server, "http", f"https://127.0.0.1:{secure}", "--insecure", "--id", "secure", "--public",
                   *protocol, name="secure")
        self.agent(server, "tcp", str(plain), "--remote-port", tcp, *protocol, name="raw")
        self.agent(server, "tls", str(secure), "--host", HOST, *protocol, name="vault")
        for path in ("/tunnel/web/", "/tunnel/secure/"):
            # Two visitors in turn: no connection to the service is both's.
            visitors = [self.dial(server.plain()[1]) for _ in range(2)]
            for _ in range(3):
                for sock in visitors:
                    self.assertEqual(self.ask(sock, path)["visitor"], "%s:%d" % sock.getsockname())
        sock = self.dial(tcp)
        self.assertEqual(self.ask(sock, "/")["visitor"], "%s:%d" % sock.getsockname())
        sock = self.dial(server.port)
        name = "%s:%d" % sock.getsockname()
        self.assertEqual(self.ask(self.tls(sock, HOST), "/")["visitor"], name)
        # Of a visitor whom a proxy names the port is not known; nginx shows 0 as nothing.
        client = Client(self.dial(server.plain()[1], TRUSTED))
        client.request("GET", "/tunnel/web/", "X-Forwarded-For: 2001:db8::7", host="localhost")
        self.assertEqual(json.loads(client.response()[1])["visitor"], "2001:db8::7:")

    def test_services_are_told_who_comes_by_version_1(self):
        self.introduced("v1")

    def test_services_are_told_who_comes_by_version_2(self):
        self.introduced("v2")


if __name__ == "__main__":
    harness.main()
