"""Benchmarks of many: what an idle stream costs in memory, and what a thousand agents do to a relay."""

import tunnels

from .bulk import LOCAL
from .core import Benchmark, Case
from .results import flat, per_gib


class Idle(Benchmark):
    name = "idle"
    title = ("Resident memory for each stream that has been used once and then stands idle: that of all "
             "processes of an end, less what they had before the first.")
    seconds, warmup, repeats = 1, 2, 1
    left_out = ("Left out: leat-sealed above 500, since a sealed session has 512 streams at most; at 10,000 those "
                "that hold two descriptors for each in one process (haproxy, stunnel, rathole, bore), since many "
                "systems let a process have 20,000, and ssh-chacha and yamux-4M, which differ from ssh and yamux in "
                "what an idle stream does not use.")
    contestants = tuple(name for name in LOCAL if name != "direct")
    columns = ("relay_KiB_each", "agent_KiB_each", "device_KiB_each", "KiB_each")

    def cases(self):
        # Each with tunnels of its own: what one case has freed the next would take for nothing.
        return [Case("500 streams", {"held": 500}, tunnels=("leat", "leat-sealed"), alone=True),
                Case("2000 streams", {"held": 2000}, alone=True, again=("leat",),
                     tunnels=tuple(name for name in self.contestants if name != "leat-sealed")),
                Case("10000 streams", {"held": 10000}, alone=True, in_quick=False,
                     tunnels=("leat", "leat-ws", "ssh", "yamux", "frp", "chisel"))]

    def measure(self, run):
        count = run.case.load["held"]
        before, then = run.tunnel.resident_bytes(), {}
        report = run.load(**run.case.load, at_begin=lambda: then.update(run.tunnel.resident_bytes()))
        each = {f"{end}_KiB_each": (then[end] - before[end]) / 1024 / count
                for end in ("relay", "agent", "device") if end in then}
        return {**each, "KiB_each": sum(each.values()), "faults": report["faults"]}


class Scale(Benchmark):
    name = "scale"
    title = ("So many agents of one relay on the loopback interface, each a process with a connection of its own. "
             "A token stream through every agent, five tokens a second each; then 16 downloads, each through "
             "another agent where there are so many. Memory is what the relay grew by for each.")
    seconds, warmup, repeats, loads = 4, 1, 1, 2
    left_out = "Left out: everybody but leat, whose relay it asks about."
    contestants = ("leat",)
    columns = ("relay_KiB_each", "token_ms.p50", "token_ms.p99", "relay_cpu_us_each", "cpu_us_each", "MB_per_s",
               "cpu_s_per_GiB")
    COUNTS = (1, 10, 100, 1000)

    def cases(self):
        return [Case(f"{count} agent{'s' if count > 1 else ''}", {"agents": count},
                     options={"agents_wanted": count}, in_quick=count <= 10, start=1 + count / 15)
                for count in self.COUNTS]

    def tunnel(self, case, name):
        return type("Leat", (tunnels.LeatMany,), dict(case.options))

    def measure(self, run):
        count = run.case.load["agents"]
        memory = run.tunnel.resident_bytes()["relay"] - run.tunnel.relay_before
        report = run.load(tokens=count, spread=count, token_every_ms=200)
        tokens = report["tokens"]["delay_ms"]
        out = {"relay_KiB_each": memory / 1024 / count, **flat("token_ms", tokens), "faults": report["faults"],
               "relay_cpu_us_each": 1e6 * report["cpu_s"]["relay"] / max(tokens["count"], 1),
               "cpu_us_each": 1e6 * sum(report["cpu_s"].values()) / max(tokens["count"], 1)}
        bulk = run.load(download=16, spread=min(count, 16), sample=16)
        rate = bulk["download"]["MB_per_s"]
        cpu = per_gib(bulk, rate * bulk["window_s"]).get("cpu_s_per_GiB")
        return {**out, "MB_per_s": rate, "faults": out["faults"] + bulk["faults"],
                **({"cpu_s_per_GiB": cpu} if cpu else {})}
