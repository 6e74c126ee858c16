"""Requests that somebody might read in two ways (threats 10 to 14, RFC 9112 §11). In each, @1 stands for the target
of the first request, @2 of a second one where two are meant, and @smuggled for what nobody may be asked. Behind each
comes a last, good request that closes the connection.

What must become of them: "1", "2", "last": answered by the service; "400": refused and closed; "hang": there is not
all of it, and the service may refuse it but never has a whole request; "any": one or the other, but the same for both sides."""

from wire import chunk

# What @ becomes, and so long that lengths are right, is put in the place of this.
HERE = b"/t/nodejs/c0000000/"

HOST = b"Host: relay\r\n"
SMUGGLED = b"GET " + HERE + b"smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET @last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


def at(raw, place):
    """The case as it is sent: `place` is as long as HERE."""
    assert len(place) == len(HERE)
    return raw.replace(b"@", HERE).replace(HERE, place)


def post(fields, body=b"", line=b"POST @1 HTTP/1.1"):
    return line + b"\r\n" + HOST + fields + b"\r\n" + body


def counted(value):
    return post(b"Content-Length:" + value + b"\r\n", SMUGGLED)


def chunked(body, fields=b"Transfer-Encoding: chunked\r\n"):
    return post(fields, body)


def coded(value):
    """A Transfer-Encoding that hides from one of two readers."""
    return post(b"Transfer-Encoding:" + value + b"\r\n", b"0\r\n\r\n" + SMUGGLED)


def both(*fields):
    """Read by its length it is one request, by its chunks two; and the other way round."""
    inner = b"0\r\n\r\n" + SMUGGLED
    length = b"Content-Length: %d\r\n" % len(inner)
    yield post(b"".join(fields).replace(b"LENGTH", length), inner)
    short = chunk(SMUGGLED) + b"0\r\n\r\n"
    yield post(b"".join(fields).replace(b"LENGTH", b"Content-Length: 4\r\n"), short)


def headed(field):
    return b"GET @1 HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n" + SMUGGLED


def asked(line, fields=HOST):
    return line + b"\r\n" + fields + b"\r\n" + SMUGGLED


def collection():
    """Of each case what is sent, what must become of it, and the bodies that the services then have."""
    for raw, outcome, *bodies in cases():
        yield raw, outcome, bodies + [b""] * len(outcome.split())


def cases():
    """The bodies of the first requests; those of others are empty."""
    # --- two framings ---
    for fields in ((b"LENGTH", b"Transfer-Encoding: chunked\r\n"), (b"Transfer-Encoding: chunked\r\n", b"LENGTH"),
                   (b"LENGTH", b"Transfer-Encoding: identity\r\n"), (b"LENGTH", b"Transfer-Encoding: x\r\n"),
                   (b"LENGTH", b"transfer-encoding: CHUNKED\r\n"), (b"LENGTH", b"Transfer-Encoding:chunked \t\r\n"),
                   (b"LENGTH", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                   (b"LENGTH", b"Transfer-Encoding : chunked\r\n"), (b"LENGTH", b"X: x\nTransfer-Encoding: chunked\r\n"),
                   (b"LENGTH", b"X: x\rTransfer-Encoding: chunked\r\n"),
                   (b"LENGTH", b" Transfer-Encoding: chunked\r\n"), (b"LENGTH", b"\tTransfer-Encoding: chunked\r\n"),
                   (b"LENGTH", b"Transfer-Encoding:\r\n chunked\r\n"), (b"LENGTH", b"Transfer-Encoding: \r\n"),
                   (b"LENGTH", b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n"),
                   (b"LENGTH", b"LENGTH"), (b"LENGTH", b"Content-Length: 0\r\n"),
                   (b"Content-Length: 0\r\n", b"LENGTH"), (b"LENGTH", b"Content-Length: x\r\n"),
                   (b"LENGTH", b"X: x\r\n Content-Length: 0\r\n"), (b"LENGTH", b"Content-Length : 0\r\n")):
        for raw in both(*fields):
            yield raw, "400"

    # --- lengths that are none, or several ---
    for value in (b" +5", b" -1", b" -0", b" 0x10", b" 0X5", b" 5h", b" 1e1", b" 5.0", b" 5,5", b" 5, 5", b" 5,6",
                  b" 5 5", b"", b" ", b" \t", b" 0x", b" 18446744073709551616", b" 9223372036854775808",
                  b" 18446744073709551617", b" 999999999999999999999999999999", b" 4294967296x", b" \x0b5", b" 5\x0c",
                  b" 5\x00", b" 5;", b" \"5\"", b" 5_0", b" \xb2", b" \xef\xbc\x95", b" null", b" NaN", b" 5\r", b"\n5"):
        yield counted(value), "400"
    for value in (b"5", b" 5", b"  5  ", b" 0005", b" 000000000000000000000000000000005"):
        yield post(b"Content-Length:" + value + b"\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Content-Length:\t 5\t\r\n", b"hello"), "any"  # llhttp takes no tab before a number
    yield post(b"Content-Length: 9223372036854775807\r\n", SMUGGLED), "hang"
    yield post(b"Content-Length: 1000\r\n", SMUGGLED), "hang"
    yield post(b"Content_Length: 1000\r\n"), "1 last"
    yield post(b"Content-Length: 5\r\nContent_Length: 1000\r\nContentLength: 1000\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Content-Length: 5\r\nConnection: Content-Length\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Content-Length: 5\r\nConnection: close, Content-Length\r\n", b"hello"), "1", b"hello"

    # --- codings that are not, or not only, chunked ---
    for value in (b" xchunked", b" chunkedx", b" chunked, chunked", b" gzip, chunked", b" chunked, gzip", b" identity",
                  b" chunked;q=1", b" chunked,", b" ,chunked", b" chunked\x0b", b" \x0bchunked", b" \"chunked\"", b"",
                  b" ", b" chunk", b" chu\tnked", b" cow", b" chunked identity", b" \xa0chunked", b" 0", b" x\r\n chunked",
                  b" chunked\r\n ", b" chunked\r\nTransfer-Encoding: chunked", b" chunked\r\nTransfer-Encoding: identity",
                  b" identity\r\nTransfer-Encoding: chunked", b" chunked\r", b"\nchunked", b" chunked\x00", b" trailers"):
        yield coded(value), "400"
    for value in (b"chunked", b" Chunked", b" CHUNKED\t", b"\t\t chunked"):
        yield post(b"Transfer-Encoding:" + value + b"\r\n", b"5\r\nhello\r\n0\r\n\r\n"), "1 last", b"hello"
    for name in (b"Transfer_Encoding", b"TransferEncoding", b"X-Transfer-Encoding", b"Transfer-Encodings", b"TE"):
        yield post(name + b": chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"), "1 last", b"0\r\n\r\n"
    yield post(b"TE: chunked, trailers;q=0.5\r\nContent-Length: 5\r\n", b"hello"), "1 last", b"hello"
    yield post(b"TE: trailers, chunked\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), "1 last"
    yield post(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"), "1 last", b"hello"
    yield post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED, b"POST @1 HTTP/1.0"), "400"
    yield post(b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", b"0\r\n\r\n" + SMUGGLED,
               b"GET @1 HTTP/1.0"), "400"

    # --- chunks ---
    for size in (b"-5", b"+5", b"0x5", b" 5", b"5 ", b"\t5", b"5\t", b"", b"g", b"5g", b"5,", b"5;", b"5;x", b"5;x=y",
                 b"5 ;x=y", b"5; x", b"5;x=\"\r\n\"", b"5;\n", b"5\r", b"5\x00", b"00000000000000005;", b"5_0", b"\n5",
                 b"10000000000000005", b"FFFFFFFFFFFFFFFFF", b"100000000000000000000000000000005", b"\xb5", b"5.0", b"5h",
                 b"5" + b";x" * 2000,
                 # Somebody behind us may count in fewer bits, or add to it.
                 b"FFFFFFFFFFFFFFFF", b"7fffffffffffffff", b"8000000000000000", b"fffffffffffffffa", b"1000000000000000", b"fffffffffffffff",
                 b"100000000000000"):
        yield chunked(size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), "400"
    for size in (b"ffffffffffffff", b"00ffffffffffffff", b"FFFFFFF", b"80000000", b"7fffffff", b"100000005"):
        yield chunked(size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), "hang"
    for body in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n",
                 b"5\r\nhelloX\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n\r\n0\r\n\r\n",
                 b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\nX\r\n\r\n",
                 b"5\r\nhello\r\n0\r\n: x\r\n\r\n", b"5\r\nhello\r\n0\r\nX : x\r\n\r\n", b"5\r\nhello\r\n0\r\nX: x\n\r\n",
                 b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n", b"5\r\nhello\r\n0\r\n X: a\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n", b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n", b"5\r\nhello\r\n0;x\r\n\r\n",
                 b"\r\n5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\r\n", b"5\r\nhello\r\n0 \r\n\r\n",
                 b"5\r\n\r\nhello\r\n0\r\n\r\n"):
        yield chunked(body + SMUGGLED), "400"
    # What is no end of the trailers is a trailer: a request line is none.
    yield chunked(b"5\r\nhello\r\n0\r\n" + SMUGGLED), "400"
    for body, meant in ((b"0\r\n\r\n", b""), (b"000000000005\r\nhello\r\n00\r\n\r\n", b"hello"),
                        (b"A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n0\r\n\r\n"), (b"1\r\n0\r\n0\r\n\r\n", b"0"),
                        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"), (b"a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n", b"0123456789")):
        yield chunked(body), "1 last", meant
    # Fields that would frame, route or speak for somebody, behind the body.
    for trailer in (b"Content-Length: 1000", b"Transfer-Encoding: chunked", b"Host: elsewhere", b"Connection: close",
                    b"Content-Length: 1000\r\nTransfer-Encoding: chunked", b"Trailer: Content-Length",
                    b"Authorization: Basic x", b"X-Forwarded-For: 192.0.2.1", b"Expect: 100-continue",
                    b"Upgrade: websocket", b"transfer-encoding:chunked", b"Content-Length: 0\r\nContent-Length: 9"):
        yield chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"), "1 last", b"hello"
    yield chunked(b"0\r\n" + b"X: x\r\n" * 5000 + b"\r\n" + SMUGGLED), "400"

    # --- lines and fields ---
    for field in (b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\r\n ", b"X:\r\n a", b"X: a\nY: b", b"X: a\rY: b", b"X: a\r\rb",
                  b"X: a\x00b", b"X: a\x0bb", b"X: a\x7f", b"X: \x1b[0m", b"X : a", b"X\t: a", b"X", b": a", b":", b"X Y: a",
                  b"X\x00: a", b"X\xe9: a", b"\x80: a", b"(X): a", b"X/Y: a", b"X@: a", b"X[0]: a", b"\"X\": a", b"{: a",
                  b"X: a\n", b"X: a\r", b"\n", b"\r", b"X: a\n\n", b"X: a\r\n\n", b"GET @smuggled HTTP/1.1",
                  b"Content-Length\r\n: 5", b"X:\x00"):
        yield headed(field), "400"
    for field in (b"X:", b"X: ", b"X:\t", b"X: a: b", b"X: \xff\xfe", b"X: \"a, b\"", b"X-Y: x", b"X: GET / HTTP/1.1",
                  b"!#$%&'*+-.^_`|~: x", b"X: " + b"x" * 3000, b"X: a\t b"):
        yield headed(field)[:-len(SMUGGLED)], "1 last"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"\n" + SMUGGLED, "400"
    yield b"GET @1 HTTP/1.1\n" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"GET @1 HTTP/1.1\r" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"GET @1 HTTP/1.1\r\r\n" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"GET @1 HTTP/1.1\n\n" + SMUGGLED, "400"
    yield b"GET @1 HTTP/1.1\r\n " + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"\r\nGET @1 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"\nGET @1 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b" GET @1 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"\x00GET @1 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, "400"
    yield b"\xef\xbb\xbfGET @1 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, "400"
    # Between two requests stands nothing, not even an empty line.
    first = b"GET @1 HTTP/1.1\r\n" + HOST + b"\r\n"
    for between in (b"\r\n", b"\n", b"\r", b" ", b"\x00", b"0\r\n\r\n", b"x"):
        yield first + between + SMUGGLED, "1 400"

    # --- Host ---
    for fields in (b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nhost: a\r\n", b"Host: a b\r\n",
                   b"Host: a,b\r\n", b"Host: a/b\r\n", b"Host: a@b\r\n", b"Host: a#b\r\n", b"Host: a?b\r\n", b"Host: http://a\r\n",
                   b"Host: a:b\r\n", b"Host: a:99999\r\n", b"Host: [::1\r\n", b"Host: ::1\r\n", b"Host: .\r\n", b"Host: \r\n",
                   b"Host:\r\n", b"Host: a..b\r\n", b"Host: a\x00\r\n", b"Host : a\r\n", b"Host: a\r\n b\r\n", b"Host: a%2eb\r\n",
                   b"Host: a\\b\r\n", b"Host: a:80:80\r\n", b"Host: \xe9\r\n", b"Host:a\r\n\tHost: b\r\n"):
        yield asked(b"GET @1 HTTP/1.1", fields), "400"
    yield b"GET @1 HTTP/1.1\r\nHost: relay\r\nX-Host: other\r\nX-Forwarded-Host: other\r\nForwarded: host=x\r\n\r\n", "1 last"

    # --- request lines ---
    for line in (b"GET http://relay@1 HTTP/1.1", b"GET https://relay@1 HTTP/1.1", b"GET //relay@1 HTTP/2.0",
                 b"GET http://other/ HTTP/1.1", b"GET relay@1 HTTP/1.1", b"CONNECT relay:443 HTTP/1.1",
                 b"CONNECT @1 HTTP/1.1", b"GET * HTTP/1.1", b"GET @1", b"GET @1 ", b"GET  @1 HTTP/1.1", b"GET @1  HTTP/1.1",
                 b"GET\t@1 HTTP/1.1", b"GET @1\tHTTP/1.1", b"GET @1 HTTP/1.1 ", b"GET @1 HTTP/1.1\t", b"GET @1 HTTP/0.9",
                 b"GET @1 HTTP/1.2", b"GET @1 HTTP/2.0", b"GET @1 HTTP/2", b"GET @1 HTTP/1", b"GET @1 HTTP/1.10",
                 b"GET @1 HTTP/01.1", b"GET @1 HTTP/1,1", b"GET @1 http/1.1", b"GET @1 HTTP/1.1x", b"GET @1 HTTPS/1.1",
                 b"GET @1 ICE/1.0", b"GET @1 RTSP/1.0", b"GET @1 HTTP/+1.1", b"GET @1 HTTP/1.-1", b"GET @1 HTTP /1.1",
                 b"GET @1 HTTP/1.1 HTTP/1.1", b"GET @1 @smuggled HTTP/1.1", b"GET @1\x0bHTTP/1.1", b"GET @1\x00 HTTP/1.1",
                 b"GET @1\xc2\xa0 HTTP/1.1", b"GET @1#x HTTP/1.1", b"GET @1\x7f HTTP/1.1", b"GET @1\xff HTTP/1.1",
                 b"G\x00T @1 HTTP/1.1", b"G(T @1 HTTP/1.1", b"GET: @1 HTTP/1.1", b"get @1 HTTP/1.1", b"FOO @1 HTTP/1.1",
                 b"GETX @1 HTTP/1.1", b"PRI * HTTP/2.0", b"GET", b"@1 HTTP/1.1", b"HTTP/1.1 200 OK", b"GET @1 HTTP/\xb9.1",
                 b"GET @1%zz HTTP/1.1", b"GET @1%0d%0aX:%20x HTTP/1.1", b"GET @1%00 HTTP/1.1", b"GET @1/../../../../.. HTTP/1.1",
                 b"GET @1/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e HTTP/1.1", b"GET @1/..%2f.. HTTP/1.1", b"GET @1/..;x/ HTTP/1.1",
                 b"GET @1/%5c..%5c HTTP/1.1"):
        yield asked(line), "400"
    yield b"GET @1\r\n" + SMUGGLED, "400"  # HTTP/0.9
    yield b"GET @1\n" + SMUGGLED, "400"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED, "400"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SMUGGLED, "400"
    yield b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + SMUGGLED, "400"

    # --- versions ---
    old = b"GET @1 HTTP/1.0\r\n"
    yield old + b"\r\n" + SMUGGLED, "1"
    yield old + HOST + b"Connection: keep-alive\r\n\r\n", "1 last"
    yield old + HOST + b"Connection: close, keep-alive\r\n\r\n" + SMUGGLED, "1"
    yield old + HOST + b"Keep-Alive: timeout=5\r\n\r\n" + SMUGGLED, "1"
    yield old + b"Host: a\r\nHost: b\r\n\r\n" + SMUGGLED, "400"
    yield b"POST @1 HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", "1 last", b"hello"
    yield b"POST @1 HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED, "1", b"hello"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + SMUGGLED, "1"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"Connection: CLOSE, x\r\n\r\n" + SMUGGLED, "1"

    # --- what a hop may not pass on ---
    yield post(b"Connection: Host\r\nContent-Length: 5\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Connection: X-Forwarded-For, Cookie\r\nCookie: a\r\nContent-Length: 5\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Connection: keep-alive, " + b"x, " * 500 + b"\r\nContent-Length: 5\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Proxy-Connection: keep-alive\r\nKeep-Alive: 1\r\nProxy-Authorization: x\r\nContent-Length: 5\r\n",
               b"hello"), "1 last", b"hello"

    # --- upgrades ---
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    yield post(upgrade + b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED), "400"
    yield post(upgrade + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), "400"
    yield post(upgrade + b"Content-Length: 0\r\n"), "1 last"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + upgrade + b"\r\n", "1 last"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + upgrade + b"\r\nGET @2 HTTP/1.1\r\n" + HOST + b"\r\n", "1 2 last"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + upgrade + b"\r\n\x81\x05hello", "1 400"
    h2c = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + h2c + b"\r\n", "1 last"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + h2c + b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "1 400"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + h2c.replace(b": h2c", b": websocket, h2c") + b"\r\n", "1 last"
    yield post(h2c + b"Content-Length: 5\r\n", b"hello"), "1 last", b"hello"
    yield b"GET @1 HTTP/1.0\r\n" + HOST + upgrade + b"\r\n" + SMUGGLED, "1"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n", "1 last"

    # --- bodies where some expect none, and what comes before them ---
    for method in (b"GET", b"DELETE", b"OPTIONS", b"HEAD"):
        line = method + b" @1 HTTP/1.1"
        yield post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED, line), "1 last", SMUGGLED
        yield post(b"Transfer-Encoding: chunked\r\n", chunk(SMUGGLED) + b"0\r\n\r\n", line), "1 last", SMUGGLED
    yield b"POST @1 HTTP/1.1\r\n" + HOST + b"\r\nGET @2 HTTP/1.1\r\n" + HOST + b"\r\n", "1 2 last"
    yield b"PUT @1 HTTP/1.1\r\n" + HOST + b"\r\nhello world" + SMUGGLED, "1 400"
    for expect in (b"100-continue", b"100-Continue", b"100-continue, 100-continue"):
        yield post(b"Expect: " + expect + b"\r\nContent-Length: 5\r\n", b"hello"), "1 last", b"hello"
    yield post(b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"), "1 last", b"hello"
    yield post(b"Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), "400"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n", "1 last"

    # --- errors in the middle of a row ---
    good = b"POST @1 HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
    yield good + b"GET @2 HTTP/1.1\r\n" + HOST + b"X: a\nb\r\n\r\n" + SMUGGLED, "1 400", b"hello"
    yield good + b"GET @2 HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, "1 400", b"hello"
    yield good + b"POST @2 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n" + SMUGGLED, "1 400", b"hello"
    yield good + b"POST @2 HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", "1 2 last", b"hello", b"hello"
    yield b"HEAD @1 HTTP/1.1\r\n" + HOST + b"\r\n" + b"GET @2 HTTP/3.0\r\n\r\n" + SMUGGLED, "1 400"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"X: x\r\n" * 300 + b"\r\n" + SMUGGLED, "431"
    yield b"GET @1 HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 70000 + b"\r\n\r\n" + SMUGGLED, "431"
    yield b"GET @1?" + b"x" * 70000 + b" HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, "431"
