"""A relay of two threads, the real binary: two agents use both, a visitor's connection speaks to either."""

import http.client
import json
import os
import pathlib
import re
import threading

import harness
from harness import SOON, scaled, wait_until
from wire import Client, Origin, answer

BULK = scaled(256 << 20)


class Threads(harness.Case):
    def setUp(self):
        super().setUp()
        key = self.folder / "admin.key"
        key.touch(mode=0o600)
        key.write_text("a-key-for-administrators\n")
        self.origins = {}
        self.server = self.relay("--threads", 2, "--admin-listen", "127.0.0.1:0", "--admin-key-file", key)
        token = self.server.token()
        self.agents = {}
        for name in ("one", "two"):
            origin = Origin(self, lambda request, connection, name=name: self.serve(name, request, connection))
            # Of one owner, as at home: what matters is the agent, not its token.
            self.agents[name] = self.agent(self.server, "http", origin.address, "--id", name, "--public",
                                           token=token, name=name)

    @staticmethod
    def serve(name, request, connection):
        if not request.words[1].endswith("/bulk"):
            return answer(connection, name.encode())
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BULK)
        piece = bytes(1 << 16)
        for _ in range(BULK // len(piece)):
            connection.send(piece)
        return True

    def by_admin(self):
        host, port = self.server.state["admin_listen"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=SOON)
        connection.request("GET", "/api/v1/agents", headers={"X-Admin-Key": "a-key-for-administrators"})
        agents = json.load(connection.getresponse())["agents"]
        connection.close()
        return {agent["tunnels"][0]: agent["thread"] for agent in agents}

    def visitor(self):
        client = Client(self.server.connect())
        self.addCleanup(client.close)
        return client

    def seconds_of_threads(self):
        """Processor time of each thread of the relay."""
        ticks = os.sysconf("SC_CLK_TCK")
        times = []
        for task in pathlib.Path(f"/proc/{self.server.process.pid}/task").iterdir():
            fields = re.sub(r"^.*\) ", "", (task / "stat").read_text()).split()
            times.append((int(fields[11]) + int(fields[12])) / ticks)
        return sorted(times, reverse=True)

    def test_two_agents_use_two_threads(self):
        self.assertEqual(sorted(self.by_admin().values()), [0, 1])

        def download(name):
            client = self.visitor()
            client.request("GET", f"/tunnel/{name}/bulk")
            client.head()
            received.append(sum(len(piece) for piece in client.reader.pieces(BULK)))

        received = []
        downloads = [threading.Thread(target=download, args=(name,)) for name in self.agents]
        for each in downloads:
            each.start()
        for each in downloads:
            each.join()
        self.assertEqual(received, [BULK, BULK])
        first, second, *_ = self.seconds_of_threads()
        harness.report("processor seconds of the two threads", f"{first:.2f} {second:.2f}")
        self.assertGreater(second, first / 4, "each had an agent with as much to do")

    def test_one_connection_speaks_to_both_and_to_the_relay(self):
        client = self.visitor()
        for round_ in range(30):
            for name in self.agents:
                self.assertEqual(client.get(f"/tunnel/{name}/")[1], name.encode(), round_)
            self.assertEqual(client.get("/healthz")[0].status, 200)

    def test_both_end_in_order(self):
        client = self.visitor()
        client.request("GET", "/tunnel/two/bulk")
        client.head()
        self.server.process.terminate()
        self.assertEqual(sum(len(piece) for piece in client.reader.pieces(BULK)), BULK)
        client.close()
        self.server.process.stop()
        for agent in self.agents.values():
            wait_until(lambda agent=agent: agent.state()["state"] != "online", "the agent looks for the relay",
                       alive=[agent.process])


if __name__ == "__main__":
    harness.main()
