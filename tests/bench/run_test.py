"""Every benchmark of the suite, over nothing and over leat, for a moment: it runs, every byte was right, and
figures, tables, targets and plots are there. The figures themselves are not judged."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import tunnels  # noqa: E402
import network  # noqa: E402  (whose folder tunnels knows)

RUN = ROOT / "bench/run.py"
FIGURE = {"throughput": "MB_per_s", "latency": "round_trip_ms.p50", "connect": "per_s", "http": "per_s",
          "idle": "KiB_each", "timeline": "longest_gap_ms", "hol": "token_ms.p99", "hol-loopback": "token_ms.p99",
          "heads": "took_ms.p99", "neighbours": "share_percent", "wan": "link_percent",
          "sealed": "MB_per_s", "websocket": "MB_per_s", "scale": "token_ms.p99"}


def run(*arguments):
    return subprocess.run([sys.executable, "-B", RUN, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="leat-bench-test-")))

    def test_every_benchmark(self):
        kept = self.folder / "kept.json"
        done = run("--quick", "--seconds", 0.7, "--repeats", 1, "--json", kept,
                   "--results", self.folder / "results", "--tunnels", "direct,floor,leat,leat-ws,leat-sealed,leat-http")
        self.assertEqual(done.returncode, 0, done.stdout)
        results = json.loads(kept.read_text())
        self.assertEqual(set(results["benchmarks"]), set(FIGURE))
        for name, benchmark in results["benchmarks"].items():
            of_leat = [each for row in benchmark["rows"]
                       if row["tunnel"] in ("leat", "leat-http") for each in row["each"]]
            self.assertTrue(of_leat, name)
            self.assertTrue(any(each.get(FIGURE[name]) is not None for each in of_leat), (name, of_leat))
        drawn = {path.name.split("-")[0] for path in (self.folder / "results").glob("*.svg")}
        self.assertLessEqual({"throughput", "latency", "connect", "idle", "timeline", "hol", "scale"}, drawn)
        report = (self.folder / "results/README.md").read_text()
        self.assertIn("open: throughput was not run over rathole-tls", report)
        for path in (self.folder / "results").glob("*.svg"):
            self.assertIn(path.name, report)

        self.assertIn("| leat | leat ", report)
        self.assertIn("refused bbr, as by a stock kernel", report)

        again = ("latency", "--repeats", 1, "--compare", kept, "--tunnels", "direct,leat", "--results",
                 self.folder / "again", "--seconds", 0.7)
        done = run(*again)
        self.assertIn("only runs of the same pace are compared", done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertFalse((self.folder / "again").exists())
        done = run(*again, "--quick")
        self.assertIn("| latency | 1 at a time | leat | p50 ms of direct |", done.stdout)
        self.assertTrue((self.folder / "again/compare.md").exists())

    def test_more_agents_than_share_a_token(self):
        count = tunnels.leat.TOKEN_SESSIONS + 2
        kind = type("Leat", (tunnels.LeatMany,), {"agents_wanted": count})
        with network.Loopback() as link:
            self.addCleanup(tunnels.start_backend(link).stdout.close)
            tunnel = kind(link, self.folder)
            to = tunnel.wait_answers(tunnel.open())
            report = tunnels.measure(tunnel, to, tokens=count, spread=count, warmup=0.2, duration=0.5)
        self.assertEqual(report["faults"], [])
        self.assertEqual(report["tokens"]["streams"], count)

    def test_what_sealing_costs(self):
        kept = self.folder / "sealed.json"
        done = subprocess.run([sys.executable, "-B", ROOT / "bench/sealed.py", "--duration", "1", "--repeat", "1",
                               "--json", kept], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        results = json.loads(kept.read_text())
        sealed = {"aesgcm": {"https", "tcp"}, "aesgcm-http": {"https"},
                  "nacl": {"https", "tcp"}, "nacl-http": {"https"}}
        self.assertEqual(set(results["middle"]), {"https", "tcp", *sealed})
        self.assertEqual(set(results["verdict"]), set(sealed))
        for way, beside in sealed.items():
            for direction in ("download", "upload"):
                self.assertGreater(results["middle"][way][direction]["MB_per_s"], 0)
                judged = results["verdict"][way][direction]
                self.assertEqual(set(judged), beside)
                for each in judged.values():
                    self.assertEqual(each["clock"]["met"], each["clock"]["value"] >= 0.6)
            self.assertEqual("tokens" in results["verdict"][way], not way.endswith("-http"))

    def test_a_name_that_nobody_has(self):
        self.assertIn("no benchmark is called thruput", run("thruput").stdout)
        self.assertIn("no tunnel is called lead", run("latency", "--tunnels", "lead").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
