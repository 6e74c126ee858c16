#!/usr/bin/python3
"""Instructions per frame or record of the Google Benchmark suites, by callgrind: the same on a busy machine.

    instructions.py [--filter REGEX] [--json FILE] [PROGRAM…]

PROGRAM: mux_bench, bench_net, … (default: those two) of $LEAT_BENCH_BUILD or build/release. What is
counted lies between the first and the last round of a benchmark's loop; an item is what the benchmark
counts as one: a frame, a record, a decision. System calls cost nothing here; cpu.py sees those.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("LEAT_BENCH_BUILD", ROOT / "build/release"))
BEGIN, END = "benchmark::State::StartKeepRunning()", "benchmark::State::FinishKeepRunning()"


def names(program, wanted):
    listed = subprocess.run([program, "--benchmark_list_tests", f"--benchmark_filter={wanted}"], check=True,
                            stdout=subprocess.PIPE, text=True)
    return listed.stdout.split()


def measure(program, name):
    """Each time the loop ends callgrind writes a file; the last one belongs to what is reported."""
    with tempfile.TemporaryDirectory(prefix="leat-instructions-") as folder:
        out = pathlib.Path(folder)
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--zero-before={BEGIN}", f"--dump-before={END}",
             f"--callgrind-out-file={out}/cg", program, f"--benchmark_filter=^{re.escape(name)}$",
             "--benchmark_min_time=0.2", f"--benchmark_out={out}/report.json", "--benchmark_out_format=json"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        report = json.loads((out / "report.json").read_text())["benchmarks"][0]
        seconds = report["cpu_time"] * 1e-9 * report["iterations"]  # this one's time_unit is ns
        items = round(report["items_per_second"] * seconds)
        last = max(out.glob("cg.*"), key=lambda file: int(file.suffix[1:]))
        total = int(re.search(r"^(?:summary|totals): (\d+)", last.read_text(), re.M)[1])
        return {"name": name, "items": items, "per_item": total / items}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=["mux_bench", "bench_net"])
    parser.add_argument("--filter", default=".", help="REGEX of benchmarks")
    parser.add_argument("--json", help="FILE for every figure")
    arguments = parser.parse_args()
    results = []
    for name in arguments.programs:
        program = next(BUILD.glob(f"bench/*/{name}"), None)
        if program is None:
            sys.exit(f"instructions.py: no {name} below {BUILD}/bench")
        for one in names(program, arguments.filter):
            result = measure(program, one)
            results.append(result)
            print(f"{one:44} {result['per_item']:12.1f} per item, {result['items']} items", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(
            json.dumps({"command": sys.argv, "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
