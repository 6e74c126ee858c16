"""Who an agent is, with the real binary: join codes, JWTs made by another implementation, revocation."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pty
import re
import sqlite3
import stat
import subprocess
import threading
import time

import harness
import qr
from harness import LEAT, SOON, run_leat, wait_until
from wire import Client, Origin, answer


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(secret, **claims):
    head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    message = f"{head}.{encode(json.dumps(claims).encode())}"
    return f"{message}.{encode(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"


class Join(harness.Case):
    def setUp(self):
        super().setUp()
        self.home = self.folder / "home"
        self.home.mkdir()
        # Everything under one home, as for a user who is not root.
        self.env = {"XDG_STATE_HOME": str(self.home), "HOME": str(self.home)}

    def origin(self):
        return Origin(self, lambda request, connection: answer(connection, b"hello"))

    def url(self, text):
        found = re.search(r"leat join (https://\S+)", text)
        self.assertIsNotNone(found, text)
        return found.group(1)

    def joined_folder(self):
        return self.folder / "joined"

    def join(self, url):
        return run_leat("join", url, "--state-dir", self.joined_folder(), env=self.env)

    def test_a_code_joins_once(self):
        relay = self.relay()
        url = self.url(run_leat("token", "invite", "--state-dir", relay.folder).stdout)
        made = self.join(url)
        self.assertEqual(made.returncode, 0, made.stderr)
        kept = self.joined_folder() / "credential.json"
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        credential = json.loads(kept.read_text())
        self.assertEqual(credential["relay"], relay.address)
        self.assertEqual(credential["pin"], relay.pin)
        self.assertNotIn(credential["credential"], made.stdout + made.stderr)
        told = run_leat("doctor", "--state-dir", self.joined_folder(), "--json", env=self.env)
        self.assertIn('"ok": true', told.stdout, told)
        again = self.join(url)
        self.assertEqual(again.returncode, 3)
        self.assertIn("LEAT_BAD_CODE", again.stderr)

        # Neither relay nor token is said any more.
        origin = self.origin()
        agent = self.start("agent", [LEAT, "http", origin.address, "--state-dir", self.joined_folder(),
                                     "--log-format", "json"], env=self.env)
        state = wait_until(lambda: self.online(self.joined_folder(), agent), "the agent serves", alive=[agent])
        with Client(relay.connect()) as client:
            path = "/tunnel/" + state["tunnels"][0]["id"] + "/"
            self.assertEqual(client.get(path)[1], b"hello")

        # Revoked, it is out within a second, and stays out.
        revoked = run_leat("token", "revoke", credential["name"], "--state-dir", relay.folder)
        began = time.monotonic()
        self.assertEqual(revoked.returncode, 0, revoked.stderr)
        self.assertEqual(agent.wait(harness.SOON), 3)
        self.assertLess(time.monotonic() - began, 1.0 * harness.PATIENCE)
        for log in (relay.process.log(), agent.log()):
            self.assertNotIn(credential["credential"], log)

    def online(self, folder, process):
        state = harness.read_json(folder / "agent.json")
        good = state and state["pid"] == process.pid and state["state"] == "online"
        return state if good else None

    def relay_at_a_terminal(self):
        """What it shows."""
        master, slave = pty.openpty()
        shown = []

        def read():
            with contextlib.suppress(OSError):
                while True:
                    shown.append(os.read(master, 65536))
        threading.Thread(target=read, daemon=True).start()
        self.addCleanup(os.close, slave)
        relay = self.start("relay", [LEAT, "relay", "--listen", "127.0.0.1:0", "--state-dir", self.folder / "r"],
                           stdout=slave, env={"TERM": "xterm", "NO_COLOR": ""})
        text = lambda: b"".join(shown).decode(errors="ignore")
        wait_until(lambda: "leat join https://" in text() and qr.is_whole(text()),
                   "an invitation for people and for cameras", alive=[relay])
        return text()

    def test_at_a_terminal_the_relay_prints_a_code_and_a_qr_code(self):
        text = self.relay_at_a_terminal()
        self.assertEqual(qr.read(text), self.url(text))
        self.assertEqual(self.join(self.url(text)).returncode, 0)

    def test_the_command_that_the_relay_prints_works_as_it_stands(self):
        printed = re.search(r"^ *(LEAT_TOKEN=leat_\S+ leat http 11434 .+?)\r?$", self.relay_at_a_terminal(), re.M)
        port = self.origin().address.rpartition(":")[2]
        command = printed.group(1).replace(" 11434 ", f" {port} ", 1)
        binary = self.folder / "bin"
        binary.mkdir()
        (binary / "leat").symlink_to(os.path.realpath(LEAT))
        folder = self.folder / "agent"
        agent = self.start("agent", ["sh", "-c", f"exec env {command}"],
                           env={"PATH": f"{binary}:{os.environ['PATH']}", "LEAT_STATE_DIR": str(folder)})
        state = wait_until(lambda: self.online(folder, agent), "the agent serves", alive=[agent])
        answered = subprocess.run(["curl", "--silent", "--insecure", state["tunnels"][0]["urls"][0]],
                                  stdout=subprocess.PIPE, check=True, timeout=SOON)
        self.assertEqual(answered.stdout, b"hello")
        agent.stop()

    def test_elsewhere_the_first_token_is_in_a_file(self):
        relay = self.relay()
        kept = relay.folder / "first-token"
        log = relay.process.log()
        self.assertIn(str(kept), log)
        self.assertNotIn("leat_", log)
        self.assertNotIn("/join#", log)
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        self.agent(relay, "http", self.origin().address, token=kept.read_text().strip())

    def test_an_invitation_names_the_credential(self):
        relay = self.relay()
        made = run_leat("token", "invite", "--name", "attic", "--state-dir", relay.folder)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(self.join(self.url(made.stdout)).returncode, 0)
        listed = run_leat("token", "list", "--state-dir", relay.folder).stdout
        self.assertRegex(listed, r"(?m)^attic +")

    def test_nothing_but_a_join_url_is_taken(self):
        for url in ("relay.example.com", "https://relay.example.com/join"):
            refused = self.join(url)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("LEAT_USAGE", refused.stderr)
        # The right relay must answer: here nobody does.
        port = harness.free_port()
        pin = encode(b"x" * 32)
        refused = self.join(f"https://127.0.0.1:{port}/join#abcd-efgh.{pin}")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("LEAT_RELAY_UNREACHABLE", refused.stderr)

    def test_another_key_is_no_relay_to_join(self):
        relay = self.relay()
        url = self.url(run_leat("token", "invite", "--state-dir", relay.folder).stdout)
        wrong = url.rsplit(".", 1)[0] + "." + encode(b"x" * 32)
        refused = self.join(wrong)
        self.assertIn("LEAT_PIN_MISMATCH", refused.stderr)
        self.assertEqual(self.join(url).returncode, 0, "the code was not shown to it")


class Jwt(harness.Case):
    def test_an_agent_comes_with_a_token_of_another_issuer(self):
        secret = os.urandom(32).hex().encode()
        keys = self.folder / "keys"
        keys.write_bytes(secret)
        keys.chmod(0o600)
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        relay = self.relay("--jwt-keys", keys, "--jwt-audience", "leat", "--jwt-issuer", "https://id.example")
        good = {"sub": "alice", "aud": "leat", "iss": "https://id.example", "exp": int(time.time()) + 600}
        agent = self.agent(relay, "http", origin.address, token=jwt(secret, **good))
        with Client(relay.connect()) as client:
            self.assertEqual(client.get(agent.path())[1], b"hello")
        for name, change in (("late", {"exp": int(time.time()) - 600}), ("other", {"aud": "x"}),
                             ("stranger", {"iss": "https://evil.example"})):
            bad = self.agent(relay, "http", origin.address, token=jwt(secret, **{**good, **change}), name=name,
                             wait=False)
            bad.process.expected_exit = 3
            self.assertEqual(bad.process.wait(harness.SOON), 3)
            self.assertIn("LEAT_JWT_EXPIRED" if name == "late" else "LEAT_BAD_JWT", bad.process.log())
        # A revocation is of the subject, whatever token he has; it can be taken back.
        run_leat("token", "revoke", "jwt:alice", "--state-dir", relay.folder)
        self.assertEqual(agent.process.wait(harness.SOON), 3)
        self.assertIn("LEAT_REVOKED", agent.process.log())
        run_leat("token", "allow", "jwt:alice", "--state-dir", relay.folder)
        self.agent(relay, "http", origin.address, token=jwt(secret, **good), name="again")

    def test_keys_that_others_may_read_are_refused_at_start(self):
        keys = self.folder / "keys"
        keys.write_bytes(b"x" * 32)
        keys.chmod(0o644)
        started = run_leat("relay", "--listen", "127.0.0.1:0", "--state-dir", self.folder / "r", "--jwt-keys", keys)
        self.assertNotEqual(started.returncode, 0)
        self.assertIn("LEAT_KEY_FILE", started.stderr)


class Visitors(harness.Case):
    """Whom a tunnel takes, as its agent's files say."""

    TOKEN = "a-token-for-the-phone"

    def secret(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def publish(self, *arguments):
        def echo(request, connection):
            answer(connection, repr(sorted(request.fields)).encode())
        origin = Origin(self, echo)
        self.server = self.relay()
        return self.agent(self.server, "http", origin.address, *arguments)

    def ask(self, path, **fields):
        with Client(self.server.connect()) as client:
            return client.get(path, *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()))

    def test_tokens_and_users_from_files(self):
        tokens = self.secret("tokens", f"# devices\nphone {self.TOKEN}\n")
        users = self.secret("users", "ann:correct horse battery\n")
        agent = self.publish("--id", "notes", "--visitor-tokens", tokens, "--visitor-users", users)
        self.assertEqual(agent.id(), "notes")
        refused, body = self.ask(agent.path())
        self.assertEqual(refused.status, 401)
        self.assertEqual(json.loads(body)["error"]["code"], "LEAT_VISITOR_REFUSED")
        self.assertEqual(len(refused.all("WWW-Authenticate")), 2)
        basic = base64.b64encode(b"ann:correct horse battery").decode()
        for value in (f"Bearer {self.TOKEN}", f"Basic {basic}"):
            message, body = self.ask(agent.path(), Authorization=value)
            self.assertEqual(message.status, 200)
            self.assertNotIn(b"uthorization", body)
        message, body = self.ask(agent.path(), Authorization="Bearer sk-1",
                                 Leat_Authorization=f"Bearer {self.TOKEN}")
        self.assertIn(b"sk-1", body)
        for secret in (self.TOKEN, "correct horse"):
            self.assertNotIn(secret, self.server.process.log() + agent.process.log())

    def test_networks(self):
        inside = self.publish("--allow", "127.0.0.0/8,192.0.2.0/24")
        self.assertEqual(self.ask(inside.path())[0].status, 200)
        inside.process.stop()
        outside = self.agent(self.server, "http", "1", "--allow", "192.0.2.0/24", name="outside")
        message, body = self.ask(outside.path())
        self.assertEqual((message.status, json.loads(body)["error"]["code"]), (403, "LEAT_ADDRESS_REFUSED"))

    def test_files_that_are_wrong_are_refused_at_start(self):
        for text, why in (("phone short\n", "16 characters"), ("\n# nobody\n", "holds nothing"),
                          ("alone\n", ":1: expected")):
            tokens = self.secret("tokens", text)
            ended = run_leat("http", "80", "--relay", "127.0.0.1:1", "--visitor-tokens", tokens,
                             "--state-dir", self.folder / "a", env={"LEAT_TOKEN": "leat_x"})
            self.assertEqual(ended.returncode, 2, ended.stderr)
            self.assertIn(why, ended.stderr)
            self.assertNotIn("short", ended.stderr)
        tokens.chmod(0o644)
        ended = run_leat("http", "80", "--relay", "127.0.0.1:1", "--visitor-tokens", tokens,
                         env={"LEAT_TOKEN": "leat_x"})
        self.assertIn("0600", ended.stderr)


class Operator(harness.Case):
    """Plans, usage and metrics, as who runs the relay sees them."""

    KEY = "an-admin-key-of-the-operators"

    def setUp(self):
        super().setUp()
        self.key = self.folder / "admin.key"
        self.key.write_text(self.KEY + "\n")
        self.key.chmod(0o600)

    def start_relay(self, *arguments, **options):
        return self.relay("--admin-listen", "127.0.0.1:0", "--admin-key-file", self.key, *arguments, **options)

    def admin(self, relay, method, path):
        connection = http.client.HTTPConnection(*harness.split_address(relay.state["admin_listen"]),
                                                timeout=SOON)
        self.addCleanup(connection.close)
        connection.request(method, path, headers={"X-Admin-Key": self.KEY})
        response = connection.getresponse()
        return response.status, response.read()

    def usage(self, relay):
        rows = json.loads(self.admin(relay, "GET", "/api/v1/usage")[1])["usage"]
        return {row["period"]: row for row in rows}

    def test_what_was_counted_survives_kill_9(self):
        origin = Origin(self, lambda request, connection: answer(connection, b"x" * 1000))
        relay = self.start_relay()
        token = relay.token()
        agent = self.agent(relay, "http", origin.address, token=token)
        with Client(relay.connect()) as client:
            for _ in range(5):
                client.get(agent.path())

        def settled():
            database = sqlite3.connect(f"file:{relay.folder}/leat.db?mode=ro", uri=True)
            with contextlib.closing(database):
                return database.execute("SELECT requests FROM usage").fetchall() == [(5,), (5,)]
        began = time.monotonic()
        wait_until(settled, "the usage is in the database")
        self.assertLess(time.monotonic() - began, 1.0 * harness.PATIENCE)
        before = self.usage(relay)
        self.assertEqual(len(before), 2)
        relay.process.kill()
        relay.process.wait()
        again = self.start_relay(folder=relay.folder, listen=relay.address, name="again")
        self.assertEqual(self.usage(again), before)

    def test_the_shipped_plans(self):
        plans = harness.ROOT / "deploy/plans.yaml"
        relay = self.start_relay("--plans", plans)
        free = self.agent(relay, "http", "1", token=relay.token("free"), name="free", wait=False)
        self.assertEqual(free.process.wait(SOON), 1)
        self.assertIn("LEAT_QUOTA_TUNNELS", free.process.log())
        made = json.loads(self.admin(relay, "POST", "/api/v1/tokens?name=payer&plan=pro")[1])
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        paid = self.agent(relay, "http", origin.address, token=made["token"], name="paid")
        with Client(relay.connect()) as client:
            message, body = client.get(paid.path())
        self.assertEqual(body, b"hello")
        self.assertTrue(message.get("RateLimit"))

    def test_metrics_please_promtool_and_hold_no_secret(self):
        tokens = self.folder / "tokens"
        tokens.write_text("phone sentinel-of-a-visitor\n")
        tokens.chmod(0o600)
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        relay = self.start_relay()
        token = relay.token()
        agent = self.agent(relay, "http", origin.address, "--id", "notes", "--visitor-tokens", tokens, token=token)
        with Client(relay.connect()) as client:
            client.get(agent.path(), "Authorization: Bearer sentinel-of-a-visitor")
            client.get(agent.path(), "Authorization: Bearer sentinel-of-a-visitor-wrong")
        status, metrics = self.admin(relay, "GET", "/metrics")
        self.assertEqual(status, 200)
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=SOON * 3, check=False)
        self.assertEqual((checked.returncode, checked.stdout), (0, b""))
        database = b"".join(path.read_bytes() for path in relay.folder.glob("leat.db*"))
        said = relay.process.log().split("joined", 1)[1] + agent.process.log()
        for secret in (token, "sentinel-of-a-visitor", self.KEY):
            for where in (metrics, database, said.encode()):
                self.assertNotIn(secret.encode(), where)

    def test_a_key_that_is_none_starts_nothing(self):
        for text in ("", "\n", "short\n"):
            self.key.write_text(text)
            ended = run_leat("relay", "--listen", "127.0.0.1:0", "--state-dir", self.folder / "r",
                             "--admin-listen", "127.0.0.1:0", "--admin-key-file", self.key)
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn("LEAT_KEY_FILE", ended.stderr)


if __name__ == "__main__":
    harness.main()
