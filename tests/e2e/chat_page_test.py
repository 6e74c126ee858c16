"""clients/chat in headless Chromium against the real relay and agent: pair, chat, stop, revoke, key change;
and leat-client itself in a browser. Screenshots are left in LEAT_SHOTS, if that names a folder."""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import subprocess
import threading

import harness
from harness import LEAT, MiB, PEERS, ROOT, report, run_leat, scaled, wait_until
from meddler import UP, Meddler
from sealed import by_way_of

CHAT = ROOT / "clients/chat"
DRIVER = ROOT / "clients/js/test/page_driver.mjs"
TOKENS = 400
RATE = 100  # tokens a second


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Authority:
    """Signs certificates, and is trusted by browsers whose HOME is `home`."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        store = self.home / ".pki/nssdb"
        store.mkdir(parents=True)
        self._openssl("req", "-x509", *KEY, "-days", "2", "-subj", "/CN=authority", "-keyout", "authority.key", "-out",
                      "authority.pem", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                      "keyUsage=critical,keyCertSign")
        for words in (["-N", "--empty-password"],
                      ["-A", "-t", "C,,", "-n", "authority", "-i", folder / "authority.pem"]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True)

    def _openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, cwd=self.folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def certificate(self):
        """Of 127.0.0.1: two paths."""
        (self.folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        self._openssl("req", *KEY, "-subj", "/CN=relay", "-keyout", "relay.key", "-out", "relay.csr")
        self._openssl("x509", "-req", "-in", "relay.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
                      "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "relay.pem")
        return self.folder / "relay.pem", self.folder / "relay.key"


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Page:
    def __init__(self, case, env=None):
        self.case = case
        self.process = case.start("chromium", ["node", DRIVER], env=env,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        case.addCleanup(self.end)
        self._answer("start")

    def _answer(self, what):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the browser ended at {what}: {self.process.log()}")
        said = json.loads(line)
        if "error" in said:
            raise AssertionError(f"{what}: {said['error']}")
        return said["value"]

    def __getattr__(self, what):
        def call(*arguments):
            self.process.stdin.write(json.dumps([what, *arguments]).encode() + b"\n")
            self.process.stdin.flush()
            return self._answer(f"{what} {arguments}")
        return call

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(harness.SOON)


class PageCase(harness.Case):
    def setUp(self):
        super().setUp()
        handler = functools.partial(Quiet, directory=str(CHAT))
        self.site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.site.serve_forever, daemon=True).start()
        self.addCleanup(self.site.server_close)
        self.addCleanup(self.site.shutdown)
        self.url = f"http://127.0.0.1:{self.site.server_address[1]}/"
        self.page = Page(self, self.trust())

    def serve(self, *arguments, **options):
        self.server = self.relay(*arguments, **options)
        self.token = self.server.token("agent")

    def home_with(self, target, **options):
        self.home = self.agent(self.server, "http", str(target), "--sealed", token=self.token, **options)

    def sample(self, rate=RATE):
        folder = self.folder / "sample"
        folder.mkdir(exist_ok=True)
        process = self.start("sample", [LEAT, "sample", "--listen", "127.0.0.1:0", "--state-dir", folder,
                                        "--tokens-per-second", rate, "--tokens", TOKENS])
        return wait_until(lambda: harness.read_json(folder / "sample.json"), "the sample serves",
                          alive=[process])["address"]

    def link(self):
        made = run_leat("pair", "--no-qr", "--page", self.url, "--state-dir", self.home.folder)
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.strip()

    def shot(self, name):
        """In light and dark, on a phone."""
        folder = pathlib.Path(os.environ.get("LEAT_SHOTS", self.folder))
        folder.mkdir(parents=True, exist_ok=True)
        for scheme in ("light", "dark"):
            self.page.scheme(scheme)
            self.page.shot(str(folder / f"{name}-{scheme}.png"))
        overflow = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        self.assertFalse(overflow, f"{name}: wider than the screen")

    def pair(self):
        self.page.goto(self.link())
        self.page.wait("#status", "connected, end-to-end encrypted")
        self.page.wait(".model", "leat-sample")

    def tearDown(self):
        complaints = self.page.complaints()
        self.assertEqual(complaints, [])
        super().tearDown()


class CertificateTest(PageCase):
    """What browsers think of a relay's certificate, as they come."""

    def trust(self):
        self.authority = Authority(self.folder)
        return {"HOME": str(self.authority.home)}

    def test_of_the_relays_own(self):
        self.serve()
        self.home_with(self.sample())
        self.page.goto(self.link())
        self.page.wait("#notice", "LEAT_RELAY_UNREACHABLE")
        self.page.wait("#notice", "whose certificate is not from a public authority")

    def test_of_an_authority(self):
        cert, key = self.authority.certificate()
        self.serve("--cert", cert, "--key", key)
        self.home_with(self.sample())
        self.pair()


class ChatPageTest(PageCase):
    def trust(self):
        return {"CERTIFICATES": "any"}

    def setUp(self):
        super().setUp()
        self.serve()

    def test_pair_chat_and_stop(self):
        self.home_with(self.sample())
        self.page.goto(self.url)
        self.page.wait("#pairing", "Pair this device")
        self.shot("1-unpaired")
        self.pair()
        self.assertEqual(self.page.url(), self.url, "the secret is still in the address bar")
        history = self.page.evaluate("history.length")
        self.shot("2-paired")
        self.page.fill("#prompt", "What is a leat?")
        self.page.press("Enter")
        self.page.wait(".assistant", " ")
        self.page.wait("#stop", "Stop")
        self.shot("3-streaming")
        self.page.press("Escape")
        self.page.wait(".assistant.stopped", " ")
        self.page.gone("#stop")
        so_far = self.page.text(".assistant")
        self.shot("4-stopped")
        # The model has stopped too: nothing is being made for anybody.
        wait_until(lambda: self.streams() == 0, "the stream is free")
        self.page.fill("#prompt", "And then?")
        self.page.click("#send")
        self.page.wait("#send", "Send")
        self.page.gone("#stop")
        answers = self.page.count(".assistant")
        self.assertEqual(answers, 2)
        self.assertEqual(self.page.text(".assistant"), so_far)
        self.assertGreater(len(self.page.evaluate("document.querySelectorAll('.assistant')[1].textContent")),
                           len(so_far))
        # The key stays, and cannot be taken out.
        kept = self.page.evaluate("""(async () => {
          const { load } = await import('./store.js');
          const { secretKey } = await load();
          return [secretKey instanceof CryptoKey, secretKey.extractable];
        })()""")
        self.assertEqual(kept, [True, False])
        self.page.reload()
        self.page.wait("#status", "connected, end-to-end encrypted")
        self.assertLessEqual(self.page.evaluate("history.length"), history)
        self.page.size(1200, 800)
        self.shot("5-wide")

    def streams(self):
        """Connections of the agent's to the sample."""
        sample = next(process for process in self.processes if process.name == "sample")
        port = harness.split_address(harness.read_json(self.folder / "sample/sample.json")["address"])[1]
        self.assertIsNone(sample.poll())
        established = 0
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            established += int(local.split(":")[1], 16) == port and state == "01"
        return established

    def test_revoked(self):
        self.home_with(self.sample())
        self.pair()
        listed = run_leat("device", "list", "--state-dir", self.home.folder).stdout
        device = re.search(r"^(chat-\w+)  ", listed, re.M).group(1)
        self.page.fill("#prompt", "What is a leat?")
        self.page.press("Enter")
        self.page.wait(".assistant", " ")
        revoked = run_leat("device", "revoke", "--state-dir", self.home.folder, device)
        self.assertEqual(revoked.returncode, 0, revoked.stderr)
        self.page.wait("#notice", "This device has been revoked")
        self.page.wait("#notice", "LEAT_REVOKED")
        self.shot("6-revoked")
        self.page.reload()
        self.page.wait("#notice", "This device has been revoked")
        self.page.click("#notice button >> text=Forget this pairing")
        self.page.wait("#pairing", "Pair this device")

    def test_key_changed(self):
        address = self.sample()
        self.home_with(address)
        self.pair()
        folder = self.home.folder
        self.home.process.stop()
        self.assertEqual(run_leat("key", "rotate", "--state-dir", folder).returncode, 0)
        self.home_with(address, folder=folder, name="rotated")
        self.page.reload()
        self.page.wait("#notice", "key has changed")
        self.page.wait("#notice", "LEAT_KEY_CHANGED")
        self.assertEqual(self.page.count("#notice button >> text=Try again"), 0)
        self.shot("7-key-changed")

    def test_offline_and_back(self):
        address = self.sample()
        self.home_with(address)
        self.pair()
        folder = self.home.folder
        self.home.process.stop()
        self.page.reload()
        self.page.wait("#notice", "The agent is offline")
        self.shot("8-offline")
        self.home_with(address, folder=folder, name="again")
        self.page.click("#notice button >> text=Try again")
        self.page.wait("#status", "connected, end-to-end encrypted")

    def test_link_used_and_bad(self):
        self.home_with(self.sample())
        link = self.link()
        self.page.goto(link)
        self.page.wait("#status", "connected, end-to-end encrypted")
        self.page.click("#more summary")
        self.page.click("#forget")
        self.page.wait("#pairing", "Pair this device")
        self.page.fill("#link", link)
        self.page.click("#pairing button")
        self.page.wait("#notice", "This pairing link has been used")
        self.shot("9-link-used")
        self.page.fill("#link", "https://example.com/#something")
        self.page.click("#pairing button")
        self.page.wait("#notice", "This is not a pairing link")

    def test_another_link_asks_first(self):
        self.home_with(self.sample())
        self.pair()
        self.page.blank()
        self.page.goto(self.link())
        self.page.wait("#notice", "Pair with another agent?")
        self.page.click("#notice button >> text=Keep what I have")
        self.page.wait("#status", "connected, end-to-end encrypted")
        listed = run_leat("device", "list", "--state-dir", self.home.folder).stdout
        self.assertEqual(len(re.findall(r"^chat-", listed, re.M)), 1)

    def test_a_pairing_that_is_cut_loses_neither_itself_nor_the_one_before(self):
        self.serve("--plain-listen", "127.0.0.1:0", name="plain")
        self.home_with(self.sample())
        self.pair()
        kept = "import('./store.js').then(async (s) => [(await s.load()).publicKey, (await s.loadBegun())?.link])"
        before, begun = self.page.evaluate(kept)
        self.assertIsNone(begun)

        first = []

        def cut_after_reply(passage, direction, index, unit):
            """And whoever comes again before the agent hears of it: a handshake that is cut counts as a try."""
            first.append(passage)
            if direction == UP and (index > 0 or passage is not first[0]):
                passage.cut()
                return []
            return [unit]

        meddler = Meddler(self, self.server.plain(), cut_after_reply)
        link = by_way_of(self.link(), f"ws://{meddler.address}")
        self.page.blank()
        self.page.goto(link)
        self.page.click("#notice button >> text=Use the new link")
        self.page.wait("#notice button", "Try again")
        self.assertEqual(self.page.evaluate(kept), [before, link])
        # Back to the one before, without the new one's way.
        self.page.click("#notice button >> text=Keep the pairing before")
        self.page.wait("#status", "connected, end-to-end encrypted")
        self.assertEqual(self.page.evaluate(kept), [before, None])
        # And forth: the link has not been used.
        first.clear()
        self.page.blank()
        self.page.goto(link)
        self.page.click("#notice button >> text=Use the new link")
        self.page.wait("#notice button", "Try again")
        meddler.attack = None
        self.page.reload()
        self.page.wait("#status", "connected, end-to-end encrypted")
        self.page.wait(".model", "leat-sample")
        now, begun = self.page.evaluate(kept)
        self.assertNotEqual(now, before)
        self.assertIsNone(begun)

    def test_the_client_in_a_browser(self):
        """Both kinds of primitives, both suites, and transfers both ways, in Chromium."""
        origin = self.start("origin", ["node", PEERS / "sealed_origin.mjs"], stdout=subprocess.PIPE)
        self.addCleanup(origin.stdout.close)
        self.home_with(int(origin.stdout.readline()))
        self.page.goto(self.url)
        size = scaled(16 * MiB)
        for options in ({}, {"suites": ["nacl"]}, {"crypto": "noble"}):
            done = self.page.evaluate("""(async () => {
              const { connect } = await import('./leat-client.min.js');
              const client = await connect(%s, { ...%s });
              const began = performance.now();
              const bytes = await (await client.fetch('/bytes/%d')).arrayBuffer();
              const seconds = (performance.now() - began) / 1000;
              const there = await (await client.fetch('/hash', { method: 'PUT', body: bytes })).text();
              const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
              const here = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
              const { secretKey } = client.credential;
              client.close();
              return { size: bytes.byteLength, same: here === there, seconds, key: typeof secretKey };
            })()""" % (json.dumps(self.link()), json.dumps(options), size))
            self.assertEqual((done["size"], done["same"]), (size, True), options)
            self.assertEqual(done["key"], "string" if options.get("crypto") else "object")
            report(f"sealed, Chromium, {options or 'as it is'}", f"{size / MiB / done['seconds']:.0f} MiB/s down")
        self.sockets_in_a_browser()
        self.streams_in_a_browser()

    def sockets_in_a_browser(self):
        """Text, bytes and a Blob there and back, and a close in good order."""
        done = self.page.evaluate("""(async () => {
          const { connect } = await import('./leat-client.min.js');
          const client = await connect(%s);
          const socket = new client.WebSocket('/echo', ['one', 'two']);
          socket.binaryType = 'arraybuffer';
          const got = [];
          const event = (name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
          const next = async () => got.push((await event('message')).data);
          await event('open');
          const large = new Uint8Array(%d).fill(7);
          for (const data of ['grüße', Uint8Array.of(1, 2, 3), new Blob(['blob']), large]) {
            socket.send(data);
            await next();
          }
          const ended = event('close');
          socket.close(4001, 'done');
          const { code, reason, wasClean } = await ended;
          client.close();
          const [text, bytes, blob, back] = got;
          return [text, [...new Uint8Array(bytes)], new TextDecoder().decode(blob),
                  new Uint8Array(back).length === large.length && new Uint8Array(back).every((byte) => byte === 7),
                  socket.protocol, code, reason, wasClean];
        })()""" % (json.dumps(self.link()), MiB))
        self.assertEqual(done, ["grüße", [1, 2, 3], "blob", True, "two", 4001, "done", True])

    def streams_in_a_browser(self):
        """A request whose body is a stream, made while it is sent; and one that is given up."""
        done = self.page.evaluate("""(async () => {
          const { connect } = await import('./leat-client.min.js');
          const client = await connect(%s);
          const part = new Uint8Array(64 * 1024).map((_, at) => at %% 251);
          let left = 64;
          let cancelled = false;
          const abort = new AbortController();
          const body = () => new ReadableStream({
            pull(controller) {
              if (left === 1e9) abort.abort();
              if (left-- > 0) controller.enqueue(part);
              else controller.close();
            },
            cancel() { cancelled = true; },
          }, { highWaterMark: 0 });
          const there = await (await client.fetch('/hash', { method: 'PUT', body: body(), duplex: 'half' })).text();
          const all = await new Blob(Array(64).fill(part)).arrayBuffer();
          const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
          const here = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
          left = 1e9 + 8;
          const given = client.fetch('/hash', { method: 'PUT', body: body(), signal: abort.signal });
          const name = await given.then(() => 'answered', (error) => error.name);
          client.close();
          return [there === here, name, cancelled];
        })()""" % json.dumps(self.link()))
        self.assertEqual(done, [True, "AbortError", True])


if __name__ == "__main__":
    harness.main()
