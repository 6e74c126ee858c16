#!/usr/bin/python3
"""The benchmarks of whole programs: leat and its peers under the same load on the same links.

    run.py [NAME…] [--quick] [--json FILE] [--compare OLD.json] [--results FOLDER]
           [--tunnels leat,ssh,…] [--seconds N] [--repeats N] [--list]

Runs the benchmarks named (all without a name) over every peer that is found, interleaved and repeated, and
writes results.json, README.md with tables, and plots to the folder, anew after every benchmark. With --compare,
ratios to the direct connection and CPU per GiB are held against an older results.json of the same pace; what leat
got worse at beyond the noise makes the exit status 1, as does a run of leat or without a tunnel that failed.
--quick is a short pass over fewer cases. Needs root, for network namespaces; docs/benchmarks.md has the method.
"""

import argparse
import json
import pathlib
import shlex
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tunnels  # noqa: E402
from network import end_on_signals, usable  # noqa: E402
from suite import bulk, compare, core, exchanges, many, plots  # noqa: E402
from suite import results, targets, tokens  # noqa: E402

BENCHMARKS = {benchmark.name: benchmark for benchmark in (
    bulk.Throughput(), exchanges.Latency(), exchanges.Connect(), exchanges.Http(), many.Idle(),
    tokens.Timeline(), tokens.HolLoopback(), tokens.HolLink(), tokens.Heads(), tokens.Neighbours(), bulk.Wan(),
    bulk.Sealed(), bulk.WebSocket(), many.Scale())}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="the benchmark called so, or else all whose names contain it")
    parser.add_argument("--quick", action="store_true", help="a short pass")
    parser.add_argument("--json", metavar="FILE", help="the results here, too")
    parser.add_argument("--compare", metavar="OLD.json", help="an older results.json")
    parser.add_argument("--results", metavar="FOLDER", help="for tables and plots [a new one, which is named]")
    parser.add_argument("--tunnels", default="", help="only these, with commas")
    parser.add_argument("--seconds", type=float, default=0, help="of each measurement, not its own")
    parser.add_argument("--repeats", type=int, default=0, help="of every benchmark, instead of its own")
    parser.add_argument("--list", action="store_true",
                        help="benchmarks and tunnels, which are absent, and how long all takes")
    return parser.parse_args()


def chosen(words):
    """The benchmarks that a command names."""
    return [benchmark for name, benchmark in BENCHMARKS.items()
            if not words or any(word == name if word in BENCHMARKS else word in name for word in words)]


def show_list():
    for benchmark in BENCHMARKS.values():
        print(f"{benchmark.name:14} {benchmark.title}")
    print()
    for name, kind in tunnels.TUNNELS.items():
        absent = kind.absent()
        print(f"{name:14} {kind.__doc__.splitlines()[0]}{f' (absent: {absent})' if absent else ''}")
    progress = core.Progress(sys.stdout)
    for benchmark in BENCHMARKS.values():
        progress.plan(benchmark, core.Pace())
    print(f"\nAll of it takes about {progress.planned / 60:.0f} minutes.")


def measure(found, wanted, pace, folder):
    """Into `found`, which is written anew with its report after every benchmark, so that none is lost."""
    progress = core.Progress(sys.stderr)
    for benchmark in wanted:
        progress.plan(benchmark, pace)
    for benchmark in wanted:
        rows = core.run(benchmark, pace, progress)
        results.add(found, benchmark.name, rows, lambda name: tunnels.TUNNELS[name].version())
        (folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
        report = results.markdown(found, plots.write(found, folder), targets.markdown(found))
        (folder / "README.md").write_text(report + "\n")
        print(f"\n{benchmark.name}\n\n{results.table(found['benchmarks'][benchmark.name])}\n", flush=True)


def failures(found, of_peers):
    """What went wrong through peers, or else through leat and without a tunnel."""
    return [f"{name}: {row['case']}, {row['tunnel']}: {fault}"
            for name, benchmark in found["benchmarks"].items() for row in benchmark["rows"]
            if of_peers != (row["tunnel"] in ("direct", "floor") or row["tunnel"].startswith("leat"))
            for fault in results.faults(row)]


def verdict(found, old, folder):
    """What makes the exit status 1, a line for each; what came out of a comparison is written and shown."""
    wrong = failures(found, of_peers=False)
    if old:
        changes = compare.changes(old, found)
        (folder / "compare.md").write_text(compare.markdown(changes) + "\n")
        print(compare.markdown(changes))
        wrong += [f"{c.benchmark}: {c.case}, {c.tunnel}: {c.key} {100 * c.share:+.1f} %"
                  for c in compare.regressions(changes)]
    return wrong


def main():
    arguments = parse()
    if arguments.list:
        return show_list()
    wanted = chosen(arguments.names)
    if not wanted:
        sys.exit(f"run.py: no benchmark is called {' or '.join(arguments.names)}; --list names them")
    if reason := usable():
        sys.exit(f"run.py: {reason}")
    only = tuple(filter(None, arguments.tunnels.split(",")))
    if strangers := set(only) - set(tunnels.TUNNELS):
        sys.exit(f"run.py: no tunnel is called {' or '.join(sorted(strangers))}; --list names them")
    pace = core.Pace(arguments.quick, arguments.seconds, arguments.repeats, only)
    found = results.new(shlex.join(["bench/run.py", *sys.argv[1:]]), pace)
    old = json.loads(pathlib.Path(arguments.compare).read_text()) if arguments.compare else None
    if old is not None and (reason := compare.refusal(old, found)):
        sys.exit(f"run.py: {arguments.compare}: {reason}")
    end_on_signals()
    folder = pathlib.Path(arguments.results or tempfile.mkdtemp(prefix="leat-bench-results-"))
    folder.mkdir(parents=True, exist_ok=True)
    pace.traces = folder / "traces"
    measure(found, wanted, pace, folder)
    if arguments.json:
        pathlib.Path(arguments.json).write_text((folder / "results.json").read_text())
    wrong = verdict(found, old, folder)
    print(f"\ntables and plots are in {folder}")
    for text in failures(found, of_peers=True):
        print(f"  {text} (a peer's)", file=sys.stderr)
    for text in wrong:
        print(f"  {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
