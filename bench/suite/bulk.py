"""Benchmarks of bulk: throughput on the loopback interface, the carriers beside each other, and long links."""

from .core import Benchmark, Case
from .results import per_gib, round_trips

LOCAL = ("direct", "leat", "leat-ws", "leat-sealed", "haproxy", "haproxy-tls", "stunnel", "ssh",
         "ssh-chacha", "yamux", "yamux-4M", "frp", "rathole", "rathole-tls", "chisel", "bore")
SAMPLE = 16  # of so many blocks one is checked where the processor is the bottleneck
BUFFER = 32  # MiB; 1 Gbit/s at 200 ms is 25, and what a kernel comes with would be what is measured


def bulk_figures(report):
    """Rates of both directions, together what the tunnel's processors worked for."""
    rates = {kind: report[kind]["MB_per_s"] for kind in ("download", "upload") if kind in report}
    total = sum(rates.values())
    out = {"MB_per_s": total, "faults": report["faults"], **per_gib(report, total * report["window_s"])}
    if len(rates) == 2:
        out.update({f"{kind}_MB_per_s": rate for kind, rate in rates.items()})
    else:
        out["jain"] = next(report[kind]["jain"] for kind in rates)
    return out


CPU = ("relay_cpu_s_per_GiB", "agent_cpu_s_per_GiB", "device_cpu_s_per_GiB", "cpu_s_per_GiB")


class Throughput(Benchmark):
    name = "throughput"
    title = ("Bulk on the loopback interface: all ends and the load share the processors, one of "
             f"{SAMPLE} blocks is checked. CPU is that of the tunnel alone.")
    seconds, warmup, repeats = 2.5, 0.5, 2
    contestants = LOCAL
    columns = ("MB_per_s", "download_MB_per_s", "upload_MB_per_s", *CPU)

    def cases(self):
        out = []
        for count in (1, 16, 64):
            name = f"{count} stream{'s' if count > 1 else ''}"
            for way, load in (("down", {"download": count}), ("up", {"upload": count}),
                              ("both ways", {"download": count, "upload": count})):
                out.append(Case(f"{name} {way}", {**load, "sample": SAMPLE}, repeats=3 if count == 1 else 0,
                                in_quick=(count, way) in ((1, "down"), (1, "up"), (16, "down"))))
        return out

    def figures(self, run, report):
        return bulk_figures(report)


class Carrier(Benchmark):
    """One of leat's carriers beside TLS."""
    seconds, warmup, repeats = 4, 1, 2
    columns = ("MB_per_s", *CPU, "round_trip_ms.p50", "round_trip_ms.p99")

    def cases(self):
        return [Case("1 stream down", {"download": 1, "sample": SAMPLE}),
                Case("1 stream up", {"upload": 1, "sample": SAMPLE}),
                Case("16 streams down", {"download": 16, "sample": SAMPLE}, in_quick=False),
                Case("64 bytes there and back", {"pings": 1})]

    def figures(self, run, report):
        return round_trips(report) if "ping" in report else bulk_figures(report)


class Sealed(Carrier):
    name = "sealed"
    title = "Sealed end to end, with `leat connect` beside the visitor, beside plain TLS to the relay."
    contestants = ("direct", "leat", "leat-sealed")


class WebSocket(Carrier):
    name = "websocket"
    title = "The carrier inside a WebSocket over TLS, beside TLS alone."
    contestants = ("direct", "leat", "leat-ws")


class Wan(Benchmark):
    name = "wan"
    title = ("Bulk over long links: the bottleneck's queue is 100 ms, cubic, every byte checked. Delay comes "
             "from a program between two TUN devices; direct shows what that can carry. A TCP socket may grow to "
             f"{BUFFER} MiB there, whoever has it.")
    left_out = ("Left out: haproxy, stunnel, rathole and bore, which have a TCP connection for each visitor as direct "
                "has, and ssh-chacha, leat-ws and leat-sealed, since the link is the limit; of 64 streams at 20 and "
                "200 ms all but direct and leat.")
    seconds, warmup, repeats = 10, 5, 1
    contestants = ("direct", "leat", "ssh", "yamux", "yamux-4M", "frp", "rathole-tls", "chisel")
    columns = ("link_percent", "MB_per_s", "jain", "cpu_s_per_GiB")

    def cases(self):
        out = []
        for mbit in (100, 1000):
            for round_trip in (20, 100, 200):
                link = {"rate_mbit": mbit, "queue_ms": 100, "delay_ms": round_trip / 2, "cc": "cubic",
                        "buffer_mib": BUFFER}
                for count in (1, 64):
                    few = ("direct", "leat") if count == 64 and round_trip != 100 else ()
                    judged = (mbit, round_trip, count) == (100, 100, 1)
                    out.append(Case(f"{mbit} Mbit/s {round_trip} ms {count}", {"download": count}, link,
                                    tunnels=few, in_quick=(mbit, round_trip) == (100, 100),
                                    seconds=60 if judged else 0))
        return out

    def figures(self, run, report):
        out = bulk_figures(report)
        capacity = run.case.link["rate_mbit"] / 8 * 1448 / 1514  # a segment's data in its frame
        return {**out, "link_percent": 100 * out["MB_per_s"] / capacity}
