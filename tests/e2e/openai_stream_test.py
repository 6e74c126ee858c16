"""OpenAI's client gets its tokens one by one, each while the next does not exist yet; so does whoever asks as Ollama's
clients do."""

import json
import statistics
import subprocess
import time

import harness
from harness import LEAT, PATIENCE, PEERS, SANITIZED, report, wait_until
from wire import Client, body_pieces

TOKENS = 100
RATE = 20  # tokens a second
MOST_ADDED_MS = 20
MOST_ADDED_P99_MS = 500  # a deadline: what is typical is reported


class OpenAiStreamTest(harness.Case):
    def sample(self):
        folder = self.folder / "sample"
        folder.mkdir()
        process = self.start("sample", [LEAT, "sample", "--listen", "127.0.0.1:0", "--state-dir", folder,
                                        "--tokens-per-second", RATE, "--tokens", TOKENS])
        state = wait_until(lambda: harness.read_json(folder / "sample.json"), "the sample serves",
                           alive=[process])
        return state["address"]

    def stream(self, name, url):
        node = self.start(name, ["node", PEERS / "openai_stream.mjs", f"{url}/v1", TOKENS],
                          env={"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, stdout=subprocess.PIPE)
        output = node.stdout.read()
        node.stdout.close()
        self.assertEqual(node.wait(harness.SOON), 0, node.log())
        tokens = json.loads(output)["tokens"]
        self.assertEqual(len(tokens), TOKENS)
        delays = sorted((token["received"] - token["sent"]) / 1000 for token in tokens)
        return tokens, statistics.median(delays), delays[int(0.99 * len(delays)) - 1]

    def held_back(self, tokens):
        """How many came when a later one had been sent. The next is sent a whole pace after each; a tunnel that gathers
        would deliver several together, after the last of them was sent."""
        return sum(token["received"] >= following["sent"] for token, following in zip(tokens, tokens[1:]))

    def test_tokens_arrive_one_by_one(self):
        address = self.sample()
        relay = self.relay()
        agent = self.agent(relay, "http", address)
        direct, direct_p50, direct_p99 = self.stream("direct", f"http://{address}")
        tokens, p50, p99 = self.stream("tunnelled", agent.url("").rstrip("/"))
        self.assertEqual([token["text"] for token in tokens], [token["text"] for token in direct])

        held_back = self.held_back(tokens)
        self.assertLessEqual(held_back, TOKENS // 20, f"{held_back} tokens came after a later one was sent")
        self.assertLess(tokens[0]["received"], tokens[-1]["sent"])

        added_p50, added_p99 = p50 - direct_p50, p99 - direct_p99
        report("delay of a token, direct", f"p50 {direct_p50:.2f} ms, p99 {direct_p99:.2f} ms")
        report("delay of a token, through the tunnel", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        report("added by the tunnel", f"p50 {added_p50:.2f} ms, p99 {added_p99:.2f} ms")
        if not SANITIZED:
            self.assertLess(added_p50, MOST_ADDED_MS * PATIENCE)
            self.assertLess(added_p99, MOST_ADDED_P99_MS * PATIENCE)

    def test_lines_arrive_one_by_one(self):
        """Ollama's /api/chat, NDJSON."""
        relay = self.relay()
        agent = self.agent(relay, "http", self.sample())
        ask = {"model": "leat-sample", "messages": [{"role": "user", "content": "What is a leat?"}], "stream": True}
        tokens, rest = [], b""
        with Client(relay.connect()) as client:
            client.request("POST", agent.path("/api/chat"), "Content-Type: application/json",
                           body=json.dumps(ask).encode())
            message = client.head()
            self.assertEqual((message.status, message.get("content-type")), (200, "application/x-ndjson"))
            for piece in body_pieces(client.reader, message):
                *lines, rest = (rest + piece).split(b"\n")
                tokens += [{**json.loads(line), "received": time.time() * 1e6} for line in lines]
        self.assertEqual(rest, b"")
        last = tokens.pop()
        self.assertEqual((last["done"], last["eval_count"], len(tokens)), (True, TOKENS, TOKENS))
        self.assertTrue("".join(token["message"]["content"] for token in tokens).startswith("A leat is a channel"))
        held_back = self.held_back([{**token, "sent": token["leat_sent_us"]} for token in tokens])
        self.assertLessEqual(held_back, TOKENS // 20, f"{held_back} lines came after a later one was sent")


if __name__ == "__main__":
    harness.main()
