"""HTTP by name: hosts below the relay's domain, hosts that agents bring, certificates by SNI, 421, the
identical 503, and how long a tunnel may rest."""

import socket
import ssl
import subprocess
import threading

import harness
from harness import SOON
from wire import Client, Cut, Origin, answer, body_pieces, chunk

DOMAIN = "relay.test"


def certificate(folder, name, *names):
    """A self-signed certificate for the names, and its key: two paths."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", cert,
                    "-addext", "subjectAltName=" + ",".join(f"DNS:{each}" for each in names)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    key.chmod(0o600)
    return cert, key


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def says(text):
    """A service that answers with its name and what it was asked for."""
    def handler(request, connection):
        return answer(connection, f"{text} {request.get('host')} {request.words[1]}".encode(), "200 OK",
                      "Set-Cookie: a=b; Domain=relay.test; Path=/x", "Location: /elsewhere")
    return handler


class NamesTest(harness.Case):
    def visitor(self, server, name=None):
        client = Client(server.connect(name=name))
        self.addCleanup(client.close)
        return client

    def plain_visitor(self, server):
        client = Client(socket.create_connection(server.plain(), timeout=SOON))
        self.addCleanup(client.close)
        return client

    def publish(self, server, ident, *arguments, handler=None, **options):
        origin = Origin(self, handler or says(ident))
        return self.agent(server, "http", origin.address, "--id", ident, "--public", "--host-header",
                          "preserve", *arguments, name=ident, **options)

    def ask(self, client, host, path="/"):
        client.request("GET", path, host=host)
        return client.response()

    # --- names ---

    def test_a_tunnel_has_its_host_for_itself(self):
        server = self.relay("--domain", DOMAIN)
        self.publish(server, "photos")
        client = self.visitor(server, f"photos.{DOMAIN}")
        for path in ("/", "/healthz", "/agent", "/tunnel/photos/x", "/t/other/", "/a/../b?c=%2f"):
            message, body = self.ask(client, f"photos.{DOMAIN}:8443", path)
            self.assertEqual(message.status, 200)
            seen = path if path != "/a/../b?c=%2f" else "/b?c=%2f"
            self.assertEqual(body.decode(), f"photos photos.{DOMAIN}:8443 {seen}")
            # The origin is the service's own: nothing is confined to a path. The domain is all tunnels'.
            self.assertEqual(message.get("set-cookie"), "a=b; Path=/x")
            self.assertEqual(message.get("location"), "/elsewhere")
        message, _ = self.ask(self.visitor(server, f"PHOTOS.{DOMAIN}"), f"PhoTos.{DOMAIN}.")
        self.assertEqual(message.status, 200)

    def test_the_shared_path_goes_on_beside_it(self):
        server = self.relay("--domain", DOMAIN)
        self.publish(server, "photos")
        client = self.visitor(server, DOMAIN)
        for prefix in ("/tunnel/photos", "/t/photos"):
            message, body = self.ask(client, DOMAIN, prefix + "/x")
            self.assertEqual(body.decode(), f"photos {DOMAIN} /x")
            self.assertEqual(message.get("set-cookie"), f"a=b; Path={prefix}/x")
            self.assertEqual(message.get("location"), prefix + "/elsewhere")
        self.assertEqual(self.ask(client, DOMAIN, "/healthz")[0].status, 200)

    def test_one_connection_speaks_to_several_tunnels(self):
        server = self.relay("--domain", DOMAIN, "--plain-listen", "127.0.0.1:0")
        names = [f"tunnel-{number}" for number in range(3)]
        for name in names:
            self.publish(server, name)
        client = self.plain_visitor(server)
        for number in range(30):
            name = names[number % 3]
            if number % 2:
                message, body = self.ask(client, f"{name}.{DOMAIN}", f"/{number}")
                self.assertEqual(body.decode(), f"{name} {name}.{DOMAIN} /{number}")
            else:
                message, body = self.ask(client, DOMAIN, f"/tunnel/{name}/{number}")
                self.assertEqual(body.decode(), f"{name} {DOMAIN} /{number}")
            self.assertEqual(message.status, 200)
        # And all at once, with a body that the relay must not take for the next request.
        client.send(b"".join(f"POST /{name} HTTP/1.1\r\nHost: {name}.{DOMAIN}\r\nContent-Length: 14\r\n\r\n"
                             "GET / HTTP/1.1".encode() for name in names))
        for name in names:
            self.assertEqual(client.response()[1].decode(), f"{name} {name}.{DOMAIN} /{name}")

    def test_a_host_that_an_agent_brings(self):
        server = self.relay("--domain", DOMAIN)
        self.publish(server, "shop", "--host", "Shop.example.com,www.shop.example.com")
        for host in ("shop.example.com", "www.shop.example.com", f"shop.{DOMAIN}"):
            message, body = self.ask(self.visitor(server, host), host, "/tunnel/other/")
            self.assertEqual((message.status, body.decode()), (200, f"shop {host} /tunnel/other/"))
            domain = "" if host.endswith(DOMAIN) else "Domain=relay.test; "  # above its own name it may
            self.assertEqual(message.get("set-cookie"), f"a=b; {domain}Path=/x")

    def test_a_host_belongs_to_the_first_credential(self):
        server = self.relay("--domain", DOMAIN)
        token = server.token("owner")
        first = self.publish(server, "one", "--host", "shop.example.com", token=token)
        first.process.stop()
        thief = self.publish(server, "two", "--host", "shop.example.com", token=server.token("thief"),
                             wait=False)
        thief.process.expected_exit = thief.process.wait(SOON)
        self.assertIn("LEAT_TUNNEL_TAKEN", thief.process.log())
        self.assertEqual(self.ask(self.visitor(server), "shop.example.com")[0].status, 503)
        self.publish(server, "three", "--host", "shop.example.com", token=token)
        self.assertEqual(self.ask(self.visitor(server), "shop.example.com")[1][:6], b"three ")

    def test_hosts_that_are_refused(self):
        with_domain = self.relay("--domain", DOMAIN)
        without = self.relay(name="nameless")
        cases = ((with_domain, DOMAIN, "LEAT_BAD_HOST"), (with_domain, f"other.{DOMAIN}", "LEAT_BAD_HOST"),
                 (without, "shop.example.com", "LEAT_BAD_HOST"))
        for number, (server, host, code) in enumerate(cases):
            agent = self.publish(server, f"refused-{number}", "--host", host, wait=False)
            self.assertNotEqual(agent.process.wait(SOON), 0)
            self.assertIn(code, agent.process.log())
        for host in ("shop", "10.0.0.1", "a..b", "-a.b", "*.example.com", ""):
            made = harness.run_leat("http", "80", "--relay", "x", "--host", host, env={"LEAT_TOKEN": "x"})
            self.assertEqual(made.returncode, 2, host)
            self.assertIn("--host", made.stderr)

    # --- strangers ---

    def test_unknown_and_offline_names_answer_alike(self):
        server = self.relay("--domain", DOMAIN, "--plain-listen", "127.0.0.1:0")
        self.publish(server, "gone", "--host", "gone.example.com").process.stop()
        answers = set()
        for host, path in ((f"gone.{DOMAIN}", "/"), (f"never.{DOMAIN}", "/"), ("gone.example.com", "/"),
                           ("never.example.com", "/"), (f"a.b.{DOMAIN}", "/"), (f"_.{DOMAIN}", "/"),
                           ("never.example.com", "/tunnel/gone/"), (f"never.{DOMAIN}", "/healthz"),
                           (DOMAIN, "/tunnel/gone/"), (DOMAIN, "/tunnel/never/"), (DOMAIN, "/t/never/")):
            client = self.plain_visitor(server)
            client.request("GET", path, "X-Request-Id: x", host=host)
            message, body = client.response()
            answers.add((tuple(message.words), tuple(message.fields), body))
        self.assertEqual(len(answers), 1, answers)
        words, fields, body = answers.pop()
        self.assertEqual(words[1], "503")
        self.assertIn(("Retry-After", "2"), fields)
        self.assertIn(b"LEAT_AGENT_OFFLINE", body)

    def test_agents_come_by_any_name_that_is_no_tunnels(self):
        server = self.relay("--domain", DOMAIN, "--plain-listen", "127.0.0.1:0")
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="]
        token = server.token()
        doors = (("/agent", upgrade + ["Sec-WebSocket-Protocol: leat.1"]),
                 ("/agent?room=notes", upgrade + [f"Authorization: Bearer {token}"]))
        for host in (DOMAIN, "alias.example", "127.0.0.1", f"127.0.0.1:{server.port}", "[::1]", "localhost"):
            for path, fields in doors:
                with self.subTest(host=host, path=path):
                    client = self.plain_visitor(server)
                    client.request("GET", path, *fields, host=host)
                    self.assertEqual(client.head().status, 101)
        client = self.visitor(server, "alias.example")
        client.request("GET", *doors[0][:1], *doors[0][1], host="alias.example")
        self.assertEqual(client.head().status, 101)
        # A tunnel's host is the tunnel's, and of a stranger's there is nothing but this door.
        self.publish(server, "shop", "--host", "shop.example")
        for host, path, fields, status in (("photos." + DOMAIN, *doors[0], 503), ("a.b." + DOMAIN, *doors[0], 503),
                                           ("alias.example", "/agent", [], 503),
                                           ("alias.example", "/healthz", [], 503),
                                           ("alias.example", "/client?room=notes", upgrade, 503),
                                           ("alias.example", "/tunnel/shop/", [], 503),
                                           ("shop.example", *doors[0], 200)):
            with self.subTest(host=host, path=path):
                client = self.plain_visitor(server)
                client.request("GET", path, *fields, host=host)
                self.assertEqual(client.response()[0].status, status)

    def test_another_host_than_that_of_the_connection(self):
        server = self.relay("--domain", DOMAIN)
        self.publish(server, "a", "--host", "shop.example.com")
        self.publish(server, "b")
        for sni, host in ((f"a.{DOMAIN}", f"b.{DOMAIN}"), (f"a.{DOMAIN}", DOMAIN), (DOMAIN, f"a.{DOMAIN}"),
                          (f"a.{DOMAIN}", "shop.example.com"), ("shop.example.com", f"a.{DOMAIN}")):
            client = self.visitor(server, sni)
            message, body = self.ask(client, host)
            self.assertEqual(message.status, 421, (sni, host))
            self.assertIn(b"LEAT_MISDIRECTED", body)
            # The connection may go on with what it was made for.
            self.assertNotEqual(self.ask(client, sni)[0].status, 421)

    def test_without_host_the_name_of_the_connection_counts(self):
        server = self.relay("--domain", DOMAIN)
        self.publish(server, "a")
        for sni, status in ((f"a.{DOMAIN}", 200), (f"b.{DOMAIN}", 503), (DOMAIN, 404), (None, 404)):
            client = self.visitor(server, sni)
            client.send(b"GET /x HTTP/1.0\r\n\r\n")
            self.assertEqual(client.response()[0].status, status, sni)

    # --- certificates ---

    def test_certificates_by_name(self):
        main = certificate(self.folder, "main", DOMAIN)
        wild = certificate(self.folder, "wild", f"*.{DOMAIN}", f"one.{DOMAIN}")
        shop = certificate(self.folder, "shop", "Shop.example.com")
        late = certificate(self.folder, "late", "shop.example.com", "late.example.com")
        server = self.relay("--domain", DOMAIN, "--cert", main[0], "--key", main[1], "--certs",
                            ",".join(f"{cert}:{key}" for cert, key in (wild, shop, late)))
        for name, pair in ((DOMAIN, main), (None, main), ("other.example.com", main),
                           (f"one.{DOMAIN}", wild), (f"two.{DOMAIN}", wild), (f"TWO.{DOMAIN}", wild),
                           (f"a.b.{DOMAIN}", main), ("shop.example.com", shop), ("late.example.com", late)):
            with server.connect(name=name) as connection:
                self.assertEqual(connection.getpeercert(True), der(pair[0]), name)
                self.assertEqual(connection.selected_alpn_protocol(), "http/1.1")
        # A certificate for all names of the domain: they are what visitors are told first.
        agent = self.publish(server, "photos", "--host", "photos.example.com")
        self.assertEqual(agent.online()["tunnels"][0]["urls"],
                         [f"https://photos.example.com:{server.port}/",
                          f"https://photos.{DOMAIN}:{server.port}/",
                          f"https://{DOMAIN}:{server.port}/tunnel/photos/"])

    def test_names_are_not_told_where_nobody_says_that_they_lead_here(self):
        path = "https://relay.test:{0}/tunnel/photos/"
        name = "https://photos.relay.test:{0}/"
        for number, (arguments, urls) in enumerate((((), [path]), (("--wildcard",), [name, path]))):
            server = self.relay("--domain", DOMAIN, *arguments, name=f"relay-{number}")
            agent = self.agent(server, "http", "1", "--id", "photos", "--public", name=f"agent-{number}")
            self.assertEqual(agent.online()["tunnels"][0]["urls"],
                             [url.format(server.port) for url in urls])

    def test_a_certificate_without_names_is_refused(self):
        main = certificate(self.folder, "main", DOMAIN)
        cert, key = self.folder / "bare.pem", self.folder / "bare.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", cert], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        key.chmod(0o600)
        for pair, code in ((f"{cert}:{key}", "bears no DNS name"), (f"{main[0]}:{key}", "LEAT_KEY_FILE"),
                           (f"{main[0]}", "LEAT_USAGE")):
            made = harness.run_leat("relay", "--listen", "127.0.0.1:0", "--state-dir", self.folder / "r",
                                    "--certs", pair)
            self.assertNotEqual(made.returncode, 0)
            self.assertIn(code, made.stderr)

    # --- how long a tunnel may rest ---

    def test_an_answer_that_does_not_begin(self):
        server = self.relay("--domain", DOMAIN)
        gone = threading.Event()

        def silent(request, connection):
            try:
                connection.reader.more()
            except Cut:
                gone.set()
            return False

        self.publish(server, "slow", "--first-byte-timeout", "1s", handler=silent)
        message, body = self.ask(self.visitor(server), f"slow.{DOMAIN}")
        self.assertEqual(message.status, 504)
        self.assertIn(b"LEAT_SERVICE_TIMEOUT", body)
        self.assertTrue(gone.wait(SOON), "the service was not told")

    def test_an_answer_that_rests_and_one_that_goes_on(self):
        server = self.relay("--domain", DOMAIN)
        more = threading.Semaphore(0)
        begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

        def tokens(request, connection):
            connection.send(begin + chunk(b"first"))
            # What moves counts, not how long all of it takes: three times the limit.
            for _ in range(6):
                more.acquire(timeout=0.5)
                connection.send(chunk(b"more"))
            try:
                connection.reader.more()
            except Cut:
                pass
            return False

        self.publish(server, "slow", "--idle-timeout", "1s", handler=tokens)
        client = self.visitor(server)
        client.request("GET", "/", host=f"slow.{DOMAIN}")
        self.assertEqual(client.head().status, 200)
        for token in (b"first", *[b"more"] * 6):
            self.assertEqual(int(client.reader.until(b"\r\n"), 16), len(token))
            self.assertEqual(client.reader.exactly(len(token) + 2), token + b"\r\n")
        self.assertRaises(Cut, client.reader.more)  # a cut, not an end

    def test_a_request_that_goes_on_is_not_waiting_for_its_answer(self):
        server = self.relay("--domain", DOMAIN)
        received = threading.Semaphore(0)

        def count(request, connection):
            total = 0
            for piece in body_pieces(connection.reader, request):
                total += len(piece)
                received.release()
            return answer(connection, str(total).encode())

        self.publish(server, "slow", "--first-byte-timeout", "1s", handler=count)
        client = self.visitor(server, f"slow.{DOMAIN}")
        client.send(f"POST / HTTP/1.1\r\nHost: slow.{DOMAIN}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(6):  # three times the limit
            client.send(chunk(b"piece"))
            self.assertTrue(received.acquire(timeout=SOON))
            self.assertFalse(received.acquire(timeout=0.5))
        client.send(b"0\r\n\r\n")
        message, body = client.response()
        self.assertEqual((message.status, body), (200, b"30"))

    def test_times_that_are_refused(self):
        for time in ("0s", "999ms", "169h", "soon", "10"):
            made = harness.run_leat("http", "80", "--relay", "x", "--idle-timeout", time,
                                    env={"LEAT_TOKEN": "x"})
            self.assertEqual(made.returncode, 2, time)
            self.assertIn("--idle-timeout", made.stderr)


if __name__ == "__main__":
    harness.main()
