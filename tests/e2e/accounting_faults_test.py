"""What was used stays counted: relays that are killed at random points, a database that cannot be written or
is damaged. Visitors notice nothing of it, and nobody gets in who should not."""

import contextlib
import os
import pathlib
import random
import signal
import sqlite3
import threading
import time

import harness
from harness import PATIENCE, SOON, KiB, wait_until
from wire import Client, Cut, Origin, answer

SEED = int(os.environ.get("LEAT_SEED", str(random.randrange(1 << 32))))
ROUNDS = 3 if harness.SANITIZED else 6
BODY = b"x" * 1000


def usage(folder):
    """(requests, bytes_in, bytes_out) of the day and of the month, over all owners but the first."""
    with contextlib.closing(sqlite3.connect(pathlib.Path(folder) / "leat.db", timeout=SOON)) as database:
        rows = database.execute("SELECT length(period), sum(requests), sum(bytes_in), sum(bytes_out), "
                                "min(bytes_in), min(bytes_out), min(requests) FROM usage "
                                "GROUP BY length(period) ORDER BY 1").fetchall()
    for row in rows:
        assert min(row[4:]) >= 0, row
    return {("day" if row[0] == 10 else "month"): row[1:4] for row in rows}


class Load(threading.Thread):
    """Visitors one after the other; when each began and was answered."""

    def __init__(self, relay, path):
        super().__init__(daemon=True)
        self.relay, self.path = relay, path
        self.begun, self.answered, self.failed = 0, [], []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            self.begun += 1
            try:
                with Client(self.relay.connect()) as client:
                    message, body = client.get(self.path)
                    if message.status == 200 and body == BODY:
                        self.answered.append(time.monotonic())
                    else:
                        self.failed.append(message.status)
            except (Cut, OSError) as error:
                self.failed.append(error)

    def stop(self):
        self.stopping.set()
        self.join(SOON)


class AccountingCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.origin = Origin(self, lambda request, connection: answer(connection, BODY))

    def load(self, relay, agent):
        load = Load(relay, agent.path())
        self.addCleanup(load.stop)
        load.start()
        return load

    def get(self, relay, agent):
        with Client(relay.connect()) as client:
            message, body = client.get(agent.path())
            return message.status, body

    def refused(self, relay, token, *codes):
        """A stranger, while the database is in trouble."""
        name = f"stranger-{len(self.processes)}"
        stranger = self.agent(relay, "http", "1", token=token, wait=False, name=name)
        if "LEAT_BAD_TOKEN" in codes and len(codes) == 1:
            self.assertEqual(stranger.process.wait(SOON), 3)
        wait_until(lambda: any(code in stranger.process.log() for code in codes), f"one of {codes}")
        self.assertNotIn("relay.welcome", stranger.process.log())


class AccountingFaults(AccountingCase):
    def test_kill_9_at_random_points(self):
        print(f"replay with LEAT_SEED={SEED}", flush=True)
        chance = random.Random(SEED)
        relay = self.relay()
        folder, address, token = relay.folder, relay.address, relay.token()
        agent = self.agent(relay, "http", self.origin.address, "--id", "load", "--public", token=token)
        least = most = 0
        before = (0, 0, 0)
        for number in range(ROUNDS):
            load = self.load(relay, agent)
            wait_until(lambda: load.answered, "visitors are answered", alive=[agent.process])
            load.stopping.wait(chance.uniform(0.05, 1.8))
            killed = time.monotonic()
            relay.process.send_signal(signal.SIGKILL)
            relay.process.expected_exit = -signal.SIGKILL
            relay.process.wait(SOON)
            load.stop()
            # Settled twice a second: what was answered a second before the end is there.
            settled = sum(1 for at in load.answered if at < killed - 1.0 * PATIENCE)
            now = usage(folder)
            least, most = before[0] + settled, most + load.begun
            day = now.get("day", (0, 0, 0))
            self.assertEqual(day, now.get("month", (0, 0, 0)), "one transaction")
            self.assertGreaterEqual(day[0], least, f"round {number}: lost more than a second")
            self.assertLessEqual(day[0], most, f"round {number}: counted twice")
            for i in range(3):
                self.assertGreaterEqual(day[i], before[i], "a counter fell")
            # Bytes and requests are written together: so many answers went out at most.
            self.assertLessEqual(day[2], (day[0] - before[0]) * (len(BODY) + KiB) + before[2])
            before = day
            relay = self.relay(folder=folder, listen=address, name=f"relay-{number}")
            wait_until(agent.online, "the agent is back", alive=[agent.process])
            wait_until(lambda: self.served(relay, agent), "visitors are served again")
            most += 1000  # those that asked whether it is back are counted too

    def served(self, relay, agent):
        try:
            return self.get(relay, agent) == (200, BODY)
        except (Cut, OSError):
            return False

    # --- a database that cannot be written, and one that is damaged ---

    def test_a_read_only_database(self):
        relay = self.relay()
        token, folder, address = relay.token(), relay.folder, relay.address
        agent = self.agent(relay, "http", self.origin.address, "--id", "home", "--public", token=token)
        agent.process.stop()
        relay.process.stop()
        # Byte 18 of the header, 3: may be read and not written (SQLite's file format §1.3.3). Unlike a mode
        # this binds root too.
        with open(folder / "leat.db", "r+b") as database:
            database.seek(18)
            database.write(b"\x03")
        again = self.relay(folder=folder, listen=address, name="again")
        agent = self.agent(again, "http", self.origin.address, "--id", "home", "--public", token=token,
                           folder=agent.folder, name="back")
        for _ in range(20):
            self.assertEqual(self.get(again, agent), (200, BODY))
        wait_until(lambda: "usage not written" in again.process.log(), "the relay complains")
        self.refused(again, "leat_" + "A" * 43, "LEAT_BAD_TOKEN")
        made = harness.run_leat("token", "create", "--state-dir", folder, "--name", "more")
        self.assertIn("LEAT_STORE", made.stderr)

    def test_a_database_that_is_damaged_while_it_is_used(self):
        relay = self.relay()
        agent = self.agent(relay, "http", self.origin.address, token=relay.token())
        self.assertEqual(self.get(relay, agent), (200, BODY))
        wait_until(lambda: usage(relay.folder).get("day"), "something is written")
        for path in relay.folder.glob("leat.db*"):
            if path.suffix != ".db-shm":
                with open(path, "r+b") as file:
                    file.write(b"\xff" * path.stat().st_size)
        load = self.load(relay, agent)
        wait_until(lambda: len(load.answered) >= 50, "visitors are served", SOON * 2, alive=[agent.process])
        self.refused(relay, "leat_" + "A" * 43, "LEAT_BAD_TOKEN", "LEAT_STORE")
        load.stop()
        self.assertEqual(load.failed, [])
        self.assertIsNone(relay.process.poll())
        # A relay that finds it so at its start says it, and serves nobody on a guess.
        relay.process.send_signal(signal.SIGKILL)
        relay.process.wait(SOON)
        started = harness.run_leat("relay", "--listen", "127.0.0.1:0", "--state-dir", relay.folder)
        self.assertNotEqual(started.returncode, 0)
        self.assertIn("LEAT_STORE", started.stderr)


if __name__ == "__main__":
    harness.main()
