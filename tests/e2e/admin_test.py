"""What an operator sees and does without a browser: connection log, status and usage on the command line, a drain."""

import http.client
import json
import sqlite3

import harness
from harness import run_leat, wait_until
from wire import Client, Origin, answer

KEY = "an-admin-key-of-the-operators"
PLANS = """
default: free
plans:
  - name: free
    bytes_per_day: 2MB
    bytes_per_month: 10MB
"""


class AdminCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.key = self.folder / "admin.key"
        self.key.write_text(KEY + "\n")
        self.key.chmod(0o600)
        plans = self.folder / "plans.yaml"
        plans.write_text(PLANS)
        self.port, ports = self.tcp_port()
        self.server = self.relay("--admin-listen", "127.0.0.1:0", "--admin-key-file", self.key,
                                 "--plans", plans, *ports)
        self.url = f"http://{self.server.state['admin_listen']}/"

    def admin(self, path, method="GET", fields=None):
        connection = http.client.HTTPConnection(*harness.split_address(self.server.state["admin_listen"]),
                                                timeout=harness.SOON)
        connection.request(method, path, headers={"X-Admin-Key": KEY} if fields is None else fields)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def rows(self, query=""):
        return json.loads(self.admin(f"/api/v1/connections{query}")[1])["connections"]

    def home(self, *arguments, name="laptop", size=40_000, **options):
        origin = Origin(self, lambda request, connection: answer(connection, b"x" * size))
        return self.agent(self.server, "http", origin.address, *arguments, name=name, **options)

    def visit(self, agent, *paths):
        with Client(self.server.connect()) as client:
            for path in paths:
                client.get(agent.path(path))


class ConnectionLog(AdminCase):
    def test_a_visit_is_found_and_no_secret_is(self):
        agent = self.home()
        sentinel = "SENTINEL7f3a9c2e5b8d1064"
        with Client(self.server.connect()) as client:
            client.get(agent.path(f"/a/{sentinel}/b?token={sentinel}&x=1"),
                       f"Authorization: Bearer {sentinel}", f"Cookie: a={sentinel}")
        row = wait_until(self.rows, "the row is written")[0]
        self.assertEqual((row["method"], row["path"], row["status"]), ("GET", "/a/…/b", 200))
        self.assertEqual(row["owner"], "laptop")
        self.assertEqual(len(self.rows("?text=laptop")), 1)
        self.assertEqual(self.rows("?tunnel=other"), [])
        self.server.process.stop()
        for file in self.server.folder.iterdir():
            if file.is_file():
                self.assertNotIn(sentinel.encode(), file.read_bytes(), file.name)
        self.assertNotIn(sentinel, self.server.process.log())
        with sqlite3.connect(self.server.folder / "connections.db") as database:
            self.assertEqual(database.execute("SELECT count(*) FROM connection").fetchone()[0], 1)

    def test_status_and_usage_on_the_command_line(self):
        agent = self.home()
        self.visit(agent, "/")
        shown = run_leat("status", "--state-dir", self.server.folder, "--admin-key-file", self.key)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertRegex(shown.stdout, r"(?m)^AGENT +OWNER .*GOVERNOR +ON THE WAY")
        self.assertRegex(shown.stdout, r" laptop +127\.0\.0\.1:\d+ .* (startup|steady|drain|yielding) ")
        said = json.loads(run_leat("status", "--state-dir", self.server.folder, "--admin-key-file", self.key,
                                   "--json").stdout)
        self.assertEqual(said["agent_list"][0]["owner"], "laptop")
        for more in ([], ["--admin-key-file", self.key]):
            used = wait_until(lambda more=more: (lambda got: got if "laptop" in got.stdout else None)(
                run_leat("usage", "--state-dir", self.server.folder, *more)), "the usage is settled")
            self.assertEqual(used.returncode, 0, used.stderr)
            self.assertRegex(used.stdout, r"(?m)^laptop +\d{4}-\d\d-\d\d +")
        self.assertNotIn("laptop", run_leat("usage", "nobody", "--state-dir", self.server.folder).stdout)
        self.key.write_text("another-key-of-the-operators\n")
        refused = run_leat("status", "--state-dir", self.server.folder, "--admin-key-file", self.key)
        self.assertIn("LEAT_ADMIN_KEY", refused.stderr)
        self.assertEqual(run_leat("status", "--state-dir", self.server.folder).returncode, 2)

    def test_tokens_by_the_admin_api(self):
        def token(*arguments):
            return run_leat("token", *arguments, "--state-dir", self.server.folder, "--admin-key-file", self.key)
        made = token("create", "--name", "ann@home")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        self.home(token=made.stdout.strip(), name="of-ann").process.stop()
        again = token("create", "--name", "ann@home")
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("LEAT_TOKEN_EXISTS", again.stderr)
        local = run_leat("token", "list", "--state-dir", self.server.folder)
        self.assertEqual(token("list").stdout, local.stdout)
        self.assertRegex(local.stdout, r"(?m)^ann@home .* in force$")
        self.assertEqual(token("revoke", "ann@home").returncode, 0)
        self.assertRegex(token("list").stdout, r"(?m)^ann@home .* revoked \d")
        self.assertIn("LEAT_NO_SUCH_TOKEN", token("revoke", "nobody/else?").stderr)

    def test_the_governor_can_be_turned_off_at_both_ends(self):
        folder = self.folder / "ungoverned"
        relay = self.relay("--admin-listen", "127.0.0.1:0", "--admin-key-file", self.key, "--send-governor", "off",
                           folder=folder, name="ungoverned")
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        agent = self.agent(relay, "http", origin.address, "--send-governor", "off", name="free")
        with Client(relay.connect()) as client:
            self.assertEqual(client.get(agent.path())[1], b"hello")
        shown = run_leat("status", "--state-dir", folder, "--admin-key-file", self.key).stdout
        self.assertRegex(shown, r"unbounded +no bound")

    def test_what_is_no_answer_of_the_api_is_an_error_of_the_command(self):
        bodies = [b'{"error":"no"}', b'{"error":{"code":7}}', b'["error"]', b"<html>"]
        other = Origin(self, lambda _, connection: answer(connection, bodies[connection.number], "502 Bad Gateway"))
        state = self.folder / "behind-a-proxy"
        state.mkdir()
        (state / "relay.json").write_text(json.dumps({**self.server.state, "admin_listen": other.address}))
        for body in bodies:
            shown = run_leat("status", "--state-dir", state, "--admin-key-file", self.key)
            self.assertEqual(shown.returncode, 1, body)
            self.assertRegex(shown.stderr, r"\ALEAT_PROTOCOL: .*HTTP 502", body)

    def test_an_administrator_drains_the_relay(self):
        self.assertEqual(self.admin("/api/v1/drain", "POST", {})[0], 401)
        status, _ = self.admin("/api/v1/drain", "POST")
        self.assertEqual(status, 202)
        self.assertEqual(self.server.process.wait(harness.DRAIN), 0)


if __name__ == "__main__":
    harness.main()
