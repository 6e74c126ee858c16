"""What strangers, owners and scripts are told when something is wrong: status, code, exit code."""

import json
import socket
import stat

import harness
from harness import SOON, run_leat, wait_until
from wire import Client, Origin, answer


class VisitorErrors(harness.Case):
    def ask(self, relay, path):
        with Client(relay.connect()) as client:
            return client.get(path)

    def error(self, relay, path):
        message, body = self.ask(relay, path)
        return message.status, json.loads(body)["error"]

    def test_offline_and_unknown_cannot_be_told_apart(self):
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        relay = self.relay()
        agent = self.agent(relay, "http", origin.address)
        path = agent.path("/x")
        self.assertEqual(self.ask(relay, path)[1], b"hello")
        agent.process.stop()

        def offline():
            return self.ask(relay, path)[0].status == 503
        wait_until(offline, "the relay knows that the agent is gone")

        def without_ids(answered):
            message, body = answered
            fields = [(key, value) for key, value in message.fields
                      if key.lower() not in ("date", "x-request-id")]
            text = json.loads(body)
            text["error"].pop("request_id", None)
            return message.words, fields, text
        known = path.split("/")[2]
        unknown = path.replace(known, "a" * len(known))
        self.assertNotEqual(unknown, path)
        gone = without_ids(self.ask(relay, path))
        self.assertEqual(gone, without_ids(self.ask(relay, unknown)))
        self.assertEqual(gone[2]["error"]["code"], "LEAT_AGENT_OFFLINE")
        self.assertIn("retry-after", [key.lower() for key, _ in gone[1]])

    def test_a_service_that_refuses_is_502(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            target = f"127.0.0.1:{unused.getsockname()[1]}"
        relay = self.relay()
        agent = self.agent(relay, "http", target)
        status, error = self.error(relay, agent.path())
        self.assertEqual((status, error["code"]), (502, "LEAT_SERVICE_REFUSED"))
        self.assertTrue(error["message"] and error["next"])

    def test_a_service_that_does_not_answer_the_dial_is_504(self):
        # A listener whose queue is full drops what comes: nobody answers.
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(full.close)
        waiting = []
        for _ in range(8):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
            waiting.append(sock)
        relay = self.relay()
        agent = self.agent(relay, "http", f"127.0.0.1:{full.getsockname()[1]}")
        with Client(relay.connect()) as client:
            client.sock.settimeout(60)
            client.request("GET", agent.path())
            message, body = client.response()
        self.assertEqual(message.status, 504)
        self.assertEqual(json.loads(body)["error"]["code"], "LEAT_SERVICE_TIMEOUT")

    def test_a_service_that_speaks_no_http_is_502(self):
        def babble(request, connection):
            connection.send(b"220 mail.example ESMTP\r\n\r\n")
            return False
        origin = Origin(self, babble)
        relay = self.relay()
        agent = self.agent(relay, "http", origin.address)
        status, error = self.error(relay, agent.path())
        self.assertEqual((status, error["code"]), (502, "LEAT_SERVICE_PROTOCOL"))

    def test_a_service_that_hangs_up_is_502(self):
        origin = Origin(self, lambda request, connection: False)
        relay = self.relay()
        agent = self.agent(relay, "http", origin.address)
        status, error = self.error(relay, agent.path())
        self.assertEqual((status, error["code"]), (502, "LEAT_SERVICE_CUT"))

    def test_a_host_that_the_connection_is_not_for_is_421(self):
        relay = self.relay()
        # None: no name in the handshake, as of a client that was given an address.
        for name, host, status in (("localhost", "localhost", 200), ("localhost", "LOCALHOST:8443", 200),
                                   ("localhost", "other.example", 421), ("other.example", "localhost", 421),
                                   ("other.example", "other.example", 200), (None, "other.example", 200)):
            with self.subTest(name=name, host=host), Client(relay.connect(name=name)) as client:
                client.request("GET", "/healthz", host=host)
                message, body = client.response()
                self.assertEqual(message.status, status)
                if status == 421:
                    self.assertEqual(json.loads(body)["error"]["code"], "LEAT_MISDIRECTED")
                client.request("GET", "/healthz", host=name or host)
                self.assertEqual(client.response()[0].status, 200, "the connection goes on")

    def test_paths_of_nobody_are_404(self):
        relay = self.relay()
        for path in ("/", "/favicon.ico", "/tunnel", "/tunnels/x/"):
            with self.subTest(path=path):
                status, error = self.error(relay, path)
                self.assertEqual((status, error["code"]), (404, "LEAT_NO_SUCH_PATH"))


class CommandErrors(harness.Case):
    def refused(self, code, *arguments, env=None):
        result = run_leat(*arguments, env=env)
        self.assertEqual(result.returncode, code, result)
        return result.stderr

    def test_bad_usage_is_2(self):
        for arguments in (("--no-such-flag",), ("no-such-command",), ("relay", "--listen"), ("http",),
                          ("relay", "--listen", "not an address", "--state-dir", self.folder),
                          ("tcp", "22", "--relay", "127.0.0.1:1", "--pin", "x")):
            with self.subTest(arguments=arguments):
                self.assertRegex(self.refused(2, *arguments, env={"LEAT_TOKEN": "x"}), r"\S")

    def test_help_and_version_are_0(self):
        for arguments in (("--help",), ("--version",), ("relay", "--help"), ("http", "--help"),
                          ("token", "create", "--help")):
            with self.subTest(arguments=arguments):
                result = run_leat(*arguments)
                self.assertEqual(result.returncode, 0, result)
                self.assertTrue(result.stdout)

    def test_a_bad_configuration_names_file_line_and_key(self):
        config = self.folder / "leat.yaml"
        config.write_text("relay: 127.0.0.1:1\nservices:\n  - kind: http\n    tarrget: 127.0.0.1:80\n")
        text = self.refused(2, "agent", "--config", config, env={"LEAT_TOKEN": "x"})
        self.assertIn("LEAT_CONFIG", text)
        self.assertIn(f"{config}:4", text)
        self.assertIn("tarrget", text)
        self.refused(2, "agent", "--config", self.folder / "missing.yaml", env={"LEAT_TOKEN": "x"})

    def test_an_address_in_use_is_1(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = self.refused(1, "relay", "--listen", f"127.0.0.1:{taken.getsockname()[1]}",
                                "--state-dir", self.folder)
        self.assertIn("LEAT_LISTEN", text)

    def test_a_state_directory_that_cannot_be_is_1(self):
        (self.folder / "file").write_text("")
        text = self.refused(1, "relay", "--listen", "127.0.0.1:0", "--state-dir", self.folder / "file")
        self.assertIn("LEAT_STATE_DIR", text)

    def test_no_token_is_refused_before_anything_is_tried(self):
        result = run_leat("http", "1234", "--relay", "127.0.0.1:1", "--pin", "sha256:" + "0" * 64,
                          "--state-dir", self.folder, env={"LEAT_TOKEN": ""})
        self.assertEqual(result.returncode, 2)
        self.assertIn("LEAT_NO_TOKEN", result.stderr)


class CredentialErrors(harness.Case):
    def setUp(self):
        super().setUp()
        self.origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        self.server = self.relay()

    def ends(self, agent, code):
        self.assertEqual(agent.process.wait(SOON), code, agent.process.log())
        return agent.process.log()

    def test_a_bad_token_is_3(self):
        agent = self.agent(self.server, "http", self.origin.address, token="A" * 43, wait=False)
        self.assertIn("LEAT_BAD_TOKEN", self.ends(agent, 3))

    def test_a_wrong_pin_is_never_trusted(self):
        token = self.server.token("pin")
        self.server.pin = "sha256:" + "0" * 64
        agent = self.agent(self.server, "http", self.origin.address, token=token, wait=False)
        self.assertIn("LEAT_PIN_MISMATCH", self.ends(agent, 1))

    def test_the_token_may_come_from_a_file(self):
        path = self.folder / "token"
        path.write_text(self.server.token("file") + "\n")
        path.chmod(0o600)
        agent = self.agent(self.server, "http", self.origin.address, "--token-file", path, token="")
        with Client(self.server.connect()) as client:
            self.assertEqual(client.get(agent.path())[1], b"hello")

    def test_a_revoked_token_ends_its_session_within_a_second(self):
        agent = self.agent(self.server, "http", self.origin.address, token=self.server.token("lost"))
        path = agent.path()

        def ask():
            with Client(self.server.connect()) as client:
                return client.get(path)
        self.assertEqual(ask()[1], b"hello")
        listed = run_leat("token", "list", "--state-dir", self.server.folder)
        self.assertIn("lost", listed.stdout)
        revoked = run_leat("token", "revoke", "--state-dir", self.server.folder, "--name", "lost")
        self.assertEqual(revoked.returncode, 0, revoked)
        wait_until(lambda: ask()[0].status == 503, "the tunnel is gone", seconds=harness.PATIENCE)
        self.assertIn("LEAT_REVOKED", self.ends(agent, 3))

    def test_tokens_are_nowhere_but_with_their_owner(self):
        token = self.server.token("secret")
        agent = self.agent(self.server, "http", self.origin.address, token=token)
        with Client(self.server.connect()) as client:
            client.get(agent.path())
        for process in (agent.process, self.server.process):
            process.stop()
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(token.encode(), path.read_bytes(), path)
        for path in self.server.folder.rglob("*"):
            if path.is_file() and (b"PRIVATE KEY" in path.read_bytes() or path.suffix in (".db", ".key")):
                self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)

    def test_the_first_start_makes_a_token_and_prints_the_command(self):
        log = self.server.process.log()
        self.assertIn("leat http", log)
        self.assertIn(self.server.pin, log)

    def test_names_of_tokens_are_unique(self):
        self.server.token("one")
        result = run_leat("token", "create", "--state-dir", self.server.folder, "--name", "one")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("LEAT_TOKEN_EXISTS", result.stderr)
        result = run_leat("token", "revoke", "--state-dir", self.server.folder, "--name", "none")
        self.assertIn("LEAT_NO_SUCH_TOKEN", result.stderr)


class TunnelErrors(harness.Case):
    def refused(self, code, exit_code, relay, *arguments, name):
        """An agent whose only tunnel is refused says why and ends."""
        agent = self.agent(relay, *arguments, name=name, wait=False)
        self.assertEqual(agent.process.wait(SOON), exit_code)
        self.assertIn(code, agent.process.log())
        self.assertEqual(agent.state()["tunnels"][0]["error"]["code"], code)

    def test_a_port_outside_the_range_and_a_port_in_use(self):
        port, options = self.tcp_port()
        relay = self.relay(*options)
        self.refused("LEAT_PORT_REFUSED", 2, relay, "tcp", "9", "--remote-port", port + 1, name="outside")
        self.agent(relay, "tcp", "9", "--remote-port", port, name="holder")
        self.refused("LEAT_PORT_TAKEN", 1, relay, "tcp", "9", "--remote-port", port, name="second")

    def test_a_name_belongs_to_its_owner(self):
        relay = self.relay()
        self.agent(relay, "http", "9", "--id", "notes", "--public", name="owner")
        self.refused("LEAT_TUNNEL_TAKEN", 1, relay, "http", "9", "--id", "notes", "--public", name="other")

    def test_a_chosen_id_wants_public(self):
        self.refused("LEAT_NAME_IS_PUBLIC", 2, self.relay(), "http", "9", "--id", "notes", name="agent")


if __name__ == "__main__":
    harness.main()
