"""Agents that reach the relay inside a WebSocket: directly, through a reverse proxy, through a proxy."""

import base64
import contextlib
import hashlib
import json
import pathlib
import random
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import harness
import room_agents
from harness import MiB, PEERS, SANITIZED, free_port, run_leat, scaled, wait_until

SIZE = scaled(64 * MiB)


class Service(BaseHTTPRequestHandler):
    """Answers GET with the same bytes each time, or what it was told of the visitor, and PUT with the digest of what
    came."""

    protocol_version = "HTTP/1.1"
    data = random.Random(1).randbytes(SIZE)

    def do_GET(self):
        told = json.dumps(dict(self.headers)).encode()
        body = told if self.path == "/told" else self.data
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, MiB))
            digest.update(piece)
            left -= len(piece)
        answer = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def listening(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False


class CarriersTest(harness.Case):
    def setUp(self):
        super().setUp()
        server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.target = f"http://127.0.0.1:{server.server_address[1]}"

    def agent_to(self, relay, address, *arguments, name="agent", environment=None, kind="http",
                 target=None):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        process = self.start(name, [harness.LEAT, kind, target or self.target, "--relay", address,
                                    "--state-dir", folder, "--log-format", "json", *arguments],
                             env={"LEAT_TOKEN": relay.token(name), **(environment or {})})

        def online():
            state = harness.read_json(folder / "agent.json")
            return state if state and state["state"] == "online" else None

        state = wait_until(online, f"{name} is online", alive=[process])
        return process, state["tunnels"][0]["id"]

    def check(self, relay, tunnel):
        """A download and an upload, every byte."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"https://{relay.address}/tunnel/{tunnel}/"
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            self.assertEqual(hashlib.sha256(answer.read()).digest(),
                             hashlib.sha256(Service.data).digest())
        request = urllib.request.Request(url, data=Service.data, method="PUT")
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            self.assertEqual(answer.read().decode(), hashlib.sha256(Service.data).hexdigest())

    def test_websocket_over_tls(self):
        relay = self.relay()
        _, tunnel = self.agent_to(relay, f"wss://{relay.address}", "--pin", relay.pin)
        self.check(relay, tunnel)

    def test_websocket_to_the_address_of_a_relay_with_a_domain(self):
        relay = self.relay("--domain", "relay.test")
        _, tunnel = self.agent_to(relay, f"wss://{relay.address}", "--pin", relay.pin)
        self.check(relay, tunnel)

    def test_websocket_in_the_clear(self):
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        host, port = relay.plain()
        _, tunnel = self.agent_to(relay, f"ws://{host}:{port}/ws")
        self.check(relay, tunnel)

    def test_a_wrong_pin_ends_the_agent(self):
        relay = self.relay()
        done = run_leat("http", self.target, "--relay", f"wss://{relay.address}", "--pin",
                        "sha256:" + "00" * 32, "--state-dir", self.folder / "agent",
                        env={"LEAT_TOKEN": relay.token()})
        self.assertEqual(done.returncode, 1)
        self.assertIn("LEAT_PIN_MISMATCH", done.stderr)

    def behind_nginx(self):
        """A relay with a reverse proxy in front of it, which ends TLS with a certificate of its own."""
        port = free_port()
        relay = self.relay("--plain-listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1",
                           "--public-url", f"https://localhost:{port}")
        host, backend = relay.plain()
        key, certificate = self.folder / "proxy.key", self.folder / "proxy.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-days", "2"], check=True, capture_output=True)
        config = self.folder / "nginx.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://{host}:{backend};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_read_timeout 60s;
    }}
  }}
}}
""")
        process = self.start("nginx", ["/usr/sbin/nginx", "-c", config, "-p", self.folder])
        wait_until(lambda: listening(port), "nginx listens", alive=[process])
        return relay, port, certificate

    def test_behind_nginx_an_agent_falls_back_by_itself(self):
        relay, port, certificate = self.behind_nginx()
        process, tunnel = self.agent_to(relay, f"localhost:{port}", "--ca", certificate)
        self.check(relay, tunnel)
        self.assertIn("LEAT_ALPN_REFUSED", process.log())

    def test_behind_nginx_urls_are_its_and_the_visitor_is_known(self):
        relay, port, certificate = self.behind_nginx()
        _, tunnel = self.agent_to(relay, f"localhost:{port}", "--ca", certificate)
        [url] = harness.read_json(self.folder / "agent/agent.json")["tunnels"][0]["urls"]
        self.assertEqual(url, f"https://localhost:{port}/tunnel/{tunnel}/")
        visitor = HTTPSConnection("localhost", port, source_address=("127.0.0.5", 0), timeout=harness.SOON,
                                  context=ssl.create_default_context(cafile=certificate))
        with contextlib.closing(visitor):
            visitor.request("GET", f"/tunnel/{tunnel}/told", headers={"X-Forwarded-For": "192.0.2.1",
                                                                      "X-Forwarded-Proto": "http"})
            told = json.loads(visitor.getresponse().read())
        self.assertEqual(told["X-Forwarded-For"], "127.0.0.5, 127.0.0.1")
        self.assertEqual(told["X-Forwarded-Proto"], "https")
        self.assertTrue(told["Forwarded"].startswith("for=127.0.0.5;proto=https;"), told)

    def test_a_room_behind_nginx(self):
        """Visitors, a leat agent and a bare one, all by way of the proxy."""
        relay, port, certificate = self.behind_nginx()
        server = self.start("server", ["node", PEERS / "websocket_server.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        local = int(server.stdout.readline())
        self.agent_to(relay, f"localhost:{port}", "--ca", certificate, "--room", "ours", name="ours",
                      kind="ws", target=str(local))
        room_agents.start(self, "go", f"wss://localhost:{port}", "bare", local, relay.token("bare"),
                          certificate)
        for room in ("ours", "bare"):
            with self.subTest(room):
                url = f"wss://localhost:{port}/client/doc?room={room}"
                client = self.start(f"client-{room}", ["node", PEERS / "websocket_client.mjs", url, MiB],
                                    stdout=subprocess.PIPE)
                output = client.stdout.read()
                client.stdout.close()
                self.assertEqual(client.wait(harness.SOON), 0, client.log())
                self.assertEqual(json.loads(output), {"messages": 1014, "code": 4321})

    def tinyproxy(self, *lines):
        port = free_port()
        config = self.folder / "tinyproxy.conf"
        config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 50",
                                     "LogLevel Info", "DisableViaHeader Yes", *lines]) + "\n")
        process = self.start("tinyproxy", ["/usr/bin/tinyproxy", "-d", "-c", config])
        wait_until(lambda: listening(port), "tinyproxy listens", alive=[process])
        return port, process

    def test_through_an_http_proxy(self):
        relay = self.relay()
        port, proxy = self.tinyproxy()
        environment = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "elsewhere.test"}
        for name, address in (("native", relay.address), ("web", f"wss://{relay.address}")):
            with self.subTest(name):
                _, tunnel = self.agent_to(relay, address, "--pin", relay.pin, name=name,
                                          environment=environment)
                self.check(relay, tunnel)
        self.assertEqual(proxy.log().count(f"CONNECT {relay.address}"), 2)

    def test_no_proxy_and_none_go_straight(self):
        relay = self.relay()
        nobody = f"http://127.0.0.1:{free_port()}"
        self.agent_to(relay, relay.address, "--pin", relay.pin, name="exempt",
                      environment={"HTTPS_PROXY": nobody, "NO_PROXY": "other.test, 127.0.0.1"})
        self.agent_to(relay, relay.address, "--pin", relay.pin, "--proxy", "none", name="none",
                      environment={"HTTPS_PROXY": nobody})

    def test_a_proxy_that_wants_a_password(self):
        relay = self.relay()
        port, _ = self.tinyproxy("BasicAuth visitor s3cret")
        folder = self.folder / "refused"
        refused = self.start("refused", [harness.LEAT, "http", self.target, "--relay", relay.address,
                                         "--pin", relay.pin, "--state-dir", folder,
                                         "--proxy", f"http://127.0.0.1:{port}"],
                             env={"LEAT_TOKEN": relay.token("refused")})
        wait_until(lambda: "LEAT_PROXY_REFUSED" in refused.log() and "HTTP 401" in refused.log()
                   or "HTTP 407" in refused.log(), "the refusal is told", alive=[refused])
        _, tunnel = self.agent_to(relay, relay.address, "--pin", relay.pin,
                                  environment={"LEAT_PROXY":
                                               f"http://visitor:s3cre%74@127.0.0.1:{port}"})
        self.check(relay, tunnel)

    def raw(self, relay, *fields):
        head = "\r\n".join(["GET /agent HTTP/1.1", "Host: x", *fields]) + "\r\n\r\n"
        with relay.connect() as connection:
            connection.sendall(head.encode())
            return connection.recv(4096).decode()

    def test_what_else_comes_to_agent(self):
        relay = self.relay()
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode()]
        for fields, status, code in [
            ([], 426, "WEBSOCKET_ONLY"),
            (upgrade, 426, "WEBSOCKET_ONLY"),
            (upgrade + ["Sec-WebSocket-Protocol: chat"], 426, "WEBSOCKET_ONLY"),
            ([f.replace("13", "8") for f in upgrade] + ["Sec-WebSocket-Protocol: leat.1"], 426,
             "WEBSOCKET_ONLY"),
            (upgrade + ["Sec-WebSocket-Protocol: leat.1", "Origin: https://evil.test"], 403,
             "NOT_FOR_PAGES"),
        ]:
            with self.subTest(fields):
                answer = self.raw(relay, *fields)
                self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), answer)
                self.assertEqual(json.loads(answer.split("\r\n\r\n")[1])["error"]["code"],
                                 "LEAT_" + code)
        answer = self.raw(relay, *upgrade, "Sec-WebSocket-Protocol: chat, leat.1")
        self.assertTrue(answer.startswith("HTTP/1.1 101 "), answer)
        self.assertIn("sec-websocket-protocol: leat.1", answer.lower())


if __name__ == "__main__":
    harness.main()
