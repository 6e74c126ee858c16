"""A link between a home and a public server, out of three network namespaces.

    home 10.77.1.2 ── 10.77.1.1 router 10.77.2.1 ── 10.77.2.2 vps

The bottleneck is `tc tbf` on the router's egress towards each side, not on a sender's own interface, where
TCP's small queues would flatter everybody. Delay, loss and reordering come from leat_link, which carries
the packets between two TUN devices inside the router, for kernels without netem. Root is needed; names end
in the process id, and everything goes with the process, those of one that was killed with the next.

    network.py [--rate-mbit N] [--queue-ms N] [--delay-ms N] [--loss P] [--cc NAME] -- COMMAND…

runs a command in `home` while the link stands.
"""

import argparse
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import sys
import time

HOME, VPS = "10.77.1.2", "10.77.2.2"
SIDES = ("home", "router", "vps")
RUN = pathlib.Path("/run/netns")
PATIENCE = 5  # seconds that processes have to end when they are told to

_libc = ctypes.CDLL(None, use_errno=True)


def usable():
    """Why links cannot be made here, or None."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    probe = subprocess.run(["unshare", "--net", "true"], stderr=subprocess.PIPE, check=False)
    return None if probe.returncode == 0 else "no network namespaces"


def congestion_controls():
    return pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()


def _ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def _inside(namespace, *command):
    """The command, to be run there. `ip netns exec` and `ip -n` would remount, which fails in a chroot."""
    return ["nsenter", f"--net={RUN / namespace}", *map(str, command)]


def _ip_in(namespace, *arguments):
    subprocess.run(_inside(namespace, "ip", *arguments), check=True, stdin=subprocess.DEVNULL)


def _add_namespace(name):
    """As `ip netns add`, which would also mount something on /run/netns and leave it there."""
    RUN.mkdir(exist_ok=True)
    (RUN / name).touch(exist_ok=False)
    subprocess.run(["unshare", f"--net={RUN / name}", "true"], check=True, stdin=subprocess.DEVNULL)


def _remove_namespace(name):
    _libc.umount2(os.fsencode(RUN / name), 2)  # MNT_DETACH; fails where nothing is mounted
    (RUN / name).unlink(missing_ok=True)


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _enter(namespace):
    fd = os.open(RUN / namespace, os.O_RDONLY)
    _check(_libc.setns(fd, 0x40000000), f"setns {namespace}")  # CLONE_NEWNET
    os.close(fd)


def _deny_bbr():
    """setsockopt(IPPROTO_TCP, TCP_CONGESTION, "bbr") fails with EPERM from here on, as for an unprivileged process
    on a kernel that does not list it in tcp_allowed_congestion_control. A filter cannot follow the pointer to the
    name, so its length decides: what else has three letters goes with it, reno and cubic stay."""
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    number = {"x86_64": 54, "aarch64": 208}[os.uname().machine]
    program = [(load, 0, 0, 0), (equal, 0, 7, number), (load, 0, 0, 24), (equal, 0, 5, 6),
               (load, 0, 0, 32), (equal, 0, 3, 13), (load, 0, 0, 48), (equal, 0, 1, 3),
               (give, 0, 0, 0x00050000 | 1), (give, 0, 0, 0x7fff0000)]
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    keep = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(keep)))
    _check(_libc.prctl(38, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.prctl(22, 2, header), "seccomp")


class Link:
    """A context manager. start() runs programs in it and ends them with it."""
    home, vps = HOME, VPS
    sides = SIDES
    _numbers = itertools.count()

    def __init__(self, rate_mbit=50, queue_ms=200, delay_ms=0, loss=0, reorder=0, cc="cubic", seed=1,
                 emulator=None, buffer_mib=0):
        self.rate_mbit, self.queue_ms, self.delay_ms = rate_mbit, queue_ms, delay_ms
        self.loss, self.reorder, self.cc, self.seed = loss, reorder, cc, seed
        self.emulator = emulator
        self.buffer_mib = buffer_mib  # the largest that a TCP socket may grow; 0: the kernel's own setting
        self.tag = f"lb{os.getpid()}.{next(self._numbers)}"  # several may stand at the same time
        self.processes = []
        self._carrier = None
        if cc not in congestion_controls():
            raise ValueError(f"this kernel has no {cc}; it has {' '.join(congestion_controls())}")

    def namespace(self, side):
        return f"{self.tag}-{side}"

    def __enter__(self):
        _sweep()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def _build(self):
        self._add_namespaces()
        self._router("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
                     "net.ipv4.conf.default.rp_filter=0")
        for side, net in (("home", "10.77.1"), ("vps", "10.77.2")):
            near, far, router = self.namespace(side), f"to-{side}", self.namespace("router")
            _ip("link", "add", "dev", "eth0", "netns", near, "type", "veth", "peer", "name", far,
                "netns", router)
            _ip_in(near, "addr", "add", f"{net}.2/24", "dev", "eth0")
            _ip_in(router, "addr", "add", f"{net}.1/24", "dev", far)
            _ip_in(near, "link", "set", "dev", "eth0", "up")
            _ip_in(router, "link", "set", "dev", far, "up")
            # The route chooses the congestion control: the system-wide default stays as it is.
            _ip_in(near, "route", "add", "default", "via", f"{net}.1", "congctl", self.cc)
            self._bottleneck(far, "add")
        if self.delay_ms or self.loss or self.reorder:
            self._emulate()

    def _add_namespaces(self):
        for side in self.sides:
            _add_namespace(self.namespace(side))
            _ip_in(self.namespace(side), "link", "set", "lo", "up")
            settings = ["net.ipv4.ip_local_port_range=10000 65000"]
            if self.buffer_mib:
                most = self.buffer_mib << 20
                settings += [f"net.ipv4.tcp_rmem=4096 131072 {most}", f"net.ipv4.tcp_wmem=4096 16384 {most}"]
            subprocess.run(_inside(self.namespace(side), "sysctl", "-qw", *settings), check=True)

    def _bottleneck(self, device, verb):
        if not self.rate_mbit:
            return
        burst = max(4000, int(self.rate_mbit * 1e6 / 8 / 1000))  # bytes: a packet and a bit, or 1 ms
        self._router("tc", "qdisc", verb, "dev", device, "root", "tbf", "rate", f"{self.rate_mbit}mbit",
                     "burst", str(burst), "latency", f"{self.queue_ms}ms")

    def set_rate(self, rate_mbit):
        """The link becomes narrower or wider, as radio links do."""
        self.rate_mbit = rate_mbit
        for side in ("home", "vps"):
            self._bottleneck(f"to-{side}", "change")

    def _emulate(self):
        for name in ("tun-home", "tun-vps"):
            self._router("ip", "tuntap", "add", "dev", name, "mode", "tun")
            self._router("ip", "link", "set", "dev", name, "up", "txqueuelen", "10000")
        self.start_emulator()
        for table, side in ((100, "home"), (101, "vps")):
            self._router("ip", "rule", "add", "iif", f"to-{side}", "lookup", str(table))
            self._router("ip", "route", "add", "default", "dev", f"tun-{side}", "table", str(table))

    def start_emulator(self):
        self._carrier = self.start(
            "router", [self.emulator or default_program("link/leat_link"), "tun-home", "tun-vps",
                       "--delay-ms", self.delay_ms, "--loss", self.loss, "--reorder", self.reorder,
                       "--seed", self.seed], stdout=subprocess.PIPE, text=True)
        if not self._carrier.stdout.readline().startswith("{"):
            raise RuntimeError("leat_link did not start")

    def set_path(self, **path):
        """Another route: delay_ms, loss or reorder change. The path must have had one of them before.
        Packets that are on the way are lost."""
        for name, value in path.items():
            setattr(self, name, value)
        self.path_counts()
        self.start_emulator()

    def path_counts(self):
        """Ends leat_link; what it did."""
        carrier, self._carrier = self._carrier, None
        self.end(carrier)
        with carrier.stdout:
            said = carrier.stdout.read()
        if not said:
            raise RuntimeError(f"leat_link had ended with {carrier.returncode}")
        return json.loads(said)

    def start(self, side, command, deny_bbr=False, **options):
        """Popen in a namespace. deny_bbr: as where the kernel does not lend it."""
        namespace = self.namespace(side)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # as many as may be

        def prepare():
            _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            _enter(namespace)
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
            if deny_bbr:
                _deny_bbr()

        options = {"stdin": subprocess.DEVNULL, **options}
        process = subprocess.Popen([str(part) for part in command], preexec_fn=prepare, **options)
        self.processes.append(process)
        return process

    def run(self, side, command, timeout=120, **options):
        """The standard output of a command that must succeed."""
        process = self.start(side, command, stdout=subprocess.PIPE, text=True, **options)
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            self.end(process)
        if process.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output}")
        return output

    def end(self, process):
        _end_all([process])
        if process in self.processes:
            self.processes.remove(process)

    def _router(self, *command):
        subprocess.run(_inside(self.namespace("router"), *command), check=True, stdin=subprocess.DEVNULL)

    def _remove(self):
        try:
            if self._carrier:
                self.path_counts()
        finally:
            _end_all(self.processes)
            self.processes.clear()
            for side in self.sides:
                _remove_namespace(self.namespace(side))


class Loopback(Link):
    """Both sides in one namespace with nothing but a loopback interface."""
    home = vps = "127.0.0.1"
    sides = ("home",)

    def __init__(self, cc="cubic"):
        super().__init__(rate_mbit=0, cc=cc)

    def namespace(self, side):
        return super().namespace("home")

    def _build(self):
        self._add_namespaces()


def _end_all(processes):
    """All are told before the first is waited for, so that many take no longer than one; the last that was
    started first."""
    left = [process for process in reversed(processes) if process.poll() is None]
    for process in left:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in left:
        try:
            process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _sweep():
    """Removes what a process left that was killed."""
    if not RUN.exists():
        return
    for name in os.listdir(RUN):
        match = re.fullmatch(r"lb(\d+)(\.\d+)?-(home|router|vps)", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            _remove_namespace(name)


def default_program(name):
    build = pathlib.Path(__file__).resolve().parents[2] / "build/release"
    return pathlib.Path(os.environ.get("LEAT_BENCH_BUILD", build)) / "bench" / name


def end_on_signals():
    """SIGTERM and SIGHUP end the program as Ctrl-C does, through every `finally`."""
    def leave(number, _):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate-mbit", type=float, default=50)
    parser.add_argument("--queue-ms", type=float, default=200)
    parser.add_argument("--delay-ms", type=float, default=0, help="each way")
    parser.add_argument("--loss", type=float, default=0, help="share of packets, each way")
    parser.add_argument("--reorder", type=float, default=0, help="share of packets, each way")
    parser.add_argument("--cc", default="cubic")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if reason := usable():
        sys.exit(f"network.py: {reason}")
    end_on_signals()
    options = vars(arguments)
    command = options.pop("command")
    with Link(**options) as link, contextlib.suppress(KeyboardInterrupt):
        return link.start("home", command, stdin=None).wait()
    return 130


if __name__ == "__main__":
    sys.exit(main())
