"""leat demo --once: a request streams through, the URL is printed, exit code 0."""

import re
import subprocess

import harness
from harness import LEAT, wait_until
from wire import Origin, chunk


class DemoTest(harness.Case):
    def demo(self, *arguments, seconds=60):
        return subprocess.run([LEAT, "demo", "--once", *arguments], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds * harness.PATIENCE, check=False)

    def tokens(self, output):
        """One to a line behind the time it came and the time since the last, in ms."""
        return [(float(since), word) for since, word in
                re.findall(r"^ *[\d.]+ ms +\+([\d.]+) ms +(\S+)$", output, re.M)]

    def words(self, output):
        return [word for _, word in self.tokens(output)]

    def test_once(self):
        result = self.demo("--tokens", "20")
        self.assertEqual(result.returncode, 0, result.stdout)
        # One by one: 20 a second, and a busy machine may be late with some.
        paced = sum(since >= 25 for since, _ in self.tokens(result.stdout)[1:])
        self.assertGreaterEqual(paced, 13, result.stdout)
        self.assertEqual(self.words(result.stdout)[:5], ["A", "leat", "is", "a", "channel"])
        self.assertEqual(len(self.words(result.stdout)), 20)
        self.assertRegex(result.stdout, r"https://\S+/tunnel/\w+")

    def test_once_with_a_server_of_ones_own(self):
        def serve(request, connection):
            if request.words[1].startswith("/v1/models"):
                body = b'{"object":"list","data":[{"id":"mine","object":"model"}]}'
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                return True
            connection.reader.exactly(int(request.get("content-length", "0")))
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            for word in ("mine", " own", " words"):
                event = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % word.encode()
                connection.send(chunk(event))
            connection.send(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            return True

        origin = Origin(self, serve)
        result = self.demo("--target", f"http://{origin.address}")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertEqual(self.words(result.stdout), ["mine", "own", "words"])

    def test_it_fails_when_the_server_does_not_answer(self):
        origin = Origin(self, lambda request, connection: False)
        result = self.demo("--target", f"http://{origin.address}")
        self.assertEqual(result.returncode, 1, result.stdout)

    def test_it_stays_until_it_is_told_to_end(self):
        demo = self.start("demo", [LEAT, "demo", "--tokens", "5"])
        curl = wait_until(lambda: re.search(r"curl .*?(https://\S+/tunnel/\w+)", demo.log()),
                          "the demo shows how to call it", seconds=60 * harness.PATIENCE, alive=[demo])
        models = subprocess.run(["curl", "--silent", "--insecure", f"{curl.group(1)}/v1/models"],
                                stdout=subprocess.PIPE, check=True, timeout=harness.SOON)
        self.assertIn(b"leat-sample", models.stdout)
        demo.stop()


if __name__ == "__main__":
    harness.main()
