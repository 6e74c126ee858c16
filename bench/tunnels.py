"""What is measured: leat and its peers, each started across a Link so that a visitor in `vps` reaches the
load generator's backend in `home`. A tunnel that is not installed says so in absent()."""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("LEAT_BENCH_BUILD", ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "bench/link"))
from network import HOME, VPS  # noqa: E402

BACKEND_PORT, AGENT_PORT, VISITOR_PORT = 7000, 7443, 7100
SOON = 20  # seconds; what normally takes a few milliseconds


def wait_for(condition, what, processes=()):
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        for process in processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode} before {what}")
        time.sleep(0.01)
    raise RuntimeError(f"not within {SOON} s: {what}")


class Tunnel:
    """Started by open(); the link ends its processes."""
    name = ""

    def __init__(self, link, folder):
        self.link = link
        self.folder = pathlib.Path(folder) / self.name
        self.folder.mkdir(parents=True)
        self.backend = f"{HOME}:{BACKEND_PORT}"
        self.cpu_of = {}  # what -> process

    @staticmethod
    def absent():
        return None

    def open(self):
        """HOST:PORT for visitors."""
        raise NotImplementedError

    def start(self, side, what, command, **options):
        with open(self.folder / f"{what}.log", "ab") as log:
            process = self.link.start(side, command, stdout=log, stderr=log, **options)
        self.cpu_of[what] = process
        return process

    def log(self, what):
        return (self.folder / f"{what}.log").read_text(errors="replace")

    def cpu_seconds(self):
        tick = os.sysconf("SC_CLK_TCK")
        out = {}
        for what, process in self.cpu_of.items():
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            out[what] = (int(fields[11]) + int(fields[12])) / tick
        return out


class Direct(Tunnel):
    """No tunnel: a TCP connection from the visitor to the service."""
    name = "direct"

    def open(self):
        return self.backend


class Leat(Tunnel):
    name = "leat"
    binary = BUILD / "leat"

    @classmethod
    def absent(cls):
        return None if os.access(cls.binary, os.X_OK) else f"{cls.binary} is not built"

    def open(self):
        # Where bbr is what is measured, the kernel lends it; where cubic is, it is a kernel that does not.
        deny = {"deny_cc": self.link.cc != "bbr"}
        relay = self.start("vps", "relay", [
            self.binary, "relay", "--listen", f"{VPS}:{AGENT_PORT}", "--state-dir", self.folder / "r",
            "--tcp-ports", f"{VISITOR_PORT}-{VISITOR_PORT}"], **deny)
        state = wait_for(lambda: self._json("r/relay.json"), "the relay serves", [relay])
        token = subprocess.run([self.binary, "token", "create", "--state-dir", self.folder / "r", "--name",
                                "bench"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        agent = self.start("home", "agent", [
            self.binary, "tcp", self.backend, "--id", "bench", "--public", "--remote-port", VISITOR_PORT,
            "--relay", f"{VPS}:{AGENT_PORT}", "--pin", state["fingerprint"],
            "--state-dir", self.folder / "a"], env={**os.environ, "LEAT_TOKEN": token}, **deny)
        wait_for(self._online, "the agent is online", [relay, agent])
        return f"{VPS}:{VISITOR_PORT}"

    def _json(self, name):
        try:
            return json.loads((self.folder / name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def _online(self):
        state = self._json("a/agent.json")
        return state and state["state"] == "online" and all(t["urls"] for t in state["tunnels"])


class Yamux(Tunnel):
    """hashicorp/yamux over TLS, windows as they come."""
    name = "yamux"
    binary = BUILD / "bench/peers/yamux_go_tunnel"

    @classmethod
    def absent(cls):
        return None if os.access(cls.binary, os.X_OK) else "no go or no hashicorp/yamux when it was built"

    def open(self):
        agents, visitors = f"{VPS}:{AGENT_PORT}", f"{VPS}:{VISITOR_PORT}"
        relay = self.start("vps", "relay", [self.binary, "relay", agents, visitors])
        wait_for(lambda: "listening" in self.log("relay"), "the relay listens", [relay])
        agent = self.start("home", "agent", [self.binary, "agent", agents, self.backend])
        wait_for(lambda: "online" in self.log("relay"), "the agent is online", [relay, agent])
        return visitors


class Ssh(Tunnel):
    """OpenSSH's ssh -R with aes128-gcm."""
    name = "ssh"
    server = "/usr/sbin/sshd"

    @classmethod
    def absent(cls):
        return None if os.access(cls.server, os.X_OK) else f"no {cls.server}"

    def open(self):
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key],
                           check=True)
        (self.folder / "config").write_text(
            f"ListenAddress {VPS}:{AGENT_PORT}\nHostKey {self.folder}/host_key\n"
            f"AuthorizedKeysFile {self.folder}/user_key.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nGatewayPorts clientspecified\n")
        sshd = self.start("vps", "relay", [self.server, "-D", "-e", "-f", self.folder / "config"])
        wait_for(lambda: "Server listening" in self.log("relay"), "sshd listens", [sshd])
        agent = self.start("home", "agent", [
            "ssh", "-v", "-N", "-F", "none", "-i", self.folder / "user_key", "-p", AGENT_PORT,
            "-c", "aes128-gcm@openssh.com", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "ExitOnForwardFailure=yes",
            "-R", f"{VPS}:{VISITOR_PORT}:{self.backend}", f"root@{VPS}"])
        wait_for(lambda: "remote forward success" in self.log("agent"), "ssh is online", [sshd, agent])
        return f"{VPS}:{VISITOR_PORT}"


TUNNELS = {tunnel.name: tunnel for tunnel in (Direct, Leat, Yamux, Ssh)}


def start_backend(link):
    process = link.start("home", [BUILD / "bench/load/leat_load", "backend", "--listen",
                                  f"{HOME}:{BACKEND_PORT}"], stdout=subprocess.PIPE, text=True)
    if "listen" not in process.stdout.readline():
        raise RuntimeError("the backend did not start")
    return process


def start_client(link, to, **options):
    """The load generator's visitor; its report is finish(process)."""
    command = [BUILD / "bench/load/leat_load", "client", "--to", to]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", value]
    return link.start("vps", command, stdout=subprocess.PIPE, text=True)


def finish(process):
    output, _ = process.communicate()
    if not output:
        raise RuntimeError(f"the client ended with {process.returncode} and no report")
    return json.loads(output)
