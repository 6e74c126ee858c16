"""How benchmarks run: cases over tunnels, interleaved, and again. What a run gives is rows: for each case and
tunnel the figures of each repetition, or why there are none."""

import contextlib
import dataclasses
import itertools
import subprocess
import tempfile
import time

import tunnels
from network import Link, Loopback, congestion_controls


@dataclasses.dataclass
class Case:
    """One thing that is measured through one tunnel. Cases that follow each other with the same link and
    options share one start of the tunnel."""
    label: str
    load: dict                                       # options of leat_load
    link: dict = dataclasses.field(default_factory=dict)     # of Link; {}: loopback
    options: dict = dataclasses.field(default_factory=dict)  # attributes of the tunnel
    tunnels: tuple = ()                              # only these, unless it is empty
    in_quick: bool = True                            # whether a short pass has it
    seconds: float = 0                               # instead of the benchmark's


@dataclasses.dataclass
class Pace:
    """How long and how often. `seconds` and `repeats` are instead of each benchmark's own."""
    quick: bool = False
    seconds: float = 0
    repeats: int = 0
    tunnels: tuple = ()
    traces: object = None  # a folder for every token's delay, or None

    def of(self, benchmark, case=None):
        """Seconds of the window and of the warm-up."""
        window = (case and case.seconds) or benchmark.seconds
        warmup = benchmark.warmup
        if self.quick:
            window, warmup = min(window, 3), min(warmup, 1)
        if self.seconds:
            window, warmup = self.seconds, min(warmup, self.seconds / 2)
        return window, warmup

    def times(self, benchmark):
        return self.repeats or (1 if self.quick else benchmark.repeats)


class Benchmark:
    """A kind of measurement. Subclasses say what and over which tunnels; most need no more than figures()."""
    name = ""
    title = ""
    seconds, warmup, repeats = 4, 1, 2
    contestants = ()  # names of tunnels, in the order of the table
    columns = ()      # keys of results.FIGURES

    def cases(self):
        raise NotImplementedError

    def tunnel(self, case, name):
        kind = tunnels.TUNNELS[name]
        return type(kind.__name__, (kind,), dict(case.options)) if case.options else kind

    def measure(self, run):
        """Figures of one run, a flat dict."""
        return self.figures(run, run.load(**run.case.load))

    def figures(self, run, report):
        raise NotImplementedError


class Run:
    """One case through one tunnel that stands."""

    def __init__(self, benchmark, case, tunnel, to, pace, number):
        self.benchmark, self.case, self.tunnel, self.to = benchmark, case, tunnel, to
        self.pace, self.number = pace, number
        self.seconds, self.warmup = pace.of(benchmark, case)

    def load(self, **options):
        options = {"warmup": self.warmup, "duration": self.seconds, **options}
        if self.tunnel.streams:
            for kind in ("download", "upload"):
                if kind in options:
                    options[kind] = min(options[kind], self.tunnel.streams)
        if any(kind in options for kind in ("events", "requests", "new_requests")):
            options["path"] = self.tunnel.path
        return tunnels.measure(self.tunnel, self.to, **options)

    def trace(self):
        """A file for the tokens of this run, or None: {"trace": FILE}."""
        if not self.pace.traces:
            return None
        self.pace.traces.mkdir(parents=True, exist_ok=True)
        label = self.case.label.replace(" ", "_").replace(",", "").replace("/", "")
        return self.pace.traces / f"{self.benchmark.name}-{label}-{self.tunnel.name}-{self.number}.csv"


def link_of(case):
    return Link(**case.link) if case.link else Loopback()


def wanted_cases(benchmark, pace):
    known = congestion_controls()
    return [case for case in benchmark.cases()
            if (case.in_quick or not pace.quick) and case.link.get("cc", "cubic") in known]


def contestants(benchmark, case, pace):
    names = [name for name in benchmark.contestants if not case.tunnels or name in case.tunnels]
    return [name for name in names if not pace.tunnels or name in pace.tunnels]


class Rows:
    """What has been measured, by case and tunnel."""

    def __init__(self, benchmark):
        self.benchmark = benchmark
        self.rows = {}
        self.configurations = {}

    def row(self, case, name):
        key = (case.label, name)
        return self.rows.setdefault(key, {"case": case.label, "tunnel": name, "each": []})

    def as_json(self):
        return {"title": self.benchmark.title, "columns": list(self.benchmark.columns),
                "seconds": self.benchmark.seconds, "rows": list(self.rows.values())}


def run(benchmark, pace, progress):
    """All cases over all tunnels, as often as the pace says."""
    rows = Rows(benchmark)
    cases = wanted_cases(benchmark, pace)
    for case in cases:  # in the order of the table
        for name in contestants(benchmark, case, pace):
            reason = benchmark.tunnel(case, name).absent()
            rows.row(case, name).update({"absent": reason} if reason else {})
    for number in range(pace.times(benchmark)):
        for _, group in itertools.groupby(cases, key=lambda case: (case.link, case.options)):
            group = list(group)
            names = dict.fromkeys(name for case in group for name in contestants(benchmark, case, pace))
            for name in names:
                here = [case for case in group if name in contestants(benchmark, case, pace)]
                if "absent" not in rows.row(here[0], name):
                    _through(benchmark, here, name, pace, number, rows, progress)
    return rows


def _through(benchmark, cases, name, pace, number, rows, progress):
    """One tunnel, started once, and its cases one after another."""
    left = list(cases)
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="leat-bench-"))
            link = stack.enter_context(link_of(cases[0]))
            tunnels.start_backend(link)
            tunnel = benchmark.tunnel(cases[0], name)(link, folder)
            to = tunnel.wait_answers(tunnel.open())
            rows.configurations[name] = tunnel.configuration
            while left:
                case = left[0]
                progress.step(benchmark, case, name, number, pace)
                rows.row(case, name)["each"].append(benchmark.measure(
                    Run(benchmark, case, tunnel, to, pace, number)))
                left.pop(0)
        except (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            for case in left:
                rows.row(case, name).setdefault("errors", []).append(f"{type(error).__name__}: {error}")
            progress.failed(name, error)


class Progress:
    """Says on `out` what runs now, how far it is, and how long it may still take."""
    START = 1.5  # seconds that a tunnel takes to stand, or a client to end

    def __init__(self, out):
        self.out = out
        self.began = time.monotonic()
        self.planned = self.done = 0.0

    def plan(self, benchmark, pace):
        for case in wanted_cases(benchmark, pace):
            for name in contestants(benchmark, case, pace):
                if benchmark.tunnel(case, name).absent() is None:
                    self.planned += pace.times(benchmark) * self._cost(benchmark, case, pace)

    def _cost(self, benchmark, case, pace):
        return sum(pace.of(benchmark, case)) + self.START

    def step(self, benchmark, case, name, number, pace):
        spent = time.monotonic() - self.began
        # What remains is what was planned of it, at the pace of what is done.
        slower = spent / self.done if self.done else 1
        left = max(self.planned - self.done, 0) * slower
        share = 100 * self.done / self.planned if self.planned else 0
        print(f"{share:3.0f} %  {left / 60:4.1f} min left  {benchmark.name}: {case.label}, {name}"
              f"{f' ({number + 1})' if number else ''}", file=self.out, flush=True)
        self.done += self._cost(benchmark, case, pace)

    def failed(self, name, error):
        print(f"     {name} failed: {error}", file=self.out, flush=True)
