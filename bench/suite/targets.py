"""What leat wants to reach, each as a ratio within one run, and whether a run did."""

import dataclasses
from collections.abc import Callable

from .results import DELAYS, counts, find, middle, remark

LEAST_BULK = 0.95  # of a peer's bulk: a delay beside less meets nothing


class Missing(Exception):
    """A figure that the run does not have."""


class Reader:
    """Figures of one run by benchmark, case, tunnel and key."""

    def __init__(self, results):
        self.results = results

    def __call__(self, benchmark, case, tunnel, key):
        row = find(self.results, benchmark, case, tunnel)
        if row is None:
            raise Missing(f"{benchmark} was not run over {tunnel}")
        if note := remark(row):
            raise Missing(f"{tunnel}: {note}")
        if key.startswith(DELAYS) and not counts(row):
            raise Missing(f"{tunnel}: bulk was too little")
        value = middle(row, key)
        if value is None:
            raise Missing(f"{tunnel} has no {key}")
        return value

    def tunnels(self, benchmark, case):
        """Those that have figures."""
        rows = self.results["benchmarks"].get(benchmark, {}).get("rows", [])
        return [row["tunnel"] for row in rows if row["case"] == case and not remark(row)]


@dataclasses.dataclass
class Target:
    text: str
    ours: Callable   # of a Reader
    bound: Callable
    more: bool       # whether more than the bound is good
    unit: str = ""


def of(benchmark, case, tunnel, key, factor=1.0):
    return lambda read: factor * read(benchmark, case, tunnel, key)


def const(value):
    return lambda read: value


def one_stream(tunnel, key, factor=1.0, way="down"):
    return of("throughput", f"1 stream {way}", tunnel, key, factor)


def fastest_tunnel(read):
    """MB/s of one stream through whoever is the fastest."""
    case = "1 stream down"
    rates = [read("throughput", case, tunnel, "MB_per_s") for tunnel in read.tunnels("throughput", case)
             if tunnel != "direct"]
    if not rates:
        raise Missing("throughput was not run over any tunnel")
    return max(rates)


def link(case, tunnel="leat", factor=1.0):
    return of("hol", case, tunnel, "token_ms.p99", factor)


LOSSY = {cc: f"{cc} 8 bulk 20 ms each way 1 % loss" for cc in ("bbr", "cubic")}
ROUND_TRIP = 40  # ms


def with_loss(cc):
    """The floor's delay and one and a half round trips of the link."""
    return lambda read: link(LOSSY[cc], "floor")(read) + 1.5 * ROUND_TRIP


def beside_as_much(read):
    """leat's delay on loopback, where what bulk has to be is what yamux moved."""
    benchmark, case = "hol-loopback", "8 bulk"
    ours, theirs = (read(benchmark, case, tunnel, "MB_per_s") for tunnel in ("leat", "yamux"))
    if ours < LEAST_BULK * theirs:
        raise Missing(f"leat: bulk was too little, {ours:.0f} MB/s where yamux moved {theirs:.0f}")
    return read(benchmark, case, "leat", "token_ms.p99")


def sse_added(read):
    case, key = "1000 events streams", "token_ms.p99"
    return read("http", case, "leat-http", key) - read("http", case, "direct", key)


TARGETS = (
    Target("the instrument: one stream without a tunnel, at least 2 × the fastest tunnel",
           one_stream("direct", "MB_per_s"), lambda read: 2 * fastest_tunnel(read), True, "MB/s"),
    *(Target(f"one stream {way} over TLS, at least {factor} × {peer}", one_stream("leat", "MB_per_s", way=way),
             one_stream(peer, "MB_per_s", factor, way), True, "MB/s")
      for way in ("down", "up") for factor, peer in ((1.0, "ssh"), (1.7, "rathole-tls"), (2.5, "frp"))),
    *(Target(f"CPU of both ends, one stream {way}, at most 0.95 × ssh",
             one_stream("leat", "cpu_s_per_GiB", way=way), one_stream("ssh", "cpu_s_per_GiB", 0.95, way), False,
             "s/GiB") for way in ("down", "up")),
    *(Target(f"new streams, at least {factor} × {peer}", of("connect", "raw", "leat", "per_s"),
             of("connect", "raw", peer, "per_s", factor), True, "per s")
      for factor, peer in ((1.2, "rathole"), (3, "frp"))),
    Target("CPU of a new stream, under 110 µs", of("connect", "raw", "leat", "cpu_us_each"), const(110), False,
           "µs"),
    Target("64 bytes there and back, p50 at most 1.05 × rathole",
           of("latency", "1 at a time", "leat", "round_trip_ms.p50"),
           of("latency", "1 at a time", "rathole", "round_trip_ms.p50", 1.05), False, "ms"),
    Target("token p99 beside 8 bulk, bbr, at most 1.3 × the floor", link("bbr 8 bulk"),
           link("bbr 8 bulk", "floor", 1.3), False, "ms"),
    Target("token p99 beside 8 bulk, cubic, at most 15 ms", link("cubic 8 bulk"), const(15), False, "ms"),
    Target("the same with 20 ms each way, at most 45 ms", link("cubic 8 bulk 20 ms each way"), const(45), False,
           "ms"),
    *(Target(f"the same under {cc} with 1 % loss, at most the floor and 1.5 round trips", link(label), with_loss(cc),
             False, "ms") for cc, label in LOSSY.items()),
    Target("request p99 beside 8 uploads, bbr, at most 1.3 × the floor", of("heads", "bbr", "leat-http", "took_ms.p99"),
           of("heads", "bbr", "floor", "took_ms.p99", 1.3), False, "ms"),
    Target("request p99 beside 8 uploads, cubic, at most 15 ms", of("heads", "cubic", "leat-http", "took_ms.p99"),
           const(15), False, "ms"),
    *(Target(f"our share beside a neighbour's download, {label}, at least 40 %",
             of("neighbours", label, "leat", "share_percent"), const(40), True, "%")
      for label in ("he comes later", "he was there")),
    Target("token p99 beside 8 bulk, loopback, at most 0.8 × yamux beside 0.95 × its bulk or more", beside_as_much,
           of("hol-loopback", "8 bulk", "yamux", "token_ms.p99", 0.8), False, "ms"),
    Target("one stream at 100 Mbit/s and 100 ms, at least 90 % of the link",
           of("wan", "100 Mbit/s 100 ms 1", "leat", "link_percent"), const(90), True, "%"),
    Target("Jain's index of 64 streams there, at least 0.98", of("wan", "100 Mbit/s 100 ms 64", "leat", "jain"),
           const(0.98), True),
    Target("memory of an idle stream, both ends, under 4 KiB", of("idle", "2000 streams", "leat", "KiB_each"),
           const(4), False, "KiB"),
    Target("1,000 streams of events, p99 through leat-http less p99 of direct, under 10 ms", sse_added, const(10),
           False, "ms"),
)


def judge(target, results):
    """(ours, bound, "met" or "missed"), or (None, None, why it cannot be said)."""
    read = Reader(results)
    try:
        ours, bound = target.ours(read), target.bound(read)
    except Missing as missing:
        return None, None, f"open: {missing}"
    good = ours >= bound if target.more else ours <= bound
    return ours, bound, "met" if good else "**missed**"


def markdown(results):
    lines = ["| target | bound | here | |", "|---|---:|---:|---|"]
    for target in TARGETS:
        ours, bound, verdict = judge(target, results)
        if ours is None:
            lines.append(f"| {target.text} | | | {verdict} |")
        else:
            lines.append(f"| {target.text} | {bound:.4g} {target.unit} | {ours:.4g} {target.unit} | "
                         f"{verdict} |")
    return "\n".join(lines)
