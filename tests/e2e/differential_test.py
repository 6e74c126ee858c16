"""What the service was asked is what the visitors see answered: never more, never another, never otherwise framed.

Tens of thousands of generated requests, good ones and broken ones, and the collection in hostile.py go through relay
and agent to nginx, Node's http and Python's http.server. The collection and a sample of the generated ones are also
cut in two at every byte, and the short ones sent byte by byte. Each service writes down every request that it has
seen, with a serial number that its answer carries too. In the end the numbers in the answers must be those that were
written down, with the targets and bodies that the visitors meant.

    tests/e2e/differential_test.py --requests 1000000 --seed 7 --cut 1000 --every 1

makes a long run of it, or repeats one."""

import argparse
import collections
import errno
import hashlib
import itertools
import json
import random
import re
import select
import socket
import subprocess
import sys
import time

import harness
import hostile
from harness import KiB, MiB, PEERS, ROOT, SOON, free_port, report, wait_until
from wire import Stopwatch, chunk

AT_ONCE = 200  # connections
HEADS_AT_ONCE = 1 * MiB  # the relay has room for so many that come in part (docs/flow_control.md)
WITNESSES = ("nginx", "nodejs", "python")
OPTIONS = argparse.Namespace(requests=1_500 if harness.SANITIZED else 51_000, seed=1,
                             cut=6 if harness.SANITIZED else 30, every=40 if harness.SANITIZED else 1)

# One request of a visitor, as it was meant. `outcome`: "origin", a status of the relay's, "hang" or "any".
Asked = collections.namedtuple("Asked", "outcome method target length digest")
Answer = collections.namedtuple("Answer", "status serial target close")


class Visit:
    """A connection: what it sends, in pieces, and what must become of it."""

    def __init__(self, pieces, asked, told):
        self.pieces = pieces
        self.asked = asked
        self.told = told  # for messages
        self.sock = None
        self.unsent = b""
        self.received = bytearray()
        self.over = self.left = False
        self.may_wait = any(one.outcome in ("hang", "any") for one in asked)

    def settled(self):
        """It has what there is for its good requests."""
        return self.received.count(b"\nX-Serial: ") >= sum(one.outcome == "origin" for one in self.asked)

    def send(self):
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent):]
        except BlockingIOError:
            pass
        except OSError as error:  # refused already; the answer is there to be read
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
            self.unsent = b""

    def receive(self):
        try:
            while data := self.sock.recv(64 * KiB):
                self.received += data
        except BlockingIOError:
            return
        except ConnectionResetError:
            pass
        self.over = True


def answers(visit, methods):
    """The final answers on a connection; every byte of it must belong to one."""
    data, at, found = bytes(visit.received), 0, []
    while at < len(data):
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or not re.match(rb"HTTP/1\.1 \d{3} ", data[at:]):
            raise ValueError(f"no answer: {data[at:at + 200]!r}")
        fields = {name.lower(): value for name, value in
                  re.findall(r"\r\n([^:\r]+): ([^\r]*)", data[at:end].decode("latin-1"))}
        status = int(data[at + 9:at + 12])
        at = end + 4
        if status < 200:
            continue
        if methods[min(len(found), len(methods) - 1)] != "HEAD" or (status >= 400 and "x-serial" not in fields):
            at += int(fields["content-length"])
        if at > len(data):
            raise ValueError(f"an answer is cut: {data[-200:]!r}")
        found.append(Answer(status, fields.get("x-serial"), fields.get("x-target"), fields.get("connection") == "close"))
    return found


def meant(outcome, method, target, body=b""):
    return Asked(outcome, method, target, len(body), hashlib.sha256(body).hexdigest())


class Generator:
    """Requests of all forms that are good, and, now and then at the end of a row, one that is not."""

    METHODS = ("GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT")
    TCHAR = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    TEXT = bytes(c for c in range(256) if c >= 0x20 and c != 0x7f)

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def field(self):
        rng = self.rng
        name = b"X-R" + bytes(rng.choices(self.TCHAR, k=rng.randrange(12)))
        value = bytes(rng.choices(self.TEXT, k=rng.choice((0, 1, 5, 40, 40, 700)))).strip()
        return name, rng.choice((b"", b" ", b"\t", b"  \t")) + value + rng.choice((b"", b"", b" ", b"\t "))

    def body(self):
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 4:
            return rng.randbytes(rng.randrange(1, 60)).hex().encode()
        if kind < 6:  # looks like something else
            return rng.choice((b"0\r\n\r\n", hostile.SMUGGLED, b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"5\r\n", b"\r\n"))
        if kind < 9:
            return b"."
        return bytes(rng.choices(b"abcdefgh\r\n", k=rng.choice((100, 4095, 4096, 16385, 40000))))

    def chunked(self, body, trailers=True):
        rng, out, at = self.rng, [], 0
        while at < len(body):
            size = rng.choice((1, 7, 4096, len(body))) if len(body) < 200 else rng.randrange(1, len(body) + 1)
            part = body[at:at + size]
            digits = (b"%X" if rng.randrange(2) else b"%x") % len(part)
            out.append(b"0" * rng.choice((0, 0, 0, 1, 8)) + digits + b"\r\n" + part + b"\r\n")
            at += len(part)
        out.append(b"0" * rng.choice((1, 1, 3)) + b"\r\n")
        if trailers and rng.randrange(4) == 0:
            out.append(rng.choice((b"X-Sum: 1\r\n", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n",
                                   b"X: \r\nHost: x\r\n")))
        return b"".join(out) + b"\r\n"

    def good(self, prefix, target, last=False):
        rng = self.rng
        method = rng.choice(self.METHODS)
        query = rng.choice(("", "", "?a=b&c", "?" + "q" * rng.randrange(200), "?%0d%0a", "/a%20b", "/%E2%82%AC;x=y", "//x"))
        body, kind = b"", rng.randrange(4)
        fields = [(b"Host", rng.choice((b" relay", b"relay", b" relay:8443", b"\trelay ", b" [::1]:80")))]
        version = b"HTTP/1.0" if kind != 3 and rng.randrange(15) == 0 else b"HTTP/1.1"
        if kind >= 2:
            body = self.body()
        if kind == 3:
            fields.append((b"Transfer-Encoding", rng.choice((b" chunked", b"chunked", b" Chunked\t", b"\t chunked"))))
            raw = self.chunked(body)
        else:
            raw = body
            if body or kind == 1:
                fields.append((b"Content-Length", b" " + b"0" * rng.choice((0, 0, 0, 3)) + b"%d" % len(body)))
        if kind >= 2 and rng.randrange(20) == 0:
            fields.append((b"Expect", b" 100-continue"))
        if rng.randrange(20) == 0:
            fields.append((b"TE", b" trailers, deflate;q=0.5"))
        if last or version == b"HTTP/1.0":
            fields.append((b"Connection", b" close" if last else b" keep-alive"))
        elif rng.randrange(10) == 0:
            fields.append((b"Connection", rng.choice((b" keep-alive", b" X-R, x-r1", b" content-length", b" TE, Host"))))
        fields += [self.field() for _ in range(rng.choice((0, 0, 1, 2, 6)))]
        rng.shuffle(fields)
        names = [rng.choice((bytes.title, bytes.lower, bytes.upper))(name) for name, _ in fields]
        head = b"".join(name + b":" + value + b"\r\n" for name, (_, value) in zip(names, fields))
        line = f"{method} {prefix}{target}{query} ".encode()
        return line + version + b"\r\n" + head + b"\r\n" + raw, meant("origin", method, target + query, body)

    def mutant(self, prefix, target):
        """Any byte of it another, gone or doubled, but for its target."""
        while True:
            raw, asked = self.good(prefix, target)
            if asked.method != "HEAD" and hostile.SMUGGLED not in raw:  # which may become a request of its own
                break
        rng, end = self.rng, len(raw)
        begin = raw.index(b"HTTP/1.")
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.choice((rng.randrange(begin, end), rng.randrange(begin, min(end, begin + 120))))
            new = rng.choice((b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"0", b"1", b"x", b"-", b"\xff",
                              raw[at:at + 1] * 2, raw[at:at + rng.randrange(40)], bytes([raw[at] ^ 1 << rng.randrange(8)])))
            raw = raw[:at] + new + raw[at + rng.randrange(2):]
            end = len(raw)
            if end <= begin:
                break
        return raw, meant("any", "GET", target)

    def cuts(self, raw):
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 6 or len(raw) < 2:
            return [raw]
        places = sorted({rng.randrange(1, len(raw)) for _ in range(rng.choice((1, 1, 3, 8)))})
        return [raw[a:b] for a, b in itertools.pairwise([0, *places, len(raw)])]

    def short(self, prefix, token):
        """One that can be cut at each of its bytes."""
        while True:
            raw, asked = self.good(prefix, f"/{token}/cut", last=True)
            if len(raw) <= 1500:
                return raw, asked

    def visit(self, prefix, token, broken):
        rng, raws, asked = self.rng, [], []
        for number in range(rng.randrange(1, 30)):
            raw, one = self.good(prefix, f"/{token}/{number}")
            raws.append(raw)
            asked.append(one)
        end = rng.randrange(4)
        here = f"{prefix}/{token}/".encode()
        smuggled = hostile.at(hostile.SMUGGLED, here)
        if end == 0:
            raw, one = self.mutant(prefix, f"/{token}/mutant")
            raws += [raw, smuggled.replace(b"smuggled", b"after")]  # it may have become a good one
            asked.append(one)
        elif end == 1:
            raw, outcome = rng.choice(broken)
            raws.append(hostile.at(raw, here) + smuggled)
            asked.append(meant(outcome, "GET", f"/{token}/1"))
        else:
            raw, one = self.good(prefix, f"/{token}/last", last=True)
            raws += [raw, smuggled]
            asked.append(one)
        return Visit(self.cuts(b"".join(raws)), asked, f"{token}: {raws[-2]!r}")


def hostile_asked(raw, outcome, bodies, token, place):
    """What a hostile case means, request by request."""
    asked = []
    for word, body in zip(outcome.split(), bodies):
        if word in ("1", "2", "last"):
            method = re.search(rb"([A-Z]+) @" + word.encode(), raw + hostile.LAST).group(1).decode()
            asked.append(meant("origin", method, f"/{token}/{word}", hostile.at(body, place)))
        else:
            asked.append(meant(word, "GET", f"/{token}/1"))
    return asked


class DifferentialTest(harness.Case):
    def serve(self, *arguments):
        self.server = self.relay("--plain-listen", "127.0.0.1:0", *arguments)
        self.witnesses, self.agents, self.prefixes, addresses = {}, [], {}, {}
        addresses["nginx"] = self.nginx()
        for name, command in (("nodejs", ["node", PEERS / "witness.mjs"]),
                              ("python", [sys.executable, "-B", ROOT / "tests/e2e/witness.py"])):
            addresses[name] = f"127.0.0.1:{self.witness(name, command)}"
        for name in WITNESSES:
            self.agents.append(self.agent(self.server, "http", addresses[name], "--id", name.ljust(6, "x"), "--public",
                                          name=f"agent-{name}", token=self.server.token(name)))
            self.prefixes[name] = f"/t/{name:x<6}"  # one as long as the other
        self.tokens = map("c{:07x}".format, itertools.count(1))
        self.visits = []
        self.clock = socket.create_connection(self.server.plain(), timeout=SOON)
        self.addCleanup(self.clock.close)
        self.faults = []

    def witness(self, name, command):
        with open(self.folder / f"{name}.seen", "wb") as seen:
            self.witnesses[name] = self.start(name, command, stdout=seen)
        path = self.folder / f"{name}.seen"
        first = wait_until(lambda: path.read_text().partition("\n")[0], f"{name} serves", alive=[self.witnesses[name]])
        return json.loads(first)["port"]

    def nginx(self):
        """Its log is the witness; a second server inside gives the answers, so that the first reads all of a body."""
        port, inner = free_port(), free_port()
        config = self.folder / "nginx.conf"
        temporary = "".join(f"  {kind}_temp_path {self.folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(f"""\
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log {self.folder}/nginx.complaints info;
events {{ worker_connections 4096; }}
http {{
{temporary}
  log_format seen escape=json '{{"serial":"$request_id","method":"$request_method","target":"$request_uri",'
    '"whole":"$request_completion","body":"$request_body"}}';
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 1h;
  client_body_buffer_size 1m;
  client_max_body_size 0;
  upstream inner {{ server 127.0.0.1:{inner}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    access_log {self.folder}/nginx.seen seen;
    add_header X-Serial $request_id always;
    add_header X-Target $request_uri always;
    location / {{
      proxy_pass http://inner/;
      proxy_http_version 1.1;
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_pass_request_headers off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
    }}
  }}
  server {{ listen 127.0.0.1:{inner}; location / {{ return 200 "ok\\n"; }} }}
}}
""")
        self.witnesses["nginx"] = self.start("nginx", ["/usr/sbin/nginx", "-c", config, "-p", self.folder])

        def listening():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listening, "nginx listens", alive=[self.witnesses["nginx"]])
        return f"127.0.0.1:{port}"

    # --- the visitors' side ---

    def tick(self):
        """A relay of one thread has read what was sent before: it takes its connections in the order in which they
        become ready."""
        self.clock.sendall(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
        data = b""
        while not data.endswith(b"}\n"):
            data += self.clock.recv(4 * KiB)

    def converse(self, visits):
        """All of them at once, piece by piece, to their ends."""
        poll, by_number = select.epoll(), {}
        for number, visit in enumerate(visits):
            visit.sock = socket.socket()
            visit.sock.bind((f"127.0.1.{1 + number % 20}", 0))
            visit.sock.connect(self.server.plain())
            visit.sock.setblocking(False)
            visit.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            by_number[visit.sock.fileno()] = visit
            poll.register(visit.sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        running = set(visits)

        def turn(seconds):
            events = poll.poll(seconds)
            for number, event in events:
                visit = by_number[number]
                if visit.over:
                    continue
                if event & select.EPOLLOUT:
                    visit.send()
                visit.receive()
                if visit.over:
                    poll.unregister(visit.sock)
                    visit.sock.close()
                    running.discard(visit)
            return events

        rounds = max(len(visit.pieces) for visit in visits)
        for number in range(rounds):
            for visit in running:
                if number < len(visit.pieces):
                    visit.unsent += visit.pieces[number]
                    visit.send()
            turn(0)
            if number + 1 < rounds:
                self.tick()
        deadline = time.monotonic() + 3 * SOON
        while running and time.monotonic() < deadline:
            if all(visit.may_wait and visit.settled() for visit in running):
                # They have got what there was to get, or want more than there is.
                self.tick()
                if turn(0):
                    continue
                for visit in running:
                    if not visit.left:
                        visit.left = True
                        visit.sock.shutdown(socket.SHUT_WR)
            turn(1)
        for visit in running:
            self.faults.append(f"no end: {visit.told}, {bytes(visit.received[-200:])!r}")
            visit.sock.close()
        poll.close()
        for visit in visits:
            visit.sock = visit.unsent = None
        self.visits += visits

    def generated(self):
        generator = Generator(OPTIONS.seed)
        broken = [(raw, outcome) for raw, outcome, _ in hostile.collection() if outcome == "400" and len(raw) < 2000]
        made, batch = 0, []
        while made < OPTIONS.requests:
            name = WITNESSES[len(batch) % 3]
            visit = generator.visit(self.prefixes[name], next(self.tokens), broken)
            made += len(visit.asked)
            batch.append(visit)
            if len(batch) == AT_ONCE:
                self.converse(batch)
                batch = []
        if batch:
            self.converse(batch)
        return made

    def case(self, raw, outcome, bodies, name, cut):
        token = next(self.tokens)
        place = f"{self.prefixes[name]}/{token}/".encode()
        return Visit(cut(hostile.at(raw + hostile.LAST, place)), hostile_asked(raw, outcome, bodies, token, place),
                     f"{token} {outcome}: {raw[:300]!r}")

    def hostile(self):
        cases = list(hostile.collection())
        visits = []
        for number, (raw, outcome, bodies) in enumerate(cases):
            inside = len(raw) + raw.count(b"@") * (len(hostile.HERE) - 1)
            places = [*range(1, min(inside, 5000)), *range(5000, inside, 50)]  # three are longer
            places = places[(OPTIONS.seed + number) % OPTIONS.every::OPTIONS.every]
            for turn, name in enumerate(WITNESSES):
                visits.append(self.case(raw, outcome, bodies, name, lambda whole: [whole]))
                if len(raw) < 500:
                    visits.append(self.case(raw, outcome, bodies, name, lambda whole: [bytes([c]) for c in whole]))
                # What no service is asked about is cut for one of them.
                for place in places:
                    if outcome[0] in "12" or (number + place) % 3 == turn:
                        visits.append(self.case(raw, outcome, bodies, name,
                                                lambda whole, at=place: [whole[:at], whole[at:]]))
        visits.sort(key=lambda visit: len(visit.pieces))
        self.converse_in_turn(visits)
        return len(cases), len(visits)

    def cut(self):
        """Good requests, in two at every byte."""
        generator, visits = Generator(OPTIONS.seed), []
        for number in range(OPTIONS.cut):
            name, token = WITNESSES[number % 3], next(self.tokens)
            raw, asked = generator.short(self.prefixes[name], token)
            for at in range(1 + (OPTIONS.seed + number) % OPTIONS.every, len(raw), OPTIONS.every):
                own = next(self.tokens)
                whole = raw.replace(token.encode(), own.encode())
                visits.append(Visit([whole[:at], whole[at:]], [asked._replace(target=asked.target.replace(token, own))],
                                    f"{own}: {whole!r}"))
        self.converse_in_turn(visits)
        return len(visits)

    def converse_in_turn(self, visits):
        batch, heads = [], 0
        for visit in visits:
            head = min(sum(map(len, visit.pieces)), 64 * KiB)
            if len(batch) == AT_ONCE or heads + head > HEADS_AT_ONCE:
                self.converse(batch)
                batch, heads = [], 0
            batch.append(visit)
            heads += head
        self.converse(batch)

    # --- both sides ---

    def seen(self):
        """What the services wrote down, once they have ended: {serial: entry}, and what broke off."""
        for agent in self.agents:
            agent.process.stop()
        whole, partial = {}, []
        for name, process in self.witnesses.items():
            process.terminate() if name != "nginx" else process.send_signal(subprocess.signal.SIGQUIT)
            process.wait(SOON)
            for line in (self.folder / f"{name}.seen").read_bytes().decode("latin-1").splitlines():
                entry = json.loads(line, strict=False)
                if "complaint" in entry:
                    self.faults.append(f"{name} complains: {entry['complaint']}")
                elif "port" in entry:
                    continue
                elif name == "nginx":
                    body = entry["body"].encode("latin-1")
                    seen = Asked("origin", entry["method"], entry["target"], len(body), hashlib.sha256(body).hexdigest())
                    if entry["whole"] == "OK":
                        whole[entry["serial"]] = seen
                    else:
                        partial.append(seen)
                elif entry["whole"]:
                    whole[entry["serial"]] = Asked("origin", entry["method"], entry["target"], entry["length"],
                                                   entry["digest"])
                else:
                    partial.append(Asked("any", entry["method"], entry["target"], None, None))
        for line in (self.folder / "nginx.complaints").read_text(errors="replace").splitlines():
            if re.search(r"client sent (?!invalid header line)|\[(error|crit|alert|emerg)\]", line):
                self.faults.append(f"nginx complains: {line}")
        return whole, partial

    def check(self, visit, whole, answered):
        found = answers(visit, [one.method for one in visit.asked])
        for number, one in enumerate(visit.asked):
            if one.outcome == "any":
                for answer in found[number:]:
                    if answer.serial:
                        answered.add(answer.serial)
                        assert whole[answer.serial].target == answer.target, f"{answer} for {whole[answer.serial]}"
                        assert f"/{visit.told.split(':')[0].split(' ')[0]}/" in answer.target, f"{answer}"
                return
            if one.outcome == "hang":
                assert all(answer.status >= 400 for answer in found[number:]), f"answered: {found}"
                answered.update(answer.serial for answer in found[number:])
                return
            assert number < len(found), f"answer {number} of {one} is missing: {found}"
            answer = found[number]
            if one.outcome != "origin":
                assert answer.status == int(one.outcome) and not answer.serial, f"{answer} for {one}"
                assert answer.close and len(found) == number + 1, f"open behind {answer}, {found[number + 1:]}"
                return
            assert answer.serial in whole and answer.status == 200, f"{answer} for {one}"
            seen = whole[answer.serial]
            answered.add(answer.serial)
            assert (seen.method, seen.target, answer.target) == (one.method, one.target, one.target), f"{seen} for {one}"
            assert (seen.length, seen.digest) == (one.length, one.digest), f"body of {seen} for {one}"
        assert len(found) == len(visit.asked), f"more answers than requests: {found}"

    def test_both_sides_agree_on_what_is_generated(self):
        self.serve()
        watch = Stopwatch()
        made = self.generated()
        report(f"{made} generated requests", f"{watch.seconds():.1f} s, {made / watch.seconds():.0f}/s")
        self.both_sides_agree(OPTIONS.requests // 2)

    def test_both_sides_agree_on_what_is_cut_at_every_byte(self):
        self.serve("--threads", "1")  # see tick()
        watch = Stopwatch()
        pieces = self.cut()
        report(f"{OPTIONS.cut} generated requests in two", f"{pieces} connections, {watch.seconds():.1f} s")
        watch = Stopwatch()
        cases, visits = self.hostile()
        report(f"{cases} hostile cases", f"{visits} connections, {watch.seconds():.1f} s")
        self.both_sides_agree(pieces)

    def both_sides_agree(self, least):
        again = (f"tests/e2e/differential_test.py --requests {OPTIONS.requests} --seed {OPTIONS.seed} "
                 f"--cut {OPTIONS.cut} --every {OPTIONS.every} {self.id().removeprefix('__main__.')}")
        print(f"replay: {again}", flush=True)
        whole, partial = self.seen()
        answered = set()
        for visit in self.visits:
            try:
                self.check(visit, whole, answered)
            except (AssertionError, ValueError, KeyError) as error:
                self.faults.append(f"{error!r}\n  {visit.told}\n  in {len(visit.pieces)} pieces, the first of "
                                   f"{len(visit.pieces[0])} bytes; {bytes(visit.received[-300:])!r}")
        # Those who went away may have missed an answer; all others have every one that was given.
        gone = {visit.told.split(":")[0].split(" ")[0] for visit in self.visits if visit.left}
        for serial in whole.keys() - answered:
            if whole[serial].target.split("/")[1] not in gone:
                self.faults.append(f"nobody saw the answer to {whole[serial]}")
        for seen in [*whole.values(), *partial]:
            if "smuggled" in seen.target:
                self.faults.append(f"smuggled: {seen}")
        may_break = {one.target.split("/")[1] for visit in self.visits for one in visit.asked
                     if one.outcome != "origin"}
        self.faults += [f"broke off: {seen}" for seen in partial if seen.target.split("/")[1] not in may_break]
        report("requests that a service saw", f"{len(whole)} whole, {len(partial)} broken off")
        self.assertGreaterEqual(len(whole), least)
        if self.faults:
            self.fail(f"{len(self.faults)} faults, {again}\n" + "\n".join(random.Random(1).sample(self.faults, min(20, len(self.faults)))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--requests", type=int, default=OPTIONS.requests)
    parser.add_argument("--seed", type=int, default=OPTIONS.seed)
    parser.add_argument("--cut", type=int, default=OPTIONS.cut)  # generated requests
    parser.add_argument("--every", type=int, default=OPTIONS.every)  # n-th byte to cut at
    OPTIONS, sys.argv[1:] = parser.parse_known_args()
    harness.main()
