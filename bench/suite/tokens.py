"""Benchmarks of token streams: what bulk beside them does to their delay, and the picture of it."""

import time

import tunnels

from .core import Benchmark, Case
from .results import flat, per_gib

LEAST_BULK = 0.95  # of the link: a latency beside less counts for nothing


def token_figures(run, report):
    tokens = report["tokens"]
    out = {**flat("token_ms", tokens["delay_ms"]), **flat("gap_ms", tokens["gap_ms"]),
           "faults": report["faults"]}
    if "download" not in report:
        return out
    rate = report["download"]["MB_per_s"]
    out.update({"MB_per_s": rate, **per_gib(report, rate * report["window_s"])})
    if mbit := run.case.link.get("rate_mbit"):
        out["link_percent"] = 100 * rate / (mbit / 8 * 1448 / 1514)
        # Where packets are lost nobody fills the link under cubic; the share stands beside the delay.
        if out["link_percent"] < 100 * LEAST_BULK and not run.case.link.get("loss"):
            out["bulk_short"] = True
    return out


class Hol(Benchmark):
    """Head of line."""
    seconds, warmup, repeats = 60, 5, 1
    columns = ("link_percent", "MB_per_s", "token_ms.p50", "token_ms.p90", "token_ms.p99", "token_ms.max",
               "gap_ms.p50", "gap_ms.p90", "gap_ms.p99", "gap_ms.max", "cpu_s_per_GiB")

    def measure(self, run):
        trace = run.trace()
        load = {**run.case.load, **({"trace": trace} if trace else {})}
        out = self.figures(run, run.load(**load))
        return {**out, "trace": trace.name} if trace else out

    def figures(self, run, report):
        return token_figures(run, report)

    @staticmethod
    def load(bulk):
        return {"tokens": 1, **({"download": bulk} if bulk else {})}


class HolLink(Hol):
    name = "hol"
    title = ("A token of 100 bytes every 20 ms beside bulk, on a routed link of 50 Mbit/s with a queue of "
             "200 ms, through one agent connection. `floor` is the same token on a connection of its own beside "
             "*one* bulk connection. One-way delay; every byte is checked.")
    contestants = ("floor", "direct", "leat", "ssh", "yamux", "yamux-4M", "frp", "rathole-tls", "chisel")

    def cases(self):
        def link(cc, **more):
            return {"rate_mbit": 50, "queue_ms": 200, "cc": cc, **more}
        few = ("floor", "leat", "ssh", "yamux")
        out = [Case(f"{cc} 8 bulk", self.load(8), link(cc), in_quick=cc == "cubic",
                    tunnels=() if cc == "cubic" else tuple(n for n in self.contestants if n != "yamux-4M"))
               for cc in ("cubic", "bbr")]
        out += [Case(f"{cc} 8 bulk 20 ms each way", self.load(8), link(cc, delay_ms=20), tunnels=names,
                     in_quick=False, seconds=seconds)
                for cc, names, seconds in (("cubic", few, 60), ("bbr", ("floor", "leat"), 30))]
        out += [Case(f"{cc} 8 bulk 20 ms each way 1 % loss", self.load(8), link(cc, delay_ms=20, loss=0.01),
                     tunnels=("floor", "leat"), in_quick=False, seconds=30) for cc in ("cubic", "bbr")]
        out += [Case(f"cubic {bulk} bulk", self.load(bulk), link("cubic"), tunnels=few, in_quick=False,
                     seconds=15) for bulk in (0, 1, 64)]
        return out


class HolLoopback(Hol):
    name = "hol-loopback"
    title = ("A token of 100 bytes every 20 ms beside bulk on the loopback interface, where the processor is "
             "the bottleneck. Bulk is checked in samples.")
    seconds, warmup, repeats = 6, 1, 2
    contestants = ("direct", "leat", "leat-ws", "leat-sealed", "haproxy-tls", "stunnel", "ssh", "yamux",
                   "yamux-4M", "frp", "rathole-tls", "chisel")

    def cases(self):
        some = ("direct", "leat", "ssh", "yamux", "frp", "rathole-tls", "chisel")
        return [Case(f"{bulk} bulk", {**self.load(bulk), "sample": 16}, in_quick=bulk == 8,
                     tunnels=() if bulk == 8 else some, seconds=10 if bulk == 8 else 4)
                for bulk in (0, 1, 8, 64)]


class Timeline(Benchmark):
    """The picture: every token of one stream as it arrives, and a download that begins meanwhile."""
    name = "timeline"
    title = ("One token stream, 25 tokens a second, on the routed link of 50 Mbit/s under cubic; a download "
             "begins after a fourth of the time. The longest time that nothing was shown.")
    seconds, warmup, repeats = 8, 0, 1
    contestants = ("direct", "leat", "ssh", "yamux", "yamux-4M", "haproxy-tls", "stunnel", "frp",
                   "rathole-tls", "chisel", "bore")
    columns = ("longest_gap_ms", "token_ms.p50", "token_ms.p99", "link_percent")

    def cases(self):
        return [Case("a download begins", {"tokens": 1, "token_every_ms": 40},
                     {"rate_mbit": 50, "queue_ms": 200, "cc": "cubic"})]

    def measure(self, run):
        quiet = run.seconds / 4
        trace = run.tunnel.folder / "tokens.csv"
        watched, began = self.start(run, run.case.load, run.seconds, trace=trace)
        time.sleep(max(0, began / 1e9 + quiet - time.monotonic()))
        download, bulk_began = self.start(run, {"download": 1}, run.seconds - quiet)
        tokens, bulk = self.finish(watched), self.finish(download)
        arrived = arrivals(trace)
        gaps = [later - earlier for earlier, later in zip(arrived, arrived[1:])]
        capacity = run.case.link["rate_mbit"] / 8 * 1448 / 1514
        return {**flat("token_ms", tokens["tokens"]["delay_ms"]),
                "link_percent": 100 * bulk["download"]["MB_per_s"] / capacity,
                "longest_gap_ms": 1e3 * max(gaps, default=0), "faults": tokens["faults"] + bulk["faults"],
                "arrived_s": arrived, "bulk_from_s": (bulk_began - began) / 1e9, "seconds": run.seconds}

    @staticmethod
    def start(run, load, seconds, **more):
        """A client whose window begins at once, and when that was, on the clock that all share."""
        client = tunnels.start_client(run.tunnel.link, run.to, marks=True, warmup=0, duration=seconds, **load,
                                      **more)
        began = client.stdout.readline().split()
        if began[:1] != ["begin"]:
            raise RuntimeError("the client did not begin")
        return client, int(began[1])

    @staticmethod
    def finish(client):
        client.stdout.readline()  # end
        return tunnels.finish(client)


def arrivals(trace):
    """Seconds from the window's begin at which each token of a trace arrived."""
    lines = trace.read_text().splitlines()[1:]
    fields = [line.split(",") for line in lines]
    return [round(float(sent) + float(delay) / 1e3, 4) for _, _, _, sent, delay in fields]
