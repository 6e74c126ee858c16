"""The benchmark suite's own parts: how cases take turns, the middle of figures, what is compared and when, targets,
plots, and what makes the exit status."""

import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import run as program  # noqa: E402
import tunnels  # noqa: E402
from suite import bulk, compare, core, exchanges, machine, many, plots, results, svg, targets, tokens  # noqa: E402


def row(tunnel, *each, case="1 stream down", **more):
    return {"case": case, "tunnel": tunnel, "each": list(each), **more}


def rates(tunnel, *values, case="1 stream down"):
    return row(tunnel, *({"MB_per_s": value} for value in values), case=case)


def found(*rows, benchmark="throughput", columns=("MB_per_s", "cpu_s_per_GiB")):
    return {"suite": 2, "command": "x", "when": "now", "commit": "abc", "versions": {"leat": "leat 1", "direct": ""},
            "configurations": {"leat": [{"benchmarks": ["a", "b"], "texts": ["relay: x"]}]},
            "machine": {"processor": "p", "cores": 2, "memory_GiB": 4, "kernel": "6", "load_before": 0.1},
            "pace": {"quick": False, "seconds": 0, "repeats": 0},
            "benchmarks": {benchmark: {"title": "t", "columns": list(columns), "rows": list(rows)}}}


class Figures(unittest.TestCase):
    def test_the_middle_is_of_what_is_there(self):
        self.assertEqual(results.middle(rates("leat", 1, 9, 2), "MB_per_s"), 2)
        self.assertEqual(results.middle(row("leat", {"MB_per_s": 4}, {}), "MB_per_s"), 4)
        self.assertIsNone(results.middle(row("leat"), "MB_per_s"))
        self.assertEqual(results.spread(rates("leat", 3, 1, 2), "MB_per_s"), (1, 3))

    def test_cpu_is_by_end_and_together(self):
        out = results.per_gib({"cpu_s": {"relay": 1.0, "agent": 3.0}}, 2 * 2**30 / 1e6)
        self.assertAlmostEqual(out["relay_cpu_s_per_GiB"], 0.5)
        self.assertAlmostEqual(out["cpu_s_per_GiB"], 2)
        self.assertEqual(out["cpu_s"], 4)
        self.assertEqual(results.per_gib({"cpu_s": {}}, 5), {})
        self.assertEqual(results.per_gib({"cpu_s": {"relay": 1}}, 0), {})


    def test_what_was_not_answered_is_no_figure_but_a_fault(self):
        def report(kind, what, count):
            taken = {"p50": 0.1, "p99": 0.2, "count": count}
            return {kind: {what: taken, "per_s": count}, "faults": [], "cpu_s": {}}
        for count, faults in ((0, 1), (5, 0)):
            self.assertEqual(len(results.round_trips(report("ping", "round_trip_ms", count))["faults"]), faults)
            self.assertEqual(len(exchanges.call_figures(report("connect", "took_ms", count), "connect")["faults"]),
                             faults)
            sealed = bulk.Sealed().figures(None, report("ping", "round_trip_ms", count))
            self.assertEqual(len(sealed["faults"]), faults)

    def test_a_configuration_stands_once_with_all_that_had_it(self):
        run = {"benchmarks": {}, "versions": {}, "configurations": {}}
        for name, texts in (("throughput", ["a"]), ("latency", ["a"]), ("hol", ["b"])):
            rows = core.Rows(exchanges.Latency())
            rows.configured("leat", texts)
            rows.configured("leat", texts)
            results.add(run, name, rows, "{} 1".format)
        self.assertEqual(run["configurations"], {"leat": [
            {"benchmarks": ["throughput", "latency"], "texts": ["a"]}, {"benchmarks": ["hol"], "texts": ["b"]}]})
        self.assertEqual(run["versions"], {"leat": "leat 1"})


class Turns(unittest.TestCase):
    """core.run over tunnels that only say what is done to them."""

    def play(self, cases, broken=(), repeats=2, pace=core.Pace(), judge=None):
        done = []

        class Fake:
            streams, path, configuration = None, "/", ["x"]

            def __init__(self, name):
                self.name = name

            def __call__(self, _link, _folder):
                return self

            def absent(self):
                return "no such program" if self.name == "absent" else None

            def open(self):
                done.append(f"+{self.name}")
                if self.name in broken:
                    raise RuntimeError("does not start")

            def wait_answers(self, to):
                return to

        class Play(core.Benchmark):
            name, contestants = "play", ("a", "b", "c", "absent")

            def cases(self):
                return cases

            def tunnel(self, case, name):
                return Fake(name)

            def measure(self, run):
                done.append(f"{run.case.label}{run.tunnel.name}")
                if run.case.load.get("fails") == run.tunnel.name:
                    raise ValueError("no report")
                return {"MB_per_s": len(done), "faults": []}

            def judge(self, rows):
                if judge:
                    judge(rows)

        @contextlib.contextmanager
        def link_of(case):
            yield
            done.append("-")
            if case.load.get("leaves") == done[-2][1:]:
                raise json.JSONDecodeError("the link died", "", 0)
        Play.repeats = repeats
        with unittest.mock.patch.object(core, "link_of", link_of), \
                unittest.mock.patch.object(core, "congestion_controls", lambda: ["cubic"]), \
                unittest.mock.patch.object(tunnels, "start_backend", lambda link: None):
            rows = core.run(Play(), pace, core.Progress(io.StringIO()))
        return " ".join(done), {(row["case"], row["tunnel"]): row for row in rows.as_json()["rows"]}

    def test_each_case_goes_through_all_and_each_repetition_begins_with_another(self):
        done, rows = self.play([core.Case("1", {}), core.Case("2", {})])
        self.assertEqual(done, "+a 1a +b 1b +c 1c 2a - 2b - 2c - +b 1b +c 1c +a 1a 2b - 2c - 2a -")
        self.assertEqual([len(rows["1", name]["each"]) for name in "abc"], [2, 2, 2])
        self.assertEqual(list(rows)[:4], [("1", name) for name in ("a", "b", "c", "absent")])
        self.assertEqual(rows["1", "absent"], {"case": "1", "tunnel": "absent", "each": [],
                                               "absent": "no such program"})

    def test_another_link_or_options_or_a_case_alone_are_another_start(self):
        for more in ({"link": {"rate_mbit": 1}}, {"options": {"x": 1}}, {"alone": True}):
            done, _ = self.play([core.Case("1", {}), core.Case("2", {}, **more)], repeats=1)
            self.assertEqual(done, "+a 1a - +b 1b - +c 1c - +a 2a - +b 2b - +c 2c -", more)

    def test_some_are_measured_more_often(self):
        cases = [core.Case("1", {}, again=("b",)), core.Case("2", {}, tunnels=("c",), repeats=3)]
        self.assertEqual(self.play(cases, repeats=1)[0], "+a 1a - +b 1b - +c 1c 2c - +b 1b - +c 2c - +c 2c -")
        self.assertEqual(self.play(cases, pace=core.Pace(quick=True))[0], "+a 1a - +b 1b - +c 1c 2c -")

    def test_who_does_not_start_fails_alone_and_is_tried_again_in_the_next_repetition(self):
        done, rows = self.play([core.Case("1", {}), core.Case("2", {})], broken=("b",))
        self.assertEqual(done.count("+b"), 2)
        self.assertEqual(rows["2", "b"]["errors"], ["RuntimeError: does not start"] * 2)
        self.assertEqual(results.remark(rows["1", "a"]), "")

    def test_who_fails_is_not_measured_any_more(self):
        done, rows = self.play([core.Case("1", {"fails": "a"}), core.Case("2", {})], repeats=1)
        self.assertEqual(done, "+a 1a - +b 1b +c 1c 2b - 2c -")
        self.assertEqual(rows["2", "a"]["errors"], ["ValueError: no report"])

    def test_a_link_that_cannot_be_removed_is_a_failure_of_its_tunnel_alone(self):
        done, rows = self.play([core.Case("1", {"leaves": "a"})], repeats=1)
        self.assertEqual(done, "+a 1a - +b 1b - +c 1c -")
        self.assertIn("the link died", results.remark(rows["1", "a"]))
        self.assertEqual(results.remark(rows["1", "b"]), "")

    def test_what_is_planned_is_what_is_done(self):
        class Planned(core.Benchmark):
            seconds, warmup, repeats, contestants = 10, 2, 2, ("direct", "floor")

            def cases(self):
                return [core.Case("1", {}, start=5), core.Case("2", {"tokens": 1}, again=("floor",), start=5)]
        progress = core.Progress(io.StringIO())
        with unittest.mock.patch.object(core, "congestion_controls", lambda: ["cubic"]):
            progress.plan(Planned(), core.Pace())
        each = 12 + core.Progress.END
        self.assertAlmostEqual(progress.planned, 4 * each + 5 * (each + core.Progress.GRACE) + 5 * 5)

    def test_all_of_it_takes_as_long_as_the_documents_say(self):
        progress = core.Progress(io.StringIO())
        here = {name: kind for name, kind in tunnels.TUNNELS.items()
                if name not in ("frp", "rathole", "rathole-tls", "chisel", "bore")}
        with unittest.mock.patch.object(core, "congestion_controls", lambda: ["cubic", "bbr"]), \
                contextlib.ExitStack() as stack:
            for kind in tunnels.TUNNELS.values():
                reason = None if kind.name in here else "not here"
                stack.enter_context(unittest.mock.patch.object(kind, "absent", lambda reason=reason: reason))
            for benchmark in program.BENCHMARKS.values():
                progress.plan(benchmark, core.Pace())
        self.assertLess(progress.planned / 60, 122)  # where the peers are those that Debian has


class Tables(unittest.TestCase):
    def test_a_peer_that_is_absent_or_failed_says_so(self):
        text = results.table(found(rates("leat", 10, 12), row("frp", absent="no frps on PATH"),
                                   row("ssh", errors=["RuntimeError: gone"]))["benchmarks"]["throughput"])
        self.assertIn("| 1 stream down | leat | 11 ±9 % |", text)
        self.assertIn("|  | frp | absent: no frps on PATH |", text)
        self.assertIn("|  | ssh | failed: RuntimeError: gone |", text)
        self.assertNotIn("CPU", text)  # nobody has it

    def test_a_wrong_byte_takes_the_figures_away(self):
        text = results.table(found(row("leat", {"MB_per_s": 5, "faults": ["download 0: a byte was wrong"]}))
                             ["benchmarks"]["throughput"])
        self.assertIn("failed: download 0: a byte was wrong", text)

    def test_a_delay_beside_too_little_bulk_stands_in_parentheses(self):
        short = row("ssh", {"token_ms.p99": 3.0, "bulk_short": True})
        self.assertEqual(results.cell(short, "token_ms.p99"), "(3.00)")
        self.assertEqual(results.cell(row("ssh", {"token_ms.p99": 3.0}), "token_ms.p99"), "3.00")

    def test_a_busy_machine_is_mentioned(self):
        run = found(rates("leat", 1))
        self.assertNotIn("other work", results.markdown(run))
        run["machine"]["load_before"] = 3
        self.assertIn("other work", results.markdown(run))

    def test_what_else_the_machine_did_stands_beside_each_benchmark(self):
        run = found(rates("leat", 1))
        self.assertNotIn("stolen", results.markdown(run))
        for seen, loud in (({"others_percent": 1, "steal_percent": 0.1}, False),
                           ({"others_percent": 40, "steal_percent": 0}, True),
                           ({"others_percent": 1, "steal_percent": 9}, True)):
            run["benchmarks"]["throughput"]["machine"] = seen
            text = results.markdown(run)
            self.assertIn("was stolen", text)
            self.assertEqual("not to be trusted" in text, loud, seen)

    def test_work_of_others_is_told_from_our_own(self):
        tick = os.sysconf("SC_CLK_TCK")
        with unittest.mock.patch.object(machine, "ticks", side_effect=[(0, 0, 0), (10 * tick, 5 * tick, tick)]), \
                unittest.mock.patch.object(machine, "own_seconds", side_effect=[1, 4]), machine.Watch() as watch:
            pass
        self.assertAlmostEqual(watch.seen["others_percent"], 20)
        self.assertAlmostEqual(watch.seen["steal_percent"], 10)
        with machine.Watch() as watch:
            subprocess.run(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"], check=True)
        self.assertLessEqual(0, watch.seen.get("others_percent", 0))
        self.assertGreater(machine.own_seconds(), 0)

    def test_who_is_left_out_and_what_was_measured_is_said(self):
        run = found(rates("leat", 1))
        run["benchmarks"]["throughput"]["left_out"] = "Left out: nobody."
        text = results.markdown(run)
        self.assertIn("Left out: nobody.", text)
        self.assertIn("| leat | leat 1 |", text)
        self.assertNotIn("| direct |", text)
        self.assertIn("### leat: a, b", text)


class Comparison(unittest.TestCase):
    def verdict(self, old, new, key="MB_per_s", base=((100, 100), (100, 100))):
        def run(values, direct):
            ours = row("leat", *({key: value} for value in values))
            return found(rates("direct", *direct[:len(values)]), ours)
        changes = compare.changes(run(old, base[0]), run(new, base[1]))
        self.assertEqual(len(changes), 1)
        return changes[0].verdict

    def test_a_rate_is_held_against_direct_in_the_same_repetition(self):
        self.assertEqual(self.verdict((50, 52), (25, 26)), "worse")
        # Everything is half as fast: another machine, not another leat.
        self.assertEqual(self.verdict((50, 52), (25, 26), base=((100, 100), (50, 50))), "same")

    def test_what_overlaps_is_noise(self):
        self.assertEqual(self.verdict((50, 70), (40, 55)), "same")
        # They do not overlap, which of two and two comes about by chance; they are apart by less than their noise.
        self.assertEqual(self.verdict((50, 70), (40, 49)), "same")
        self.assertEqual(self.verdict((50, 52), (40, 42)), "worse")

    def test_the_noise_is_at_least_what_all_of_its_kind_show(self):
        def run(*ours):
            rows = [rates("direct", 100, 100, case=case) for case in "ab"]
            return found(*rows, *(rates("leat", *values, case=case) for case, values in zip("ab", ours)))
        quiet = compare.changes(run((50, 50), (50, 51)), run((44, 44), (50, 51)))
        noisy = compare.changes(run((50, 50), (50, 80)), run((44, 44), (50, 80)))
        self.assertEqual([change.verdict for change in quiet], ["worse", "same"])
        self.assertEqual([change.verdict for change in noisy], ["same", "same"])

    def test_a_little_processor_time_is_not_compared(self):
        def run(cost, *spent):
            return found(row("leat", *({"cpu_s_per_GiB": cost, "cpu_s": each} for each in spent)))
        self.assertEqual(len(compare.changes(run(1, 2, 2), run(2, 2, 2))), 1)
        self.assertEqual(compare.changes(run(1, 2, 2), run(2, 0.04, 0.05)), [])

    def token(self, *values, floor=(200, 200), base="floor", **more):
        rows = [row(base, *({"token_ms.p99": value} for value in floor), case="x"),
                row("leat", *({"token_ms.p99": value, **more} for value in values), case="x")]
        return found(*rows, benchmark="hol")

    def test_a_tokens_delay_is_held_against_the_floor_where_there_is_no_direct(self):
        changes = compare.changes(self.token(10, 11), self.token(400, 410))
        self.assertEqual([(change.key, change.base, change.verdict) for change in changes],
                         [("token_ms.p99", "floor", "worse")])
        self.assertEqual([change.verdict for change in compare.changes(self.token(10), self.token(400))], ["worse"])
        self.assertEqual([change.verdict for change in compare.changes(self.token(10), self.token(13))], ["same"])
        self.assertEqual(compare.changes(self.token(10), self.token(400, bulk_short=True)), [])
        # What one is a ratio to, the other must have.
        self.assertEqual(compare.changes(self.token(10, base="direct"), self.token(400)), [])

    def test_what_is_unlike_is_refused(self):
        def run(cores=2, **pace):
            return {**found(rates("leat", 1)), "machine": {"cores": cores},
                    "pace": {"quick": False, "seconds": 0, "repeats": 0, **pace}}
        self.assertIsNone(compare.refusal(run(), run()))
        self.assertIsNone(compare.refusal(run(repeats=5), run()))
        self.assertIn("4 processor cores", compare.refusal(run(cores=4), run()))
        self.assertIn("short passes", compare.refusal(run(quick=True), run()))
        self.assertIn("has 9", compare.refusal(run(seconds=9), run()))
        unknown = run()
        del unknown["pace"]
        self.assertIn("does not say", compare.refusal(unknown, run()))
        self.assertIn("nobody knows", compare.refusal({"benchmarks": {}}, run()))
        self.assertIn("no benchmarks", compare.refusal({**run(), "benchmarks": {}}, run()))

    def test_small_changes_are_left_alone(self):
        self.assertEqual(self.verdict((50, 50), (48, 48)), "same")

    def test_one_repetition_does_not_know_its_noise(self):
        self.assertEqual(self.verdict((50,), (45,)), "same")
        self.assertEqual(self.verdict((50,), (40,)), "worse")

    def test_less_cpu_is_better(self):
        self.assertEqual(self.verdict((1.5, 1.5), (1.0, 1.1), key="cpu_s_per_GiB"), "better")
        self.assertEqual(self.verdict((1.5, 1.5), (2.0, 2.1), key="cpu_s_per_GiB"), "worse")

    def test_times_and_what_only_one_run_has_are_not_compared(self):
        old = found(row("leat", {"took_ms.p99": 1}), row("ssh", absent="no"))
        new = found(row("leat", {"took_ms.p99": 9}), rates("ssh", 1), rates("yamux", 1), rates("direct", 1))
        self.assertEqual(compare.changes(old, new), [])

    def test_a_run_that_failed_is_not_compared(self):
        old = found(rates("direct", 1), rates("leat", 1))
        new = found(rates("direct", 1), row("leat", {"MB_per_s": 0.1, "faults": ["x"]}))
        self.assertEqual(compare.changes(old, new), [])

    def test_only_ours_is_a_regression(self):
        old, new = (found(rates("direct", 100, 100), rates("leat-ws", a, a), rates("ssh", a, a)) for a in (50, 20))
        changes = compare.changes(old, new)
        self.assertEqual([change.verdict for change in changes], ["worse", "worse"])
        self.assertEqual([change.tunnel for change in compare.regressions(changes)], ["leat-ws"])
        self.assertIn("-60.0 %", compare.markdown(changes))


class Targets(unittest.TestCase):
    def judged(self, text, run):
        target = next(target for target in targets.TARGETS if text in target.text)
        return targets.judge(target, run)[2]

    def test_met_missed_and_open(self):
        faster = found(rates("leat", 12), rates("ssh", 10))
        slower = found(rates("leat", 9), rates("ssh", 10))
        absent = found(rates("leat", 9), row("ssh", absent="no sshd"))
        self.assertEqual(self.judged("1.0 × ssh", faster), "met")
        self.assertEqual(self.judged("1.0 × ssh", slower), "**missed**")
        self.assertEqual(self.judged("1.0 × ssh", absent), "open: ssh: absent: no sshd")
        self.assertEqual(self.judged("1.0 × ssh", found()), "open: throughput was not run over leat")

    def test_a_delay_beside_too_little_bulk_meets_nothing(self):
        short = row("leat", {"token_ms.p99": 1.0, "bulk_short": True}, case="cubic 8 bulk")
        run = found(short, benchmark="hol")
        self.assertIn("bulk was too little", self.judged("cubic, at most 15 ms", run))
        del short["each"][0]["bulk_short"]
        self.assertEqual(self.judged("cubic, at most 15 ms", run), "met")


    def test_the_generator_must_not_be_what_is_measured(self):
        direct = [rates("haproxy", 9), rates("leat", 7), rates("ssh", 99, 1, 1)]
        self.assertEqual(self.judged("the instrument", found(rates("direct", 19), *direct)), "met")
        self.assertEqual(self.judged("the instrument", found(rates("direct", 17), *direct)), "**missed**")
        self.assertIn("any tunnel", self.judged("the instrument", found(rates("direct", 17))))

    def test_one_stream_is_judged_both_ways(self):
        run = found(rates("leat", 9, case="1 stream up"), rates("ssh", 10, case="1 stream up"))
        self.assertEqual(self.judged("one stream up over TLS, at least 1.0", run), "**missed**")

    def test_on_loopback_a_delay_counts_only_beside_as_much_bulk_as_yamux_moved(self):
        def run(rate, p99=1.0):
            return found(row("leat", {"token_ms.p99": p99, "MB_per_s": rate}, case="8 bulk"),
                         row("yamux", {"token_ms.p99": 3.0, "MB_per_s": 600}, case="8 bulk"),
                         benchmark="hol-loopback")
        self.assertEqual(self.judged("loopback", run(580)), "met")
        self.assertEqual(self.judged("loopback", run(580, 2.5)), "**missed**")
        self.assertIn("bulk was too little, 500 MB/s", self.judged("loopback", run(500)))


    def test_with_loss_the_bound_is_the_floor_and_one_and_a_half_round_trips(self):
        def run(label, p99):
            return found(row("leat", {"token_ms.p99": p99}, case=label),
                         row("floor", {"token_ms.p99": 80.0}, case=label), benchmark="hol")
        for cc, label in targets.LOSSY.items():
            what = f"under {cc} with 1 % loss"
            self.assertEqual(self.judged(what, run(label, 139.9)), "met")
            self.assertEqual(self.judged(what, run(label, 140.1)), "**missed**")
            self.assertIn(label, [case.label for case in tokens.HolLink().cases()])

    def test_a_request_beside_too_little_bulk_meets_nothing(self):
        short = row("leat-http", {"took_ms.p99": 1.0, "bulk_short": True}, case="cubic")
        self.assertIn("bulk was too little", self.judged("request p99 beside 8 uploads, cubic",
                                                         found(short, benchmark="heads")))
        self.assertEqual(results.cell(short, "took_ms.p99"), "(1.00)")


class Beside(unittest.TestCase):
    """What leat shares the link with."""

    def measured(self, first, rates):
        """Of clients that do nothing: the figures, and who was started when, in s of warm-up."""
        started = []

        def start(link, to, **options):
            del link
            started.append(("his" if options.get("seed") else "ours", to, options["warmup"]))
            return started[-1][0]
        case = core.Case("x", {"download": 1}, {"rate_mbit": 8})
        run = types.SimpleNamespace(to="here", warmup=5, seconds=60, case=case,
                                    tunnel=types.SimpleNamespace(backend="here", link=None, he_is_first=first))
        reports = {whose: {"download": {"MB_per_s": rate}, "faults": [whose]} for whose, rate in rates.items()}
        with unittest.mock.patch.multiple(tokens.tunnels, start_client=start, finish=reports.get), \
                unittest.mock.patch.object(tokens.time, "sleep"):
            return tokens.Neighbours().measure(run), started

    def test_who_was_first(self):
        out, started = self.measured(False, {"ours": 3, "his": 1})
        self.assertEqual(started, [("ours", "here", 5), ("his", "here", 2.5)])
        self.assertEqual((out["share_percent"], out["faults"]), (75, ["ours", "his"]))
        out, started = self.measured(True, {"ours": 3, "his": 1})
        self.assertEqual(started, [("his", "here", 5), ("ours", "here", 2.5)])
        self.assertEqual(out["share_percent"], 75)

    def test_nobody_got_anything(self):
        with self.assertRaises(RuntimeError):
            self.measured(False, {"ours": 0, "his": 0})

    def test_heads_count_beside_enough_bulk(self):
        case = core.Case("x", {}, {"rate_mbit": 50})
        report = {"upload": {"MB_per_s": 50 / 8 * 1448 / 1514 * 0.94}, "faults": [],
                  "requests": {"took_ms": {"p50": 1, "p99": 2}}}
        out = tokens.Heads().figures(types.SimpleNamespace(case=case), report)
        self.assertTrue(out["bulk_short"])
        report["upload"]["MB_per_s"] *= 1.02
        self.assertNotIn("bulk_short", tokens.Heads().figures(types.SimpleNamespace(case=case), report))


class TokenFigures(unittest.TestCase):
    def figures(self, rate, **link):
        case = core.Case("x", {}, {"rate_mbit": 50, **link})
        delay = dict.fromkeys(("p50", "p90", "p99", "max"), 1)
        report = {"tokens": {"delay_ms": delay, "gap_ms": delay}, "faults": [], "window_s": 10, "cpu_s": {},
                  "download": {"MB_per_s": rate}}
        return tokens.token_figures(types.SimpleNamespace(case=case), report)

    def test_bulk_must_have_had_95_percent_of_the_link(self):
        whole = 50 / 8 * 1448 / 1514
        self.assertAlmostEqual(self.figures(whole)["link_percent"], 100)
        self.assertNotIn("bulk_short", self.figures(0.951 * whole))
        self.assertTrue(self.figures(0.949 * whole)["bulk_short"])

    def test_where_packets_are_lost_bulk_is_held_against_the_floors(self):
        case = "bbr 8 bulk 20 ms each way 1 % loss"

        def short(*all_rows):
            rows = core.Rows(tokens.HolLink())
            rows.rows = {(each["case"], each["tunnel"]): each for each in all_rows}
            tokens.HolLink().judge(rows)
            return [each["tunnel"] for each in all_rows if not results.counts(each)]

        def one(tunnel, percent, label=case):
            return row(tunnel, {"link_percent": percent}, case=label)
        self.assertNotIn("bulk_short", self.figures(1, loss=0.01))
        self.assertEqual(short(one("floor", 50), one("leat", 46), one("ssh", 44)), ["ssh"])
        self.assertEqual(short(one("leat", 46)), ["leat"])  # nothing says whether that is much
        self.assertEqual(short(one("leat", 46, "cubic 8 bulk")), [])

    def test_the_picture_counts_only_tokens_beside_the_download(self):
        # Due every 40 ms; those due before 2 s take 1 ms, the others 100, the last is after the window.
        seen = [(at / 1000, 1 if at < 2000 else 100) for at in range(0, 8040, 40)]
        seen[100] = (seen[100][0], 130)
        out = tokens.beside(seen, 2.0, 8.0)
        self.assertEqual((out["token_ms.p50"], out["token_ms.max"]), (100, 130))
        self.assertAlmostEqual(out["longest_gap_ms"], 40 + 99)
        self.assertEqual(tokens.nearest_rank([3, 1, 2], 50), 2)
        self.assertEqual(tokens.beside([(0.5, 1)], 2.0, 8.0), {"longest_gap_ms": 6000})


class Machine(unittest.TestCase):
    """What tunnels ask of the machine and each other."""

    def test_many_agents_take_no_port_that_somebody_has(self):
        kind = tunnels.LeatMany
        ports = range(kind.FIRST_PORT, kind.FIRST_PORT + max(many.Scale.COUNTS))
        for port in (tunnels.base.AGENT_PORT, tunnels.BACKEND_PORT):
            self.assertNotIn(port, ports)
        self.assertLess(ports[-1], 10000)  # from where on clients take theirs

    def test_a_version_is_the_first_line_with_a_number_or_unknown(self):
        for command, said in ((("sh", "-c", "echo; echo one; echo ' two\t2 '; echo 3"), "two 2"),
                              (("/no/such/program",), "unknown"),
                              (("true",), "unknown"), ((), "")):
            kind = type("Some", (tunnels.Tunnel,), {"version_command": command})
            self.assertEqual(kind.version(), said)


class Status(unittest.TestCase):
    def status(self, new, old=None):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
            wrong = program.verdict(new, old, pathlib.Path(folder))
            self.assertEqual((pathlib.Path(folder) / "compare.md").exists(), old is not None)
        return wrong, out.getvalue()

    def test_only_what_is_ours_fails(self):
        broken = {"MB_per_s": 1, "faults": ["download 0: ended early"]}
        for name, wrong in (("ssh", 0), ("leat", 1), ("leat-ws", 1), ("direct", 1), ("floor", 1)):
            run = found(row(name, broken))
            self.assertEqual(len(self.status(run)[0]), wrong, name)
            self.assertEqual(len(program.failures(run, of_peers=True)), 1 - wrong, name)
        self.assertEqual(len(self.status(found(row("leat", errors=["gone"])))[0]), 1)

    def test_what_leat_got_worse_at_fails(self):
        def run(leat, ssh=50):
            return found(rates("direct", 100, 100), rates("leat", leat, leat), rates("ssh", ssh, ssh))
        wrong, said = self.status(run(20), run(50))
        self.assertEqual(wrong, ["throughput: 1 stream down, leat: MB_per_s -60.0 %"])
        self.assertIn("| worse |", said)
        self.assertEqual(self.status(run(50, ssh=20), run(50))[0], [])
        self.assertEqual(self.status(run(80), run(50))[0], [])

    def test_a_name_is_one_benchmark_or_all_that_contain_it(self):
        def names(*words):
            return [benchmark.name for benchmark in program.chosen(words)]
        self.assertEqual(names("hol"), ["hol"])
        self.assertEqual(names("hol-"), ["hol-loopback"])
        self.assertEqual(names("seal", "wan"), ["wan", "sealed"])
        self.assertEqual(names("thruput"), [])
        self.assertEqual(names(), list(program.BENCHMARKS))


class Plots(unittest.TestCase):
    def shapes(self, drawing, name):
        return xml.dom.minidom.parseString(drawing).getElementsByTagName(name)

    def test_bars_are_as_long_as_their_values(self):
        drawing = svg.bars("t", "MB/s", [("leat", 100, 90, 110), ("a<b", 50, 50, 50)], lambda name: name == "leat")
        widths = [float(box.getAttribute("width")) for box in self.shapes(drawing, "rect")[1:]]
        self.assertAlmostEqual(widths[0] / widths[1], 2, delta=0.01)
        self.assertIn("a&lt;b", drawing)

    def test_axes_cover_and_are_round(self):
        for least, most in ((0, 7), (0, 1234), (0, 0.03), (0, 0)):
            found_marks = svg.marks(least, most)
            self.assertLessEqual(found_marks[0], least)
            self.assertGreaterEqual(found_marks[-1], most)
            self.assertLessEqual(len(found_marks), 12)
        axis = svg.Axis([0.02, 300], 0, 100, log=True)
        self.assertEqual((axis.marks[0], axis.marks[-1]), (0.01, 1000))
        self.assertAlmostEqual(axis(0.01), 0)
        self.assertAlmostEqual(axis(1000), 100)
        self.assertAlmostEqual(axis(1), 40)

    def test_a_distribution_is_cumulated_and_thinned(self):
        points = plots.cumulated(range(10_000, 0, -1))
        self.assertLessEqual(len(points), plots.MOST_POINTS)
        self.assertEqual((points[0], points[-1]), ((1, 0.01), (10_000, 100)))
        self.assertEqual(points, sorted(points))

    def test_no_peak_over_time_is_left_out(self):
        points = [(i, 1) for i in range(3000)]
        points[1234] = (1234, 900)
        shown = plots.peaks(points)
        self.assertLessEqual(len(shown), plots.MOST_POINTS)
        self.assertIn((1234, 900), shown)
        self.assertEqual(shown, sorted(shown))
        self.assertEqual(plots.peaks(points[:5]), points[:5])
        self.assertEqual(plots.peaks([]), [])

    def test_no_two_lines_look_alike(self):
        names = ["direct", "leat", "leat-ws", *map(str, range(17))]
        strokes = svg.strokes(names)
        self.assertEqual(len(set(strokes.values())), len(names))
        self.assertEqual(strokes["leat"], (svg.COLOURS[0], ""))
        drawn = svg.lines("t", "x", "y", {name: [(1, 1), (2, 2)] for name in names})
        styles = {(path.getAttribute("stroke"), path.getAttribute("stroke-dasharray"))
                  for path in self.shapes(drawn, "path")}
        self.assertEqual(len(styles), len(names))

    def test_every_plot_of_a_run_is_drawn(self):
        arrived = [i * 0.04 for i in range(100)]
        token = {"arrived_s": arrived, "bulk_from_s": 1.0, "seconds": 4.0, "longest_gap_ms": 40.0,
                 "token_ms.p99": 3.0, "link_percent": 98.2}
        run = found(*(rates(name, 10, 12, case=f"{count} down") for name in ("direct", "leat")
                      for count in ("1 stream", "16 streams")))
        run["benchmarks"]["timeline"] = {"title": "t", "columns": [], "rows": [row("leat", token),
                                                                               row("frp", absent="no")]}
        run["benchmarks"]["hol"] = {"title": "t", "columns": [], "rows": [
            row("leat", {"trace": "a.csv"}, case="cubic 8 bulk")]}
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "traces").mkdir()
            (folder / "traces/a.csv").write_text("kind,stream,sequence,sent_s,delay_ms\n"
                                                 "tokens,0,0,-0.1,9\ntokens,0,1,0.1,5\ntokens,0,2,0.2,6\n")
            written = plots.write(run, folder)
            self.assertEqual(sorted(path.stem for path in written), [
                "hol-cubic-8-bulk-distribution", "hol-cubic-8-bulk-time", "throughput-MB_per_s",
                "throughput-streams", "timeline-tokens"])
            ticks = [path.getAttribute("d") for path in self.shapes((folder / "timeline-tokens.svg").read_text(),
                                                                    "path")]
            self.assertEqual(len(re.findall("M", ticks[0])), len(arrived))
            self.assertIn("link 98 %", (folder / "timeline-tokens.svg").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
