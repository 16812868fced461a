"""Requests, good and bad: what a server must make of each."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from snowtrio.http._wire import Fields

from ..fuzz.http_reading import LIMITS

LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
GET = LINE + HOST + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@attrs.frozen
class Good:
    """What is taken: each message's method, target, body; what is left for another protocol."""

    name: str
    wire: bytes
    messages: Sequence[tuple[str, str, bytes]] = (("GET", "/", b""),)
    rest: bytes | None = None
    trailers: Fields = ()
    keep_alive: bool = True


@attrs.frozen
class Bad:
    """What is refused with a status, and how many messages came before, whole or not."""

    name: str
    wire: bytes
    status: int = 400
    before: int = 0


def get(fields: bytes, line: bytes = LINE) -> bytes:
    return line + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return POST + fields + b"\r\n" + body


def chunks(body: bytes) -> bytes:
    return CHUNKED + body


def line(text: bytes) -> bytes:
    return text + b"\r\n" + HOST + b"\r\n"


ABC = (("POST", "/", b"abc"),)
TWO = (("GET", "/", b""), ("GET", "/", b""))
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
LARGEST = LIMITS.max_head_size - len(get(b"X: \r\n"))

GOOD = [
    Good("plain", GET),
    Good("pipelined", GET + GET, TWO),
    Good("no host in 1.0", b"GET / HTTP/1.0\r\n\r\n", keep_alive=False),
    Good("1.0 that stays", get(b"Connection: keep-alive\r\n", b"GET / HTTP/1.0\r\n")),
    Good("close", get(b"Connection: close\r\n") + b"any\0thing" + GET, keep_alive=False),
    Good("close among others", get(b"Connection: TE, Close\r\n") + GET, keep_alive=False),
    Good("1.0 closes", line(b"GET / HTTP/1.0") + GET, keep_alive=False),
    Good(
        "close behind a body",
        post(b"Connection: close\r\nContent-Length: 3\r\n", b"abcGET / HTTP/1.1\r\n\r\n"),
        ABC,
        keep_alive=False,
    ),
    Good("bytes above ASCII in a value", get(b"X: \xff\x80\r\n")),
    Good("white space around a value", LINE + b"Host: \t a \t\r\n\r\n"),
    Good("an empty value", get(b"X:\r\n")),
    Good("an empty host", LINE + b"Host:\r\n\r\n"),
    Good("a host of IPv6", LINE + b"Host: [::1]:80\r\n\r\n"),
    Good("empty lines before", b"\r\n" * 4 + GET),
    Good(
        "an empty line behind a body",
        post(b"Content-Length: 3\r\n", b"abc\r\n") + GET,
        (*ABC, ("GET", "/", b"")),
    ),
    Good("a query", line(b"GET /a?b=%20 HTTP/1.1"), [("GET", "/a?b=%20", b"")]),
    Good("asterisk", line(b"OPTIONS * HTTP/1.1"), [("OPTIONS", "*", b"")]),
    Good("absolute", line(b"GET http://A/x HTTP/1.1"), [("GET", "http://A/x", b"")]),
    Good("CONNECT", line(b"CONNECT b:80 HTTP/1.1") + b"\0x", [("CONNECT", "b:80", b"")], b"\0x"),
    Good("upgrade", get(UPGRADE) + b"\x81\0", rest=b"\x81\0"),
    Good("upgrade with nothing behind", get(UPGRADE), rest=b""),
    Good("upgrade and an empty body", get(UPGRADE + b"Content-Length: 0\r\n") + b"x", rest=b"x"),
    Good(
        "upgrade with a body",
        post(UPGRADE + b"Content-Length: 3\r\n", b"abc") + GET,
        (*ABC, ("GET", "/", b"")),
    ),
    Good(
        "upgrade with chunks",
        post(UPGRADE + b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n") + GET,
        (*ABC, ("GET", "/", b"")),
    ),
    Good("upgrade without connection", get(b"Upgrade: x\r\n") + GET, TWO),
    Good(
        "upgrade in 1.0",
        get(b"Connection: upgrade, keep-alive\r\nUpgrade: x\r\n", b"GET / HTTP/1.0\r\n") + GET,
        TWO,
    ),
    Good(
        "a length of nothing", post(b"Content-Length: 0\r\n") + GET, [("POST", "/", b""), *TWO[1:]]
    ),
    Good("a length with zeros", post(b"Content-Length: 0003\r\n", b"abc"), ABC),
    Good(
        "a body for GET",
        get(b"Content-Length: 3\r\n") + b"abc" + GET,
        [("GET", "/", b"abc"), *TWO[1:]],
    ),
    Good(
        "a body like a request",
        post(b"Content-Length: %d\r\n" % len(GET), GET + GET),
        [("POST", "/", GET), *TWO[1:]],
    ),
    Good("chunks", chunks(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n") + GET, (*ABC, *TWO[1:])),
    Good(
        "coding in capitals", post(b"Transfer-Encoding: Chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"), ABC
    ),
    Good("no chunk but the last", chunks(b"0\r\n\r\n") + GET, [("POST", "/", b""), *TWO[1:]]),
    Good("chunk sizes with zeros", chunks(b"003\r\nabc\r\n000\r\n\r\n"), ABC),
    Good("extensions", chunks(b'3;a=b;c="d";e\r\nabc\r\n0;z\r\n\r\n'), ABC),
    Good(
        "empty lines in chunks",
        chunks(b"8\r\n\r\n\r\n\r\n\r\n\r\n5\r\n\r\n0\r\n\r\n0\r\n\r\n") + GET,
        [("POST", "/", b"\r\n" * 4 + b"\r\n0\r\n"), *TWO[1:]],
    ),
    Good(
        "trailers",
        chunks(b"3\r\nabc\r\n0\r\nX: y\r\nZ:  w \r\n\r\n"),
        ABC,
        trailers=[(b"x", b"y"), (b"z", b"w")],
    ),
    Good(
        "large chunks",
        chunks(b"a000\r\n" + b"\r\n\r\n" * 10240 + b"\r\n" + b"0\r\n\r\n") + GET,
        [("POST", "/", b"\r\n\r\n" * 10240), *TWO[1:]],
    ),
    Good("the largest head", get(b"X: " + b"x" * LARGEST + b"\r\n")),
    Good(
        "the longest target",
        line(b"GET /" + b"x" * 511 + b" HTTP/1.1"),
        [("GET", "/" + "x" * 511, b"")],
    ),
    Good("the most fields", get(b"X: y\r\n" * 19)),
    Good("many tiny requests", GET * 2000, (("GET", "/", b""),) * 2000),
    Good("expectation", post(b"Expect: 100-Continue\r\nContent-Length: 3\r\n", b"abc"), ABC),
    Good("expectation in 1.0", get(b"Expect: x\r\n", b"GET / HTTP/1.0\r\n"), keep_alive=False),
]

BAD = [
    *(
        Bad(f"request line {text!r}", line(text))
        for text in (
            *(b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1"),
            *(b"GET / /x HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET / HTTP /1.1"),
            *(b"get / HTTP/1.1", b"FOO / HTTP/1.1", b"G\0T / HTTP/1.1", b"G(T / HTTP/1.1"),
            *(b"GET / http/1.1", b"GET / HTTPS/1.1", b"GET / HTTP/1,1", b"GET / HTTP/1", b"GET"),
            *(b"GET / HTTP/1.10", b"GET / HTTP/01.1", b"GET / HTTP/1.2", b"GET / HTTP/11"),
            *(b"GET / RTSP/1.0", b"GET / RTSP/1.1", b"OPTIONS * RTSP/1.0", b"DESCRIBE / RTSP/1.0"),
            *(b"GET / ICE/1.0", b"SOURCE / ICE/1.0", b"GET a:80 HTTP/1.1", b"GET * HTTP/1.1"),
            *(b"GET a HTTP/1.1", b"GET /#f HTTP/1.1", b"GET http:///x HTTP/1.1"),
            *(b"GET http://b/ HTTP/1.1", b"GET http://u@a/ HTTP/1.1", b"GET ftp://a/ HTTP/1.1"),
            *(b"GET http://a:/ HTTP/1.1", b"GET http://a/#f HTTP/1.1", b"GET //\x7f HTTP/1.1"),
            *(
                b"GET /\0 HTTP/1.1",
                b"GET /\x01 HTTP/1.1",
                b"GET /\xff HTTP/1.1",
                b"GET /a\rb HTTP/1.1",
            ),
            *(b"CONNECT / HTTP/1.1", b"CONNECT a HTTP/1.1", b"CONNECT http://a/ HTTP/1.1"),
            *(b"CONNECT * HTTP/1.1", b"CONNECT a:b HTTP/1.1", b"CONNECT a:80/ HTTP/1.1"),
            *(b"\x16\x03\x01", b"\n", b"\r", b"\0", b"HTTP/1.1 200 OK"),
        )
    ),
    Bad("HTTP/0.9 with its version", line(b"GET / HTTP/0.9"), 505),
    Bad("HTTP/0.9 without", b"GET /\r\n\r\n", 505),
    Bad("HTTP/2.0", line(b"GET / HTTP/2.0"), 505),
    Bad("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Bad("methods of others", line(b"SOURCE / HTTP/1.1"), 501),
    Bad("a bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    Bad("a bare LF behind a field", b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
    Bad("a bare LF behind the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    Bad("bare LFs alone", b"GET / HTTP/1.1\nHost: a\n\n"),
    Bad("a bare CR behind the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    Bad("a bare CR in a value", get(b"X: a\rb\r\n")),
    Bad("a bare CR behind a value", get(b"X: a\r\r\n")),
    Bad("a bare LF before", b"\n" + GET),
    Bad("a bare CR before", b"\r" + GET),
    Bad("half an empty line between", GET + b"\n" + GET, before=1),
    Bad("too many empty lines", b"\r\n" * 5 + GET),
    Bad("a folded line", get(b"X: a\r\n b\r\n")),
    Bad("a line folded with a tab", get(b"X: a\r\n\tb\r\n")),
    Bad("a folded line in front", LINE + b" X: a\r\n" + HOST + b"\r\n"),
    Bad("a space before the colon", get(b"X : a\r\n")),
    Bad("a tab before the colon", get(b"X\t: a\r\n")),
    Bad("no colon", get(b"X\r\n")),
    Bad("no name", get(b": a\r\n")),
    Bad("NUL in a value", get(b"X: a\0\r\n")),
    Bad("a control in a value", get(b"X: a\x01\r\n")),
    Bad("DEL in a value", get(b"X: a\x7f\r\n")),
    *(
        Bad(f"{bad!r} in a name", get(b"X%cY: a\r\n" % bad))
        for bad in b'\0\x01\x7f\xff "(),/;<=>?@[\\]{}'
    ),
    Bad("no host", LINE + b"\r\n"),
    Bad("two hosts", get(b"Host: a\r\n")),
    Bad("two hosts that differ", get(b"HOST: b\r\n")),
    *(
        Bad(f"the host {host!r}", LINE + b"Host: %b\r\n\r\n" % host)
        for host in (
            b"a b",
            b"a, b",
            b"a/b",
            b"u@a",
            b"a:b",
            b"a:1:2",
            b"::1",
            b"[::1",
            b"a:123456",
        )
    ),
    Bad("the host in 1.0 is checked too", b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n"),
    *(
        Bad(f"a length of {length!r}", post(b"Content-Length: %b\r\n" % length, b"abc"))
        for length in (
            b"",
            b"+3",
            b"-3",
            b"0x3",
            b"3 3",
            b"3,3",
            b"3, 3",
            b"3.0",
            b"3;",
            b"\xb2",
            b"9" * 30,
        )
    ),
    Bad("two lengths", post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc")),
    Bad("two lengths that differ", post(b"Content-Length: 3\r\ncontent-length: 4\r\n", b"abcd")),
    Bad("length and coding", post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
    Bad("coding and length", post(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n")),
    *(
        Bad(
            f"a coding {coding!r}",
            post(b"Transfer-Encoding: %b\r\n" % coding, b"0\r\n\r\n"),
            status,
        )
        for coding, status in (
            *((b"gzip, chunked", 501), (b"chunked, gzip", 400), (b"chunked, chunked", 400)),
            *((b"xchunked", 400), (b"chunkedx", 400), (b"identity", 400), (b"chunked;a", 400)),
            *((b", chunked", 501), (b"\x0bchunked", 400), (b'"chunked"', 400)),
        )
    ),
    Bad("two codings", post(b"Transfer-Encoding: chunked\r\n" * 2, b"0\r\n\r\n")),
    Bad("a coding in 1.0", get(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0\r\n")),
    Bad(
        "CONNECT with a body", line(b"CONNECT a:80 HTTP/1.1")[:-2] + b"Content-Length: 3\r\n\r\nabc"
    ),
    *(
        Bad(f"a chunk {body!r}", chunks(body), before=1)
        for body in (
            *(b"3\nabc\r\n0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"3\rabc\r\n0\r\n\r\n"),
            *(b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n"),
            *(b" 3\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n"),
            *(b"-3\r\nabc\r\n0\r\n\r\n", b"\r\nabc\r\n0\r\n\r\n", b"g\r\nabc\r\n0\r\n\r\n"),
            *(
                b"3;a\nb\r\nabc\r\n0\r\n\r\n",
                b"3;a\rb\r\nabc\r\n0\r\n\r\n",
                b"3;\0\r\nabc\r\n0\r\n\r\n",
            ),
            *(b"f" * 17 + b"\r\nabc", b"1" + b"0" * 16 + b"\r\nabc", b"3;a=b\nabc\r\n0\r\n\r\n"),
            *(
                b"0\r\n\n",
                b"0\n\r\n",
                b"0\r\nX : y\r\n\r\n",
                b"0\r\nX: y\n\r\n",
                b"0\r\n X: y\r\n\r\n",
            ),
            *(b"0\r\nContent-Length: 3\r\n\r\nabc", b"3;" + b"a" * 20000 + b"\r\nabc\r\n0\r\n\r\n"),
            b"1;aaaaaaaaaaaaaaaaaaaaaaaaa\r\nb\r\n" * 2000 + b"0\r\n\r\n",
        )
    ),
    Bad("too large trailers", chunks(b"0\r\n" + b"X: " + b"x" * 4096 + b"\r\n\r\n"), 431, before=1),
    Bad("endless trailers", chunks(b"0\r\n" + b"X: " + b"x" * 99999), 400, before=1),
    Bad(
        "endless trailers behind much of a body",
        chunks(b"c350\r\n" + b"x" * 50000 + b"\r\n0\r\nX: " + b"x" * 99999),
        431,
        before=1,
    ),
    Bad("too many trailers", chunks(b"0\r\n" + b"X: y\r\n" * 21 + b"\r\n"), 431, before=1),
    Bad("too large a head", get(b"X: " + b"x" * (LARGEST + 1) + b"\r\n"), 431),
    Bad("too large a head of spaces", get(b"X: " + b" " * LARGEST + b"x\r\n"), 431),
    Bad("a head without end", LINE + b"X: " + b"x" * 99999, 431),
    Bad("a name without end", LINE + b"x" * 99999, 431),
    Bad("too many fields", get(b"X: y\r\n" * 20), 431),
    Bad("too long a target", line(b"GET /" + b"x" * 512 + b" HTTP/1.1"), 414),
    Bad("a target without end", b"GET /" + b"x" * 99999, 414),
    Bad("an unknown expectation", get(b"Expect: 200-ok\r\n"), 417),
    Bad("two expectations", get(b"Expect: 100-continue\r\n" * 2), 417),
    Bad("behind a good one", GET + b"GET / HTTP/1.1\r\n\r\n", before=1),
    Bad("a body nobody announced", post(b"", b"abc"), before=1),
]
