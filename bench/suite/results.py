"""What becomes of the figures: which there are, the middle of several, and tables."""

import dataclasses
import datetime
import pathlib
import statistics
import subprocess

from . import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Figure:
    """`better`: 1 if more is, -1 if less is, 0 if neither. `compared`: how one run is held against another:
    "ratio" to the direct connection in the same repetition, "absolute", or not at all; `least`: the share of
    the older figure below which nobody would act on a change."""
    title: str
    digits: int = 1
    better: int = 0
    compared: str = ""
    least: float = 0.05


FIGURES = {
    "MB_per_s": Figure("MB/s", 0, 1, "ratio"),
    "download_MB_per_s": Figure("down MB/s", 0, 1),
    "upload_MB_per_s": Figure("up MB/s", 0, 1),
    "relay_cpu_s_per_GiB": Figure("relay CPU s/GiB", 2, -1),
    "agent_cpu_s_per_GiB": Figure("agent CPU s/GiB", 2, -1),
    "device_cpu_s_per_GiB": Figure("device CPU s/GiB", 2, -1),
    "cpu_s_per_GiB": Figure("CPU s/GiB", 2, -1, "absolute"),
    "jain": Figure("Jain", 3, 1),
    "link_percent": Figure("of the link %", 1, 1),
    "share_percent": Figure("our share %", 1, 1),
    "token_ms.p50": Figure("token p50 ms", 2, -1),
    "token_ms.p90": Figure("p90", 2, -1),
    "token_ms.p99": Figure("p99", 2, -1, "ratio", 0.2),
    "token_ms.max": Figure("max", 1, -1),
    "gap_ms.p50": Figure("gap p50", 1, -1),
    "gap_ms.p90": Figure("gap p90", 1, -1),
    "gap_ms.p99": Figure("gap p99", 1, -1),
    "gap_ms.max": Figure("gap max", 1, -1),
    "per_s": Figure("per s", 0, 1, "ratio"),
    "took_ms.p50": Figure("p50 ms", 2, -1),
    "took_ms.p99": Figure("p99 ms", 2, -1),
    "cpu_us_each": Figure("CPU µs each", 0, -1),
    "relay_cpu_us_each": Figure("relay CPU µs each", 1, -1),
    "round_trip_ms.p50": Figure("p50 ms", 3, -1, "ratio"),
    "round_trip_ms.p99": Figure("p99 ms", 3, -1),
    "relay_KiB_each": Figure("relay KiB each", 1, -1),
    "agent_KiB_each": Figure("agent KiB each", 1, -1),
    "device_KiB_each": Figure("device KiB each", 1, -1),
    "KiB_each": Figure("KiB each", 1, -1),
    "longest_gap_ms": Figure("longest gap ms", 0, -1),
}


DELAYS = ("token_ms", "gap_ms", "took_ms")  # say something only beside as much bulk as there had to be


def middle(row, key):
    """The median over the repetitions, or None."""
    values = [run[key] for run in row["each"] if key in run]
    return statistics.median(values) if values else None


def spread(row, key):
    """(least, most), or None."""
    values = [run[key] for run in row["each"] if key in run]
    return (min(values), max(values)) if values else None


def find(results, benchmark, case, tunnel):
    """A row, or None."""
    rows = results["benchmarks"].get(benchmark, {}).get("rows", [])
    return next((row for row in rows if row["case"] == case and row["tunnel"] == tunnel), None)


def per_gib(report, megabytes):
    """CPU seconds per GiB by end and together, of a report with its cpu_s."""
    gib = megabytes * 1e6 / 2**30
    each = report["cpu_s"]
    if not each or gib <= 0:
        return {}
    out = {f"{what}_cpu_s_per_GiB": seconds / gib for what, seconds in each.items()}
    return {**out, "cpu_s_per_GiB": sum(each.values()) / gib, "cpu_s": sum(each.values())}


def flat(name, distribution, wanted=("p50", "p90", "p99", "max")):
    return {f"{name}.{key}": distribution[key] for key in wanted}


def round_trips(report):
    """Figures of pings. None that was answered is a fault, not a round trip of nothing."""
    trips = report["ping"]["round_trip_ms"]
    faults = report["faults"] + ([] if trips["count"] else ["ping: none in the window"])
    return {**flat("round_trip_ms", trips, ("p50", "p99")), "faults": faults}


def commit():
    found = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, check=False)
    return found.stdout.strip() or "unknown"


def new(command, pace):
    return {"suite": 2, "command": command,
            "when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": commit(), "machine": machine.describe(),
            "pace": {"quick": pace.quick, "seconds": pace.seconds, "repeats": pace.repeats},
            "versions": {}, "configurations": {}, "benchmarks": {}}


def add(results, benchmark, rows, versions):
    """What core.run() gave. Each configuration stands once, with the benchmarks that had it."""
    results["benchmarks"][benchmark] = rows.as_json()
    for tunnel, configurations in rows.configurations.items():
        results["versions"][tunnel] = versions(tunnel)
        known = results["configurations"].setdefault(tunnel, [])
        for texts in configurations:
            same = next((each for each in known if each["texts"] == texts), None)
            if same is None:
                same = {"benchmarks": [], "texts": texts}
                known.append(same)
            if benchmark not in same["benchmarks"]:
                same["benchmarks"].append(benchmark)


# --- tables ---

def cell(row, key):
    value = middle(row, key)
    if value is None:
        return ""
    figure = FIGURES[key]
    text = f"{value:,.{figure.digits}f}".replace(",", " ")
    least, most = spread(row, key)
    if len(row["each"]) > 1 and value:
        text += f" ±{100 * (most - least) / 2 / value:.0f} %"
    if key.startswith(DELAYS) and not counts(row):
        return f"({text})"
    return text


def counts(row):
    """Whether the bulk beside its tokens was what it had to be, as far as the row itself says."""
    return not any(run.get("bulk_short") for run in row["each"])


def table(benchmark):
    """Markdown. Columns that nothing has are left out."""
    rows = benchmark["rows"]
    keys = [key for key in benchmark["columns"] if any(key in run for row in rows for run in row["each"])]
    lines = ["| | | " + " | ".join(FIGURES[key].title for key in keys) + " |",
             "|---|---|" + "---:|" * len(keys)]
    last = None
    for row in rows:
        case = row["case"] if row["case"] != last else ""
        last = row["case"]
        if note := remark(row):
            cells = [note] + [""] * (len(keys) - 1)
        else:
            cells = [cell(row, key) for key in keys]
        lines.append(f"| {case} | {row['tunnel']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def faults(row):
    """What went wrong in any of its runs."""
    return row.get("errors", []) + [fault for run in row["each"] for fault in run.get("faults", [])]


def remark(row):
    """Why a row has no figures, or none that count; "" where they do."""
    if "absent" in row:
        return f"absent: {row['absent']}"
    if wrong := faults(row):
        return f"failed: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    return "" if row["each"] else "not measured"


def markdown(results, plots=(), targets=""):
    """The whole report."""
    at = results["machine"]
    lines = [f"# Benchmarks of {results['commit']}", "",
             f"{results['when']}, `{results['command']}`. {at['processor']}, {at['cores']} cores, "
             f"{at['memory_GiB']} GiB, Linux {at['kernel']}; load before the run {at['load_before']:.2f}. The "
             "median of the repetitions, ± half of what lies between the least and the most.", ""]
    if at["load_before"] > 0.5:
        lines += ["**The machine had other work.** CPU seconds and ratios say something, times do not.", ""]
    versions = {name: version for name, version in results.get("versions", {}).items() if version}
    if versions:
        lines += ["| | |", "|---|---|", *(f"| {name} | {version} |" for name, version in versions.items()), ""]
    if targets:
        lines += ["## Targets", "", targets, ""]
    for name, benchmark in results["benchmarks"].items():
        lines += [f"## {name}", "", benchmark["title"], "", table(benchmark), ""]
        if not all(counts(row) for row in benchmark["rows"]):
            lines += ["In parentheses: beside bulk that had less than 95 % of the link, or where packets are lost "
                      "less than 90 % of the floor's.", ""]
        for text in (benchmark.get("left_out"), machine.remark(benchmark.get("machine", {}))):
            lines += [text, ""] if text else []
        # The longest name that fits: hol-loopback-… is none of hol.
        lines += [f"![{plot.stem}]({plot.name})\n" for plot in plots
                  if name == max((other for other in results["benchmarks"] if plot.stem.startswith(f"{other}-")),
                                 key=len)]
    lines += ["## Configurations", ""]
    for name, configurations in results["configurations"].items():
        for each in configurations:
            if each["texts"]:
                lines += [f"### {name}: {', '.join(each['benchmarks'])}", "", "```text", *each["texts"], "```", ""]
    return "\n".join(lines)
