"""What leat is for, on a routed link of 50 Mbit/s with a queue of 200 ms under cubic: eight downloads have the link, and
tokens beside them come soon, through one agent connection, also when the route becomes another. Bounds with room, no
benchmark: without what keeps the queue short the 99th percentile is 470 ms or more."""

import pathlib
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import tunnels  # noqa: E402
from network import Link  # noqa: E402  (whose folder tunnels knows)
from suite.tokens import nearest_rank, read_tokens  # noqa: E402

RATE = 50  # Mbit/s
CAPACITY = RATE / 8 * 1448 / 1514  # MB/s, of what a frame carries of a segment
TRIES = 2  # other work on the machine may spoil one


class PaceTest(unittest.TestCase):
    def run_of(self, seconds, path, then=None):
        """Delays of the tokens in ms with the seconds at which they were due, and bulk's share of the link.
        `then`: after how long the path is another, and what it is then."""
        with tempfile.TemporaryDirectory(prefix="leat-pace-") as folder, \
                Link(rate_mbit=RATE, queue_ms=200, cc="cubic", **path) as link:
            self.addCleanup(tunnels.start_backend(link).stdout.close)
            tunnel = tunnels.Leat(link, folder)
            to = tunnel.wait_answers(tunnel.open())
            trace = pathlib.Path(folder) / "tokens.csv"
            client = tunnels.start_client(link, to, download=8, tokens=1, warmup=3, duration=seconds, marks=True,
                                          trace=trace)
            self.assertTrue(client.stdout.readline().startswith("begin"))
            if then:
                time.sleep(then[0])  # sleep: so long the path is what it was
                link.set_path(**then[1])
            self.assertTrue(client.stdout.readline().startswith("end"))
            report = tunnels.finish(client)
            self.assertEqual(report["faults"], [])
            return read_tokens(trace), report["download"]["MB_per_s"] / CAPACITY

    def tries(self, percent, below, share_above, judged_from, *run):
        """The percentile of the tokens due from then on, in ms, and bulk's share."""
        seen = []
        for _ in range(TRIES):
            tokens, share = self.run_of(*run)
            delays = [delay for due, delay in tokens if due >= judged_from]
            self.assertGreater(len(delays), 100)
            seen.append((nearest_rank(delays, percent), share))
            print(f"{self.id()}: p{percent} {seen[-1][0]:.1f} ms beside {100 * share:.1f} % of the link", flush=True)
            if seen[-1][0] < below and share > share_above:
                return
        self.fail(f"p{percent} in ms and bulk's share of the link: {seen}")

    def test_tokens_beside_bulk_that_has_the_link(self):
        self.tries(99, 60, 0.85, 0, 8, {})

    def test_a_route_that_becomes_shorter(self):
        # What was held for the longer one is a queue for seconds, of that length at most.
        self.tries(99, 100, 0.85, 3, 7, {"delay_ms": 20}, (1, {"delay_ms": 5}))

    def test_a_route_that_becomes_longer(self):
        # What was under way is lost, and at first it looks like a neighbour (docs/adr/0011): the network's own queue
        # may fill, and no other.
        self.tries(50, 260, 0.5, 3, 7, {"delay_ms": 5}, (1, {"delay_ms": 20}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
