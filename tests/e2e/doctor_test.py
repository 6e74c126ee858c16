"""leat doctor: each thing that can be wrong is named, with what to do."""

import json

import harness
from harness import run_leat
from wire import Client, Origin, answer


class DoctorTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = self.relay()
        self.token = self.server.token()
        self.origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        self.config = self.folder / "leat.yaml"

    def write(self, target, pin=None, relay=None, more=""):
        self.config.write_text(f"relay: {relay or self.server.address}\npin: {pin or self.server.pin}\n"
                               f"state_dir: {self.folder}/state\n{more}"
                               f"services:\n  - target: {target}\n    health: /\n")

    def doctor(self, *arguments, exit_code, token=None):
        run = run_leat("doctor", "--config", self.config, "--json", *arguments,
                       env={"LEAT_TOKEN": token or self.token})
        self.assertEqual(run.returncode, exit_code, run)
        found = json.loads(run.stdout)
        self.assertEqual(found["ok"], exit_code == 0)
        return {check["check"]: check for check in found["checks"]}

    def expect_fault(self, checks, name, code):
        self.assertEqual(checks[name]["level"], "fault", checks)
        self.assertEqual(checks[name]["code"], code)
        self.assertTrue(checks[name]["next"])

    def test_nothing_is_wrong_and_an_agent_that_runs_is_not_disturbed(self):
        agent = self.agent(self.server, "http", self.origin.address, token=self.token)
        self.write(f"http://{self.origin.address}")
        checks = self.doctor(exit_code=0)
        for name in ("resolve", "connect", "certificate", "token", "clock", "service"):
            self.assertEqual(checks[name]["level"], "ok", checks)
        self.assertIn(checks["congestion"]["level"], ("ok", "note"))
        self.assertEqual(agent.process.log().count('"event":"relay.welcome"'), 1)
        with Client(self.server.connect()) as client:
            self.assertEqual(client.get(agent.path())[1], b"hello")

    def test_it_reads_well(self):
        self.write("http://127.0.0.1:1")
        run = run_leat("doctor", "--config", self.config, env={"LEAT_TOKEN": self.token})
        self.assertEqual(run.returncode, 1, run)
        self.assertRegex(run.stdout, r"(?m)^fault  service +LEAT_SERVICE_REFUSED: .*127\.0\.0\.1:1")
        self.assertIn("to do: start the local service", run.stdout)
        self.assertRegex(run.stdout, r"(?m)^ok     token ")
        self.assertNotIn(self.token, run.stdout + run.stderr)

    def test_a_wrong_token(self):
        self.write(f"http://{self.origin.address}")
        checks = self.doctor(exit_code=1, token="leat_" + "0" * 43)
        self.expect_fault(checks, "token", "LEAT_BAD_TOKEN")
        for name in ("connect", "certificate", "clock", "service"):
            self.assertEqual(checks[name]["level"], "ok", checks)

    def test_another_certificate(self):
        self.write(f"http://{self.origin.address}", pin="sha256:" + "0" * 64)
        checks = self.doctor(exit_code=1)
        self.expect_fault(checks, "certificate", "LEAT_PIN_MISMATCH")
        self.assertEqual(checks["service"]["level"], "ok")

    def test_no_relay(self):
        self.write(f"http://{self.origin.address}", relay="127.0.0.1:1")
        self.expect_fault(self.doctor(exit_code=1), "connect", "LEAT_RELAY_UNREACHABLE")
        self.write(f"http://{self.origin.address}", relay="relay.invalid")
        self.expect_fault(self.doctor(exit_code=1), "resolve", "LEAT_RELAY_UNREACHABLE")

    def test_a_service_that_is_there_and_not_well(self):
        sick = Origin(self, lambda request, connection: answer(connection, b"", "500 Sick"))
        self.write(f"http://{sick.address}")
        checks = self.doctor(exit_code=1)
        self.expect_fault(checks, "service", "LEAT_SERVICE_UNHEALTHY")
        self.assertEqual(checks["token"]["level"], "ok")

    def test_a_broken_file(self):
        self.write("http://127.0.0.1:1", more="colour: blue\n")
        checks = self.doctor(exit_code=1)
        self.expect_fault(checks, "configuration", "LEAT_CONFIG")
        self.assertIn("leat.yaml:4: colour", checks["configuration"]["text"])


if __name__ == "__main__":
    harness.main()
