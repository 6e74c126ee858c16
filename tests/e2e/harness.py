"""The real binary and real programs on the loopback interface.

A test is a Case. What it starts with start(), relay() or agent() is ended with it, by process id; a leat
process must then end by itself, with exit code 0 unless the test said otherwise. When a test fails, the
logs of everything it started are shown. Nothing here waits for a time: wait_until() polls a condition and
has a deadline.
"""

import base64
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests/peers"
LEAT = os.environ.get("LEAT_BINARY", str(ROOT / "build/release/leat"))
SANITIZED = os.environ.get("LEAT_SANITIZED", "") not in ("", "0")
# Sizes of transfers are divided by this.
SCALE = int(os.environ.get("LEAT_E2E_SCALE", "16" if SANITIZED else "1"))
# How much longer than an idle machine without sanitizers things may take.
PATIENCE = 6 if SANITIZED else 1

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
SOON = 10.0 * PATIENCE  # a deadline for what normally takes milliseconds
DRAIN = 30.0            # every leat process ends within this after TERM


def scaled(size):
    return max(size // SCALE, MiB)


def report(what, value):
    """A figure for whoever reads the log."""
    print(f"measured: {what}: {value}", flush=True)


def wait_until(condition, what, seconds=SOON, alive=()):
    """The first true value of condition(); fails after the deadline or when a process in alive ends."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        for process in alive:
            if process.poll() is not None:
                raise AssertionError(f"{process.name} ended with {process.poll()} before {what}")
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.1f} s: {what}")
        time.sleep(pause)  # sleep: nobody tells when the condition holds
        pause = min(pause * 1.5, 0.02)


_ports = []  # locks, until this process ends


def free_port():
    """A port below the ephemeral range, so that no connection of this machine takes it meanwhile; nor does another
    program of tests, as each holds a lock on those that it was given."""
    folder = pathlib.Path(tempfile.gettempdir(), f"leat-e2e-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for _ in range(200):
        port = random.randrange(10000, 30000)
        with contextlib.ExitStack() as given, contextlib.suppress(OSError):
            lock = given.enter_context(open(folder / str(port), "w", encoding="ascii"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            _ports.append(given.pop_all())
            return port
    raise AssertionError("no free port")


def read_json(path):
    """What a leat process wrote to its state file, or None while there is no complete file."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def split_address(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    # A test that ctest had to kill must not leave anything running.
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process(subprocess.Popen):
    """A program with its output in a file."""

    def __init__(self, name, command, folder, env=None, **options):
        self.name = name
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self.expected_exit = 0
        with open(self.log_path, "ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options}
            super().__init__([str(part) for part in command],
                             env={**os.environ, "XDG_STATE_HOME": str(folder), **(env or {})},
                             preexec_fn=_die_with_parent, **options)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self, expected=0, seconds=DRAIN):
        """TERM, and the exit code must be as expected."""
        if self.poll() is None:
            self.send_signal(signal.SIGTERM)
        code = self.wait(seconds)
        if code != expected:
            raise AssertionError(f"{self.name} ended with {code}, not {expected}")

    def memory(self):
        """Of /proc/PID/status, in bytes: VmHWM (the most ever resident), RssAnon, and so on."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return {key: int(value) * KiB for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}


class Relay:
    """leat relay; its addresses are known once it is constructed."""

    def __init__(self, case, *arguments, folder=None, listen="127.0.0.1:0", name="relay"):
        self.folder = pathlib.Path(folder or case.folder / name)
        self.folder.mkdir(exist_ok=True)
        self.process = case.start(name, [LEAT, "relay", "--listen", listen, "--state-dir", self.folder,
                                         "--log-format", "json", *arguments])
        self.process.owner = self
        self.state = wait_until(self._serving, f"{name} serves", alive=[self.process])
        self.address = self.state["listen"]
        self.host, self.port = split_address(self.address)
        self.pin = self.state["fingerprint"]

    def _serving(self):
        """relay.json is there first; how agents come is said last."""
        state = read_json(self.folder / "relay.json")
        said = state and state["pid"] == self.process.pid and "leat token invite" in self.process.log()
        return state if said else None

    def plain(self):
        return split_address(self.state["plain_listen"])

    def token(self, name="test"):
        made = run_leat("token", "create", "--state-dir", self.folder, "--name", name)
        if made.returncode != 0 or len(made.stdout.split()) != 1:
            raise AssertionError(f"token create: {made}")
        return made.stdout.strip()

    def connect(self, receive_buffer=None, name=None):
        """A TLS connection as a visitor makes it; the certificate is known by its pin, not its name. A
        name is said in the handshake, and Host must then be the same."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        plain = socket.socket()
        plain.settimeout(SOON)
        if receive_buffer:  # else the kernel may take many MiB for a reader that does not read
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.connect((self.host, self.port))
        return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)

    def curl_pin(self):
        """What curl needs to verify the relay: the same SHA-256 of the public key as the agent's pin."""
        digest = bytes.fromhex(re.sub(r"^sha256:|:", "", self.pin))
        return ["--insecure", "--pinnedpubkey", f"sha256//{base64.b64encode(digest).decode()}"]


class Agent:
    """leat http, tcp or agent; constructed, it serves (unless wait is False)."""

    def __init__(self, case, relay, kind, target=None, *arguments, token=None, folder=None, name="agent",
                 wait=True, environment=None):
        self.case, self.relay = case, relay
        self.folder = pathlib.Path(folder or case.folder / name)
        self.folder.mkdir(exist_ok=True)
        command = [LEAT, kind] + ([target] if target else [])
        command += ["--relay", relay.address, "--pin", relay.pin, "--state-dir", self.folder,
                    "--log-format", "json", *arguments]
        env = {"LEAT_TOKEN": token if token is not None else relay.token(name), **(environment or {})}
        self.process = case.start(name, command, env=env)
        if wait:
            self.wait_online()

    def state(self):
        state = read_json(self.folder / "agent.json")
        return state if state and state["pid"] == self.process.pid else None

    def online(self):
        """The state, when the agent is connected and the relay has answered about every tunnel."""
        state = self.state()
        if not state or state["state"] != "online":
            return None
        settled = all(tunnel["urls"] or tunnel["error"] for tunnel in state["tunnels"])
        return state if settled else None

    def wait_online(self, seconds=SOON):
        return wait_until(self.online, f"{self.process.name} is online", seconds, alive=[self.process])

    def id(self):
        return self.online()["tunnels"][0]["id"]

    def path(self, path="/"):
        return f"/tunnel/{self.id()}{path}"

    def url(self, path="/"):
        return f"https://{self.relay.address}{self.path(path)}"


def run_leat(*arguments, env=None, seconds=SOON):
    """A leat command that ends by itself."""
    return subprocess.run([LEAT, *map(str, arguments)], env={**os.environ, **(env or {})}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=seconds, check=False)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="leat-e2e-"))
        self.processes = []
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self._show_logs)
        self.addCleanup(self._end_processes)

    def start(self, name, command, env=None, **options):
        if any(process.name == name and process.poll() is None for process in self.processes):
            raise AssertionError(f"two processes called {name}")
        process = Process(name, command, self.folder, env, **options)
        process.is_leat = str(command[0]) == LEAT
        self.processes.append(process)
        return process

    def relay(self, *arguments, **options):
        return Relay(self, *arguments, **options)

    def agent(self, relay, kind, target=None, *arguments, **options):
        return Agent(self, relay, kind, target, *arguments, **options)

    def tcp_port(self):
        port = free_port()
        return port, ["--tcp-ports", f"{port}-{port}"]

    def _end_processes(self):
        problems = []
        # The youngest first: agents before their relay.
        for process in reversed(self.processes):
            running = process.poll() is None
            if running:
                process.send_signal(signal.SIGTERM if process.is_leat else signal.SIGKILL)
            try:
                code = process.wait(DRAIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                problems.append(f"{process.name} did not end within {DRAIN:.0f} s of TERM")
                continue
            if process.is_leat and running and code != 0:
                problems.append(f"{process.name} ended with {code} after TERM")
            if process.is_leat and re.search(r"LEAT_INTERNAL|runtime error:|Sanitizer", process.log()):
                problems.append(f"{process.name} complains about itself")
        if problems:
            self.fail("; ".join(problems))

    def _failed(self):
        result = self._outcome.result
        return any(self in (test, getattr(test, "test_case", None))
                   for test, _ in result.failures + result.errors)

    def _show_logs(self):
        if not self._failed():
            return
        for process in self.processes:
            lines = process.log().splitlines()
            print(f"--- {process.name} (pid {process.pid}, exit {process.poll()}), "
                  f"the last of {len(lines)} lines", file=sys.stderr)
            print("\n".join(lines[-60:]), file=sys.stderr, flush=True)


def main():
    if not os.access(LEAT, os.X_OK):
        sys.exit(f"no binary at {LEAT}; set LEAT_BINARY")
    result = unittest.main(verbosity=2, exit=False).result
    # 77: SKIP_RETURN_CODE, so that ctest reports the program as one that did not run (scripts/lib/skipped.py).
    sys.exit(1 if not result.wasSuccessful() or result.testsRun == 0 else 77 if result.skipped else 0)
