"""Two agents of one owner behind one tunnel, for redundancy."""

import collections
import threading

import harness
from harness import SOON, free_port, wait_until
from wire import Client, Cut, Origin, answer


class TwoAgentsTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = self.relay()
        token = self.server.token()
        self.origins, self.tunnels = {}, {}
        for name in (b"one", b"two"):
            origin = Origin(self, lambda request, connection, name=name: answer(connection, name), free_port())
            self.origins[name] = origin
            self.tunnels[name] = self.agent(self.server, "http", origin.address, "--id", "both",
                                            "--public", "--health-interval", "1s", token=token,
                                            name=name.decode())

    def get(self, client=None):
        if client is not None:
            return client.get("/tunnel/both/")
        with Client(self.server.connect()) as fresh:
            return fresh.get("/tunnel/both/")

    def test_they_are_asked_in_turn_and_both_are_told(self):
        answers = collections.Counter(self.get()[1] for _ in range(10))
        self.assertEqual(answers, {b"one": 5, b"two": 5})
        for tunnel in self.tunnels.values():
            wait_until(lambda tunnel=tunnel: '"event":"tunnel.shared"' in tunnel.process.log(),
                       "it is told that it is not alone")
        self.assertIn('"event":"tunnel shared"', self.server.process.log())

    def test_no_request_fails_when_one_of_them_is_killed(self):
        failures, counts = [], collections.Counter()
        stop = threading.Event()

        def ask():
            with Client(self.server.connect()) as client:
                while not stop.is_set():
                    try:
                        message, body = self.get(client)
                    except (Cut, OSError) as error:
                        failures.append(repr(error))
                        return
                    counts[body] += 1
                    if message.status != 200:
                        failures.append(f"{message.status} {body}")
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: min(counts[b"one"], counts[b"two"]) > 50, "both are busy")
            self.tunnels[b"two"].process.kill()
            self.tunnels[b"two"].process.wait()
            seen = counts[b"one"]
            wait_until(lambda: counts[b"one"] > seen + 200, "the other serves on")
        finally:
            stop.set()
            for thread in threads:
                thread.join(SOON)
        self.assertEqual(failures, [])
        harness.report("requests of the one, of the killed other",
                       f"{counts[b'one']}, {counts[b'two']}")

    def test_one_whose_service_is_down_is_left_out_until_it_is_back(self):
        self.origins[b"two"].close()
        state = wait_until(lambda: self.health(b"two", "down"), "the agent says so in agent.json")
        self.assertEqual(state["health_error"]["code"], "LEAT_SERVICE_REFUSED")
        wait_until(lambda: '"event":"service down"' in self.server.process.log(), "the relay knows")
        self.assertEqual({self.get()[1] for _ in range(10)}, {b"one"})
        down = self.origins[b"two"]
        Origin(self, down.handler, down.port)
        wait_until(lambda: self.health(b"two", "up"), "the agent says so again")
        wait_until(lambda: '"event":"service up"' in self.server.process.log(), "the relay knows again")
        answers = collections.Counter(self.get()[1] for _ in range(10))
        self.assertEqual(answers, {b"one": 5, b"two": 5})

    def health(self, name, wanted):
        tunnel = self.tunnels[name].state()["tunnels"][0]
        return tunnel if tunnel["health"] == wanted else None


if __name__ == "__main__":
    harness.main()
