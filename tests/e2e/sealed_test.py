"""Sealed services: pairing, reaching them by `leat connect`, scopes, revocation, keys that change, and
the way without the relay."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import harness
import qr
from harness import LEAT, MiB, SOON, read_json, run_leat, scaled, wait_until
from meddler import DOWN, UP, Meddler, frame, memory_of
from sealed import SealedCase, by_way_of, curl, fields_of
from wire import Cut, Data, Origin, Reader, answer, body_pieces, chunk


def echo(request, connection):
    body = b"".join(body_pieces(connection.reader, request))
    fields = {name.lower(): value for name, value in request.fields}
    answer(connection, json.dumps({"target": request.words[1], "fields": fields,
                                   "sha256": hashlib.sha256(body).hexdigest()}).encode())
    return True


class SealedTest(SealedCase):
    def publish(self, handler=echo, *options):
        self.origin = Origin(self, handler)
        return self.home(("http", self.origin.address, "den"), options=options)

    def restart(self, name):
        """The same agent once more; the one before has ended."""
        return self.agent(self.server, "agent", None, "--config", self.folder / "agent.yaml",
                          folder=self.tunnel.folder, token=self.token, name=name)

    def test_a_device_pairs_once_and_comes_again(self):
        self.publish()
        link = self.link()
        device = self.connect(link)
        self.assertEqual(device.way, "relay")
        done = curl(device.port, "/v1/models?x=1", "-H", "X-Forwarded-For: 1.2.3.4", "-H", "X-Real-IP: 9.9.9.9")
        self.assertEqual(done.returncode, 0, done)
        seen = json.loads(done.stdout)
        self.assertEqual(seen["target"], "/v1/models?x=1")
        self.assertNotIn("x-forwarded-for", seen["fields"])
        self.assertNotIn("x-real-ip", seen["fields"])
        self.assertEqual(seen["fields"]["forwarded"], "proto=https")
        self.assertEqual(seen["fields"]["x-forwarded-proto"], "https")
        self.assertTrue(seen["fields"]["x-request-id"])
        self.assertEqual(list(self.devices()), ["connect"])
        device.stop()
        # By the name it keeps; and by the link, which is not used again.
        kept = [path.stem for path in (self.folder / "keys").iterdir()]
        self.assertEqual(len(kept), 1)
        again = self.connect(kept[0], name="again")
        self.assertEqual(curl(again.port).returncode, 0)
        again.stop()
        again = self.connect("den", name="by-id")
        self.assertEqual(curl(again.port).returncode, 0)
        again.stop()
        again = self.connect(link, name="by-link")
        self.assertEqual(curl(again.port).returncode, 0)
        self.assertEqual(list(self.devices()), ["connect"])
        # Another device has nothing from it.
        self.assertIn("LEAT_PAIRING_USED", self.refused(link, state="thief"))

    def test_bodies_and_streams(self):
        release = threading.Semaphore(0)

        def serve(request, connection):
            if request.words[1].startswith("/tokens"):
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for number in range(3):
                    connection.send(chunk(b"token %d\n" % number))
                    if not release.acquire(timeout=SOON):
                        raise AssertionError("held back")
                connection.send(b"0\r\n\r\n")
                return True
            return echo(request, connection)

        self.publish(serve)
        for suite in ("aesgcm", "nacl"):
            device = self.connect(self.link(), "--suite", suite, name=suite, state=suite)
            data = b"".join(bytes(piece) for piece in Data(scaled(32 * MiB)).pieces())
            (self.folder / "body").write_bytes(data)
            done = curl(device.port, "/upload", "--data-binary", f"@{self.folder}/body", "-H", "Expect:")
            self.assertEqual(json.loads(done.stdout)["sha256"], hashlib.sha256(data).hexdigest())
            client = http.client.HTTPConnection("127.0.0.1", device.port, timeout=SOON)
            client.request("GET", "/tokens")
            response = client.getresponse()
            for number in range(3):
                self.assertEqual(response.readline(), b"token %d\n" % number)
                release.release()
            self.assertEqual(response.read(), b"")
            client.request("GET", "/next")  # the same connection, another stream
            self.assertEqual(json.loads(client.getresponse().read())["target"], "/next")
            client.close()
            device.stop()

    def test_a_page_of_somebody_else_does_not_reach_the_local_port(self):
        self.publish()
        device = self.connect(self.link())

        def seen(host, *arguments, port=device.port):
            done = curl(port, "/", "-H", f"Host: {host}" if host else "Host:", *arguments)
            return json.loads(done.stdout)

        # Its name leads to this machine now; towards the service the agent would put both right.
        for host in ("evil.example", f"evil.example:{device.port}", "localhost.evil.example", "127.0.0.1.evil.example"):
            for upgrade in ((), ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket")):
                self.assertEqual(seen(host, "-H", f"Origin: http://{host}", *upgrade)["error"]["code"],
                                 "LEAT_MISDIRECTED")
        self.assertEqual(self.origin.requests, [])
        for host in ("localhost", f"LOCALHOST:{device.port}", "app.localhost", "127.0.0.1", "192.0.2.7:80", "[::1]:80"):
            self.assertEqual(seen(host)["target"], "/", host)
        self.assertEqual(seen(None, "--http1.0")["target"], "/")
        # Under the right name the service judges the origin by itself.
        fields = seen("localhost", "-H", "Origin: http://evil.example")["fields"]
        self.assertEqual(fields["origin"], "http://evil.example")
        device.stop()
        named = self.connect("den", name="named", local="127.1:0")
        self.assertEqual(seen("127.1", port=named.port)["target"], "/")
        self.assertEqual(seen("127.2", port=named.port)["error"]["code"], "LEAT_MISDIRECTED")

    def test_the_relay_opens_no_door_of_its_own(self):
        self.publish()
        done = run_curl(self.server, "/tunnel/den/")
        self.assertIn(b"LEAT_AGENT_OFFLINE", done)

    def test_tcp_and_a_service_that_is_named(self):
        received = []
        server = threading.Thread(target=tcp_echo, args=(self, received), daemon=True)
        port = listen(self)
        server.start()
        self.origin = Origin(self, echo)
        self.home(("http", self.origin.address, "den"), ("tcp", f"127.0.0.1:{port}", "raw"))
        link = self.link()
        device = self.connect(link, "--service", "raw")
        self.assertEqual(talk(device.port, b"hello"), b"HELLO")
        device.stop()
        device = self.connect("den", "--service", "den", name="web")
        self.assertEqual(curl(device.port).returncode, 0)
        device.stop()
        device = self.connect("den", "--service", "other", name="none")
        self.assertEqual(talk(device.port, b"hello"), b"")
        self.assertIn("LEAT_NO_SUCH_SERVICE", wait_until(lambda: device.log() if "LEAT_NO_SUCH" in device.log()
                                                         else None, "the reason is told"))

    def test_a_service_that_the_reply_has_no_room_for_is_reached(self):
        self.publish()
        device = self.connect(self.link())
        device.stop()
        self.tunnel.process.stop()
        # Now there are more than are listed, and the one that is meant is the last.
        others = [f"{number:02}-{'x' * 56}" for number in range(30)]
        config = self.folder / "agent.yaml"
        service = f"  - target: http://{self.origin.address}\n    sealed: true\n    id: "
        config.write_text("services:\n" + "".join(service + name + "\n" for name in [*others, "den"]))
        self.restart("many")
        device = self.connect("den", name="meant")
        self.assertEqual(json.loads(curl(device.port, "/meant").stdout)["target"], "/meant")
        device.stop()
        # What is not listed is asked for as tcp, and from then on as http.
        device = self.connect("den", "--service", others[-1], name="unlisted")
        self.assertEqual(talk(device.port, b"hello"), b"")
        wait_until(lambda: "LEAT_NO_SUCH_SERVICE" in device.log(), "it is told", alive=[device])
        self.assertEqual(json.loads(curl(device.port, "/unlisted").stdout)["target"], "/unlisted")

    def test_scopes_hold_and_can_be_changed_while_it_is_connected(self):
        port = listen(self)
        threading.Thread(target=tcp_echo, args=(self, []), daemon=True).start()
        self.origin = Origin(self, echo)
        self.home(("http", self.origin.address, "den"), ("tcp", f"127.0.0.1:{port}", "raw"))
        device = self.connect(self.link("--paths", "/v1,/health", "--name", "tablet"), "--service", "den")
        status = lambda path: curl(device.port, path, "-o", "/dev/null", "-w", "%{http_code}",
                                   "--path-as-is").stdout.decode()
        for path in ("/v1", "/v1/models", "/v1?x=/etc", "/health", "/%76%31/models", "/x/../v1/y"):
            self.assertEqual(status(path), "200", path)
        for path in ("/", "/v10", "/v1/../admin", "/v1/%2e%2e/admin", "/v1/..%2fadmin", "/v1%2fx", "/V1",
                     "//v1/models", "/admin?/v1"):
            self.assertIn(status(path), ("403", "400"), path)
        self.assertIn(b"LEAT_OUT_OF_SCOPE", curl(device.port, "/admin").stdout)
        # Without paths a service is not reached by way of leaving them out.
        raw = self.connect("den", "--service", "raw", name="raw")
        self.assertEqual(talk(raw.port, b"hello"), b"")
        raw.stop()
        self.command("device", "scope", "tablet", "--paths", "/admin")
        wait_until(lambda: status("/admin") == "200", "the new scope holds")
        self.assertEqual(status("/v1"), "403")
        self.command("device", "scope", "tablet", "--services", "raw")
        wait_until(lambda: status("/v1") == "000", "the service is out of its scope: it is not even known")
        raw = self.connect("den", "--service", "raw", name="raw-again")
        self.assertEqual(talk(raw.port, b"hello"), b"HELLO")
        # What is not named stays as it is.
        limits = ["raw", "/admin"]
        self.assertEqual(self.devices()["tablet"][-2:], limits)
        self.command("device", "scope", "tablet")
        self.assertEqual(self.devices()["tablet"][-2:], limits)
        # What it has open is cut when it is taken away.
        with socket.create_connection(("127.0.0.1", raw.port), SOON) as held:
            held.settimeout(SOON)
            held.sendall(b"hello")
            self.assertEqual(held.recv(5), b"HELLO")
            self.command("device", "scope", "tablet", "--services", "den", "--paths", "all")
            with contextlib.suppress(ConnectionError):
                self.assertEqual(held.recv(1), b"")
        self.assertEqual(self.devices()["tablet"][-2:], ["den", "all"])
        wait_until(lambda: status("/v1") == "200", "it comes again for the rest")
        # A list of nothing is not taken for no limit, and what no service has is told.
        self.assertIn("tablet", self.command("device", "scope", "tablet", "--paths", "/admin"))
        for command in (("device", "scope", "tablet"), ("pair", "--no-qr")):
            done = run_leat(*command, "--services", "rwa", "--state-dir", self.tunnel.folder)
            self.assertEqual(done.returncode, 0, done)
            self.assertIn("no sealed service 'rwa'", done.stderr)
            self.assertIn("LEAT_USAGE", self.command(*command, "--paths", ",", expect=2))

    def test_a_service_that_rests_too_long_is_given_up(self):
        hold = threading.Event()
        self.addCleanup(hold.set)

        def serve(request, connection):
            if request.words[1] == "/half":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")
            hold.wait(2 * SOON)
            return False

        self.origin = Origin(self, serve)
        self.server = self.relay()
        config = self.folder / "agent.yaml"
        config.write_text(f"services:\n  - target: http://{self.origin.address}\n    id: den\n    sealed: true\n"
                          "    first_byte_timeout: 1s\n    idle_timeout: 1s\n")
        self.tunnel = self.agent(self.server, "agent", None, "--config", config, token=self.server.token("agent"))
        device = self.connect(self.link())
        done = curl(device.port, "/nothing", "-w", "%{http_code}")
        self.assertIn(b"LEAT_SERVICE_TIMEOUT", done.stdout)
        self.assertTrue(done.stdout.endswith(b"504"), done)
        done = curl(device.port, "/half")
        self.assertEqual((done.returncode != 0, done.stdout), (True, b"first"))

    def test_a_revoked_device_is_out_within_a_second(self):
        begun, hold = threading.Event(), threading.Event()
        self.addCleanup(hold.set)

        def serve(request, connection):
            if request.words[1] != "/long":
                return echo(request, connection)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")
            begun.set()
            hold.wait(SOON)
            return False

        self.publish(serve)
        device = self.connect(self.link("--name", "phone"))
        other = self.connect(self.link("--name", "laptop"), name="other", state="other")
        results = []
        long = threading.Thread(target=lambda: results.append(curl(device.port, "/long")))
        long.start()
        self.assertTrue(begun.wait(SOON))
        self.command("device", "revoke", "phone")
        revoked = time.monotonic()
        long.join(SOON)
        took = time.monotonic() - revoked
        self.assertLess(took, 1.0 * harness.PATIENCE)
        self.assertNotEqual(results[0].returncode, 0)  # a cut, not an end
        self.assertEqual(device.wait(SOON), 3)
        self.assertIn("LEAT_REVOKED", device.log())
        self.assertIn("LEAT_REVOKED", self.refused("den"))
        self.assertEqual(curl(other.port).returncode, 0)
        self.assertIn("revoked", self.devices()["phone"])
        self.command("device", "revoke", "nobody", expect=1)

    def test_a_revoked_device_that_does_not_listen_is_out_as_soon(self):
        begun, cut = threading.Event(), threading.Event()

        def serve(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")
            begun.set()
            with contextlib.suppress(OSError):
                connection.sock.settimeout(SOON)
                connection.sock.recv(1)
            cut.set()
            return False

        self.publish(serve, "--direct", "127.0.0.1:0")
        for way in ("relay", "direct"):
            begun.clear()
            cut.clear()
            device = self.connect(self.link("--name", way), "--way", way, name=f"by-{way}", state=way)
            threading.Thread(target=curl, args=(device.port,), daemon=True).start()
            self.assertTrue(begun.wait(SOON))
            os.kill(device.pid, signal.SIGSTOP)
            try:
                self.command("device", "revoke", way)
                revoked = time.monotonic()
                self.assertTrue(cut.wait(SOON))
                self.assertLess(time.monotonic() - revoked, 1.0 * harness.PATIENCE)
            finally:
                os.kill(device.pid, signal.SIGCONT)
            self.assertEqual(device.wait(SOON), 3)

    def test_strangers_who_say_nothing_keep_nobody_out(self):
        self.origin = Origin(self, echo)
        self.home(("http", self.origin.address, "den"), relay=self.relay("--plain-listen", "127.0.0.1:0"),
                  options=("--direct", "127.0.0.1:0"))
        device = self.connect(self.link())
        device.stop()
        host, port = self.tunnel.state()["ways"]["direct"][0].rsplit(":", 1)
        with contextlib.ExitStack() as strangers:
            for _ in range(80):
                by_relay = strangers.enter_context(socket.create_connection(self.server.plain(), SOON))
                by_relay.sendall(SEALED_DOOR)
                self.assertEqual(by_relay.recv(12), b"HTTP/1.1 101")
                strangers.enter_context(socket.create_connection((host, int(port)), SOON))
            for way in ("relay", "direct"):
                device = self.connect("den", "--way", way, name=f"by-{way}")
                self.assertEqual(curl(device.port).returncode, 0)

    def test_one_device_has_no_more_sessions_than_its_share(self):
        self.publish()
        first = self.connect(self.link())
        more = [self.connect("den", name=f"again-{number}") for number in range(15)]
        beyond = self.connect("den", name="beyond", wait=False)
        wait_until(lambda: "LEAT_AGENT_BUSY" in beyond.log(), "it has its share", alive=[beyond])
        self.assertEqual(curl(first.port).returncode, 0)
        other = self.connect(self.link("--name", "other"), name="other", state="other")
        self.assertEqual(curl(other.port).returncode, 0)
        more.pop().stop()
        wait_until(lambda: curl(beyond.port).returncode == 0, "it has a place again")

    def test_the_service_of_the_link_is_meant_by_whatever_way(self):
        self.origin = Origin(self, echo)
        attic = Origin(self, lambda request, connection: answer(connection, b"attic"))
        self.home(("http", self.origin.address, "den"), ("http", attic.address, "attic"),
                  options=("--direct", "127.0.0.1:0"))
        link = self.link()
        for way in ("relay", "direct"):
            device = self.connect(link, "--way", way, name=f"by-{way}")
            self.assertEqual(json.loads(curl(device.port, f"/{way}").stdout)["target"], f"/{way}")
        self.assertEqual(attic.requests, [])

    def test_a_link_is_good_for_ten_minutes(self):
        self.publish()
        for arguments, minutes in (((), 10), (("--minutes", "1"), 1)):
            before = int(time.time())
            link = self.link(*arguments)
            after = int(time.time()) + 1
            ends = next(value for number, _, value in fields_of(unbase64(link.split("#leat1=")[1])) if number == 7)
            self.assertIn(ends - 60 * minutes, range(before, after + 1))
            self.assertEqual(read_json(self.tunnel.folder / "devices.json")["pairings"][-1]["ends"], ends)

    def test_five_tries_one_use_and_a_time(self):
        self.publish()
        link = self.link("--minutes", "1")
        # The clock of the file, not ours.
        path = self.tunnel.folder / "devices.json"
        state = json.loads(path.read_text())
        state["pairings"][0]["ends"] = 1
        rewrite(path, state)
        self.assertIn("LEAT_PAIRING_OVER", self.refused(link, state="late"))
        link = self.link()
        state = json.loads(path.read_text())
        pairing = next(each for each in state["pairings"] if each["ends"] != 1)
        right = pairing["hash"]
        pairing["hash"] = "A" * 43
        rewrite(path, state)
        for number in range(5):
            # What the agent has is not what the link says: the device notices, and the agent counts.
            self.assertIn("LEAT_KEY_CHANGED", self.refused(link, state=f"guess-{number}"))
            wait_until(lambda: tries(path, pairing["id"]) == number + 1, "the try is counted")
        state = json.loads(path.read_text())
        next(each for each in state["pairings"] if each["id"] == pairing["id"])["hash"] = right
        rewrite(path, state)
        self.assertIn("LEAT_PAIRING_OVER", self.refused(link, state="sixth"))

    def test_a_pairing_that_the_agent_or_its_relay_leaves_is_no_try(self):
        self.origin = Origin(self, echo)
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        self.home(("http", self.origin.address, "den"), relay=relay)
        meddler = Meddler(self, relay.plain())
        path = self.tunnel.folder / "devices.json"
        held = threading.Event()

        def hold(passage, direction, index, unit):
            """The agent has answered the hello, and waits for the record that says who it was."""
            if direction == DOWN or index == 0:
                return [unit]
            held.set()
            return []

        meddler.attack = hold
        link = by_way_of(self.link(), "ws://" + meddler.address)
        identifier = read_json(path)["pairings"][0]["id"]

        def begin(name):
            held.clear()
            process = self.start(name, [LEAT, "connect", link, "--local", "127.0.0.1:0", "--state-dir",
                                        self.folder / name, "--name", name])
            process.is_leat = False  # ended by KILL
            self.assertTrue(held.wait(SOON))
            return process

        process = begin("first")
        self.tunnel.process.stop()
        process.kill()
        self.assertEqual(tries(path, identifier), 0, "the agent has stopped")
        agent = self.restart("again")
        process = begin("second")
        relay.process.kill()
        relay.process.is_leat = False
        wait_until(lambda: agent.state().get("state") != "online", "the relay is gone", alive=[agent.process])
        process.kill()
        self.assertEqual(tries(path, identifier), 0, "the relay has gone")

    def test_a_secret_that_was_used_or_replaced_is_in_no_memory(self):
        agent = self.publish()
        before = sealing_secret(agent.folder / "identity.pem")
        self.assertTrue(before in b"".join(memory_of(agent.process.pid)), "the search can find")
        link = self.link()
        secret = next(value for number, _, value in fields_of(unbase64(link.split("#leat1=")[1])) if number == 3)
        file = self.folder / "link"
        file.write_text(link)
        os.chmod(file, 0o600)
        device = self.connect(f"--link-file={file}")
        self.assertEqual(curl(device.port).returncode, 0)
        self.assertFalse(secret in b"".join(memory_of(device.pid)), "the link's")
        self.command("key", "rotate")
        self.assertEqual(device.wait(SOON), 1)
        memory = b"".join(memory_of(agent.process.pid))
        self.assertTrue(sealing_secret(agent.folder / "identity.pem") in memory, "the new key is there")
        if not harness.SANITIZED:  # which keeps what a library has freed as it was
            self.assertFalse(before in memory, "the key before")

    def test_all_of_it_survives_restarts_and_is_private(self):
        agent = self.publish()
        link = self.link()
        agent.process.stop()
        identity = (agent.folder / "identity.pem").read_bytes()
        again = self.restart("restarted")
        device = self.connect(link)
        again.process.stop()
        last = self.restart("last")
        wait_until(lambda: curl(device.port).returncode == 0, "it is reached again")
        self.assertEqual((agent.folder / "identity.pem").read_bytes(), identity)
        private = [agent.folder / name for name in ("identity.pem", "devices.json", "devices.lock", "agent.json")]
        for path in private + list((self.folder / "keys").iterdir()):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        last.process.stop()

    def test_an_identity_from_before_keeps_being_the_same_agent(self):
        self.origin = Origin(self, echo)
        server = self.relay()
        token = server.token("agent")
        plain = self.agent(server, "http", self.origin.address, token=token)
        plain.process.stop()
        pem = (plain.folder / "identity.pem").read_text()
        first = pem.split("-----END PRIVATE KEY-----")[0]
        (plain.folder / "identity.pem").write_text(first + "-----END PRIVATE KEY-----\n")
        os.chmod(plain.folder / "identity.pem", 0o600)
        tunnel = self.agent(server, "http", self.origin.address, "--sealed", token=token, folder=plain.folder,
                            name="sealed")
        self.assertTrue((plain.folder / "identity.pem").read_text().startswith(first))
        self.tunnel = tunnel
        device = self.connect(self.link())
        self.assertEqual(curl(device.port).returncode, 0)

    def test_another_key_is_refused_with_an_explanation(self):
        agent = self.publish()
        device = self.connect(self.link("--name", "phone"))
        self.assertEqual(curl(device.port).returncode, 0)
        shown = self.command("key", "show")
        # A file that is no key of its own changes nothing, and nobody is sent away for it.
        identity = agent.folder / "identity.pem"
        whole = identity.read_text()
        none = run_leat("key", "show", "--state-dir", self.folder)
        self.assertIn("LEAT_KEY_FILE", none.stderr)
        self.assertFalse((self.folder / "identity.pem").exists())
        other = self.agent(self.server, "http", self.origin.address, name="other").folder / "identity.pem"
        other = other.read_text()
        for text, why in (("nothing", "unencrypted Ed25519 key"), (other, "another identity")):
            replace(identity, text)
            wait_until(lambda: why in agent.process.log(), f"it says: {why}")
            self.assertEqual(curl(device.port).returncode, 0)
        replace(identity, whole)
        rotated = self.command("key", "rotate")
        self.assertEqual(shown.splitlines()[0], rotated.splitlines()[0])  # the identity stays
        self.assertNotEqual(shown.splitlines()[1], rotated.splitlines()[1])
        # Who is inside under the old key is told, and is out; who comes with it is refused.
        self.assertEqual(device.wait(SOON), 1)
        told = self.refused("den")
        for text in (device.log(), told):
            self.assertIn("LEAT_KEY_CHANGED", text)
            self.assertIn("new link", text)
        # A new link is the one way in, at once and after a new start.
        device = self.connect(self.link("--name", "anew"), name="anew")
        self.assertEqual(curl(device.port).returncode, 0)
        device.stop()
        agent.process.stop()
        self.restart("rotated")
        device = self.connect("den", name="later")  # which now means the key of the new link
        self.assertEqual(curl(device.port).returncode, 0)

    def test_two_agents_of_the_same_name_are_told_apart(self):
        self.publish()
        kept = []
        for number in (1, 2):
            device = self.connect(self.link(), name=f"pair-{number}")
            kept.append(re.search(r"connected to (\S+),", device.log()).group(1))
            self.assertEqual(curl(device.port).returncode, 0)
            device.stop()
            if number == 1:  # the other: on this machine too, at a relay of its own
                first = self.origin
                other = self.relay(name="other")
                self.origin = Origin(self, echo)
                self.home(("http", self.origin.address, "den"), relay=other, name="second")
        self.assertEqual(kept[1], kept[0] + "-2")
        for name, origin in zip(kept, (first, self.origin)):
            seen = len(origin.requests)
            device = self.connect(name, name=f"again-{name}")
            self.assertEqual(curl(device.port).returncode, 0)
            device.stop()
            self.assertEqual(len(origin.requests), seen + 1, name)
        told = self.refused("den")
        self.assertIn("LEAT_USAGE", told)
        self.assertIn(", ".join(kept), told)

    def test_what_a_stranger_says_does_not_end_what_has_been_there(self):
        self.origin = Origin(self, echo)
        self.home(("http", self.origin.address, "den"), relay=self.relay("--plain-listen", "127.0.0.1:0"))
        front = Front(self, self.server.plain())
        device = self.connect(by_way_of(self.link(), f"ws://{front.address}"), "--way", "relay")
        self.assertEqual(curl(device.port).returncode, 0)
        kept = next((self.folder / "keys").iterdir()).stem
        refused = b"LEAT_REVOKED"
        for code, words in ((refused, frame(2, bytes([0, 1 + len(refused), 4]) + refused, False)),
                            (b"LEAT_UNKNOWN_DEVICE", closing(b"LEAT_UNKNOWN_DEVICE"))):
            front.says = words
            front.cut()
            wait_until(lambda: code.decode() in device.log(), "it is told", alive=[device])
            # What is not there yet is ended by it.
            self.assertIn(code.decode(), self.refused(kept, "--way", "relay"))
            front.says = None
            wait_until(lambda: curl(device.port).returncode == 0, "it is there again", alive=[device])
        self.assertIn("not proven", device.log())
        for words, code in ((b"LEAT_AGENT_BUSY", "LEAT_AGENT_BUSY"), (b"LEAT_NO_SUCH_SERVICE", "LEAT_AGENT_OFFLINE"),
                            (b"nonsense", "LEAT_CARRIER_CUT")):
            front.says = closing(words)
            done = run_leat("connect", kept, "--way", "relay", "--state-dir", self.folder / "keys", seconds=SOON)
            self.assertIn(code, done.stderr)

    def test_directly_without_the_relay(self):
        self.publish(echo, "--direct", "127.0.0.1:0")
        address = self.tunnel.state()["ways"]["direct"][0]
        device = self.connect(self.link(), "--way", "direct")
        self.assertEqual(device.way, "direct")
        self.assertEqual(curl(device.port).returncode, 0)
        device.stop()
        self.server.process.stop()
        again = self.connect("den", name="without-relay")
        self.assertEqual(again.way, "direct")
        self.assertEqual(curl(again.port).returncode, 0)
        again.stop()
        # It has learned the address; a wrong one beside it is no hindrance, to a pairing neither.
        again = self.connect("den", "--direct", "127.0.0.1:1", name="beside")
        self.assertEqual(again.way, "direct")
        paired = self.connect(self.link("--name", "second"), "--direct", "127.0.0.1:1", "--way", "direct",
                              name="pairing", state="second")
        self.assertEqual(curl(paired.port).returncode, 0)
        self.assertTrue(address)

    def ways(self):
        """Of the sessions that the agent has begun."""
        entries = [json.loads(line) for line in self.tunnel.process.log().splitlines() if line.startswith("{")]
        return [entry["way"] for entry in entries if entry.get("event") == "sealed.session"]

    def test_of_two_ways_the_one_that_is_told_is_gone(self):
        self.publish(echo, "--direct", "127.0.0.1:0")
        link = self.link()
        told = []
        for name, agent in (("pairs", link), ("again", "den"), ("once-more", "den")):
            device = self.connect(agent, "--way", "any", name=name)
            self.assertEqual(curl(device.port).returncode, 0)
            told.append(device.way)
            device.stop()
            self.assertEqual(self.ways(), told)
        self.assertLessEqual(set(told), {"direct", "relay"})

    def test_a_way_that_accepts_and_says_nothing_keeps_nobody_out(self):
        self.publish()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(SOON)
            address = "127.0.0.1:%d" % silent.getsockname()[1]
            for name, agent in (("pairs", self.link()), ("again", "den")):
                device = self.connect(agent, "--way", "any", "--direct", address, name=name)
                self.assertEqual(device.way, "relay")
                tried, _ = silent.accept()
                tried.close()
                self.assertEqual(curl(device.port).returncode, 0)
                device.stop()
            self.assertEqual(self.ways(), ["relay", "relay"])

    def test_what_is_sent_first_does_not_wait_for_the_session_to_be_opened(self):
        reached = threading.Event()

        def serve(request, connection):
            reached.set()
            return echo(request, connection)

        self.origin = Origin(self, serve)
        self.home(("http", self.origin.address, "den"), relay=self.relay("--plain-listen", "127.0.0.1:0"))
        meddler = Meddler(self, self.server.plain())
        device = self.connect(by_way_of(self.link(), "ws://" + meddler.address))
        device.stop()

        def hold_all_but_the_reply(passage, direction, index, unit):
            if direction == DOWN and index > 0 and not reached.wait(SOON):
                passage.cut()
            return [unit]

        meddler.attack = hold_all_but_the_reply
        device = self.connect("den", name="eager", wait=False)
        self.assertEqual(curl(device.port).returncode, 0)

    def test_padding_of_either_side_fills_every_record_up(self):
        self.origin = Origin(self, echo)
        for padded in ("agent", "device"):
            option = lambda side: ("--padding",) * (side == padded)
            self.home(("http", self.origin.address, "den"), options=option("agent"), name=f"agent-{padded}",
                      relay=self.relay("--plain-listen", "127.0.0.1:0", name=f"relay-{padded}"))
            meddler = Meddler(self, self.server.plain(), lambda passage, direction, index, unit: [unit])
            device = self.connect(by_way_of(self.link(), "ws://" + meddler.address), *option("device"),
                                  name=f"device-{padded}", state=f"device-{padded}")
            for path in ("/", "/" + "x" * 700):
                self.assertEqual(json.loads(curl(device.port, path).stdout)["target"], path)
            device.stop()
            passage = meddler.passages[-1]
            for side, direction in (("device", UP), ("agent", DOWN)):
                _, *records = [len(unit) for unit in passage.seen[direction]]
                self.assertGreater(len(records), 3)
                least = min(records)
                self.assertTrue(least >= 277 if side == padded else least < 100, f"{side}, {padded}: {records}")

    def test_by_way_of_a_proxy(self):
        self.publish()
        proxy = ConnectProxy(self)
        beside = {"HTTPS_PROXY": f"http://{proxy.address}", "https_proxy": "", "no_proxy": "", "NO_PROXY": ""}
        device = self.connect(self.link(), env=beside)
        self.assertEqual(curl(device.port).returncode, 0)
        self.assertEqual(proxy.asked, [self.server.address])
        device.stop()
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        nowhere = self.connect("den", name="refused", env=beside, wait=False)
        wait_until(lambda: "LEAT_PROXY_REFUSED" in nowhere.log(), "it says who refuses", alive=[nowhere])
        nowhere.stop()
        device = self.connect("den", name="straight", env={**beside, "NO_PROXY": "127.0.0.1,localhost"})
        self.assertEqual(curl(device.port).returncode, 0)
        refused = run_leat("connect", "den", "--local", "127.0.0.1:0", "--state-dir", self.folder / "keys",
                           env={**beside, "HTTPS_PROXY": "socks5://localhost:1"})
        self.assertIn("HTTPS_PROXY", refused.stderr)

    def test_connect_waits_for_an_agent_that_is_not_there(self):
        agent = self.publish()
        device = self.connect(self.link())
        agent.process.stop()
        wait_until(lambda: curl(device.port).returncode != 0, "it is cut")
        self.restart("back")
        wait_until(lambda: curl(device.port).returncode == 0, "it is back")

    def test_what_the_agent_tells_its_owner(self):
        self.publish()
        wait_until(lambda: "the relay sees" in self.tunnel.process.log(), "it says what the relay sees")
        self.assertIn("encrypted bytes", self.tunnel.process.log())
        with_qr = run_leat("pair", "--state-dir", self.tunnel.folder)
        link = re.search(r"leat://pair#leat1=[\w-]+", with_qr.stdout).group()
        self.assertEqual(qr.read(with_qr.stdout), link)
        self.assertIn("LEAT_NO_AGENT", run_leat("pair", "--state-dir", self.folder / "nowhere").stderr)
        # A page cannot check the pin of the relay; where there is none, or no page, nothing is said of it.
        certificate = "public authority"
        pair = ("pair", "--no-qr", "--page", "https://chat.example/", "--state-dir")
        self.assertIn(certificate, run_leat(*pair, self.tunnel.folder).stderr)
        self.assertNotIn(certificate, with_qr.stderr)
        self.server = self.relay("--plain-listen", "127.0.0.1:0", name="plain")
        folder = self.folder / "unpinned"
        agent = self.start("unpinned", [LEAT, "http", self.origin.address, "--sealed", "--relay",
                                        "ws://%s:%d" % self.server.plain(), "--state-dir", folder],
                           env={"LEAT_TOKEN": self.server.token()})
        wait_until(lambda: (read_json(folder / "agent.json") or {}).get("state") == "online", "it is online",
                   alive=[agent])
        self.assertNotIn(certificate, run_leat(*pair, folder).stderr)

    def test_which_of_two_agents_has_to_be_said(self):
        server = self.relay("--plain-listen", "127.0.0.1:0", name="plain")
        state = self.folder / "leat"
        for kind in ("http", "tcp"):
            agent = self.start(kind, [LEAT, kind, "9", "--sealed", "--health", "none", "--relay",
                                      "ws://%s:%d" % server.plain(), "--state-dir", state / kind],
                               env={"LEAT_TOKEN": server.token(kind)})
            wait_until(lambda: (read_json(state / kind / "agent.json") or {}).get("state") == "online", "it is online",
                       alive=[agent])
        for command in (("pair",), ("device", "list")):
            run = run_leat(*command, env={"XDG_STATE_HOME": str(self.folder)})
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertIn("more than one agent has a sealed service: ", run.stderr)
            self.assertIn(str(state / "http"), run.stderr)
            self.assertIn(str(state / "tcp"), run.stderr)


SEALED_DOOR = (b"GET /sealed/den HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Sec-WebSocket-Protocol: leat-sealed.1\r\n\r\n")


def closing(reason):
    return frame(8, (1013).to_bytes(2, "big") + reason, False)


class Front:
    """Stands before a relay's plain door: lets through, or takes the WebSocket and says something itself."""

    def __init__(self, case, target):
        self.target, self.says = target, None
        self._open = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        case.addCleanup(self._socket.close)
        case.addCleanup(self.cut)
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self):
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(near)
            if self.says is not None:
                with contextlib.suppress(OSError, Cut):  # it may have gone by now
                    self._say(near)
                continue
            far = socket.create_connection(self.target, SOON)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=copy, args=(source, sink), daemon=True).start()

    def _say(self, near):
        head = Reader(near).until(b"\r\n\r\n").decode()
        key = re.search(r"Sec-WebSocket-Key: (\S+)", head, re.I).group(1)
        accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        near.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Protocol: leat-sealed.1\r\n"
                     b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + self.says)


class ConnectProxy:
    """An HTTP proxy of which CONNECT can be asked, and nothing else."""

    def __init__(self, case):
        self.asked = []
        self.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        self._socket = socket.create_server(("127.0.0.1", 0))
        case.addCleanup(self._socket.close)
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            method, target, _ = Reader(near).until(b"\r\n\r\n").split(b" ", 2)
            self.asked.append(target.decode())
            near.sendall(self.answer if method == b"CONNECT" else b"HTTP/1.1 405 No\r\n\r\n")
            if b" 200 " not in self.answer:
                near.close()
                continue
            host, _, port = self.asked[-1].rpartition(":")
            far = socket.create_connection((host, int(port)), SOON)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=copy, args=(source, sink), daemon=True).start()


def copy(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for side in (source, sink):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sealing_secret(path):
    """The X25519 key of the file, raw: the last 32 bytes of its PKCS #8."""
    block = re.findall(r"-----BEGIN PRIVATE KEY-----(.*?)-----END", path.read_text(), re.S)[1]
    return base64.b64decode(block)[-32:]


def tries(path, identifier):
    state = harness.read_json(path)
    return next(each["tries"] for each in state["pairings"] if each["id"] == identifier)


def rewrite(path, state):
    replace(path, json.dumps(state))


def replace(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    os.chmod(new, 0o600)
    new.rename(path)


def run_curl(relay, path):
    return subprocess.run(["curl", "-sS", *relay.curl_pin(), f"https://{relay.address}{path}"],
                          stdout=subprocess.PIPE, check=True).stdout


def listen(case):
    case.listener = socket.create_server(("127.0.0.1", 0))
    case.addCleanup(case.listener.close)
    return case.listener.getsockname()[1]


def tcp_echo(case, received):
    """Upper case back, connection by connection."""
    while True:
        try:
            connection, _ = case.listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(4096):
                received.append(data)
                connection.sendall(data.upper())


def talk(port, data):
    try:
        with socket.create_connection(("127.0.0.1", port), SOON) as connection:
            connection.settimeout(SOON)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            got = b""
            while piece := connection.recv(4096):
                got += piece
            return got
    except ConnectionError:  # refused, perhaps before connect() has returned
        return b""


if __name__ == "__main__":
    harness.main()
