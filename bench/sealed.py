#!/usr/bin/python3
"""What sealing costs: one bulk stream, and tokens, plain and sealed, through one relay and one agent.

    sealed.py [--suites aesgcm,nacl] [--duration 5] [--repeat 3] [--json FILE]

On the loopback interface: a service, an agent that has it four times (tcp and http, each plain and sealed), a relay,
and for each suite a `leat connect` in front of either sealed one. The ways take turns, so that a machine with other
work slows all of them, and every byte is checked. Throughput and the tokens' delay are shown as they were; beside them
the processor seconds that each process spends on a GiB, which other work on the machine changes least.

There are two plain ways. `https` is what a phone or a browser has without sealing: the HTTP door of the relay by
TLS, with haproxy beside the load to do the visitor's TLS, as `leat connect` does it in the sealed way; what differs
is the second cipher. `tcp` is a port of the relay without any TLS on the visitor's side, and so one cipher and one
process less again. The sealed service of tcp is held against both, and that of http (`aesgcm-http`, `nacl-http`)
against https: of each plain way's throughput it is to have 60 % or more by the clock. Tokens are to come 0.5 ms later
than those of tcp at most, at the p50 and at the p99. The share by CPU is what follows where the busiest process is the
limit.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tunnels import BUILD, wait_for  # noqa: E402 (which puts link/ on the path)
from tunnels.peers import HAPROXY, SUITE  # noqa: E402
from network import end_on_signals  # noqa: E402

LEAT, LOAD = BUILD / "leat", BUILD / "bench/load/leat_load"
GiB = 1 << 30
LEAST_SHARE, MOST_DELAY_MS = 0.6, 0.5
PLAIN = ("https", "tcp")
HTTP = "-http"  # ends the name of a sealed way to the service of http


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class World:
    """Relay, agent, service and two `leat connect` for each suite."""

    def __init__(self, stack, folder, suites):
        self.stack, self.folder = stack, pathlib.Path(folder)
        self.processes, self.ways = {}, {}
        backend = self._start("backend", [LOAD, "backend", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                              text=True)
        self.backend = re.search(r"127\.0\.0\.1:\d+", backend.stdout.readline())[0]
        self.ways["tcp"] = self._tunnel()
        self.ways["https"] = self._tls_visitor()
        for suite in suites:
            self.ways[suite] = self._connect(suite, suite, "shut")
            self.ways[suite + HTTP] = self._connect(suite + HTTP, suite, "shut-web")

    def _start(self, name, command, **options):
        log = self.stack.enter_context(open(self.folder / f"{name}.log", "wb"))
        options.setdefault("stdout", log)
        process = self.stack.enter_context(
            subprocess.Popen([str(word) for word in command], stderr=log, **options))
        self.stack.callback(process.terminate)
        self.processes[name] = process
        return process

    def _say(self, *words):
        return subprocess.run([LEAT, *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def _json(self, name):
        with contextlib.suppress(OSError, json.JSONDecodeError):
            return json.loads((self.folder / name).read_text())

    def _tunnel(self):
        port = free_port()
        relay = self._start("relay", [LEAT, "relay", "--listen", "127.0.0.1:0", "--state-dir", self.folder / "r",
                                      "--tcp-ports", f"{port}-{port}"])
        state = wait_for(lambda: self._json("r/relay.json"), "the relay serves", [relay])
        token = self._say("token", "create", "--state-dir", self.folder / "r", "--name", "bench")
        config = self.folder / "agent.yaml"
        config.write_text(f"services:\n"
                          f"  - {{target: 'tcp://{self.backend}', id: plain, public: true, remote_port: {port}}}\n"
                          f"  - {{target: 'http://{self.backend}', id: web, public: true}}\n"
                          f"  - {{target: 'tcp://{self.backend}', id: shut, sealed: true}}\n"
                          f"  - {{target: 'http://{self.backend}', id: shut-web, sealed: true}}\n")
        agent = self._start("agent", [LEAT, "agent", "--config", config, "--relay", state["listen"],
                                      "--pin", state["fingerprint"], "--state-dir", self.folder / "a"],
                            env={**os.environ, "LEAT_TOKEN": token})
        online = lambda: (self._json("a/agent.json") or {}).get("state") == "online" and all(
            each["urls"] for each in self._json("a/agent.json")["tunnels"])
        wait_for(online, "the agent is online", [relay, agent])
        return f"127.0.0.1:{port}"

    def _tls_visitor(self):
        port = free_port()
        config = self.folder / "haproxy.cfg"
        server = f"{self._json('r/relay.json')['listen']} ssl verify none"
        config.write_text(HAPROXY.format(suite=SUITE, bind=f"127.0.0.1:{port}", server=server))
        haproxy = self._start("https", ["haproxy", "-db", "-q", "-f", config])

        def listens():
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                return True
            return False
        wait_for(listens, "haproxy listens", [haproxy])
        return f"127.0.0.1:{port}"

    def _connect(self, name, suite, service):
        link = self.folder / f"{name}.link"
        link.touch(mode=0o600)  # it is a secret, and one that others may read is refused
        link.write_text(self._say("pair", "--no-qr", "--state-dir", self.folder / "a", "--name", name))
        device = self._start(name, [LEAT, "connect", "--link-file", link, "--local", "127.0.0.1:0", "--service",
                                    service, "--suite", suite, "--name", name, "--state-dir",
                                    self.folder / f"c-{name}"])
        log = lambda: (self.folder / f"{name}.log").read_text()
        wait_for(lambda: "connected to" in log(), f"{name} is connected", [device])
        return "127.0.0.1:" + re.search(r"listening on 127\.0\.0\.1:(\d+)", log())[1]

    def load(self, way, **options):
        """The report of the load's visitor, and what each process spent meanwhile, in seconds."""
        before = self.spent()
        command = [LOAD, "client", "--to", self.ways[way]]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        if way == "https":
            command += ["--http", "--path", "/tunnel/web/"]
        elif way.endswith(HTTP):
            command += ["--http"]
        report = json.loads(subprocess.run(command, check=False, stdout=subprocess.PIPE).stdout)
        if report["faults"]:
            sys.exit(f"sealed.py: {way}: {'; '.join(report['faults'])}")
        after = self.spent()
        who = {"relay": "relay", "agent": "agent", "device": way}
        return report, {what: after[name] - before[name] for what, name in who.items() if name in after}

    def spent(self):
        tick = os.sysconf("SC_CLK_TCK")
        out = {}
        for name, process in self.processes.items():
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            out[name] = (int(fields[11]) + int(fields[12])) / tick
        return out


def measure(world, way, direction, seconds):
    """MB/s, and seconds of processor for a GiB; both without a warm-up, which would be paid and not counted."""
    report, spent = world.load(way, **{direction: 1}, warmup=0, duration=seconds)
    rate = report[direction]["MB_per_s"]
    return {"MB_per_s": rate,
            "cpu_s_per_GiB": {who: used / (rate * 1e6 * seconds / GiB) for who, used in spent.items()}}


def tokens(world, way, seconds):
    report, _ = world.load(way, tokens=1, token_every_ms=5, warmup=1, duration=seconds)
    return report["tokens"]["delay_ms"]


def middle(runs):
    """The median, figure by figure."""
    if isinstance(runs[0], dict):
        return {key: middle([run[key] for run in runs]) for key in runs[0]}
    return statistics.median(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", default="aesgcm,nacl")
    parser.add_argument("--duration", type=float, default=5, help="seconds of each run")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", help="FILE for every figure")
    arguments = parser.parse_args()
    end_on_signals()
    suites = arguments.suites.split(",")
    sealed = [suite + kind for suite in suites for kind in ("", HTTP)]
    runs = {way: {"download": [], "upload": []} for way in (*PLAIN, *sealed)}
    for way in ("tcp", *suites):
        runs[way]["tokens"] = []
    with contextlib.ExitStack() as stack:
        world = World(stack, stack.enter_context(tempfile.TemporaryDirectory(prefix="leat-bench-")), suites)
        for _ in range(arguments.repeat):
            for way, each in runs.items():
                for direction in ("download", "upload"):
                    each[direction].append(measure(world, way, direction, arguments.duration))
                if "tokens" in each:
                    each["tokens"].append(tokens(world, way, arguments.duration))
    result = {way: {what: middle(each) for what, each in of.items()} for way, of in runs.items()}
    verdict = judge(result)
    show(result, verdict)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(
            {"command": sys.argv, "settings": vars(arguments), "middle": result, "verdict": verdict, "runs": runs},
            indent=1) + "\n")


def judge(result):
    """Of each sealed way: what share of the throughput of the plain ones it has, by the clock and by the busiest
    process, and how much later its tokens come; with the target, and whether it is met, where there is one."""
    verdict = {}
    for way, each in result.items():
        if way in PLAIN:
            continue
        of = verdict[way] = {}
        for direction in ("download", "upload"):
            of[direction] = {}
            for name in PLAIN[:1] if way.endswith(HTTP) else PLAIN:
                plain = result[name][direction]
                busiest = [max(each_way["cpu_s_per_GiB"].values()) for each_way in (plain, each[direction])]
                share = each[direction]["MB_per_s"] / plain["MB_per_s"]
                of[direction][name] = {"clock": {"value": share, "target": LEAST_SHARE, "met": share >= LEAST_SHARE},
                                       "cpu": {"value": busiest[0] / busiest[1]}}
        if "tokens" not in each:
            continue
        later = {point: each["tokens"][point] - result["tcp"]["tokens"][point] for point in ("p50", "p99")}
        of["tokens"] = {point: {"value": ms, "target": MOST_DELAY_MS, "met": ms <= MOST_DELAY_MS}
                        for point, ms in later.items()}
    return verdict


def show(result, verdict):
    says = lambda each: "" if "met" not in each else "met" if each["met"] else "missed"
    print(f"{'':11} {'':9} {'MB/s':>8}   CPU s for a GiB")
    for way, each in result.items():
        for direction in ("download", "upload"):
            cpu = "  ".join(f"{who} {used:.2f}" for who, used in each[direction]["cpu_s_per_GiB"].items())
            print(f"{way:11} {direction:9} {each[direction]['MB_per_s']:8.1f}   {cpu}")
    print(f"\none bulk stream, of plain's throughput; target: {LEAST_SHARE:.0%} or more by the clock")
    print(f"{'':11} {'':9} " + " ".join(f"{f'{name}, {by}':>16}" for name in PLAIN for by in ("clock", "CPU")))
    for way, of in verdict.items():
        for direction in ("download", "upload"):
            shares = " ".join(f"{each['value']:8.0%} {says(each):7}" for plain in of[direction].values()
                              for each in plain.values())
            print(f"{way:11} {direction:9} {shares}".rstrip())
    print(f"\ndelay of tokens, ms; target: {MOST_DELAY_MS} later than plain's, or less")
    print(f"{'':8} {'p50':>8} {'p99':>8} {'p50 later':>17} {'p99 later':>17}")
    for way, each in result.items():
        if "tokens" not in each:
            continue
        later = " ".join(f"{of['value']:9.3f} {says(of):7}" for of in verdict.get(way, {}).get("tokens", {}).values())
        print(f"{way:8} {each['tokens']['p50']:8.3f} {each['tokens']['p99']:8.3f} {later}".rstrip())


if __name__ == "__main__":
    main()
