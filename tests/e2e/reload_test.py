"""HUP: files are read again, and nobody who is being served notices."""

import json
import signal
import ssl
import subprocess

import harness
from harness import wait_until
from lifecycle_test import Gate
from wire import Client, Origin, answer


def events(process, name):
    """The log lines of that event."""
    lines = [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


class Served(harness.Case):
    def setUp(self):
        super().setUp()
        self.gate = Gate()
        self.addCleanup(self.gate.open)
        self.origin = Origin(self, self.gate)
        self.other = Origin(self, lambda request, connection: answer(connection, b"other"))

    def download(self, relay, path):
        client = Client(relay.connect())
        self.addCleanup(client.close)
        client.request("GET", f"{path}/gate")
        self.assertEqual(client.head().status, 200)
        self.assertEqual(client.reader.until(b"\r\n"), b"6")
        self.assertEqual(client.reader.exactly(8), b"first \r\n")
        return client

    def finish(self, client):
        self.gate.open()
        self.assertEqual(client.reader.until(b"\r\n"), b"6")
        self.assertEqual(client.reader.exactly(8), b"second\r\n")
        self.assertEqual(client.reader.until(b"\r\n\r\n"), b"0")


class AgentReloadTest(Served):
    def setUp(self):
        super().setUp()
        self.server = self.relay()
        self.config = self.folder / "leat.yaml"
        self.state = self.folder / "daemon"
        self.state.mkdir()
        self.write({"a": self.origin, "b": self.origin})
        self.daemon = self.start("daemon", [harness.LEAT, "agent", "--config", self.config,
                                            "--log-format", "json"],
                                 env={"LEAT_TOKEN": self.server.token()})
        wait_until(lambda: self.get("a") == 200 and self.get("b") == 200, "both serve",
                   alive=[self.daemon])

    def write(self, services, more=""):
        lines = "".join(f"  - id: {name}\n    public: true\n    target: http://{origin.address}\n"
                        for name, origin in services.items())
        self.config.write_text(f"relay: {self.server.address}\npin: {self.server.pin}\n"
                               f"state_dir: {self.state}\n{more}services:\n{lines}")

    def get(self, name, body=None):
        with Client(self.server.connect()) as client:
            message, text = client.get(f"/tunnel/{name}/")
            if body is not None:
                self.assertEqual(text, body)
            return message.status

    def reload(self, event):
        before = len(events(self.daemon, event))
        self.daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: len(events(self.daemon, event)) > before, event, alive=[self.daemon])
        return events(self.daemon, event)[-1]

    def test_services_come_go_and_change_while_a_download_runs(self):
        client = self.download(self.server, "/tunnel/b")
        self.write({"a": self.other, "c": self.other})
        done = self.reload("config.reloaded")
        self.assertEqual((done["added"], done["removed"], done["changed"]), (1, 1, 1))
        wait_until(lambda: self.get("c") == 200, "the new one serves")
        wait_until(lambda: self.get("b") == 503, "the old one is gone")
        self.assertEqual(self.get("a", b"other"), 200)
        self.finish(client)
        self.assertEqual(len(events(self.daemon, "relay.welcome")), 1, "one session all the time")

    def test_a_broken_file_changes_nothing_and_says_why(self):
        client = self.download(self.server, "/tunnel/b")
        self.write({"a": self.other}, more="colour: blue\n")
        kept = self.reload("config.kept")
        self.assertEqual(kept["level"], "error")
        self.assertEqual(kept["code"], "LEAT_CONFIG")
        self.assertIn("leat.yaml:4: colour: unknown key", kept["error"])
        self.assertEqual((self.get("a"), self.get("b")), (200, 200))
        self.config.unlink()
        self.assertEqual(self.reload("config.kept")["code"], "LEAT_CONFIG_FILE")
        self.finish(client)
        self.write({"a": self.other})
        self.assertEqual(self.reload("config.reloaded")["removed"], 1)

    def test_a_file_that_is_refused_late_has_set_nothing_of_the_log(self):
        self.write({"a": self.other}, more="log_level: off\n")
        with self.config.open("a") as config:
            config.write("    visitor_tokens: nowhere\n")
        self.assertEqual(self.reload("config.kept")["code"], "LEAT_CONFIG")
        self.assertEqual((self.get("a"), self.get("b")), (200, 200))

    def test_what_needs_a_new_start_is_named(self):
        self.write({"a": self.origin, "b": self.origin}, more="proxy: http://proxy.invalid:3128\n")
        self.assertEqual(self.reload("config.needs_restart")["key"], "proxy")
        self.assertEqual(self.get("a"), 200)


class RelayReloadTest(Served):
    def certificate(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        (self.folder / "key.pem").chmod(0o600)
        return ssl.PEM_cert_to_DER_cert((self.folder / "cert.pem").read_text())

    def served(self, relay):
        with relay.connect() as connection:
            return connection.getpeercert(binary_form=True)

    def test_a_new_certificate_is_served_without_a_new_start(self):
        first = self.certificate("one")
        config = self.folder / "relay.yaml"
        config.write_text(f"cert: {self.folder}/cert.pem\nkey: {self.folder}/key.pem\n")
        relay = self.relay("--config", config)
        agent = self.agent(relay, "http", self.origin.address)
        client = self.download(relay, f"/tunnel/{agent.id()}")
        self.assertEqual(self.served(relay), first)

        second = self.certificate("two")
        relay.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.served(relay) == second, "the new certificate is served")
        self.assertNotEqual(harness.read_json(relay.folder / "relay.json")["fingerprint"], relay.pin)

        (self.folder / "cert.pem").write_text("nonsense")
        relay.process.send_signal(signal.SIGHUP)
        wait_until(lambda: events(relay.process, "config.kept"), "the relay complains")
        self.assertEqual(events(relay.process, "config.kept")[0]["code"], "LEAT_KEY_FILE")
        self.assertEqual(self.served(relay), second)

        self.certificate("three")
        config.write_text(config.read_text() + "tcp_ports: 20000-20001\n")
        relay.process.send_signal(signal.SIGHUP)
        wait_until(lambda: events(relay.process, "config.needs_restart"), "the relay says so")
        self.assertEqual(events(relay.process, "config.needs_restart")[0]["key"], "tcp_ports")
        self.finish(client)


if __name__ == "__main__":
    harness.main()
