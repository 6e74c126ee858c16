"""What agents of other gateways are told, given to leat as it stands: variables, a flag, a file."""

import harness
from frames import TEXT, WebSocket, frame
from harness import LEAT, wait_until
from wire import Client, Origin, answer


def talk(request, connection):
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                    + frame(TEXT, request.words[1].encode(), masked=False))
    connection.reader.more()
    return False


class OtherNames(harness.Case):
    def agent_with(self, arguments, environment, cwd=None):
        """leat with nothing but these."""
        folder = self.folder / "agent"
        process = self.start("agent", [LEAT, *arguments], cwd=cwd, env={
            **{name: "" for name in ("LEAT_RELAY", "LEAT_TOKEN", "LEAT_CONFIG", "HTTPS_PROXY")},
            "LEAT_STATE_DIR": str(folder), **environment})

        def online():
            state = harness.read_json(folder / "agent.json")
            return state if state and state["state"] == "online" else None
        return wait_until(online, "the agent is online", alive=[process])

    def test_three_variables_are_a_room(self):
        """GATEWAY_URL (/ws stands for /agent), ROOM_ID, LOCAL_PORT and the token: no argument, no file."""
        origin = Origin(self, talk)
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        host, port = relay.plain()
        state = self.agent_with(["agent"], {"GATEWAY_URL": f"ws://{host}:{port}/ws", "ROOM_ID": "notes",
                                            "LOCAL_PORT": str(origin.port),
                                            "LEAT_TOKEN": relay.token()})
        self.assertEqual([(tunnel["id"], tunnel["kind"]) for tunnel in state["tunnels"]],
                         [("notes", "ws")])
        with WebSocket(relay.connect(), "/client/doc?room=notes") as visitor:
            self.assertEqual(visitor.status, 101)
            self.assertEqual(visitor.receive()[2], b"/doc")

    def test_a_gateway_and_a_tunnel_id(self):
        """GATEWAY_URL beside --tunnel-id of leat http."""
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        host, port = relay.plain()
        self.agent_with(["http", str(origin.port), "--tunnel-id", "web", "--public"],
                        {"GATEWAY_URL": f"ws://{host}:{port}/ws", "LEAT_TOKEN": relay.token()})
        with Client(relay.connect()) as visitor:
            self.assertEqual(visitor.get("/tunnel/web/")[1], b"hello")

    def test_a_file_of_three_keys(self):
        """relay_server (wss:// chooses the WebSocket), relay_token, local_agent_url, and whom to trust."""
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        relay = self.relay()
        path = self.folder / "old.yaml"
        path.touch(mode=0o600)
        path.write_text(f"relay_server: wss://{relay.address}\n"
                        f"relay_token: {relay.token()}\n"
                        f"local_agent_url: http://{origin.address}/\n"
                        f"ca: {relay.folder}/cert.pem\n")
        state = self.agent_with(["agent", "--config", path], {})
        tunnel = state["tunnels"][0]["id"]
        with Client(relay.connect()) as visitor:
            self.assertEqual(visitor.get(f"/tunnel/{tunnel}/")[1], b"hello")


if __name__ == "__main__":
    harness.main()
