"""A WebSocket by upgrade through an HTTP tunnel, both ends npm's ws."""

import json
import subprocess

import harness
from harness import MiB, PEERS, scaled


class WebSocketTest(harness.Case):
    def setUp(self):
        super().setUp()
        server = self.start("server", ["node", PEERS / "websocket_server.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.port = int(server.stdout.readline())
        self.server = self.relay()
        self.tunnel = self.agent(self.server, "http", str(self.port))

    def client(self, number):
        url = self.tunnel.url("/").replace("https:", "wss:")
        return self.start(f"client-{number}", ["node", PEERS / "websocket_client.mjs", url, scaled(16 * MiB)],
                          stdout=subprocess.PIPE)

    def test_echo_and_close_codes(self):
        clients = [self.client(number) for number in range(4)]
        for client in clients:
            output = client.stdout.read()
            client.stdout.close()
            self.assertEqual(client.wait(harness.SOON), 0, client.log())
            self.assertEqual(json.loads(output), {"messages": 1014, "code": 4321})


if __name__ == "__main__":
    harness.main()
