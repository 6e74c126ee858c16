#!/usr/bin/env python3
"""What a relay with many agents and many idle visitors takes: memory, processor time, and how soon it lets one
more visitor in. Writes docs/capacity.md.

    bench/capacity.py [--agents 1000] [--visitors 10000] [--build build/release] [--output docs/capacity.md]

The agents are whole ones, each with a key, a TLS connection and a tunnel of its own, hosted by one process
(bench/load/agents.cc). A visitor is a TLS connection with an event stream that has begun and then rests, so that
each holds a stream to an agent and a connection to the service too. Everything runs on this machine, which
therefore also bears the load of the other three; only the relay's own figures are given.
"""

import argparse
import asyncio
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOKEN_SESSIONS = 64  # limits::kTokenSessions
SOON = 600
HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"7\r\n: hello\r\n")


# --- the service: begins an event stream, and rests ---

async def serve():
    async def connection(reader, writer):
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if b"?short" in request.split(b"\r\n", 1)[0]:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            else:
                writer.write(HEAD)
                await reader.read()
            await writer.drain()
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
    server = await asyncio.start_server(connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


# --- measuring ---

class Measured:
    """A process, by what the kernel says of it."""

    def __init__(self, pid):
        self.pid = pid

    def memory(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def visit(address, context, path, number):
    """A connection whose answer has begun, and how long its TLS handshake and all of it took."""
    began = time.perf_counter()
    # One address of many: a relay leaves half of its descriptors to the others.
    plain = socket.create_connection(address, timeout=SOON, source_address=(f"127.0.1.{1 + number % 50}", 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secured = context.wrap_socket(plain)
    accepted = time.perf_counter() - began  # by the relay: the kernel alone completes TCP's handshake
    secured.sendall(f"GET {path} HTTP/1.1\r\nHost: {address[0]}\r\n\r\n".encode())
    answer = b""
    while b"hello" not in answer:
        data = secured.recv(4096)
        if not data:
            raise RuntimeError(f"cut: {answer!r}")
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer)
    return secured, accepted, time.perf_counter() - began


def percentile(values, share):
    values = sorted(values)
    return values[max(0, -(-int(share * len(values)) // 100) - 1)]


class Run:
    def __init__(self, options):
        self.options = options
        self.build = ROOT / options.build
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="leat-capacity-"))
        self.processes = []
        self.steps = []

    def start(self, command, **options):
        process = subprocess.Popen([str(part) for part in command], text=True, **options)
        self.processes.append(process)
        return process

    def end(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def leat(self, *arguments):
        return subprocess.run([self.build / "leat", *arguments], check=True, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()

    def step(self, what, work):
        memory, cpu, began = self.relay.memory(), self.relay.cpu(), time.monotonic()
        result = work()
        self.steps.append((what, time.monotonic() - began, self.relay.cpu() - cpu,
                           self.relay.memory() - memory, self.relay.memory()))
        print(f"{what}: {self.steps[-1][1:]}", flush=True)
        return result

    def start_relay(self):
        with open(self.folder / "relay.log", "wb") as log:
            process = self.start([self.build / "leat", "relay", "--listen", "127.0.0.1:0", "--state-dir",
                                  self.folder, "--log-level", "warn"], stdout=log, stderr=log)
        state = self.folder / "relay.json"
        deadline = time.monotonic() + SOON
        while not state.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "relay.log").read_text())
            time.sleep(0.01)
        self.state = json.loads(state.read_text())
        host, port = self.state["listen"].rsplit(":", 1)
        self.address = host, int(port)
        self.relay = Measured(process.pid)

    def join(self):
        count = self.options.agents
        tokens = [self.leat("token", "create", "--state-dir", self.folder, "--name", f"owner-{i}")
                  for i in range(-(-count // TOKEN_SESSIONS))]
        service = self.start([sys.executable, __file__, "--serve"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        port = int(service.stdout.readline())
        (self.folder / "agents").mkdir()
        agents = self.start([self.build / "bench/load/leat_agents", self.state["listen"],
                             self.state["fingerprint"], f"127.0.0.1:{port}", count,
                             self.folder / "agents"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        agents.stdin.write("\n".join(tokens) + "\n\n")
        agents.stdin.flush()
        tunnels = []
        while len(tunnels) < count:
            line = agents.stdout.readline().split()
            if len(line) != 2 or line[0] != "online":
                raise RuntimeError(f"an agent says {line}")
            tunnels.append(line[1])
        return tunnels

    def come(self):
        """All visitors, by a few threads, dealt out over the tunnels."""
        visitors, problems, lock = [], [], threading.Lock()
        numbers = iter(range(self.options.visitors))

        def work():
            context = tls()
            while not problems:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    tunnel = self.tunnels[number % len(self.tunnels)]
                    visitors.append(visit(self.address, context, f"/tunnel/{tunnel}/", number)[0])
                except (OSError, RuntimeError) as error:
                    problems.append(error)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]
        return visitors

    def latencies(self):
        context, accepted, answered = tls(), [], []
        for number in range(self.options.probes):
            tunnel = self.tunnels[number * 7 % len(self.tunnels)]
            connection, accept, whole = visit(self.address, context, f"/tunnel/{tunnel}/?short", number)
            connection.close()
            accepted.append(accept * 1000)
            answered.append(whole * 1000)
        return accepted, answered

    def run(self):
        rest = self.options.rest
        self.start_relay()
        empty = self.relay.memory()
        self.tunnels = self.step(f"{self.options.agents:,} agents join", self.join)
        alone = self.latencies()
        self.step(f"{rest} s with them, idle", lambda: time.sleep(rest))
        visitors = self.step(f"{self.options.visitors:,} visitors come", self.come)
        self.step(f"{rest} s with both, idle", lambda: time.sleep(rest))
        crowded = self.step(f"{self.options.probes:,} more visitors, one after the other", self.latencies)
        live = sum(1 for each in visitors[::100] if each.fileno() >= 0)
        assert live == len(visitors[::100])
        return empty, alone, crowded


def table(run, empty, alone, crowded):
    lines = ["| | took s | relay's processor s | its memory, MiB more | in all |", "|---|---|---|---|---|",
             f"| started | | | | {empty / 2**20:.1f} |"]
    for what, took, cpu, more, memory in run.steps:
        lines.append(f"| {what} | {took:.1f} | {cpu:.2f} | {more / 2**20:.1f} | {memory / 2**20:.1f} |")
    lines += ["", "| one more visitor, ms | p50 | p99 | most |", "|---|---|---|---|"]
    for who, (accepted, answered) in (("agents only", alone), ("agents and idle visitors", crowded)):
        for what, values in (("accepted (TLS handshake)", accepted), ("first byte of the answer (TLS, tunnel)", answered)):
            lines.append(f"| {what}, {who} | {percentile(values, 50):.2f} | {percentile(values, 99):.2f} | "
                         f"{max(values):.2f} |")
    agents, visitors = run.options.agents, run.options.visitors
    join, come = run.steps[0], run.steps[2]
    lines += ["", f"That is {join[3] / agents / 1024:.1f} KiB and {join[2] / agents * 1000:.2f} ms of processor time "
              f"for an agent that joins, {come[3] / visitors / 1024:.1f} KiB and {come[2] / visitors * 1000:.2f} ms "
              "for a visitor that comes and stays."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--visitors", type=int, default=10000)
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--rest", type=int, default=30, help="seconds (%(default)s)")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--output")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    need = options.visitors * 4 // 3 + options.agents + 1000  # visitors get three quarters
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.serve:
        return asyncio.run(serve())
    if hard != -1 and hard < need:
        sys.exit(f"{need} descriptors are needed for each process; the limit is {hard} (ulimit -n)")
    run = Run(options)
    load_before = os.getloadavg()[1]
    try:
        figures = run.run()
    finally:
        run.end()
    text = table(run, *figures)
    print(text)
    if options.output:
        command = f"bench/capacity.py --agents {options.agents} --visitors {options.visitors} --build {options.build}"
        pathlib.Path(options.output).write_text(f"""# Capacity

How much a relay takes for many agents and many visitors who rest, as `bench/capacity.py` measures it:
{__doc__.split(chr(10) * 2, 1)[1].split(chr(10) * 2, 1)[1].strip()}

    {command}

{os.cpu_count()} processors, {platform.machine()}, Linux {platform.release().split('-')[0]}; the machine's load average over five
minutes was {load_before:.1f} before and {os.getloadavg()[1]:.1f} at the end.

{text}
""")


if __name__ == "__main__":
    main()
