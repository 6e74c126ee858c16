"""One run held against an older one. Absolute times say which machine it was and what else it did, so only
two things are compared: ratios to the direct connection in the same repetition, and CPU seconds per GiB. The
noise is what the repetitions themselves show: a change counts when the two runs do not overlap, and is larger
than LEAST."""

import dataclasses
import statistics

from .results import FIGURES, find, remark

LEAST = 0.05  # of the older figure; below it nobody would act


@dataclasses.dataclass
class Change:
    benchmark: str
    case: str
    tunnel: str
    key: str
    old: list  # every repetition
    new: list

    @property
    def share(self):
        """How much it changed, as a share of what it was."""
        before = statistics.median(self.old)
        return statistics.median(self.new) / before - 1 if before else 0

    @property
    def noise(self):
        """Half of what either run covers, as a share of what it was; the larger."""
        before = statistics.median(self.old) or 1
        return max(max(values) - min(values) for values in (self.old, self.new)) / 2 / before

    @property
    def verdict(self):
        """"better", "worse" or "same"."""
        apart = min(self.new) > max(self.old) or max(self.new) < min(self.old)
        # One repetition says nothing about its noise, and is given three times the least.
        least = LEAST if min(len(self.old), len(self.new)) > 1 else 3 * LEAST
        if not apart or abs(self.share) < least:
            return "same"
        return "better" if (self.share > 0) == (FIGURES[self.key].better > 0) else "worse"


def comparable(results, benchmark, row, key):
    """What may be compared of a row: a value for each repetition."""
    if remark(row):
        return []
    values = [run.get(key) for run in row["each"]]
    if FIGURES[key].compared == "absolute":
        return [value for value in values if value]
    base = find(results, benchmark, row["case"], "direct")
    if base is None or base is row or remark(base):
        return []
    return [value / other[key] for value, other in zip(values, base["each"]) if value and other.get(key)]


def changes(old, new):
    """Of everything that both have."""
    out = []
    for name, benchmark in new["benchmarks"].items():
        for row in benchmark["rows"]:
            before = find(old, name, row["case"], row["tunnel"])
            if before is None:
                continue
            for key, figure in FIGURES.items():
                if not figure.compared:
                    continue
                pair = comparable(old, name, before, key), comparable(new, name, row, key)
                if all(pair):
                    out.append(Change(name, row["case"], row["tunnel"], key, *pair))
    return out


def markdown(found):
    """A table of all, what changed first; a peer that changed says that the two runs are not alike."""
    order = {"worse": 0, "better": 1, "same": 2}
    lines = ["| | | | | old | new | change | noise | |", "|---|---|---|---|---:|---:|---:|---:|---|"]
    for change in sorted(found, key=lambda c: (order[c.verdict], -abs(c.share))):
        unit = " of direct" if FIGURES[change.key].compared == "ratio" else ""
        lines.append(f"| {change.benchmark} | {change.case} | {change.tunnel} | "
                     f"{FIGURES[change.key].title}{unit} | {statistics.median(change.old):.3f} | "
                     f"{statistics.median(change.new):.3f} | {100 * change.share:+.1f} % | "
                     f"{100 * change.noise:.1f} % | {change.verdict} |")
    return "\n".join(lines)


def regressions(found):
    """What got worse and is ours: a peer's figures are not this project's."""
    return [change for change in found if change.verdict == "worse" and change.tunnel.startswith("leat")]
