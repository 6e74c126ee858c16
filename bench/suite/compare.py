"""One run held against an older one. Absolute times say which machine it was and what else it did, so only
two things are compared: ratios to the connection without a tunnel in the same repetition (`direct`, or `floor`
where there is no other), and CPU seconds per GiB. The noise is what the repetitions themselves show: a change
counts when the two runs do not overlap, and is larger than twice the noise and than what anybody would act on."""

import dataclasses
import statistics

from .results import DELAYS, FIGURES, counts, find, remark

LEAST_CPU_S = 0.5  # of what a clock of 10 ms counted; a ratio of less is one of roundings


def refusal(old, new):
    """Why the two cannot be held against each other, or None; known before the new one is measured."""
    then, now = old.get("machine", {}).get("cores"), new["machine"]["cores"]
    if then != now:
        return f"the older run was made with {then or 'nobody knows how many'} processor cores, this one with {now}"
    for key, why in (("quick", "short passes"), ("seconds", "windows of a length of their own")):
        then, now = old.get("pace", {}).get(key), new["pace"][key]
        if then != now:
            said = "does not say" if then is None else f"has {then}"
            return f"only runs of the same pace are compared ({why}): the older one {said}, this one has {now}"
    if not old.get("benchmarks"):
        return "the older one has no benchmarks of whole programs"
    return None


@dataclasses.dataclass
class Change:
    benchmark: str
    case: str
    tunnel: str
    key: str
    old: list  # every repetition
    new: list
    base: str = ""   # what ratios are to
    noise: float = 0  # as a share of what it was; 0: unknown, since nothing was repeated

    @property
    def share(self):
        """How much it changed, as a share of what it was."""
        before = statistics.median(self.old)
        return statistics.median(self.new) / before - 1 if before else 0

    @property
    def verdict(self):
        """"better", "worse" or "same"."""
        apart = min(self.new) > max(self.old) or max(self.new) < min(self.old)
        # One repetition says nothing about its own noise, and is given three times the least.
        alone = min(len(self.old), len(self.new)) == 1
        least = max((3 if alone else 1) * FIGURES[self.key].least, 2 * self.noise)
        if not apart or abs(self.share) < least:
            return "same"
        return "better" if (self.share > 0) == (FIGURES[self.key].better > 0) else "worse"


def base_of(old, new, benchmark, row):
    """The tunnel that a row's ratios are to in both runs: the same without any; None where there is none."""
    if row["tunnel"] in ("direct", "floor"):
        return None
    for tunnel in ("direct", "floor"):
        both = [find(results, benchmark, row["case"], tunnel) for results in (old, new)]
        if all(base is not None and not remark(base) for base in both):
            return tunnel
    return None


def comparable(results, benchmark, row, key, base):
    """What may be compared of a row: a value for each repetition."""
    if remark(row) or (key.startswith(DELAYS) and not counts(row)):
        return []
    if FIGURES[key].compared == "absolute":
        return [run[key] for run in row["each"] if run.get(key) and run.get("cpu_s", LEAST_CPU_S) >= LEAST_CPU_S]
    if base is None:
        return []
    others = find(results, benchmark, row["case"], base)["each"]
    return [run[key] / other[key] for run, other in zip(row["each"], others) if run.get(key) and other.get(key)]


def noise(old, new):
    """Of the repetitions of both, pooled: the standard deviation as a share of the mean; None where nothing was
    repeated."""
    squares = freedom = 0
    for values in (old, new):
        if len(values) > 1:
            squares += (len(values) - 1) * statistics.variance(values) / statistics.mean(values) ** 2
            freedom += len(values) - 1
    return (squares / freedom) ** 0.5 if freedom else None


def changes(old, new):
    """Of everything that both have."""
    out = []
    for name, benchmark in new["benchmarks"].items():
        for row in benchmark["rows"]:
            before = find(old, name, row["case"], row["tunnel"])
            if before is None:
                continue
            base = base_of(old, new, name, row)
            for key, figure in FIGURES.items():
                if not figure.compared:
                    continue
                pair = comparable(old, name, before, key, base), comparable(new, name, row, key, base)
                if all(pair):
                    out.append(Change(name, row["case"], row["tunnel"], key, *pair,
                                      base if figure.compared == "ratio" else ""))
    # A few repetitions of one row may agree by chance: the noise is at least what rows of its kind show, of which
    # the median is taken, so that one that went astray does not excuse the others.
    own = {id(change): noise(change.old, change.new) for change in out}
    for change in out:
        alike = [own[id(each)] for each in out if (each.benchmark, each.key) == (change.benchmark, change.key)]
        known = [share for share in alike if share is not None]
        change.noise = max(own[id(change)] or 0, statistics.median(known) if known else 0)
    return out


def markdown(found):
    """A table of all, what changed first; a peer that changed says that the two runs are not alike."""
    order = {"worse": 0, "better": 1, "same": 2}
    lines = ["| | | | | old | new | change | noise | |", "|---|---|---|---|---:|---:|---:|---:|---|"]
    for change in sorted(found, key=lambda c: (order[c.verdict], -abs(c.share))):
        unit = f" of {change.base}" if change.base else ""
        known = f"{100 * change.noise:.1f} %" if change.noise else ""
        lines.append(f"| {change.benchmark} | {change.case} | {change.tunnel} | "
                     f"{FIGURES[change.key].title}{unit} | {statistics.median(change.old):.3f} | "
                     f"{statistics.median(change.new):.3f} | {100 * change.share:+.1f} % | {known} | "
                     f"{change.verdict} |")
    return "\n".join(lines)


def regressions(found):
    """What got worse and is ours: a peer's figures are not this project's."""
    return [change for change in found if change.verdict == "worse" and change.tunnel.startswith("leat")]
