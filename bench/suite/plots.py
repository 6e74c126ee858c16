"""Which plots a run's results give."""

import math

from . import svg
from .results import FIGURES, counts, middle, remark, spread

MOST_POINTS = 400  # of a line


def write(results, folder):
    """All that can be drawn; the files."""
    out = []
    for name, drawing in drawings(results, folder / "traces"):
        path = folder / f"{name}.svg"
        path.write_text(drawing)
        out.append(path)
    return out


def drawings(results, traces):
    """(name, SVG); a name begins with its benchmark's."""
    for name, benchmark in results["benchmarks"].items():
        rows = [row for row in benchmark["rows"] if not remark(row)]
        if name in ("throughput", "connect", "latency", "idle"):
            yield from bar_charts(name, rows)
        if name == "throughput":
            yield from scaling(name, rows)
        if name.startswith("hol"):
            yield from delays(name, rows, traces)
        if name == "timeline":
            yield from timeline(name, rows)
        if name == "scale":
            yield from agents(name, rows)


def is_ours(name):
    return name.startswith("leat")


BARS = {"throughput": (("1 stream down", "MB_per_s"), ("1 stream down", "cpu_s_per_GiB")),
        "connect": (("raw", "per_s"),), "latency": (("1 at a time", "round_trip_ms.p50"),),
        "idle": (("2000 streams", "KiB_each"),)}


def bar_charts(name, rows):
    for case, key in BARS[name]:
        here = [row for row in rows if row["case"] == case and middle(row, key) is not None]
        figure = FIGURES[key]
        values = [(row["tunnel"], middle(row, key), *spread(row, key)) for row in here]
        values.sort(key=lambda value: -figure.better * value[1])
        if values:
            better = "more is better" if figure.better > 0 else "less is better"
            yield f"{name}-{key.partition('.')[0]}", svg.bars(f"{name}: {case}", f"{figure.title}, {better}",
                                                              values, is_ours)


def scaling(name, rows):
    """Rates over how many streams."""
    series = {}
    for row in rows:
        count, _, way = row["case"].partition(" stream")
        if way.endswith("down"):
            series.setdefault(row["tunnel"], []).append((int(count), middle(row, "MB_per_s")))
    series = {tunnel: points for tunnel, points in series.items() if len(points) > 1}
    if series:
        yield f"{name}-streams", svg.lines("Bulk over many streams", "streams", "MB/s", series, log_x=True)


def thinned(points):
    """At most MOST_POINTS of them, the first and the last among these."""
    if len(points) <= MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[round(i * last / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]


def peaks(points):
    """At most MOST_POINTS of them: the highest of each stretch, so that none that stands out is left out."""
    size = math.ceil(len(points) / MOST_POINTS)
    return [max(points[at:at + size], key=lambda point: point[1]) for at in range(0, len(points), size or 1)]


def cumulated(delays):
    """(delay, percent of all that do not exceed it)."""
    delays = sorted(delays)
    return thinned([(delay, 100 * (i + 1) / len(delays)) for i, delay in enumerate(delays)])


def read_trace(path):
    """(seconds, delay in ms) of the tokens of the window."""
    out = []
    for line in path.read_text().splitlines()[1:]:
        _, _, _, sent, delay = line.split(",")
        if float(sent) >= 0:
            out.append((float(sent), float(delay)))
    return out


def delays(name, rows, traces):
    """Distributions of every case, and the delay over time where that says something."""
    for case in dict.fromkeys(row["case"] for row in rows):
        of_case = {row["tunnel"]: read_trace(traces / row["each"][0]["trace"]) for row in rows
                   if row["case"] == case and counts(row) and "trace" in row["each"][0]
                   and (traces / row["each"][0]["trace"]).exists()}
        of_case = {tunnel: points for tunnel, points in of_case.items() if points}
        if not of_case:
            continue
        label = case.replace(" ", "-").replace("%", "percent")
        yield f"{name}-{label}-distribution", svg.lines(
            f"Delay of a token: {case}", "ms", "% of tokens within", log_x=True,
            series={tunnel: cumulated(delay for _, delay in points) for tunnel, points in of_case.items()})
        yield f"{name}-{label}-time", svg.lines(
            f"Delay of each token: {case}", "seconds", "ms", log_y=True,
            series={tunnel: peaks(points) for tunnel, points in of_case.items()})


def timeline(name, rows):
    runs = [(row["tunnel"], row["each"][0]) for row in rows if "token_ms.p99" in row["each"][0]]
    if not runs:
        return
    seconds = min(run["seconds"] for _, run in runs)
    shown = [("no tunnel" if tunnel == "direct" else tunnel, run["arrived_s"],
              f"pause {run['longest_gap_ms']:.0f} ms, p99 {run['token_ms.p99']:.0f} ms, "
              f"link {run['link_percent']:.0f} %") for tunnel, run in runs]
    shown.sort(key=lambda row: not is_ours(row[0]))
    yield f"{name}-tokens", svg.timelines(
        "A stream of tokens while a download runs",
        "Each tick is a token as it arrives, 25 a second; 50 Mbit/s, a queue of 200 ms, cubic. "
        "Figures are of the time with the download.",
        shown, seconds,
        (runs[0][1]["bulk_from_s"], "a download through the same tunnel"))


def agents(name, rows):
    points = {key: [(int(row["case"].split()[0]), middle(row, key)) for row in rows]
              for key in ("token_ms.p50", "token_ms.p99", "relay_KiB_each")}
    if len(rows) > 1:
        yield f"{name}-delay", svg.lines(
            "Tokens through many agents", "agents", "ms", log_x=True, log_y=True,
            series={"p50": points["token_ms.p50"], "p99": points["token_ms.p99"]})
        yield f"{name}-memory", svg.lines(
            "The relay's memory for each agent", "agents", "KiB", log_x=True, log_y=True,
            series={"KiB": points["relay_KiB_each"]})
