"""leat over its carriers: TLS, a WebSocket, and sealed end to end; and its HTTP door."""

import json
import os
import subprocess

from .base import BUILD, VISITOR_PORT, Tunnel, wait_for

TOKEN_SESSIONS = 64  # limits::kTokenSessions: so many agents may share a token


class Leat(Tunnel):
    """Agent and relay with one TLS connection between, visitors at a port of the relay."""
    name = "leat"
    binary = BUILD / "leat"
    version_command = (binary, "version")

    @classmethod
    def absent(cls):
        return None if os.access(cls.binary, os.X_OK) else f"{cls.binary} is not built"

    def open(self):
        state = self.start_relay("--tcp-ports", f"{VISITOR_PORT}-{VISITOR_PORT}")
        self.start_agent(state, "tcp", self.backend, "--id", "bench", "--public", "--remote-port",
                         VISITOR_PORT)
        return self.visitors

    def deny(self):
        # Where bbr is what is measured, the kernel lends it; where cubic is, it is a kernel that does not. The
        # filter costs a little with every system call, so it is there only where there is a link.
        return {"deny_bbr": self.link.cc != "bbr" and self.link.home != self.link.vps}

    def start_relay(self, *more):
        relay = self.start("vps", "relay", [self.binary, "relay", "--listen", self.agents, "--state-dir",
                                            self.folder / "r", "--log-level", "warn", *more], **self.deny())
        self.state = wait_for(lambda: read_json(self.folder / "r/relay.json"), "the relay serves", [relay])
        self.shown_as[self.state["fingerprint"]] = "PIN"
        self.environment = self.with_token("bench")
        return self.state

    def with_token(self, name):
        """The environment of agents with a token of their own."""
        token = self.run("token", "create", "--state-dir", self.folder / "r", "--name", name)
        return {**os.environ, "LEAT_TOKEN": token}

    def run(self, *words):
        return subprocess.run([self.binary, *words], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()

    def relay_address(self):
        return self.agents

    def start_agent(self, state, *words, what="agent"):
        self.start("home", what, [self.binary, *words, "--relay", self.relay_address(), "--pin",
                                  state["fingerprint"], "--state-dir", self.folder / what],
                   env=self.environment, **self.deny())
        wait_for(lambda: self.online(what), f"{what} is online", self.processes.values())

    def online(self, what="agent"):
        state = read_json(self.folder / what / "agent.json")
        return state and state["state"] == "online" and all(t["urls"] for t in state["tunnels"])


class LeatWebSocket(Leat):
    """The same inside a WebSocket over TLS."""
    name = "leat-ws"

    def relay_address(self):
        return f"wss://{self.agents}"


class LeatSealed(Leat):
    """The same sealed end to end: `leat connect` beside the visitor, the relay carries what it cannot read."""
    name = "leat-sealed"

    def open(self):
        state = self.start_relay()
        config = self.write("agent.yaml", f"services:\n  - target: tcp://{self.backend}\n    id: bench\n"
                                          "    sealed: true\n")
        self.start_agent(state, "agent", "--config", config)
        link = self.run("pair", "--no-qr", "--state-dir", self.folder / "agent")
        self.shown_as[link] = "LINK"
        device = self.start("vps", "device", [self.binary, "connect", link, "--local", self.visitors,
                                              "--state-dir", self.folder / "device", "--name", "bench"],
                            **self.deny())
        wait_for(lambda: "connected to" in self.log("device"), "the device is connected", [device])
        return self.visitors


class LeatHttp(Leat):
    """HTTP visitors through the relay's HTTP door, without TLS on their side."""
    name = "leat-http"
    path = "/tunnel/bench/"

    def open(self):
        state = self.start_relay("--plain-listen", self.visitors)
        self.start_agent(state, "http", f"http://{self.backend}", "--id", "bench", "--public")
        return self.visitors

    def wait_answers(self, visitors):
        return visitors


class LeatMany(Leat):
    """So many agents, each with a port of the relay from FIRST_PORT on."""
    FIRST_PORT = 8000  # clear of AGENT_PORT, and a thousand of them below what network.py lets clients take
    agents_wanted = 1
    relay_before = 0  # its resident bytes without an agent

    def open(self):
        last = self.FIRST_PORT + self.agents_wanted - 1
        state = self.start_relay("--tcp-ports", f"{self.FIRST_PORT}-{last}")
        self.relay_before = self.resident_bytes()["relay"]
        names = [f"agent{i}" for i in range(self.agents_wanted)]
        for i, name in enumerate(names):
            if i % TOKEN_SESSIONS == 0:
                environment = self.with_token(f"owner-{i // TOKEN_SESSIONS}")
            self.start("home", name, [
                self.binary, "tcp", self.backend, "--id", name, "--public", "--remote-port",
                self.FIRST_PORT + i, "--relay", self.agents, "--pin", state["fingerprint"], "--state-dir",
                self.folder / name, "--log-level", "warn"], env=environment, **self.deny())
        for name in names:
            wait_for(lambda name=name: self.online(name), f"{name} is online",
                     [self.processes["relay"], self.processes[name]], seconds=300)
        del self.configuration[2:]
        self.show(f"and so on, {self.agents_wanted} in all; {TOKEN_SESSIONS} share a token")
        return f"{self.link.vps}:{self.FIRST_PORT}"


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
