"""The live view of an agent at a terminal, seen through a pseudo-terminal."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

import harness
from harness import SOON, wait_until
from wire import Client, Origin, answer


class Screen:
    """A terminal that understands what the view sends: lines, up, erase. Anything else fails."""

    def __init__(self, width, height):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.width, self.height = width, height
        self.before = termios.tcgetattr(self.slave)
        self.raw, self.draws = b"", []
        self.rows, self.row, self.column = [""], 0, 0
        self.problems = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.draws.append(time.monotonic())
            self.raw += data
            self._show(data.decode())

    def _show(self, text):
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.|\n|\r", text):
            if part == "\n":
                self.row += 1
                if self.row == len(self.rows):
                    self.rows.append("")
            elif part == "\r":
                self.column = 0
            elif part.startswith("\x1b"):
                self._control(part)
            else:
                line = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = line[:self.column] + part + line[self.column + 1:]
                self.column += 1
                if self.column >= self.width:
                    self.problems.append(f"wraps: {self.rows[self.row]!r}")

    def _control(self, part):
        if part.endswith("A"):
            self.row -= int(part[2:-1])
            if self.row < 0:
                self.problems.append("above the screen")
        elif part.endswith("K"):
            self.rows[self.row] = self.rows[self.row][:self.column]
        elif part.endswith("J"):
            self.rows[self.row] = self.rows[self.row][:self.column]
            del self.rows[self.row + 1:]
        elif not part.endswith("m"):
            self.problems.append(f"changes the terminal: {part!r}")

    def text(self):
        return "\n".join(self.rows)

    def close(self):
        os.close(self.slave)


class StatusTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = self.relay()
        self.token = self.server.token()
        self.origin = Origin(self, lambda request, connection: answer(connection, b"hello"))

    def at_terminal(self, *arguments, environment=None, width=100, height=30):
        screen = Screen(width, height)
        folder = self.folder / "agent"
        folder.mkdir(exist_ok=True)
        command = [harness.LEAT, "http", self.origin.address, "--relay", self.server.address, "--pin",
                   self.server.pin, "--state-dir", folder, *arguments]
        agent = self.start("agent", command, stdout=screen.slave, stderr=screen.slave,
                           env={"LEAT_TOKEN": self.token, "TERM": "xterm",
                                "NO_COLOR": "", **(environment or {})})
        return screen, agent, lambda: harness.read_json(folder / "agent.json")

    def online(self, screen, agent, state):
        wait_until(lambda: " online " in screen.text(), "the view says that it is online",
                   alive=[agent])
        return state()["tunnels"][0]

    def get(self, tunnel, path):
        with Client(self.server.connect()) as client:
            return client.get(f"/tunnel/{tunnel['id']}{path}")

    def test_what_it_shows(self):
        screen, agent, state = self.at_terminal()
        tunnel = self.online(screen, agent, state)
        self.assertIn(tunnel["urls"][0], screen.text())
        self.assertIn("the relay sees requests and answers in the clear", screen.text())
        self.assertIn(f"relay {self.server.address}", screen.text())
        self.assertEqual(self.get(tunnel, "/models?key=s3cret")[1], b"hello")
        wait_until(lambda: re.search(r"200 GET .* 5 B .*/models", screen.text()), "the request")
        wait_until(lambda: "requests 1" in screen.text(), "their number")
        self.assertIn("streams 0", screen.text())
        wait_until(lambda: re.search(r"rtt [0-9.]+ ms", screen.text()), "the round trip")
        self.assertNotIn("s3cret", screen.text())
        self.assertIn(b"\x1b[1m", screen.raw, "bold")
        agent.stop()
        wait_until(lambda: " stopped " in screen.text(), "its end")
        self.check(screen)

    def test_a_limit_is_shown(self):
        plans = self.folder / "plans.yaml"
        plans.write_text("default: small\nplans:\n  - name: small\n    requests_per_minute: 1\n")
        self.server = self.relay("--plans", plans, name="limited")
        self.token = self.server.token()
        screen, agent, state = self.at_terminal(width=160)
        tunnel = self.online(screen, agent, state)
        self.assertEqual([self.get(tunnel, "/")[0].status for _ in range(2)], [200, 429])
        wait_until(lambda: "the relay says: LEAT_QUOTA_REQUESTS" in screen.text(), "the view tells of it")
        self.assertRegex(screen.text(), r"it resets in \d+ s")
        agent.stop()
        self.check(screen)

    def check(self, screen):
        """Nothing is left of it but its last lines."""
        self.assertEqual(screen.problems, [])
        self.assertEqual(termios.tcgetattr(screen.slave), screen.before)
        self.assertEqual(screen.rows[screen.row], "", "the shell's prompt goes on an empty line")
        self.assertNotRegex(screen.raw, rb"\x1b\[\?|\x1b[^\[]", "no modes are touched")

    def test_a_terminal_is_left_as_it_was_however_it_ends(self):
        for number in (signal.SIGINT, signal.SIGKILL):
            screen, agent, state = self.at_terminal()
            self.online(screen, agent, state)
            agent.send_signal(number)
            agent.wait(SOON)
            if number == signal.SIGINT:
                wait_until(lambda: " stopped " in screen.text(), "its end")
            self.check(screen)

    def test_an_error_comes_below_it(self):
        screen, agent, _ = self.at_terminal(environment={"LEAT_TOKEN": "leat_" + "0" * 43})
        self.assertEqual(agent.wait(SOON), 3)
        wait_until(lambda: "LEAT_BAD_TOKEN: " in screen.text(), "why")
        agent.is_leat = False
        self.assertEqual(screen.text().count("leat 0."), 1)

    def test_it_is_drawn_at_most_four_times_a_second(self):
        screen, agent, state = self.at_terminal()
        tunnel = self.online(screen, agent, state)
        begun, seen = time.monotonic(), len(screen.draws)
        with Client(self.server.connect()) as client:
            while time.monotonic() - begun < 2:
                client.get(f"/tunnel/{tunnel['id']}/")
        spent = time.monotonic() - begun
        draws = len(screen.draws) - seen
        self.assertGreater(draws, 0)
        # What was drawn before may be read only now. Were each request a reason, it would be hundreds.
        self.assertLessEqual(draws, spent * 4 + 8)

    def test_no_color(self):
        screen, agent, state = self.at_terminal(environment={"NO_COLOR": "1"})
        self.online(screen, agent, state)
        self.assertNotRegex(screen.raw, rb"\x1b\[[0-9;]*m")

    def test_a_small_terminal_is_not_overrun(self):
        screen, agent, state = self.at_terminal(width=30, height=4)
        tunnel = self.online(screen, agent, state)
        for _ in range(5):
            self.get(tunnel, "/" + "long" * 40)
        agent.stop()
        self.assertEqual(screen.problems, [])
        self.assertLessEqual(len(screen.rows), 4)

    def test_where_json_is_asked_for_there_are_lines(self):
        screen, agent, state = self.at_terminal("--log-format", "json")
        wait_until(lambda: '"event":"tunnel.bound"' in screen.text().replace("\n", ""), "a line",
                   alive=[agent])
        self.assertNotIn(b"\x1b[", screen.raw.replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"")
                         .replace(b"\x1b[2m", b""))


class Completion(harness.Case):
    def test_bash_completes(self):
        script = self.folder / "leat.bash"
        made = harness.run_leat("completion", "bash")
        self.assertEqual(made.returncode, 0, made.stderr)
        script.write_text(made.stdout)
        subprocess.run(["bash", "-n", script], check=True)

        def completed(*words):
            run = subprocess.run(
                ["bash", "--norc", "-c", '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _leat; '
                 'echo "${COMPREPLY[@]}"', script, *words],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, timeout=SOON)
            return run.stdout.split()
        self.assertEqual(completed("leat", "tok"), ["token"])
        self.assertEqual(completed("leat", "token", "re"), ["revoke"])
        self.assertEqual(completed("leat", "usage", "--adm"), ["--admin-key-file"])


if __name__ == "__main__":
    harness.main()
