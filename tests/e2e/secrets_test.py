"""Secrets are planted wherever one may be given, used well and used badly with everything logged; none is found
in a log, in metrics, in the database, in a state file, or on the command line of a process."""

import base64
import json
import pathlib
import secrets
import socket
import time

import harness
from frames import WebSocket
from harness import SOON, run_leat
from identity_test import jwt
from quota_test import KEY, Operated
from reload_test import events
from wire import Client, Origin, answer


class Secrets(Operated):
    def test_none_is_found(self):
        planted = {name: f"sentinel-{name}-{secrets.token_hex(16)}" for name in
                   ("visitor", "password", "wrong", "jwt", "query", "subprotocol")}
        keys = self.secret("keys", planted["jwt"])
        relay = self.start_relay("--jwt-keys", keys, "--log-level", "debug")
        token = relay.token()
        planted["token"] = token
        claims = {"sub": "alice", "exp": int(time.time()) + 600}
        planted["the JWT"] = jwt(planted["jwt"].encode(), **claims)
        kept = relay.folder / "first-token"
        planted["first token"] = kept.read_text().strip()
        made = run_leat("token", "invite", "--state-dir", relay.folder)
        url = next(word for word in made.stdout.split() if word.startswith("https://"))
        planted["join code"] = url.rsplit("#", 1)[1].rsplit(".", 1)[0]
        planted["admin key"] = KEY

        tokens = self.secret("tokens", f"phone {planted['visitor']}\n")
        users = self.secret("users", f"ann:{planted['password']}\n")
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        visitors = ("--visitor-tokens", tokens, "--visitor-users", users, "--log-level", "debug",
                    "--metrics-listen", "127.0.0.1:0")
        agent = self.agent(relay, "http", origin.address, *visitors, token=token)
        self.agent(relay, "http", origin.address, *visitors, token=planted["the JWT"], name="of-alice")
        for name, bad in (("wrong-token", "leat_" + planted["wrong"]),
                          ("wrong-jwt", planted["the JWT"][:-4] + "AAAA")):
            planted[name] = bad
            stranger = self.agent(relay, "http", "1", "--log-level", "debug", token=bad, name=name, wait=False)
            self.assertEqual(stranger.process.wait(SOON), 3)
        joined = run_leat("join", url, "--state-dir", self.folder / "joined",
                          env={"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder)})
        self.assertEqual(joined.returncode, 0, joined.stderr)
        self.assertNotEqual(run_leat("join", url, "--state-dir", self.folder / "joined-2",
                                     env={"HOME": str(self.folder)}).returncode, 0)
        planted["credential"] = json.loads((self.folder / "joined/credential.json").read_text())["credential"]

        basic = base64.b64encode(f"ann:{planted['password']}".encode()).decode()
        planted["basic"] = basic
        for fields in ((f"Authorization: Bearer {planted['visitor']}",), (f"Authorization: Basic {basic}",),
                       (f"Authorization: Bearer {planted['wrong']}",),
                       (f"Leat-Authorization: Bearer {planted['wrong']}",),
                       (f"X-Admin-Key: {planted['wrong']}",)):
            with Client(relay.connect()) as client:
                client.get(agent.path(), *fields)
        for target, fields in ((f"/?leat_token={planted['query']}", ()),
                               ("/", (f"Sec-WebSocket-Protocol: leat.token.{planted['subprotocol']}",))):
            with WebSocket(relay.connect(), agent.path(target), *fields) as visitor:
                self.assertEqual(visitor.status, 401)
        with WebSocket(relay.connect(), f"/agent?room=den&token={planted['query']}") as stranger:
            self.assertEqual(stranger.status, 401)
        for key in (KEY, planted["wrong"]):
            with Client(self.plain(relay.state["admin_listen"])) as client:
                client.get("/api/v1/tokens", f"X-Admin-Key: {key}")
        def administer(status, method, path, *fields):
            with Client(self.plain(relay.state["admin_listen"])) as client:
                client.request(method, "/api/v1/" + path, *fields)
                message, body = client.response()
                self.assertEqual(message.status, status)
                return message, body
        made = administer(201, "POST", "pair", f"X-Admin-Key: {KEY}")[1]
        planted["pairing"] = json.loads(made)["token"]
        opened, made = administer(201, "POST", "session", f"X-Admin-Key: {KEY}")
        planted["csrf"] = json.loads(made)["token"]
        cookie = opened.get("set-cookie").split(";")[0]
        planted["cookie"] = cookie.split("=", 1)[1]
        session = (f"Cookie: {cookie}", f"X-Csrf-Token: {planted['csrf']}")
        for method, status in (("GET", 200), ("DELETE", 204), ("DELETE", 404)):
            administer(status, method, "pair/" + planted["pairing"], *session)
        administer(403, "GET", "status", session[0], f"X-Csrf-Token: {planted['wrong']}")
        with Client(relay.connect()) as client:
            client.get("/api/v1/pair/" + planted["pairing"], *session)
        revoked = run_leat("token", "revoke", "test", "--state-dir", relay.folder)
        self.assertEqual(revoked.returncode, 0)
        self.assertEqual(agent.process.wait(SOON), 3)

        said = {"joining": joined.stdout + joined.stderr,
                "the relay's metrics": self.scrape(relay.state["admin_listen"]),
                "an agent's metrics": self.scrape(
                    events(next(p for p in self.processes if p.name == "of-alice"), "metrics")[0]["listen"])}
        for process in self.processes:
            log = process.log()
            if process is relay.process:
                self.assertIn('"agent joined"', log)
                # What it prints at its start is in a journal, too.
                self.assertNotRegex(log, "leat_[A-Za-z0-9_-]{43}|/join#")
            said[process.name + "'s log"] = log
            if process.poll() is None:
                said[process.name + "'s arguments"] = pathlib.Path(
                    f"/proc/{process.pid}/cmdline").read_text()
        for path in [*relay.folder.iterdir(), *agent.folder.iterdir()]:
            if path == kept:
                continue
            said[str(path)] = path.read_bytes().decode("latin-1")
        for what, text in said.items():
            for name, secret in planted.items():
                self.assertNotIn(secret, text, f"{name} in {what}")
        # The search finds what is there.
        self.assertIn(planted["visitor"], tokens.read_text())

    def plain(self, address):
        return socket.create_connection(harness.split_address(address), timeout=SOON)


if __name__ == "__main__":
    harness.main()
