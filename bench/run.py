#!/usr/bin/python3
"""The benchmarks of whole programs: leat and its peers under the same load on the same links.

    run.py [NAME…] [--quick] [--json FILE] [--compare OLD.json] [--results FOLDER]
           [--tunnels leat,ssh,…] [--seconds N] [--repeats N] [--list]

Runs the benchmarks named (all without a name) over every peer that is found, interleaved and repeated, and
writes results.json, README.md with tables, and plots to the folder. With --compare, ratios to the direct
connection and CPU per GiB are held against an older results.json; what got worse beyond the noise makes the
exit status 1, as does a run that failed. --quick is a short pass over fewer cases. Needs root, for network
namespaces; docs/benchmarks.md has the method.
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
    tokens.Timeline(), tokens.HolLoopback(), tokens.HolLink(), bulk.Wan(), bulk.Sealed(), bulk.WebSocket(),
    many.Scale())}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks, or parts of their names")
    parser.add_argument("--quick", action="store_true", help="a short pass")
    parser.add_argument("--json", metavar="FILE", help="the results here, too")
    parser.add_argument("--compare", metavar="OLD.json", help="an older results.json")
    parser.add_argument("--results", metavar="FOLDER", help="for tables and plots [a new one, which is named]")
    parser.add_argument("--tunnels", default="", help="only these, with commas")
    parser.add_argument("--seconds", type=float, default=0, help="of each measurement, not its own")
    parser.add_argument("--repeats", type=int, default=0, help="of every benchmark, instead of its own")
    parser.add_argument("--list", action="store_true", help="benchmarks and tunnels, and which are absent")
    return parser.parse_args()


def show_list():
    for benchmark in BENCHMARKS.values():
        print(f"{benchmark.name:14} {benchmark.title}")
    print()
    for name, kind in tunnels.TUNNELS.items():
        absent = kind.absent()
        print(f"{name:14} {kind.__doc__.splitlines()[0]}{f' (absent: {absent})' if absent else ''}")


def measure(wanted, pace, folder):
    """The results, written anew after every benchmark, so that none is lost."""
    found = results.new(shlex.join(["bench/run.py", *sys.argv[1:]]), pace)
    progress = core.Progress(sys.stderr)
    for benchmark in wanted:
        progress.plan(benchmark, pace)
    for benchmark in wanted:
        rows = core.run(benchmark, pace, progress)
        found["benchmarks"][benchmark.name] = rows.as_json()
        for name, configuration in rows.configurations.items():
            found["configurations"].setdefault(name, configuration)
        (folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
        print(f"\n{benchmark.name}\n\n{results.table(found['benchmarks'][benchmark.name])}\n", flush=True)
    return found


def failures(found):
    return [f"{name}: {row['case']}, {row['tunnel']}: {fault}"
            for name, benchmark in found["benchmarks"].items() for row in benchmark["rows"]
            for fault in results.faults(row)]


def main():
    arguments = parse()
    if arguments.list:
        return show_list()
    wanted = [benchmark for name, benchmark in BENCHMARKS.items()
              if not arguments.names or any(part in name for part in arguments.names)]
    if not wanted:
        sys.exit(f"run.py: no benchmark is called {' or '.join(arguments.names)}; --list names them")
    if reason := usable():
        sys.exit(f"run.py: {reason}")
    only = tuple(filter(None, arguments.tunnels.split(",")))
    if strangers := set(only) - set(tunnels.TUNNELS):
        sys.exit(f"run.py: no tunnel is called {' or '.join(sorted(strangers))}; --list names them")
    old = json.loads(pathlib.Path(arguments.compare).read_text()) if arguments.compare else None
    end_on_signals()
    folder = pathlib.Path(arguments.results or tempfile.mkdtemp(prefix="leat-bench-results-"))
    folder.mkdir(parents=True, exist_ok=True)
    pace = core.Pace(arguments.quick, arguments.seconds, arguments.repeats, only, folder / "traces")
    found = measure(wanted, pace, folder)
    report = results.markdown(found, plots.write(found, folder), targets.markdown(found))
    (folder / "README.md").write_text(report + "\n")
    if arguments.json:
        pathlib.Path(arguments.json).write_text((folder / "results.json").read_text())
    wrong = failures(found)
    if old:
        changes = compare.changes(old, found)
        worse = compare.regressions(changes)
        (folder / "compare.md").write_text(compare.markdown(changes) + "\n")
        print(compare.markdown(changes))
        wrong += [f"{c.benchmark}: {c.case}, {c.tunnel}: {c.key} {100 * c.share:+.1f} %" for c in worse]
    print(f"\ntables and plots are in {folder}")
    for text in wrong:
        print(f"  {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
