"""Benchmarks of small things: new connections, round trips, HTTP requests, many token streams at once."""

from .bulk import LOCAL
from .core import Benchmark, Case
from .results import flat, round_trips

HTTP = ("direct", "leat", "leat-http", "haproxy", "haproxy-tls", "stunnel", "ssh", "yamux", "frp", "rathole",
        "rathole-tls", "chisel", "bore")


def call_figures(report, kind):
    """Of exchanges one after another, and what the tunnel worked for each."""
    calls = report[kind]
    count = calls["took_ms"]["count"]
    out = {"per_s": calls["per_s"], **flat("took_ms", calls["took_ms"], ("p50", "p99")),
           "faults": report["faults"] + ([] if count else [f"{kind}: none in the window"])}
    if count and report["cpu_s"]:
        out["cpu_us_each"] = 1e6 * sum(report["cpu_s"].values()) / count
        out["relay_cpu_us_each"] = 1e6 * report["cpu_s"]["relay"] / count
    return out


class Connect(Benchmark):
    name = "connect"
    title = ("New streams, 64 at once: connect, 32 bytes there, one byte back, closed; and the same with an "
             "HTTP request and its answer.")
    seconds, warmup, repeats = 3, 0.5, 2
    contestants = LOCAL
    columns = ("per_s", "took_ms.p50", "took_ms.p99", "cpu_us_each", "relay_cpu_us_each")

    def cases(self):
        return [Case("raw", {"connects": 64}), Case("HTTP", {"new_requests": 64}, in_quick=False)]

    def figures(self, run, report):
        return call_figures(report, "connect" if "connects" in run.case.load else "new_requests")


class Latency(Benchmark):
    name = "latency"
    title = "64 bytes there and back on one open connection, on the loopback interface."
    seconds, warmup, repeats = 3, 0.5, 3
    contestants = LOCAL
    columns = ("round_trip_ms.p50", "round_trip_ms.p99")

    def cases(self):
        return [Case("1 at a time", {"pings": 1})]

    def figures(self, run, report):
        return round_trips(report)


class Http(Benchmark):
    name = "http"
    title = ("HTTP/1.1 requests, 64 at once, on kept connections and on a new one each; and 200 and 1,000 "
             "streams of server-sent events, 50 a second each. `leat-http` is leat's HTTP door, which reads and "
             "writes every head; the others carry bytes.")
    left_out = ("Left out: ssh-chacha and yamux-4M, which differ from ssh and yamux in what these small exchanges "
                "do not use; leat-ws and leat-sealed, which connect and latency have.")
    seconds, warmup, repeats = 3, 2, 1  # a thousand TLS handshakes are in the warm-up
    contestants = HTTP
    columns = ("per_s", "took_ms.p50", "took_ms.p99", "token_ms.p50", "token_ms.p99", "token_ms.max",
               "cpu_us_each", "relay_cpu_us_each")

    def cases(self):
        return [Case("kept", {"requests": 64}), Case("new", {"new_requests": 64}),
                Case("200 events streams", {"events": 200, "token_every_ms": 20}),
                Case("1000 events streams", {"events": 1000, "token_every_ms": 20}, in_quick=False, seconds=5,
                     repeats=2)]

    def figures(self, run, report):
        if "events" not in report:
            return call_figures(report, "requests" if "requests" in report else "new_requests")
        events = report["events"]
        out = {**flat("token_ms", events["delay_ms"], ("p50", "p99", "max")), "faults": report["faults"]}
        count = events["delay_ms"]["count"]
        if count and report["cpu_s"]:
            out["cpu_us_each"] = 1e6 * sum(report["cpu_s"].values()) / count
            out["relay_cpu_us_each"] = 1e6 * report["cpu_s"]["relay"] / count
        return out
