"""leat-client in Node against the real relay and agent: what a program has to do with it, end to end."""

import json
import statistics
import subprocess
import time

import harness
from harness import LEAT, MiB, PEERS, SANITIZED, report, run_leat, scaled, wait_until

TOKENS = 60
RATE = 20  # tokens a second
REVOKED_WITHIN = 1.0


class Lines:
    """The lines of JSON a program prints."""

    def __init__(self, process):
        self.process = process

    def next(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{self.process.name} ended: {self.process.log()}")
        return json.loads(line)

    def rest(self):
        return [json.loads(line) for line in self.process.stdout]


class SealedJsTest(harness.Case):
    count = 0

    def program(self, *arguments, direct=True, options=None, **more):
        self.count += 1
        env = {"DIRECT": "1" if direct else "0", "OPTIONS": json.dumps(options or {})}
        process = self.start(f"client-{self.count}", ["node", PEERS / "sealed_client.mjs", *arguments],
                             env=env, stdout=subprocess.PIPE, **more)
        self.addCleanup(process.stdout.close)
        return process, Lines(process)

    def run_program(self, *arguments, **options):
        """All lines of a program that ends by itself."""
        process, lines = self.program(*arguments, **options)
        all_lines = lines.rest()
        self.assertEqual(process.wait(harness.SOON), 0, process.log())
        return all_lines

    def sealed(self, target, *arguments, **options):
        self.server = self.relay()
        self.home = self.agent(self.server, "http", str(target), "--sealed", *arguments, **options)
        return self.home

    def link(self, *arguments):
        made = run_leat("pair", "--no-qr", "--state-dir", self.home.folder, *arguments)
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.strip()

    def pair(self, *arguments, options=None, direct=True):
        file = self.folder / f"credential-{self.count}.json"
        (said,) = self.run_program("pair", self.link(*arguments), file, options=options, direct=direct)
        self.assertIn("via", said, said)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        return file, said

    def origin(self):
        process = self.start("origin", ["node", PEERS / "sealed_origin.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        return int(process.stdout.readline())

    def sample(self):
        folder = self.folder / "sample"
        folder.mkdir()
        process = self.start("sample", [LEAT, "sample", "--listen", "127.0.0.1:0", "--state-dir", folder,
                                        "--tokens-per-second", RATE, "--tokens", TOKENS])
        state = wait_until(lambda: harness.read_json(folder / "sample.json"), "the sample serves",
                           alive=[process])
        return state["address"]

    def check_tokens(self, what, tokens):
        self.assertEqual(len(tokens), TOKENS)
        delays = sorted((token["received"] - token["sent"]) / 1000 for token in tokens)
        late = [token["received"] < following["sent"] for token, following in zip(tokens, tokens[1:])].count(False)
        report(f"delay of a token, {what}", f"p50 {statistics.median(delays):.2f} ms, p99 {delays[-1]:.2f} ms")
        if not SANITIZED:
            self.assertLessEqual(late, TOKENS // 10, f"{late} tokens came after a later one was sent")

    def test_tokens_by_fetch_and_by_openai(self):
        self.sealed(self.sample())
        file, said = self.pair()
        self.assertEqual(said["via"]["kind"], "relay")
        self.assertEqual([service["kind"] for service in said["services"]], ["http"])
        by_fetch = self.run_program("tokens", file, TOKENS)[1]["tokens"]
        by_openai = self.run_program("openai", file, TOKENS)[1]["tokens"]
        self.check_tokens("sealed, fetch", by_fetch)
        self.check_tokens("sealed, OpenAI's client", by_openai)
        self.assertEqual([token["text"] for token in by_fetch], [token["text"] for token in by_openai])

    def test_transfers_both_ways_in_both_suites(self):
        self.sealed(self.origin())
        size = scaled(64 * MiB)
        file, _ = self.pair()
        for suite in ("aesgcm", "nacl"):
            lines = self.run_program("transfer", file, size, options={"suites": [suite]})
            self.assertNotIn("error", lines[-1], lines[-1])
            done = lines[-1]
            self.assertEqual(done["got"], size)
            self.assertEqual(done["here"], done["there"])
            down, up = (size / MiB / seconds for seconds in done["seconds"])
            report(f"sealed, {suite}, Node", f"{down:.0f} MiB/s down, {up:.0f} MiB/s up")
        lines = self.run_program("transfer", file, size // 16, options={"crypto": "noble", "padding": 256})
        self.assertEqual(lines[-1]["here"], lines[-1]["there"])

    def test_what_the_service_sees(self):
        self.sealed(self.origin())
        file, _ = self.pair()
        seen = self.run_program("headers", file, "/a%7Eb/../c?d=%7e")[-1]
        self.assertEqual(seen["url"], "/c?d=%7e")
        self.assertEqual(seen["headers"]["authorization"], "Bearer sealed")
        self.assertEqual(seen["headers"]["x-forwarded-proto"], "https")

    def test_abort_frees_the_stream(self):
        self.sealed(self.origin())
        file, _ = self.pair()
        self.assertEqual(self.run_program("abort", file)[-1], {"during": 1, "after": 0, "name": "AbortError"})

    def test_scope(self):
        self.sealed(self.origin())
        file, _ = self.pair("--paths", "/v1")
        self.assertEqual(self.run_program("status", file, "/v1/x")[-1]["status"], 200)
        refused = self.run_program("status", file, "/other")[-1]
        self.assertEqual(refused["status"], 403)
        self.assertIn("LEAT_OUT_OF_SCOPE", refused["body"])

    def test_revoked_within_a_second(self):
        self.sealed(self.origin())
        file, _ = self.pair("--name", "phone")
        process, lines = self.program("watch", file)
        self.assertIn("via", lines.next())
        self.assertEqual(lines.next(), {"watching": True})
        asked = time.time()
        revoked = run_leat("device", "revoke", "--state-dir", self.home.folder, "phone")
        self.assertEqual(revoked.returncode, 0, revoked.stderr)
        ended = lines.next()
        self.assertEqual(ended["ended"], "LEAT_REVOKED")
        took = ended["at"] / 1000 - asked
        report("a revoked device's session ended after", f"{took:.3f} s")
        if not SANITIZED:
            self.assertLess(took, REVOKED_WITHIN)
        lines.rest()
        process.wait(harness.SOON)
        self.assertEqual(self.run_program("nothing", file)[-1]["error"], "LEAT_REVOKED")

    def test_a_link_works_once(self):
        self.sealed(self.origin())
        link = self.link()
        first = self.run_program("pair", link, self.folder / "first.json")
        self.assertIn("via", first[-1])
        second = self.run_program("pair", link, self.folder / "second.json")
        self.assertEqual(second[-1]["error"], "LEAT_PAIRING_USED")
        self.assertTrue(second[-1]["next"])
        self.assertFalse((self.folder / "second.json").exists())
        self.assertEqual(self.run_program("pair", link[:-9], self.folder / "third.json")[-1]["error"],
                         "LEAT_BAD_LINK")

    def test_changed_key_is_refused(self):
        port = self.origin()
        self.server = self.relay()
        token = self.server.token("agent")
        self.home = self.agent(self.server, "http", str(port), "--sealed", token=token)
        file, _ = self.pair()
        before = file.read_text()
        folder, tunnel = self.home.folder, self.home.id()
        self.home.process.stop()
        rotated = run_leat("key", "rotate", "--state-dir", folder)
        self.assertEqual(rotated.returncode, 0, rotated.stderr)
        self.home = self.agent(self.server, "http", str(port), "--sealed", folder=folder, token=token,
                               name="rotated")
        self.assertEqual(self.home.id(), tunnel)
        refused = self.run_program("nothing", file)[-1]
        self.assertEqual(refused["error"], "LEAT_KEY_CHANGED")
        self.assertIn("new pairing link", refused["next"])
        self.assertEqual(file.read_text(), before)

    def test_offline_agent(self):
        self.sealed(self.origin())
        file, _ = self.pair()
        self.home.process.stop()
        self.assertEqual(self.run_program("nothing", file)[-1]["error"], "LEAT_AGENT_OFFLINE")
        self.server.process.stop()
        self.assertEqual(self.run_program("nothing", file)[-1]["error"], "LEAT_RELAY_UNREACHABLE")

    def test_direct_when_possible(self):
        port = harness.free_port()
        self.sealed(self.origin(), "--direct", f"127.0.0.1:{port}")
        file, said = self.pair()
        self.assertEqual(said["via"], {"kind": "direct", "address": f"127.0.0.1:{port}"})
        via_relay = self.run_program("nothing", file, direct=False)[0]["via"]
        self.assertEqual(via_relay["kind"], "relay")
        self.server.process.stop()
        self.assertEqual(self.run_program("nothing", file)[0]["via"]["kind"], "direct")

    def test_pairing_through_the_relay_then_direct(self):
        port = harness.free_port()
        self.sealed(self.origin(), "--direct", f"127.0.0.1:{port}")
        file, said = self.pair(direct=False)
        self.assertEqual(said["via"]["kind"], "relay")
        self.assertEqual(self.run_program("nothing", file)[0]["via"]["kind"], "direct")

    def test_yjs_provider(self):
        port = harness.free_port()
        server = self.start("rooms", ["node", PEERS / "node_modules/@y/websocket-server/src/server.js"],
                            env={"HOST": "127.0.0.1", "PORT": str(port)})
        wait_until(lambda: "running at" in server.log(), "the room server runs", alive=[server])
        self.sealed(port)
        files = [self.pair()[0], self.pair()[0]]
        peers = [self.program("yjs", file, "notes", stdin=subprocess.PIPE) for file in files]
        for process, lines in peers:
            self.addCleanup(process.stdin.close)
            while lines.next().get("status") != "connected":
                pass
        (writer, _), (_, reader) = peers
        writer.stdin.write(b"sealed\n")
        writer.stdin.flush()
        while reader.next().get("text") != "sealed":
            pass
        (_, back), (other, _) = peers
        other.stdin.write(b" and back\n")
        other.stdin.flush()
        while back.next().get("text") != "sealed and back":
            pass
        for process, _ in peers:
            process.stdin.close()
            self.assertEqual(process.wait(harness.SOON), 0, process.log())


if __name__ == "__main__":
    harness.main()
