"""The benchmark suite's own parts: the middle of figures, what is compared and when, targets, plots."""

import pathlib
import re
import sys
import tempfile
import unittest
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import tunnels  # noqa: E402,F401  (puts the link's folder on the path)
from suite import compare, plots, results, svg, targets  # noqa: E402


def row(tunnel, *each, case="1 stream down", **more):
    return {"case": case, "tunnel": tunnel, "each": list(each), **more}


def rates(tunnel, *values, case="1 stream down"):
    return row(tunnel, *({"MB_per_s": value} for value in values), case=case)


def found(*rows, benchmark="throughput", columns=("MB_per_s", "cpu_s_per_GiB")):
    return {"suite": 1, "command": "x", "when": "now", "commit": "abc", "configurations": {"leat": ["relay: x"]},
            "machine": {"processor": "p", "cores": 2, "memory_GiB": 4, "kernel": "6", "load_before": 0.1},
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
        self.assertEqual(results.per_gib({"cpu_s": {}}, 5), {})
        self.assertEqual(results.per_gib({"cpu_s": {"relay": 1}}, 0), {})


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
        self.assertEqual(self.verdict((50, 70), (40, 49)), "worse")

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
        self.assertIn("bulk had less", self.judged("cubic, at most 15 ms", run))
        del short["each"][0]["bulk_short"]
        self.assertEqual(self.judged("cubic, at most 15 ms", run), "met")


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

    def test_every_plot_of_a_run_is_drawn(self):
        arrived = [i * 0.04 for i in range(100)]
        token = {"arrived_s": arrived, "bulk_from_s": 1.0, "seconds": 4.0, "longest_gap_ms": 40.0,
                 "token_ms.p99": 3.0}
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
