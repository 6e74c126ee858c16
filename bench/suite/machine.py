"""The machine a run is of, and what else it did meanwhile: a figure of a machine that had other work, or whose
processors were lent to others, is told as such."""

import os
import pathlib
import platform
import resource

# Of all processors' time; more than this of either says that times are not to be trusted. What the kernel
# works for our own packets in threads of its own is in it, and is small.
MUCH_OTHER, MUCH_STEAL = 10, 2  # percent


def describe():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    models = (line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name"))
    model = next(models, platform.machine())
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "memory_GiB": round(memory, 1),
            "kernel": platform.release(), "load_before": os.getloadavg()[0]}


def ticks():
    """Of all processors since the machine started: (all, worked for processes, stolen)."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, *_, steal = fields
    return sum(fields), user + nice + system, steal


def own_seconds():
    """Of this process and of all that it started and that have ended."""
    return sum(each.ru_utime + each.ru_stime for each in map(resource.getrusage, (
        resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Watch:
    """A context manager. `seen` afterwards: load as it began, and in percent of the processors' time what was
    stolen from this machine and what processes worked that are none of ours. All of ours must have ended."""

    def __enter__(self):
        self.seen = {"load_before": os.getloadavg()[0]}
        self._before = *ticks(), own_seconds()
        return self

    def __exit__(self, *_):
        total, worked, stolen, own = (after - before for before, after in zip(
            self._before, (*ticks(), own_seconds())))
        if total > 0:
            others = worked - own * os.sysconf("SC_CLK_TCK")
            self.seen.update(steal_percent=100 * stolen / total, others_percent=max(0, 100 * others / total))


def remark(seen):
    """A sentence on what a Watch saw, loud where it was much; "" for what was not watched."""
    if "others_percent" not in seen:
        return ""
    text = (f"Meanwhile other processes had {seen['others_percent']:.1f} % of the processors' time, and "
            f"{seen['steal_percent']:.1f} % was stolen.")
    much = seen["others_percent"] > MUCH_OTHER or seen["steal_percent"] > MUCH_STEAL
    return f"**{text} Times are not to be trusted.**" if much else text
