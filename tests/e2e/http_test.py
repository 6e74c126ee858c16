"""HTTP/1.1 as a visitor and a local service see it through the tunnel, byte by byte."""

import json
import socket
import struct
import threading

import harness
from harness import SOON, wait_until
from wire import Client, Cut, Origin, answer, body_pieces, chunk


class HttpTest(harness.Case):
    def publish(self, handler, *arguments):
        self.origin = Origin(self, handler)
        self.server = self.relay()
        self.tunnel = self.agent(self.server, "http", self.origin.address, *arguments)
        self.path = self.tunnel.path

    def visitor(self):
        client = Client(self.server.connect())
        self.addCleanup(client.close)
        return client

    # --- streaming ---

    def test_each_token_arrives_while_the_next_does_not_exist(self):
        received = threading.Semaphore(0)

        def tokens(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            for number in range(200):
                connection.send(chunk(b"data: %d\n\n" % number))
                if not received.acquire(timeout=SOON):
                    raise AssertionError(f"token {number} was held back")
            connection.send(b"0\r\n\r\n")
            return True

        self.publish(tokens)
        client = self.visitor()
        client.request("GET", self.path("/stream"))
        message = client.head()
        self.assertEqual(message.get("content-type"), "text/event-stream")
        got = b""
        for number in range(200):
            token = b"data: %d\n\n" % number
            size = int(client.reader.until(b"\r\n"), 16)
            got = client.reader.exactly(size)
            client.reader.exactly(2)
            self.assertEqual(got, token)
            received.release()
        self.assertEqual(client.reader.until(b"\r\n"), b"0")
        self.assertEqual(self.origin.errors, [])

    def test_both_directions_stream_at_once(self):
        def echo(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in body_pieces(connection.reader, request):
                connection.send(chunk(piece.upper()))
            connection.send(b"0\r\n\r\n")
            return True

        self.publish(echo)
        client = self.visitor()
        client.send(f"POST {self.path('/echo')} HTTP/1.1\r\nHost: x\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n".encode())
        client.send(chunk(b"first"))
        message = client.head()
        self.assertEqual(message.status, 200)
        for number in range(100):
            if number:
                client.send(chunk(b"piece %d" % number))
            size = int(client.reader.until(b"\r\n"), 16)
            expected = b"FIRST" if number == 0 else b"PIECE %d" % number
            self.assertEqual(client.reader.exactly(size), expected)
            client.reader.exactly(2)
        client.send(b"0\r\n\r\n")
        self.assertEqual(client.reader.until(b"\r\n"), b"0")

    def test_a_visitor_who_leaves_is_seen_by_the_service(self):
        left = threading.Event()
        begun = threading.Event()

        def endless(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x"))
            begun.set()
            try:
                connection.reader.more()  # ends when the agent closes
            except Cut:
                left.set()
            return False

        self.publish(endless)
        client = self.visitor()
        client.request("GET", self.path())
        client.head()
        self.assertTrue(begun.wait(SOON))
        client.close()
        self.assertTrue(left.wait(SOON), "the service was not told")

    # --- messages ---

    def test_expect_100_continue_comes_from_the_service(self):
        asked = threading.Event()
        allowed = threading.Event()

        def careful(request, connection):
            self.assertEqual(request.get("expect", "").lower(), "100-continue")
            asked.set()
            allowed.wait(SOON)
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            return answer(connection, b"".join(body_pieces(connection.reader, request)))

        self.publish(careful)
        client = self.visitor()
        client.send(f"PUT {self.path('/x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                    "Expect: 100-continue\r\n\r\n".encode())
        self.assertTrue(asked.wait(SOON))
        allowed.set()
        self.assertEqual(client.head().status, 100)
        client.send(b"hello")
        message, body = client.response()
        self.assertEqual((message.status, body), (200, b"hello"))

    def test_a_refusal_needs_no_body(self):
        def refuse(request, connection):
            answer(connection, b"no", "417 Expectation Failed", "Connection: close")
            return False

        self.publish(refuse)
        client = self.visitor()
        client.send(f"PUT {self.path('/x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                    "Expect: 100-continue\r\n\r\n".encode())
        message, body = client.response()
        self.assertEqual((message.status, body), (417, b"no"))

    def test_answers_without_a_body_keep_the_connection(self):
        def bodiless(request, connection):
            method, path, _ = request.words
            if path == "/204":
                connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            elif path == "/304":
                connection.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 77\r\n\r\n")
            elif method == "HEAD":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            else:
                answer(connection, b"body")
            return True

        self.publish(bodiless)
        client = self.visitor()
        for _ in range(3):
            client.request("HEAD", self.path("/"))
            message, _ = client.response("HEAD")
            self.assertEqual((message.status, message.get("content-length")), (200, "1000"))
            for path, status in (("/204", 204), ("/304", 304)):
                message, body = client.get(self.path(path))
                self.assertEqual((message.status, body), (status, b""))
            self.assertEqual(client.get(self.path("/"))[1], b"body")

    def test_interim_responses_pass(self):
        def hints(request, connection):
            for number in range(3):
                connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n" % number)
            return answer(connection, b"done")

        self.publish(hints)
        client = self.visitor()
        client.request("GET", self.path())
        for number in range(3):
            message = client.head()
            self.assertEqual((message.status, message.get("link")), (103, f"</{number}>"))
        self.assertEqual(client.response()[1], b"done")

    def test_trailers_pass_both_ways(self):
        def trailers(request, connection):
            body = b"".join(body_pieces(connection.reader, request))
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Seen\r\n\r\n")
            connection.send(chunk(body) + b"0\r\nX-Seen: %s\r\n\r\n" %
                            dict(request.trailers)["X-Sum"].encode())
            return True

        self.publish(trailers)
        client = self.visitor()
        client.send(f"POST {self.path()} HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTrailer: X-Sum\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n".encode())
        message, body = client.response()
        self.assertEqual(body, b"abc")
        self.assertEqual(message.trailers, [("X-Seen", "42")])

    def test_many_exchanges_on_one_connection_reuse_one_to_the_service(self):
        self.publish(lambda request, connection: answer(connection, request.words[1].encode()))
        client = self.visitor()
        for number in range(100):
            self.assertEqual(client.get(self.path(f"/{number}?q={number}"))[1],
                             f"/{number}?q={number}".encode())
        self.assertLessEqual(self.origin.connections, 2)

    def test_requests_sent_at_once_are_answered_in_order(self):
        self.publish(lambda request, connection: answer(connection, request.words[1].encode()))
        client = self.visitor()
        client.send("".join(f"GET {self.path(f'/{number}')} HTTP/1.1\r\nHost: x\r\n\r\n"
                            for number in range(20)).encode())
        for number in range(20):
            self.assertEqual(client.response()[1], f"/{number}".encode())

    def test_an_answer_that_ends_with_its_connection_ends_in_order_for_the_visitor(self):
        def old(request, connection):
            connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
            return False

        self.publish(old)
        client = self.visitor()
        message, body = client.get(self.path())  # a Cut here would mean that the end was not told apart
        self.assertEqual((message.status, body), (200, b"until the end"))

    def test_an_answer_without_length_whose_service_resets_is_not_complete(self):
        def reset(request, connection):
            connection.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
            linger = struct.pack("ii", 1, 0)
            ready.wait(SOON)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False

        ready = threading.Event()
        self.publish(reset)
        client = self.visitor()
        client.request("GET", self.path())
        message = client.head()
        ready.set()
        with self.assertRaises(Cut):
            client.body(message)

    def test_a_visitor_of_http_1_0(self):
        """docs/protocol.md §5.1: the service learns the visitor's version; chunked is no answer to it."""
        def by_version(request, connection):
            if request.words[1] == "/chunked":
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                chunk(b"one") + b"0\r\n\r\n")
            else:
                connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + request.words[2].encode())
            return False

        self.publish(by_version)
        client = self.visitor()
        client.send(f"GET {self.path()} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        self.assertEqual(client.response()[1], b"HTTP/1.0")
        client = self.visitor()
        client.send(f"GET {self.path('/chunked')} HTTP/1.0\r\n\r\n".encode())
        message, body = client.response()
        self.assertEqual(message.status, 502)
        self.assertIn(b"LEAT_SERVICE_PROTOCOL", body)

    def test_a_visitor_may_ask_to_close(self):
        self.publish(lambda request, connection: answer(connection, b"bye"))
        client = self.visitor()
        message, body = client.get(self.path(), "Connection: close")
        self.assertEqual(body, b"bye")
        self.assertEqual((message.get("connection") or "").lower(), "close")
        self.assertTrue(client.reader.at_end())

    # --- truth about ends ---

    def test_an_answer_cut_short_is_not_a_complete_one(self):
        cuts = {
            "/length": b"Content-Length: 1000\r\n\r\nhalf",
            "/chunked": b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "/in-a-chunk": b"Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        }

        def cut(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\n" + cuts[request.words[1]])
            return False

        self.publish(cut)
        for path in cuts:
            with self.subTest(path=path):
                client = self.visitor()
                client.request("GET", self.path(path))
                message = client.head()
                if message.status == 200:
                    with self.assertRaises(Cut):
                        client.body(message)
                else:  # the relay noticed before it had sent a byte
                    self.assertEqual(message.status, 502)
                    self.assertIn(b"LEAT_SERVICE_CUT", client.body(message))

    def test_a_request_cut_short_is_not_a_complete_one(self):
        outcome = []

        def upload(request, connection):
            try:
                outcome.append(b"".join(body_pieces(connection.reader, request)))
            except Cut:
                outcome.append("cut")
            return False

        self.publish(upload)
        client = self.visitor()
        client.send(f"POST {self.path()} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode())
        wait_until(lambda: self.origin.requests, "the service has the request's head")
        client.close()
        wait_until(lambda: outcome, "the service sees the end")
        self.assertEqual(outcome, ["cut"])

    # --- heads ---

    def test_what_the_service_learns_about_the_visitor(self):
        self.publish(lambda request, connection: answer(connection, json.dumps(request.fields).encode()))
        client = self.visitor()
        client.request("GET", self.path("/x"), "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6",
                       "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil", "Connection: keep-alive, X-Hop",
                       "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authorization: Basic eA==",
                       "X-Mine: kept", "Cookie: a=b", host="public.example")
        fields = [(key.lower(), value) for key, value in json.loads(client.response()[1])]
        seen = dict(fields)
        self.assertEqual(seen["host"], self.origin.address)
        self.assertEqual(seen["x-forwarded-for"], "127.0.0.1")
        self.assertEqual(seen["x-forwarded-proto"], "https")
        self.assertEqual(seen["x-forwarded-host"], "public.example")
        self.assertEqual((seen["x-mine"], seen["cookie"]), ("kept", "a=b"))
        for gone in ("x-hop", "keep-alive", "proxy-authorization"):
            self.assertNotIn(gone, seen)
        self.assertNotIn("6.6.6.6", " ".join(value for _, value in fields))
        self.assertEqual(len([1 for key, _ in fields if key == "host"]), 1)

    def test_one_id_is_in_both_logs_and_at_the_service(self):
        origin = Origin(self, lambda request, connection: answer(
            connection, request.get("x-request-id").encode()))
        relay = self.relay("--log-level", "debug")
        agent = self.agent(relay, "http", origin.address)
        with Client(relay.connect()) as client:
            own = "of-the-visitor.1"
            message, body = client.get(agent.path(), f"X-Request-Id: {own}")
            self.assertEqual((message.get("x-request-id"), body), (own, own.encode()))
            message, body = client.get(agent.path(), "X-Request-Id: none of ours")
            made = message.get("x-request-id")
            self.assertEqual(body, made.encode())
            self.assertRegex(made, r"^\w{8,}$")

        def ids(process):
            lines = [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]
            return [line["request_id"] for line in lines if line["event"] == "request"]
        wait_until(lambda: ids(agent.process) == [own, made], "the agent's log has both")
        self.assertEqual(ids(relay.process), [own, made])

    def test_path_and_query_arrive_as_they_were_sent(self):
        self.publish(lambda request, connection: answer(connection, request.words[1].encode("latin-1")))
        client = self.visitor()
        for target in ("/", "/a%20b?x=1&y=%2F", "/a;b=c/d,e?z", "/?q=%E2%82%AC", "/" + "x" * 4000):
            with self.subTest(target=target[:40]):
                self.assertEqual(client.get(self.path(target))[1], target.encode())

    def test_heads_that_are_not_http_are_refused(self):
        self.publish(lambda request, connection: answer(connection, b"reached"))
        good = f"GET {self.path()} HTTP/1.1\r\nHost: x\r\n"
        for name, head in {
            "two lengths": good + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "length and chunked": good + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "signed length": good + "Content-Length: +4\r\n\r\nabcd",
            "space before the colon": good + "X : y\r\n\r\n",
            "folded field": good + "X: a\r\n b\r\n\r\n",
            "bare LF": good.replace("\r\n", "\n") + "\n",
            "NUL in a field": good + "X: a\0b\r\n\r\n",
            "no Host": f"GET {self.path()} HTTP/1.1\r\n\r\n",
            "two Hosts": good + "Host: y\r\n\r\n",
            "HTTP/0.9": f"GET {self.path()}\r\n\r\n",
            "absolute form": "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "CONNECT": "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        }.items():
            with self.subTest(head=name):
                client = self.visitor()
                client.send(head.encode("latin-1"))
                try:
                    message = client.head()
                except Cut:
                    continue  # closed without a word is a refusal as well
                self.assertEqual(message.status, 400)
                self.assertRegex(client.body(message).decode(), "LEAT_(BAD_REQUEST|NOT_A_PROXY)")
        self.assertEqual(self.origin.requests, [])

    def test_a_head_too_large_is_refused(self):
        self.publish(lambda request, connection: answer(connection, b"reached"))
        client = self.visitor()
        client.request("GET", self.path(), "X-Large: " + "x" * 70000)
        message, body = client.response()
        self.assertEqual(message.status, 431)
        self.assertIn(b"LEAT_HEAD_TOO_LARGE", body)

    # --- upgrades ---

    def test_an_upgrade_becomes_a_pipe(self):
        def shout(request, connection):
            self.assertEqual(request.get("upgrade"), "shouting")
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                            b"Upgrade: shouting\r\n\r\nREADY")
            while True:
                try:
                    connection.reader.more()
                except Cut:
                    connection.send(b"BYE")
                    return False
                connection.send(connection.reader.buffer.upper())
                connection.reader.buffer = b""

        self.publish(shout)
        client = self.visitor()
        client.request("GET", self.path(), "Connection: Upgrade", "Upgrade: shouting")
        message = client.head()
        self.assertEqual((message.status, message.get("upgrade")), (101, "shouting"))
        self.assertEqual(client.reader.exactly(5), b"READY")
        for number in range(50):
            client.send(b"word %d" % number)
            self.assertEqual(client.reader.exactly(len(b"word %d" % number)), b"WORD %d" % number)

    def test_a_refused_upgrade_leaves_http(self):
        self.publish(lambda request, connection: answer(connection, b"plain"))
        client = self.visitor()
        for _ in range(2):
            message, body = client.get(self.path(), "Connection: Upgrade", "Upgrade: websocket")
            self.assertEqual((message.status, body), (200, b"plain"))


class PlainTest(harness.Case):
    def test_the_plain_port_serves_the_same(self):
        origin = Origin(self, lambda request, connection: answer(connection, b"hello"))
        relay = self.relay("--plain-listen", "127.0.0.1:0")
        tunnel = self.agent(relay, "http", origin.address)
        with Client(socket.create_connection(relay.plain(), timeout=SOON)) as client:
            self.assertEqual(client.get(tunnel.path())[1], b"hello")
            self.assertEqual(client.get("/healthz")[0].status, 200)

    def test_many_visitors_at_once(self):
        def slow_start(request, connection):
            gate.wait()  # answers only when all are here
            return answer(connection, request.words[1].encode())

        visitors = 50
        gate = threading.Barrier(visitors, timeout=6 * SOON)
        origin = Origin(self, slow_start)
        relay = self.relay()
        tunnel = self.agent(relay, "http", origin.address)
        clients = []
        for number in range(visitors):  # each asks at once: the relay waits ten seconds for a head
            client = Client(relay.connect())
            clients.append(client)
            self.addCleanup(client.close)
            client.request("GET", tunnel.path(f"/{number}"))
        for number, client in enumerate(clients):
            self.assertEqual(client.response()[1], f"/{number}".encode())


if __name__ == "__main__":
    harness.main()
