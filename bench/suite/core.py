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

from .machine import Watch

# What a run may end with that is no mistake in here.
FAILURES = (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError)


@dataclasses.dataclass
class Case:
    """One thing that is measured through one tunnel. Cases that follow each other with the same link and
    options share one start of each tunnel: all of them stand, and each case goes through one after another."""
    label: str
    load: dict                                       # options of leat_load
    link: dict = dataclasses.field(default_factory=dict)     # of Link; {}: loopback
    options: dict = dataclasses.field(default_factory=dict)  # attributes of the tunnel
    tunnels: tuple = ()                              # only these, unless it is empty
    in_quick: bool = True                            # whether a short pass has it
    seconds: float = 0                               # instead of the benchmark's
    repeats: int = 0                                 # likewise
    again: tuple = ()                                # tunnels that are measured once more than that
    alone: bool = False                              # whether its tunnels are started for it alone
    start: float = 1                                 # seconds that a start of its tunnel takes, about

    @property
    def group(self):
        return self.link, self.options, self.alone and self.label


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

    def times(self, benchmark, case, name):
        if self.repeats or self.quick:
            return self.repeats or 1
        return (case.repeats or benchmark.repeats) + (name in case.again)


class Benchmark:
    """A kind of measurement. Subclasses say what and over which tunnels; most need no more than figures()."""
    name = ""
    title = ""
    left_out = ""     # who is not measured in which case, and why
    seconds, warmup, repeats = 4, 1, 2
    loads = 1         # how often measure() loads the tunnel
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

    def judge(self, rows):
        """Once all is measured: what only several rows together say."""


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


def groups(cases):
    """Lists of those that share a start."""
    return [list(group) for _, group in itertools.groupby(cases, key=lambda case: case.group)]


class Rows:
    """What has been measured, by case and tunnel."""

    def __init__(self, benchmark):
        self.benchmark = benchmark
        self.rows = {}
        self.configurations = {}  # by tunnel, each that differed
        self.machine = {}

    def row(self, case, name):
        key = (case.label, name)
        return self.rows.setdefault(key, {"case": case.label, "tunnel": name, "each": []})

    def failed(self, case, name, text):
        self.row(case, name).setdefault("errors", []).append(text)

    def configured(self, name, configuration):
        known = self.configurations.setdefault(name, [])
        if configuration not in known:
            known.append(configuration)

    def as_json(self):
        return {"title": self.benchmark.title, "left_out": self.benchmark.left_out,
                "columns": list(self.benchmark.columns), "seconds": self.benchmark.seconds,
                "machine": self.machine, "rows": list(self.rows.values())}


def run(benchmark, pace, progress):
    """All cases over all tunnels, as often as the pace says."""
    rows = Rows(benchmark)
    cases = wanted_cases(benchmark, pace)
    for case in cases:  # in the order of the table
        for name in contestants(benchmark, case, pace):
            reason = benchmark.tunnel(case, name).absent()
            rows.row(case, name).update({"absent": reason} if reason else {})
    with Watch() as watch:
        for number in range(max((pace.times(benchmark, case, name) for case in cases
                                 for name in contestants(benchmark, case, pace)), default=0)):
            for group in groups(cases):
                _Group(benchmark, group, pace, number, rows, progress).run()
    rows.machine = watch.seen
    benchmark.judge(rows)
    return rows


class _Group:
    """Cases of one repetition that share a start of each tunnel. The case is the outer loop, so that what the
    machine does meanwhile meets all tunnels, and each repetition begins with another tunnel."""

    def __init__(self, benchmark, cases, pace, number, rows, progress):
        self.benchmark, self.pace, self.number = benchmark, pace, number
        self.rows, self.progress = rows, progress
        self.todo = [(case, name) for case in cases for name in self._in_turn(case)
                     if "absent" not in rows.row(case, name) and number < pace.times(benchmark, case, name)]
        self.standing = {}  # name: (what ends it, tunnel, address for visitors)
        self.gone = {}      # name: why it failed

    def _in_turn(self, case):
        names = contestants(self.benchmark, case, self.pace)
        first = self.number % len(names) if names else 0
        return names[first:] + names[:first]

    def run(self):
        try:
            for i, (case, name) in enumerate(self.todo):
                self._measure(case, name)
                if all(later != name for _, later in self.todo[i + 1:]):
                    self._end(case, name)
        finally:
            for end, *_ in self.standing.values():
                end.close()

    def _measure(self, case, name):
        if name in self.gone:
            return self.rows.failed(case, name, self.gone[name])
        try:
            if name not in self.standing:
                self.progress.start(case)
                self._start(case, name)
            _, tunnel, to = self.standing[name]
            self.progress.step(self.benchmark, case, name, self.number, self.pace)
            figures = self.benchmark.measure(Run(self.benchmark, case, tunnel, to, self.pace, self.number))
            self.rows.row(case, name)["each"].append(figures)
        except FAILURES as error:
            self._fail(case, name, error)
            self._end(case, name)

    def _start(self, case, name):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="leat-bench-"))
            link = stack.enter_context(link_of(case))
            tunnels.start_backend(link)
            tunnel = self.benchmark.tunnel(case, name)(link, folder)
            to = tunnel.wait_answers(tunnel.open())
            self.rows.configured(name, tunnel.configuration)
            self.standing[name] = stack.pop_all(), tunnel, to

    def _end(self, case, name):
        """What cannot be ended in order makes its last case a failure: who knows since when it was broken."""
        if name not in self.standing:
            return
        try:
            self.standing.pop(name)[0].close()
        except FAILURES as error:
            self._fail(case, name, error)

    def _fail(self, case, name, error):
        self.gone.setdefault(name, f"{type(error).__name__}: {error}")
        self.rows.failed(case, name, f"{type(error).__name__}: {error}")
        self.progress.failed(name, error)


class Progress:
    """Says on `out` what runs now, how far it is, and how long it may still take."""
    END = 0.3    # seconds from the end of a window to the next measurement
    GRACE = 3    # … and that leat_load waits for the last tokens

    def __init__(self, out):
        self.out = out
        self.began = time.monotonic()
        self.planned = self.done = 0.0

    def plan(self, benchmark, pace):
        """Adds what a benchmark takes, in seconds."""
        cases = wanted_cases(benchmark, pace)
        present = {(case.label, name): pace.times(benchmark, case, name) for case in cases
                   for name in contestants(benchmark, case, pace)
                   if benchmark.tunnel(case, name).absent() is None}
        for group in groups(cases):
            for case in group:
                times = sum(times for (label, _), times in present.items() if label == case.label)
                self.planned += times * self._cost(benchmark, case, pace)
            starts = {}
            for case in group:
                for (label, name), times in present.items():
                    if label == case.label:
                        starts[name] = max(times, starts.get(name, 0))
            self.planned += group[0].start * sum(starts.values())

    def _cost(self, benchmark, case, pace):
        tokens = self.GRACE if {"tokens", "events"} & case.load.keys() else 0
        return benchmark.loads * (sum(pace.of(benchmark, case)) + self.END + tokens)

    def start(self, case):
        self.done += case.start

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
