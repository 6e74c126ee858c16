"""Benchmarks of token streams: what bulk beside them does to their delay, and the picture of it."""

import math
import statistics
import time

import tunnels

from .core import Benchmark, Case
from .results import flat, per_gib

LEAST_BULK = 0.95   # of the link: a latency beside less counts for nothing
LEAST_LOSSY = 0.9   # of the floor's bulk, where packets are lost and nobody can fill the link


def link_percent(run, rate):
    """What `rate` (MB/s) is of what TCP can carry: a segment's data in its frame."""
    return 100 * rate / (run.case.link["rate_mbit"] / 8 * 1448 / 1514)


def token_figures(run, report):
    tokens = report["tokens"]
    out = {**flat("token_ms", tokens["delay_ms"]), **flat("gap_ms", tokens["gap_ms"]),
           "faults": report["faults"]}
    if "download" not in report:
        return out
    rate = report["download"]["MB_per_s"]
    out.update({"MB_per_s": rate, **per_gib(report, rate * report["window_s"])})
    if "rate_mbit" in run.case.link:
        out["link_percent"] = link_percent(run, rate)
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

    def judge(self, rows):
        """Where packets are lost bulk is held against the floor's; without a floor nothing says what it had
        to be."""
        for case in self.cases():
            here = [row for (label, _), row in rows.rows.items() if label == case.label]
            if not case.link.get("loss") or not here:
                continue
            floor = [run["link_percent"] for row in here if row["tunnel"] == "floor" for run in row["each"]]
            least = LEAST_LOSSY * statistics.median(floor) if floor else math.inf
            for run in (run for row in here for run in row["each"]):
                if run["link_percent"] < least:
                    run["bulk_short"] = True

    @staticmethod
    def load(bulk):
        return {"tokens": 1, **({"download": bulk} if bulk else {})}


class HolLink(Hol):
    name = "hol"
    title = ("A token of 100 bytes every 20 ms beside bulk, on a routed link of 50 Mbit/s with a queue of "
             "200 ms, through one agent connection. `floor` is the same token on a connection of its own beside "
             "*one* bulk connection. One-way delay; every byte is checked.")
    left_out = ("Left out: haproxy, stunnel, rathole and bore, which have a TCP connection for each visitor as "
                "haproxy-tls and direct have, and ssh-chacha, since the link and not the cipher is the limit; from "
                "all but the first case those whose like is there already, and from 0, 1 and 64 bulk under bbr all "
                "but leat and the floor. What the targets judge runs for 60 s, the rest for 10 or 20.")
    contestants = ("floor", "direct", "leat", "leat-ws", "leat-sealed", "haproxy-tls", "ssh", "yamux", "yamux-4M",
                   "frp", "rathole-tls", "chisel")

    def cases(self):
        def link(cc, **more):
            return {"rate_mbit": 50, "queue_ms": 200, "cc": cc, **more}

        def case(cc, bulk, seconds, names=(), what="", again=(), **more):
            return Case(f"{cc} {bulk} bulk{what}", self.load(bulk), link(cc, **more), tunnels=names,
                        in_quick=(cc, bulk, what) == ("cubic", 8, ""), seconds=seconds, again=again)
        ours = ("floor", "leat")
        one = (*ours, "direct", "ssh", "yamux", "frp", "rathole-tls", "chisel")
        far = (*ours, "ssh", "yamux", "frp", "rathole-tls", "chisel")
        few = (*ours, "ssh", "yamux", "frp")
        out = [case("cubic", 8, 60, again=("leat",)), case("bbr", 8, 60, one, again=ours)]
        out += [case(cc, 8, seconds, names, " 20 ms each way", again, delay_ms=20)
                for cc, seconds, names, again in (("cubic", 60, far, ("leat",)), ("bbr", 20, few, ()))]
        out += [case(cc, 8, 60, (*ours, "yamux"), " 20 ms each way 1 % loss", again, delay_ms=20, loss=0.01)
                for cc, again in (("cubic", ()), ("bbr", ours))]
        return out + [case(cc, bulk, 10, names) for cc, names in (("cubic", few), ("bbr", ours))
                      for bulk in (0, 1, 64)]


class Heads(Benchmark):
    """Request heads beside bulk."""
    name = "heads"
    title = ("HTTP requests one after another on a kept connection beside eight uploads, on the link of `hol`: from "
             "the first byte of the head to the last of the answer. `floor` has a connection of its own beside one "
             "upload.")
    left_out = "Left out: all but leat's HTTP door; the peers have none, and hol shows what waits behind their bulk."
    seconds, warmup, repeats = 60, 5, 1
    contestants = ("floor", "leat-http")
    columns = ("link_percent", "took_ms.p50", "took_ms.p99")

    def cases(self):
        return [Case(cc, {"upload": 8, "http": True, "requests": 1}, {"rate_mbit": 50, "queue_ms": 200, "cc": cc},
                     in_quick=cc == "cubic") for cc in ("cubic", "bbr")]

    def figures(self, run, report):
        out = {"link_percent": link_percent(run, report["upload"]["MB_per_s"]), "faults": report["faults"],
               **flat("took_ms", report["requests"]["took_ms"], ("p50", "p99"))}
        return {**out, "bulk_short": True} if out["link_percent"] < 100 * LEAST_BULK else out


class Neighbours(Benchmark):
    """Somebody else's download on the same link."""
    name = "neighbours"
    title = ("Our share of the link of `hol` under cubic beside one ordinary download without a tunnel, which comes "
             "3 s after ours or was there 3 s before. `direct` is another ordinary download in our place.")
    left_out = "Left out: the peers, which leave it to the kernel as direct does."
    seconds, warmup, repeats = 60, 6, 1
    contestants = ("direct", "leat")
    columns = ("share_percent", "link_percent")
    LATER = 3  # seconds

    def cases(self):
        return [Case(label, {"download": 1}, {"rate_mbit": 50, "queue_ms": 200, "cc": "cubic"},
                     {"he_is_first": first}, tunnels=names, in_quick=not first, repeats=2)
                for label, first, names in (("he comes later", False, ("leat",)),
                                            ("he was there", True, ("direct", "leat")))]

    def measure(self, run):
        visits = [("ours", run.to, {}), ("his", run.tunnel.backend, {"seed": 99})]
        if run.tunnel.he_is_first:
            visits.reverse()
        clients, warmup = {}, run.warmup
        for whose, to, more in visits:
            if clients:
                wait = min(self.LATER, warmup / 2)  # whoever comes later has a warm-up too
                time.sleep(wait)
                warmup -= wait
            clients[whose] = tunnels.start_client(run.tunnel.link, to, warmup=warmup, duration=run.seconds,
                                                  **run.case.load, **more)
        reports = {whose: tunnels.finish(client) for whose, client in clients.items()}
        rates = {whose: report["download"]["MB_per_s"] for whose, report in reports.items()}
        both = sum(rates.values())
        if not both:
            raise RuntimeError("nobody got anything")
        return {"share_percent": 100 * rates["ours"] / both, "link_percent": link_percent(run, both),
                "faults": [fault for report in reports.values() for fault in report["faults"]]}


class HolLoopback(Hol):
    name = "hol-loopback"
    title = ("A token of 100 bytes every 20 ms beside bulk on the loopback interface, where the processor is "
             "the bottleneck. Bulk is checked in samples; a delay says something only together with its MB/s.")
    left_out = ("Left out: haproxy, rathole and bore, which have no TLS, and ssh-chacha; beside 0, 1 and 64 bulk the "
                "other carriers of leat, haproxy-tls, stunnel and yamux-4M too.")
    seconds, warmup, repeats = 4, 1, 2
    contestants = ("direct", "leat", "leat-ws", "leat-sealed", "haproxy-tls", "stunnel", "ssh", "yamux",
                   "yamux-4M", "frp", "rathole-tls", "chisel")

    def cases(self):
        some = ("direct", "leat", "ssh", "yamux", "frp", "rathole-tls", "chisel")

        def case(bulk, **more):
            return Case(f"{bulk} bulk", {**self.load(bulk), "sample": 16}, in_quick=bulk == 8, **more)
        return [case(0, tunnels=some), case(1, tunnels=some),
                case(8, seconds=60, repeats=1, again=("direct", "leat", "yamux")), case(64, tunnels=some)]


class Timeline(Benchmark):
    """The picture: every token of one stream as it arrives, and a download that begins meanwhile."""
    name = "timeline"
    title = ("One token stream, 25 tokens a second, on the routed link of 50 Mbit/s under cubic; a download "
             "begins after a fourth of the time. The figures are of the tokens that were due after that; the "
             "longest time that nothing was shown.")
    left_out = "Left out: leat's other carriers, which hol has."
    seconds, warmup, repeats = 8, 0, 1
    contestants = ("direct", "leat", "ssh", "ssh-chacha", "yamux", "yamux-4M", "haproxy", "haproxy-tls", "stunnel",
                   "frp", "rathole", "rathole-tls", "chisel", "bore")
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
        seen, bulk_from = read_tokens(trace), (bulk_began - began) / 1e9
        out = {**beside(seen, bulk_from, run.seconds), "faults": tokens["faults"] + bulk["faults"],
               "link_percent": link_percent(run, bulk["download"]["MB_per_s"]),
               "arrived_s": [round(sent + delay / 1e3, 4) for sent, delay in seen], "bulk_from_s": bulk_from,
               "seconds": run.seconds}
        return {**out, "bulk_short": True} if out["link_percent"] < 100 * LEAST_BULK else out

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


def read_tokens(trace):
    """(seconds from the window's begin at which it was due, delay in ms) of each token of a trace."""
    lines = trace.read_text().splitlines()[1:]
    return [(float(sent), float(delay)) for _, _, _, sent, delay in (line.split(",") for line in lines)]


def nearest_rank(values, percent):
    """As leat_load's: a value that was seen."""
    return sorted(values)[max(1, math.ceil(percent / 100 * len(values))) - 1]


def beside(seen, since, until):
    """Figures of the tokens that were due from `since` on and before `until`, while bulk ran."""
    delays = [delay for sent, delay in seen if since <= sent < until]
    if not delays:
        return {"longest_gap_ms": 1e3 * (until - since)}
    gaps = [1e3 * (later[0] - earlier[0]) + later[1] - earlier[1] for earlier, later in zip(seen, seen[1:])
            if since <= later[0] < until]
    return {**{f"token_ms.p{percent}": nearest_rank(delays, percent) for percent in (50, 90, 99)},
            "token_ms.max": max(delays), "longest_gap_ms": max(gaps, default=0)}
