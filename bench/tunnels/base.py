"""What a tunnel under measurement is: started across a Link so that a visitor in `vps` reaches the load
generator's backend in `home`. One that is not installed says so in absent()."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LEAT_BENCH_BUILD", ROOT / "build/release"))
BACKEND_PORT, AGENT_PORT, VISITOR_PORT = 7000, 7443, 7100
SOON = 20  # seconds; what normally takes a few milliseconds
TICK = os.sysconf("SC_CLK_TCK")


def wait_for(condition, what, processes=(), seconds=SOON):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        for process in processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode} before {what}")
        time.sleep(0.01)
    raise RuntimeError(f"not within {seconds} s: {what}")


def family(pid):
    """The process and all that descend from it."""
    pids = [pid]
    for parent in pids:
        for children in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                pids += map(int, children.read_text().split())
            except OSError:
                pass  # ended meanwhile
    return pids


def cpu_seconds(pid):
    """Of a process and its family, including those of it that have ended and been waited for."""
    ticks = 0
    for member in family(pid):
        try:
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def resident_bytes(pid):
    total = 0
    for member in family(pid):
        try:
            found = re.search(r"^VmRSS:\s+(\d+) kB$", pathlib.Path(f"/proc/{member}/status").read_text(), re.M)
        except OSError:
            continue
        total += int(found.group(1)) * 1024 if found else 0
    return total


class Tunnel:
    """Started by open(); the link ends its processes."""
    name = ""
    program = None  # what has to be on PATH
    streams = None  # no more bulk than this through it
    path = "/"      # before the names of HTTP requests
    version_command = ()  # the first line with a number that it prints says what is measured

    def __init__(self, link, folder):
        self.link = link
        self.folder = pathlib.Path(folder) / self.name
        self.folder.mkdir(parents=True)
        self.backend = f"{link.home}:{BACKEND_PORT}"
        self.agents, self.visitors = f"{link.vps}:{AGENT_PORT}", f"{link.vps}:{VISITOR_PORT}"
        self.processes = {}  # "relay", "agent", …
        self.configuration = []  # as shown with the result
        self.shown_as = {str(self.folder): ".", str(BUILD): "build"}  # what differs from start to start

    @classmethod
    def absent(cls):
        """Why it cannot be measured here, or None."""
        return None if cls.program is None or shutil.which(cls.program) else f"no {cls.program} on PATH"

    @classmethod
    def version(cls):
        """What is measured, in a line; "" where there is nothing."""
        if not cls.version_command:
            return ""
        try:
            said = subprocess.run(list(map(str, cls.version_command)), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=SOON, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            said = ""
        lines = (" ".join(line.split()) for line in said.splitlines())
        return next((line for line in lines if re.search(r"\d", line)), "unknown")

    def open(self):
        """HOST:PORT for visitors."""
        raise NotImplementedError

    def start(self, side, what, command, **options):
        with open(self.folder / f"{what}.log", "ab") as log:
            process = self.link.start(side, command, stdout=log, stderr=log, **options)
        self.processes[what] = process
        refused = "  (refused bbr, as by a stock kernel)" if options.get("deny_bbr") else ""
        self.show(f"{what}: {shlex.join(map(str, command))}{refused}")
        return process

    def write(self, name, text):
        """A file of configuration."""
        (self.folder / name).write_text(text)
        self.show(f"{name}:\n{text}".rstrip())
        return self.folder / name

    def show(self, text):
        for what, name in self.shown_as.items():
            text = text.replace(what, name)
        self.configuration.append(text)

    def log(self, what):
        return (self.folder / f"{what}.log").read_text(errors="replace")

    def wait_answers(self, visitors):
        """Until a connection through it is answered."""
        patience = 0.1 + 12 * self.link.delay_ms / 1e3  # seconds; six round trips
        def answers():
            client = self.link.start("vps", [BUILD / "bench/load/leat_load", "client", "--to", visitors,
                                             "--connects", 1, "--warmup", 0, "--duration", patience],
                                     stdout=subprocess.PIPE, text=True)
            report = client.communicate()[0]
            return client.returncode == 0 and json.loads(report)["connect"]["per_s"] > 0
        wait_for(answers, f"{self.name} answers", self.processes.values())
        return visitors

    def wait_listens(self, what, port):
        process = self.processes[what]
        listening = re.compile(rf":{port:04X} [0-9A-F:]+ 0A ")
        table = pathlib.Path(f"/proc/{process.pid}/net/tcp")  # of its namespace
        wait_for(lambda: process.poll() is None and listening.search(table.read_text()), f"{what} listens",
                 self.processes.values())

    def certificate(self):
        """A certificate and its key for the names that are used here; files."""
        key, cert = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=bench", "-addext",
                        f"subjectAltName=DNS:bench,IP:{self.link.home},IP:{self.link.vps}", "-days", "2",
                        "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        both = self.folder / "both.pem"
        both.touch(mode=0o600)
        both.write_text(cert.read_text() + key.read_text())
        return cert, key, both

    def cpu_seconds(self):
        return {what: cpu_seconds(process.pid) for what, process in self.processes.items()}

    def resident_bytes(self):
        return {what: resident_bytes(process.pid) for what, process in self.processes.items()}


class Direct(Tunnel):
    """No tunnel: a TCP connection from the visitor to the service."""
    name = "direct"

    def open(self):
        return self.backend


class Floor(Direct):
    """As direct, but what would be many bulk streams is one: the least that a tunnel could do to a token."""
    name = "floor"
    streams = 1
