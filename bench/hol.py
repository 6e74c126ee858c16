#!/usr/bin/python3
"""Head of line: what bulk does to a token stream beside it, through one tunnel, on one routed link.

    hol.py [--cc cubic,bbr] [--delay-ms N] [--loss P] [--upload] [--heads] [--neighbours N]
           [--tunnels floor,leat,…] [--bulk 8] [--duration 60] [--json FILE] [--trace FOLDER]

Through each tunnel: so many bulk streams that saturate a 50 Mbit/s bottleneck with a queue of 200 ms, and
a token of 100 bytes every 20 ms. `floor` is the same tokens on a TCP connection of their own beside one
bulk connection, with no tunnel; `direct` is as many bulk connections as the tunnels have streams. Every
byte is checked. Bulk is given as the share of what TCP can carry on the link (1448 bytes in a frame of
1514). Under cubic leat is refused bbr, as a stock kernel refuses it. With --neighbours so many ordinary
downloads without a tunnel run beside; their share is not counted as bulk. With --upload all of it goes from
the visitor to the service. With --heads the visitor's side is HTTP: bulk are the bodies of uploads, and
beside them small requests follow each other on one kept connection, whose time from the first byte of the
head to the last of the answer stands where the tokens' delay does; `leat-http` is leat then. Needs root.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tunnels  # noqa: E402
from network import Link, end_on_signals, usable  # noqa: E402


def measure(name, cc, arguments):
    """One run: a link of its own, one tunnel, the load. The report, or why there is none."""
    kind = tunnels.TUNNELS[name]
    if reason := kind.absent():
        return {"absent": reason}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="leat-bench-"))
        link = stack.enter_context(Link(rate_mbit=arguments.rate_mbit, queue_ms=arguments.queue_ms,
                                        delay_ms=arguments.delay_ms, loss=arguments.loss, cc=cc))
        tunnels.start_backend(link)
        tunnel = kind(link, folder)
        to = tunnel.wait_answers(tunnel.open())
        pace = {"warmup": arguments.warmup, "duration": arguments.duration}
        bulk = min(arguments.bulk, kind.streams or arguments.bulk)
        up = arguments.upload
        load = {"upload" if up else "download": bulk, "notes" if up else "tokens": 1, **pace}
        if arguments.heads:
            load = {"upload": bulk, "http": True, "requests": 1, "path": tunnel.path, **pace}
        if arguments.trace:
            pathlib.Path(arguments.trace).mkdir(parents=True, exist_ok=True)
            load["trace"] = pathlib.Path(arguments.trace) / f"{name}-{cc}.csv"
        visits = [("ours", to, load)]
        if arguments.neighbours:
            others = {"upload" if up else "download": arguments.neighbours, "seed": 99, **pace}
            visits.append(("theirs", tunnel.backend, others))
        if arguments.neighbours_after < 0:
            visits.reverse()
        clients = {}
        for whose, where, what in visits:
            if clients:
                time.sleep(abs(arguments.neighbours_after))
                what["warmup"] -= abs(arguments.neighbours_after)
            clients[whose] = tunnels.start_client(link, where, **what)
        report = tunnels.finish(clients["ours"])
        if "theirs" in clients:
            report["neighbours"] = tunnels.finish(clients["theirs"])
    return summary(report, up, arguments)


def summary(report, up, arguments):
    capacity = arguments.rate_mbit / 8 * 1448 / 1514
    if arguments.heads:
        bulk, delay, gap = report["upload"], report["requests"]["took_ms"], {}
    else:
        bulk, tokens = report["upload" if up else "download"], report["notes" if up else "tokens"]
        delay, gap = tokens["delay_ms"], tokens["gap_ms"]
    out = {"token_ms": delay, "gap_ms": gap, "bulk_MB_per_s": bulk["MB_per_s"],
           "bulk_share": bulk["MB_per_s"] / capacity, "jain": bulk["jain"], "faults": report["faults"]}
    if "neighbours" in report:
        others = report["neighbours"]["upload" if up else "download"]["MB_per_s"]
        out["neighbours_MB_per_s"] = others
        out["our_share"] = bulk["MB_per_s"] / (bulk["MB_per_s"] + others)
        out["faults"] += report["neighbours"]["faults"]
    return out


def middle(runs):
    """Of several runs of one tunnel, the one whose p99 is the median, which keeps its figures together."""
    good = [run for run in runs if "absent" not in run]
    if not good:
        return runs[0]
    p99 = statistics.median_low(run["token_ms"]["p99"] for run in good)
    return next(run for run in good if run["token_ms"]["p99"] == p99)


def row(name, cc, run):
    if "absent" in run:
        return f"{name:8} {cc:6} absent: {run['absent']}"
    if "error" in run:
        return f"{name:8} {cc:6} failed: {run['error']}"
    token = run["token_ms"]
    text = (f"{name:8} {cc:6} {token['p50']:8.1f} {token['p90']:8.1f} {token['p99']:8.1f} "
            f"{token['max']:8.1f} {run['gap_ms'].get('p99', 0):8.1f} {100 * run['bulk_share']:8.1f} {run['jain']:6.3f}")
    if "our_share" in run:
        text += f"  {100 * run['our_share']:5.1f} % beside neighbours"
    if run["faults"]:
        text += f"  FAULTS: {'; '.join(run['faults'])}"
    return text


HEADER = (f"{'':8} {'':6} {'token ms':>8}\n{'':8} {'cc':6} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8} "
          f"{'gap p99':>8} {'bulk %':>8} {'jain':>6}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default="cubic,bbr")
    parser.add_argument("--tunnels", default="floor,leat,direct,yamux,ssh")
    parser.add_argument("--rate-mbit", type=float, default=50)
    parser.add_argument("--queue-ms", type=float, default=200)
    parser.add_argument("--delay-ms", type=float, default=0, help="each way")
    parser.add_argument("--loss", type=float, default=0, help="share of packets, each way")
    parser.add_argument("--upload", action="store_true", help="from the visitor to the service")
    parser.add_argument("--heads", action="store_true", help="HTTP requests beside HTTP uploads")
    parser.add_argument("--neighbours", type=int, default=0, help="ordinary downloads on the same link")
    parser.add_argument("--neighbours-after", type=float, default=3,
                        help="seconds that the tunnel is there before them, or they before it where it is "
                        "negative; at most --warmup")
    parser.add_argument("--bulk", type=int, default=8, help="streams through each tunnel")
    parser.add_argument("--warmup", type=float, default=5, help="seconds")
    parser.add_argument("--duration", type=float, default=60, help="seconds")
    parser.add_argument("--repeat", type=int, default=1, help="interleaved; the median by p99 is shown")
    parser.add_argument("--json", help="FILE for every figure")
    parser.add_argument("--trace", help="FOLDER for every token's delay, CSV")
    arguments = parser.parse_args()
    if reason := usable():
        sys.exit(f"hol.py: {reason}")
    end_on_signals()
    names = arguments.tunnels.split(",")
    runs, failed = {}, False
    for _ in range(arguments.repeat):
        for cc in arguments.cc.split(","):
            for name in names:
                print(f"{name} under {cc} …", file=sys.stderr, flush=True)
                runs.setdefault((cc, name), []).append(measure(name, cc, arguments))
    print(HEADER)
    for (cc, name), each in runs.items():
        run = middle(each)
        failed |= bool(run.get("faults"))
        print(row(name, cc, run))
    if arguments.json:
        result = {"command": sys.argv, "settings": vars(arguments),
                  "runs": [{"tunnel": name, "cc": cc, "each": each} for (cc, name), each in runs.items()]}
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
