#!/usr/bin/python3
"""What a tunnel costs: one bulk stream through relay and agent on loopback, and what both ends took for it.

    cpu.py seconds  [--tunnels leat,ssh,…] [--upload] [--duration 10] [--repeat 3] [--json FILE]
    cpu.py calls    [--upload] [--duration 10] [--json FILE]
    cpu.py instructions [--upload] [--duration 20] [--keep FOLDER] [--json FILE]

`seconds`: processor time (user and system, children included, from /proc) per GiB that arrived, the
tunnels taking turns, and the median of each; what is compared is always of one run. `calls`: system
calls of relay and agent per MiB (perf stat, root; the first of --tunnels). `instructions`: of user space under valgrind's
callgrind, per byte, and the functions that take most; --keep leaves its files. All is counted from the end
of the warm-up.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tunnels  # noqa: E402

GIB, MIB = 1 << 30, 1 << 20
RECORD = 16384  # bytes of plaintext in a full TLS record
TICK = os.sysconf("SC_CLK_TCK")


class Loopback:
    """Stands where tunnels expects a Link: everything on this machine, nothing between."""
    cc, home, vps, delay_ms = "cubic", "127.0.0.1", "127.0.0.1", 0

    def __init__(self, wrap=lambda what, command: command):
        self.wrap = wrap
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def start(self, side, command, deny_bbr=False, **options):
        del side, deny_bbr
        command = self.wrap([str(part) for part in command])
        process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process


def descendants(pid):
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                pass
    return found


def cpu_seconds(tunnel):
    """{what: (user, system)}; forwarders fork (sshd serves a session in a child)."""
    out = {}
    for what, process in tunnel.processes.items():
        user = system = 0
        for pid in descendants(process.pid):
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            user, system = user + int(fields[11]), system + int(fields[12])
        out[what] = (user / TICK, system / TICK)
    return out


def run(kind, arguments, wrap=lambda command: command, watch=lambda tunnel: ()):
    """One bulk stream for --duration. The report, and the processor time while it was counted."""
    with tempfile.TemporaryDirectory(prefix="leat-cpu-") as folder, Loopback(wrap) as link:
        link.wrap = lambda command: command
        tunnels.start_backend(link)
        link.wrap = wrap
        tunnel = kind(link, folder)
        to = tunnel.open()
        link.wrap = lambda command: command
        way = "upload" if arguments.upload else "download"
        client = tunnels.start_client(link, to, **{way: 1}, sample=64, warmup=arguments.warmup,
                                      duration=arguments.duration)
        marks, watchers = [], ()
        for delay in (arguments.warmup, arguments.duration):
            threading.Event().wait(delay)
            marks.append(cpu_seconds(tunnel))
            watchers = list(watch(tunnel)) if len(marks) == 1 else watchers
        report = tunnels.finish(client)
        for process in watchers:
            process.wait(60)
        if report["faults"]:
            raise RuntimeError("; ".join(report["faults"]))
        spent = {what: [after - before for before, after in zip(marks[0][what], marks[1][what])]
                 for what in marks[0]}
        return report[way]["MB_per_s"] * 1e6 * arguments.duration, spent


def measure_seconds(arguments):
    runs = {}
    for _ in range(arguments.repeat):
        for name in arguments.tunnels.split(","):
            kind = tunnels.TUNNELS[name]
            if reason := kind.absent():
                print(f"{name} is absent: {reason}", file=sys.stderr)
                continue
            moved, spent = run(kind, arguments)
            one = {"MiB_per_s": moved / MIB / arguments.duration,
                   **{f"{what}_{part}": seconds / (moved / GIB)
                      for what, both in spent.items() for part, seconds in zip(("user", "system"), both)}}
            one["total"] = sum(sum(both) for both in spent.values()) / (moved / GIB)
            runs.setdefault(name, []).append(one)
            print(f"{name:6} " + "  ".join(f"{key} {value:.3f}" for key, value in one.items()), flush=True)
    medians = {name: statistics.median(one["total"] for one in each) for name, each in runs.items()}
    for name, value in medians.items():
        beside = f", {value / medians['ssh']:.2f} x ssh" if "ssh" in medians else ""
        print(f"{name:6} {value:.3f} CPU seconds per GiB, both ends{beside}")
    return {"runs": runs, "median": medians}


CALLS = ("recvfrom", "recvmsg", "read", "readv", "sendto", "sendmsg", "write", "writev", "epoll_wait",
         "epoll_ctl", "getsockopt", "setsockopt", "ioctl", "timerfd_settime", "futex", "ppoll", "poll", "splice")


def measure_calls(arguments):
    """Counters in the kernel: strace would stop the process for each call and so change how many there are."""
    out = {}
    with tempfile.TemporaryDirectory(prefix="leat-calls-") as folder:
        counts = {}

        def watch(tunnel):
            for what, process in tunnel.processes.items():
                counts[what] = pathlib.Path(folder) / what
                yield tunnel.link.start("", [
                    "perf", "stat", "-x", ",", "-e", ",".join(f"syscalls:sys_enter_{name}" for name in CALLS),
                    "-p", ",".join(map(str, descendants(process.pid))), "-o", counts[what], "--", "sleep", arguments.duration])

        moved, _ = run(tunnels.TUNNELS[arguments.tunnels.split(",")[0]], arguments, watch=watch)
        for what, file in counts.items():
            rows = (line.split(",") for line in file.read_text().splitlines())
            out[what] = {row[2].removeprefix("syscalls:sys_enter_"): int(row[0]) / (moved / MIB)
                         for row in rows if len(row) > 2 and row[0].isdigit() and int(row[0])}
    print(f"system calls per MiB, of {moved / MIB:.0f} MiB")
    for end, calls in out.items():
        for name, per_mib in sorted(calls.items(), key=lambda item: -item[1]):
            print(f"{end:6} {name:16} {per_mib:8.2f}")
    return {"MiB": moved / MIB, "per_MiB": out}


GROUPS = {"cipher": r"aes|ghash|gcm_|CRYPTO_gcm|sha|chacha", "copies": r"mem(cpy|move|set)",
          "mux": r"leat::mux", "link": r"leat::net::Link", "net": r"leat::net", "leat, other": r"leat::",
          "libssl": r"ssl3_|tls|SSL|BIO|ERR_|EVP|CRYPTO|OPENSSL|ossl|record", "libc": r"sysdeps|malloc|nptl|libc"}


def group(function):
    return next((name for name, pattern in GROUPS.items() if re.search(pattern, function)), "other")


def measure_instructions(arguments):
    with tempfile.TemporaryDirectory(prefix="leat-callgrind-") as scratch:
        folder = pathlib.Path(arguments.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)

        def wrap(command):
            if "token" in command:
                return command
            return ["valgrind", "--tool=callgrind", "--instr-atstart=no",
                    f"--callgrind-out-file={folder}/%p.callgrind", *command]

        ends = {}

        def watch(tunnel):
            for what, process in tunnel.processes.items():
                ends[what] = folder / f"{process.pid}.callgrind"
                subprocess.run(["callgrind_control", "-i", "on", str(process.pid)], check=True,
                               stdout=subprocess.DEVNULL)
            return ()

        moved, _ = run(tunnels.Leat, arguments, wrap, watch)
        out = {"MiB": moved / MIB}
        for what, file in ends.items():
            text = subprocess.run(["callgrind_annotate", "--threshold=100", "--show-percs=no", "--auto=no",
                                   str(file)],
                                  check=True, stdout=subprocess.PIPE, text=True).stdout
            rows = [(int(match[1].replace(",", "")), match[2].strip())
                    for match in re.finditer(r"^\s*([\d,]+)\s+(\S.*)$", text, re.M)]
            total = next(n for n, name in rows if "PROGRAM TOTALS" in name)
            rows = [(n, name) for n, name in rows if "PROGRAM TOTALS" not in name]
            groups = {}
            for n, name in rows:
                groups[group(name)] = groups.get(group(name), 0) + n
            out[what] = {"per_byte": total / moved, "per_record": total / moved * RECORD,
                         "groups": {name: n / moved for name, n in groups.items()},
                         "functions": {name: n / moved for n, name in rows[:60]}}
            print(f"{what}: {total / moved:.3f} instructions per byte of {moved / MIB:.0f} MiB, "
                  f"{total / moved * RECORD:.0f} per record")
            for name, n in sorted(groups.items(), key=lambda item: -item[1]):
                print(f"  {name:12} {n / moved:8.4f} per byte {n / moved * RECORD:8.0f} per record")
            for n, name in rows[:arguments.functions]:
                print(f"    {n / moved * RECORD:8.0f}  {name[:110]}")
        return out


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("seconds", "calls", "instructions"))
    parser.add_argument("--tunnels", default="leat,ssh")
    parser.add_argument("--upload", action="store_true", help="from the visitor to the service")
    parser.add_argument("--warmup", type=float, default=2, help="seconds")
    parser.add_argument("--duration", type=float, default=10, help="seconds")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--functions", type=int, default=12, help="so many are shown")
    parser.add_argument("--keep", help="FOLDER for callgrind's files")
    parser.add_argument("--json", help="FILE for every figure")
    arguments = parser.parse_args()
    measure = {"seconds": measure_seconds, "calls": measure_calls, "instructions": measure_instructions}
    result = measure[arguments.what](arguments)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(
            json.dumps({"command": sys.argv, "at": time.time(), **result}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
