"""The link does what it says: round trip, rate, loss, congestion control, and nothing is left behind."""

import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/link"))
import network  # noqa: E402

EMULATOR = os.environ.get("LEAT_LINK", network.default_program("link/leat_link"))

# argv[1]: the address to serve on. Echoes datagrams that begin with 'e', counts the others.
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
s.bind((sys.argv[1], 7001))
print("ready", flush=True)
seen = 0
while True:
    data, peer = s.recvfrom(2048)
    if data[:1] == b"e": s.sendto(data, peer)
    elif data[:1] == b"?": s.sendto(b"%d" % seen, peer)
    else: seen += 1
"""
# argv[1]: where to, argv[2]: how many. Prints each round trip in ms.
PINGS = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
for i in range(int(sys.argv[2])):
    began = time.monotonic(); s.sendto(b"e", (sys.argv[1], 7001)); s.recv(10)
    print((time.monotonic() - began) * 1e3)
"""
# argv[2] small datagrams at a pace that no queue minds; prints how many arrived. The question comes
# behind them.
COUNT = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
for i in range(int(sys.argv[2])):
    s.sendto(b"x" * 100, (sys.argv[1], 7001))
    if i % 10 == 9: time.sleep(0.001)  # sleep: the pace
for _ in range(20):
    s.sendto(b"?", (sys.argv[1], 7001))
    try: print(int(s.recv(20))); break
    except TimeoutError: pass
"""
# Receives for argv[2] seconds after the first from a sender on the other side; prints MB/s over all of them and
# over the best half second. The link saves up 1 ms at most: what it could not send while the machine was
# elsewhere it does not make up for.
SINK = """
import socket, sys, time
l = socket.create_server((sys.argv[1], 7002)); print("ready", flush=True)
s, _ = l.accept(); began = time.monotonic() + 1; end = began + float(sys.argv[2]); took = []; n = 0
since, last = began, 0
while (now := time.monotonic()) < end:
    got = len(s.recv(1 << 16))
    if now < began: continue
    n += got
    if now - since >= 0.5:
        took.append((n - last) / (now - since))
        since, last = now, n
print(n / (now - began) / 1e6, max(took) / 1e6)
"""
SOURCE = """
import socket, sys
s = socket.create_connection((sys.argv[1], 7002)); b = b"x" * 65536
print(s.getsockopt(6, 13, 16).rstrip(b"\\0").decode(), flush=True)
try:
    while True: s.sendall(b)
except OSError: pass
"""
ASK = """
import socket
s = socket.socket()
for name in (b"reno", b"cubic", b"bbr"):
    try: s.setsockopt(6, 13, name); print("granted")
    except PermissionError: print("refused")
"""


def python(program, *arguments):
    return ["/usr/bin/python3", "-c", program, *arguments]


def mounts():
    with open("/proc/self/mounts", encoding="utf-8") as lines:
        return [line.split()[1] for line in lines]


class LinkTest(unittest.TestCase):
    def link(self, **options):
        link = network.Link(emulator=EMULATOR, **options)
        self.enterContext(link)
        return link

    def start(self, link, side, program, *arguments):
        process = link.start(side, python(program, *arguments), stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.addCleanup(process.stdout.close)
        return process

    def round_trip(self, link):
        self.start(link, "vps", ECHO, network.VPS)
        out = link.run("home", python(PINGS, network.VPS, "50"))
        return statistics.median(map(float, out.split()))

    def test_without_delay_the_round_trip_is_short(self):
        self.assertLess(self.round_trip(self.link()), 2)

    def test_delay_counts_both_ways(self):
        self.assertAlmostEqual(self.round_trip(self.link(delay_ms=20)), 40, delta=2)

    def has_rate(self, link, rate_mbit):
        sink = self.start(link, "vps", SINK, network.VPS, "3")
        source = link.start("home", python(SOURCE, network.VPS), stdout=subprocess.PIPE, text=True)
        self.addCleanup(source.stdout.close)
        self.assertEqual(source.stdout.readline().strip(), link.cc)
        whole, best = map(float, sink.stdout.readline().split())
        due = rate_mbit / 8 * 1448 / 1514  # 1448 bytes of data in 1514 on the wire
        self.assertLess(whole, 1.05 * due)
        self.assertGreater(whole, 0.5 * due)  # it did not stop meanwhile
        self.assertGreater(best, 0.95 * due)

    def test_rate(self):
        self.has_rate(self.link(rate_mbit=50), 50)

    def test_rate_after_a_change_and_with_delay(self):
        link = self.link(rate_mbit=50, delay_ms=5)
        link.set_rate(20)
        self.has_rate(link, 20)

    def test_loss(self):
        link = self.link(loss=0.1, seed=3)
        self.start(link, "vps", ECHO, network.VPS)
        arrived = int(link.run("home", python(COUNT, network.VPS, "5000")))
        self.assertAlmostEqual(arrived, 4500, delta=150)
        counts = link.path_counts()["there"]
        self.assertAlmostEqual(counts["lost"] / (counts["lost"] + counts["passed"]), 0.1, delta=0.03)

    def test_a_route_may_become_longer(self):
        link = self.link(delay_ms=5)
        link.set_path(delay_ms=30)
        self.assertAlmostEqual(self.round_trip(link), 60, delta=3)

    def test_what_the_emulator_did_is_lost_with_it_and_nothing_else(self):
        with self.assertRaisesRegex(RuntimeError, "leat_link had ended"):
            with network.Link(emulator=EMULATOR, delay_ms=1) as link:
                sleeper = link.start("home", ["sleep", "60"])
                emulator = link.processes[0]
                emulator.kill()
                emulator.wait()
        self.assertIsNotNone(sleeper.returncode)
        self.assertEqual([name for name in os.listdir(network.RUN) if name.startswith(link.tag)], [])

    def test_many_that_do_not_listen_end_together(self):
        deaf = ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "print('ready', flush=True); signal.pause()")
        with network.Loopback() as link:
            processes = [self.start(link, "home", deaf) for _ in range(4)]
            began = time.monotonic()
        self.assertLess(time.monotonic() - began, 2 * network.PATIENCE)
        self.assertEqual([process.returncode for process in processes], [-signal.SIGKILL] * 4)

    def test_two_may_stand_at_the_same_time(self):
        with network.Loopback() as one, network.Loopback() as other:
            for link in (one, other):
                self.start(link, "home", ECHO, "127.0.0.1")  # the same port

    def test_sockets_may_be_let_grow(self):
        link = self.link(buffer_mib=32)
        for side in ("home", "vps"):
            for what in ("tcp_rmem", "tcp_wmem"):
                said = link.run(side, ["cat", f"/proc/sys/net/ipv4/{what}"]).split()
                self.assertEqual(said[2], str(32 << 20))

    def test_a_process_can_be_refused_bbr(self):
        link = self.link()
        self.assertEqual(link.run("home", python(ASK), deny_bbr=True).split(), ["granted", "granted", "refused"])

    def test_nothing_is_left(self):
        script = (f"import sys; sys.path.insert(0, {str(ROOT / 'bench/link')!r}); import network, signal\n"
                  "network.end_on_signals()\n"
                  "with network.Link() as link:\n"
                  "    print(link.tag, flush=True)\n"
                  "    signal.pause()")
        mounted = str(network.RUN) in mounts()  # as `ip netns` leaves it
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
            tag = process.stdout.readline().strip()
            self.assertTrue((network.RUN / f"{tag}-home").exists())
            process.send_signal(number)
            process.wait(20)
            process.stdout.close()
            if number == signal.SIGKILL:
                with network.Link():  # the next one clears up
                    pass
            self.assertEqual([name for name in os.listdir(network.RUN) if name.startswith(tag)], [])
            self.assertEqual([name for name in mounts() if tag in name], [])
        self.assertEqual(str(network.RUN) in mounts(), mounted)


if __name__ == "__main__":
    unittest.main(verbosity=2)
