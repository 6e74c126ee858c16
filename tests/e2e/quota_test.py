"""Plans as visitors' WebSockets and agents meet them, what HUP changes, and what Prometheus sees of it."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

import harness
from frames import BINARY, WebSocket, frame
from harness import SOON, wait_until
from identity_test import jwt
from reload_test import events
from wire import Client, Cut, Origin, answer

KEY = "an-admin-key-of-the-operators"


class Operated(harness.Case):
    def secret(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def start_relay(self, *arguments, **options):
        key = self.secret("admin.key", KEY)
        return self.relay("--admin-listen", "127.0.0.1:0", "--admin-key-file", key, *arguments, **options)

    def scrape(self, address):
        connection = http.client.HTTPConnection(*harness.split_address(address), timeout=SOON)
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics", headers={"X-Admin-Key": KEY})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        return response.read().decode()

    def value(self, address, line):
        for each in self.scrape(address).splitlines():
            if each.startswith(line + " "):
                return float(each.rsplit(" ", 1)[1])
        raise AssertionError(f"no sample {line}")

    def serves(self, relay, agent, *fields):
        with Client(relay.connect()) as client:
            return client.get(agent.path(), *fields)[0].status


class Messages(Operated):
    """Of the shipped plan "pro", in a room and through an upgraded http tunnel."""

    def setUp(self):
        super().setUp()
        server = self.start("server", ["node", harness.PEERS / "websocket_server.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.port = int(server.stdout.readline())
        self.server = self.start_relay("--plans", harness.ROOT / "deploy/plans.yaml")

    def token(self, name, plan="pro"):
        made = harness.run_leat("token", "create", "--state-dir", self.server.folder, "--name", name,
                                "--plan", plan)
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.strip()

    def check(self, agent, path):
        with WebSocket(self.server.connect(), path) as visitor:
            self.assertEqual(visitor.status, 101)
            for i in range(30):
                visitor.send(frame(BINARY, b"%d" % i))
                self.assertEqual(visitor.receive(), (BINARY, True, b"%d" % i))
            visitor.send(frame(BINARY, b"one more"))
            opcode, _, payload = visitor.receive()
            self.assertEqual((opcode, payload[:2]), (8, b"\x03\xf0"))
            self.assertRegex(payload[2:].decode(), r"^LEAT_QUOTA_MESSAGES, resets in \d+ s$")
        wait_until(lambda: (agent.state().get("notice") or {}).get("code") == "LEAT_QUOTA_MESSAGES",
                   "the agent knows", alive=[agent.process])
        wait_until(lambda: "LEAT_QUOTA_MESSAGES" in agent.process.log(), "the agent says so", alive=[agent.process])

    def test_an_http_tunnel(self):
        agent = self.agent(self.server, "http", str(self.port), token=self.token("http"))
        self.check(agent, agent.path())

    def test_a_room(self):
        agent = self.agent(self.server, "ws", str(self.port), "--room", "den", token=self.token("ws"))
        self.check(agent, "/client?room=den")

    def test_a_message_that_is_too_large(self):
        agent = self.agent(self.server, "http", str(self.port), token=self.token("large"))
        with WebSocket(self.server.connect(), agent.path()) as visitor:
            visitor.send(frame(BINARY, bytes(4_999_999)))
            self.assertEqual(len(visitor.receive()[2]), 4_999_999)
        with WebSocket(self.server.connect(), agent.path()) as visitor:
            visitor.send(frame(BINARY, bytes(5_000_001)))
            opcode, _, payload = visitor.receive()
            self.assertEqual((opcode, payload), (8, b"\x03\xf1LEAT_QUOTA_MESSAGE_SIZE"))

    def test_the_team_has_no_limit(self):
        agent = self.agent(self.server, "http", str(self.port), token=self.token("team", "team"))
        with WebSocket(self.server.connect(), agent.path()) as visitor:
            for i in range(200):
                visitor.send(frame(BINARY, b"%d" % i))
            for i in range(200):
                self.assertEqual(visitor.receive()[2], b"%d" % i)


class Hup(Operated):
    """The relay's plans and keys, and who may visit an agent, change while they run."""

    def hup(self, process, event):
        before = len(events(process, event))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(events(process, event)) > before, event, alive=[process])
        return events(process, event)[-1]

    def origin(self):
        return Origin(self, lambda request, connection: answer(connection, b"hello"))

    def test_plans(self):
        plans = self.folder / "plans.yaml"
        plans.write_text("default: p\nplans:\n  - name: p\n    tunnels: 1\n")
        relay = self.start_relay("--plans", plans)
        agent = self.agent(relay, "http", self.origin().address)
        self.assertEqual(self.serves(relay, agent), 200)
        plans.write_text("default: p\nplans:\n  - name: p\n    requests_per_minute: 1\n")
        self.hup(relay.process, "config.reloaded")
        self.assertEqual([self.serves(relay, agent) for _ in range(2)], [200, 429])
        plans.write_text("default: p\nplans:\n  - name: p\n    colour: red\n")
        kept = self.hup(relay.process, "config.kept")
        self.assertEqual(kept["code"], "LEAT_CONFIG")
        self.assertIn("colour: unknown key", kept["error"])
        self.assertEqual(self.serves(relay, agent), 429, "the old ones hold")
        plans.write_text("default: p\nplans:\n  - name: p\n")
        self.hup(relay.process, "config.reloaded")
        self.assertEqual(self.serves(relay, agent), 200)

    def test_keys_of_json_web_tokens(self):
        old, new = os.urandom(32).hex(), os.urandom(32).hex()
        keys = self.secret("keys", old)
        relay = self.start_relay("--jwt-keys", keys)
        claims = {"sub": "alice", "exp": int(time.time()) + 600}
        origin = self.origin()

        def come(key, name, lets_in):
            agent = self.agent(relay, "http", origin.address, token=jwt(key.encode(), **claims), name=name,
                               wait=lets_in)
            if not lets_in:
                agent.process.expected_exit = 3
                self.assertEqual(agent.process.wait(SOON), 3)
                self.assertIn("LEAT_BAD_JWT", agent.process.log())
        come(old, "one", True)
        come(new, "two", False)
        keys.write_text("short")
        kept = self.hup(relay.process, "config.kept")
        self.assertEqual(kept["code"], "LEAT_KEY_FILE")
        come(old, "three", True)
        keys.write_text(new)
        self.hup(relay.process, "config.reloaded")
        come(new, "four", True)
        come(old, "five", False)

    def test_who_may_visit(self):
        tokens = self.secret("tokens", "phone a-token-for-the-phone\n")
        relay = self.start_relay()
        agent = self.agent(relay, "http", self.origin().address, "--visitor-tokens", tokens)
        phone, tablet = (f"Authorization: Bearer a-token-for-the-{name}" for name in ("phone", "tablet"))
        self.assertEqual([self.serves(relay, agent, each) for each in (phone, tablet)], [200, 401])
        tokens.write_text("tablet a-token-for-the-tablet\n")
        self.hup(agent.process, "config.reloaded")
        wait_until(lambda: [self.serves(relay, agent, each) for each in (phone, tablet)] == [401, 200],
                   "the new file is in force")
        tokens.write_text("tablet short\n")
        kept = self.hup(agent.process, "config.kept")
        self.assertIn("16 characters", kept["error"])
        self.assertEqual(self.serves(relay, agent, tablet), 200)


class Revocation(Operated):
    """Whatever is taken back, who is there is out within a second."""

    TOKEN = "a-token-for-the-phone"

    def setUp(self):
        super().setUp()
        self.over = threading.Event()
        self.addCleanup(self.over.set)

        def hold(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            self.over.wait(SOON * 6)
            return False
        self.origin = Origin(self, hold)
        self.server = self.start_relay()
        self.tokens = self.secret("tokens", f"phone {self.TOKEN}\n")

    def admin(self, method, path):
        connection = http.client.HTTPConnection(*harness.split_address(self.server.state["admin_listen"]),
                                                timeout=SOON)
        self.addCleanup(connection.close)
        connection.request(method, path, headers={"X-Admin-Key": KEY})
        response = connection.getresponse()
        return response.status, response.read()

    def check(self, take_back, exit_code=None):
        agent = self.agent(self.server, "http", self.origin.address, "--visitor-tokens", self.tokens,
                           token=self.server.token("owner"))
        client = Client(self.server.connect())
        self.addCleanup(client.close)
        client.request("GET", agent.path(), f"Authorization: Bearer {self.TOKEN}")
        self.assertEqual(client.head().status, 200)
        client.reader.exactly(10)
        began = time.monotonic()
        take_back(agent)
        with self.assertRaises(Cut):
            client.reader.more()
        self.assertLess(time.monotonic() - began, 1.0 * harness.PATIENCE)
        if exit_code is not None:
            self.assertEqual(agent.process.wait(SOON), exit_code)

    def test_a_token(self):
        self.check(lambda agent: harness.run_leat("token", "revoke", "owner", "--state-dir", self.server.folder),
                   exit_code=3)

    def test_a_tunnel(self):
        self.check(lambda agent: self.assertEqual(self.admin("DELETE", f"/api/v1/tunnels/{agent.id()}")[0], 204))

    def test_an_agent(self):
        def end(_):
            listed = json.loads(self.admin("GET", "/api/v1/agents")[1])["agents"]
            self.assertEqual(self.admin("DELETE", "/api/v1/agents/" + listed[0]["identity"])[0], 204)
        self.check(end, exit_code=3)

    def test_a_visitors_token(self):
        def forget(agent):
            self.tokens.write_text("tablet another-token-of-mine\n")
            agent.process.send_signal(signal.SIGHUP)
        self.check(forget)


class Scraped(Operated):
    """A real Prometheus looks at relay and agent."""

    def start_agent(self, relay, *arguments):
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        agent = self.agent(relay, "http", origin.address, "--metrics-listen", "127.0.0.1:0", *arguments)
        return agent, events(agent.process, "metrics")[0]["listen"]

    def test_what_both_count(self):
        relay = self.start_relay()
        agent, agent_metrics = self.start_agent(relay)
        for _ in range(3):
            self.assertEqual(self.serves(relay, agent), 200)
        relay_metrics = relay.state["admin_listen"]
        self.assertEqual(self.value(relay_metrics, 'leat_opens_total{kind="http"}'), 3)
        self.assertEqual(self.value(agent_metrics, 'leat_agent_opens_total{kind="http"}'), 3)
        for direction in ("in", "out"):
            sample = f'bytes_total{{direction="{direction}",kind="http"}}'
            wait_until(lambda: self.value(relay_metrics, "leat_" + sample) > 0
                       and abs(self.value(relay_metrics, "leat_" + sample)
                               - self.value(agent_metrics, "leat_agent_" + sample)) < 600,
                       "the two ends have seen the same, but for the preamble")
        self.assertEqual(self.value(agent_metrics, "leat_agent_time_to_first_byte_seconds_count"), 3)
        self.assertEqual(self.value(agent_metrics, "leat_agent_online"), 1)
        for path, status in (("/", 404), ("/metrics?", 404)):
            connection = http.client.HTTPConnection(*harness.split_address(agent_metrics), timeout=SOON)
            self.addCleanup(connection.close)
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, status)

    def test_what_the_agent_counts_of_cuts_and_returns(self):
        over = threading.Event()
        self.addCleanup(over.set)

        def hold(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            over.wait(SOON * 6)
            return False
        relay = self.start_relay()
        agent = self.agent(relay, "http", Origin(self, hold).address, "--metrics-listen", "127.0.0.1:0")
        metrics = events(agent.process, "metrics")[0]["listen"]
        self.assertEqual(self.value(metrics, 'leat_agent_resets_total{reason="relay"}'), 0)
        with Client(relay.connect()) as leaving:
            leaving.request("GET", agent.path())
            leaving.head()
            wait_until(lambda: self.value(metrics, "leat_agent_streams") == 1, "the stream is counted")
        wait_until(lambda: self.value(metrics, 'leat_agent_resets_total{reason="relay"}') == 1,
                   "the visitor who left is counted")
        for queue in ("undelivered", "unacknowledged"):
            wait_until(lambda queue=queue: self.value(metrics, f'leat_agent_queue_bytes{{queue="{queue}"}}') == 0,
                       "nothing waits")
        self.assertEqual(self.value(metrics, "leat_agent_reconnects_total"), 0)
        relay.process.kill()
        relay.process.wait()
        relay.process.expected_exit = -signal.SIGKILL
        again = self.start_relay(listen=relay.address, name="relay-again", folder=relay.folder)
        wait_until(lambda: self.value(metrics, "leat_agent_reconnects_total") == 1, "it came back", SOON * 3)
        wait_until(lambda: self.value(again.state["admin_listen"], "leat_agents") == 1, "the relay has it")

    def test_promtool_finds_no_fault(self):
        relay = self.start_relay()
        agent, agent_metrics = self.start_agent(relay)
        self.assertEqual(self.serves(relay, agent), 200)
        with Client(relay.connect()) as stranger:
            stranger.get("/tunnel/none/")
        for address in (relay.state["admin_listen"], agent_metrics):
            checked = subprocess.run(["promtool", "check", "metrics"], input=self.scrape(address).encode(),
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SOON * 3,
                                     check=False)
            self.assertEqual((checked.returncode, checked.stdout), (0, b""))
        page = (harness.ROOT / "docs/operators.md").read_text()
        rules = self.folder / "rules.yml"
        rules.write_text(re.search(r"```yaml\n(groups:.*?)```", page, re.S).group(1))
        checked = subprocess.run(["promtool", "check", "rules", rules], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=SOON * 3, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_prometheus_scrapes_both(self):
        relay = self.start_relay()
        agent, agent_metrics = self.start_agent(relay)
        self.assertEqual(self.serves(relay, agent), 200)
        config = self.folder / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(
            f"  - job_name: {job}\n    static_configs: [{{targets: ['{address}']}}]\n"
            for job, address in (("relay", relay.state["admin_listen"]), ("agent", agent_metrics))))
        port = harness.free_port()
        server = self.start("prometheus", ["prometheus", f"--config.file={config}",
                                           f"--storage.tsdb.path={self.folder}/tsdb",
                                           f"--web.listen-address=127.0.0.1:{port}"])

        def ask(query):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={query}",
                                            timeout=SOON) as response:
                    return json.load(response)["data"]["result"]
            except OSError:
                return []
        wait_until(lambda: len(ask("up==1")) == 2, "both are up", SOON * 6, alive=[server])
        for query in ("leat_build_info", "leat_opens_total>0", "leat_agent_opens_total>0",
                      "histogram_quantile(0.5,leat_time_to_first_byte_seconds_bucket)",
                      "histogram_quantile(0.5,leat_agent_time_to_first_byte_seconds_bucket)"):
            self.assertTrue(ask(query), query)


if __name__ == "__main__":
    harness.main()
