"""Responses, good and bad: what a client must make of each."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from snowtrio.http._wire import Fields

OK = b"HTTP/1.1 200 OK\r\n"
THREE = OK + b"Content-Length: 3\r\n\r\n"
NONE = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


@attrs.frozen
class Good:
    """What is taken: the status and body of each, and what is left for another protocol."""

    name: str
    wire: bytes
    messages: Sequence[tuple[int, bytes]] = ((200, b"abc"),)
    methods: Sequence[str] = ("GET",)
    rest: bytes | None = None
    trailers: Fields = ()
    keep_alive: bool = True
    to_the_end: bool = False


@attrs.frozen
class Bad:
    """What is refused, and how many responses came before, whole or not."""

    name: str
    wire: bytes
    before: int = 0
    methods: Sequence[str] = ("GET",)


def ok(fields: bytes, body: bytes = b"") -> bytes:
    return OK + fields + b"\r\n" + body


def status(number: int, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Reason\r\n%b\r\n" % (number, fields)


TWO = ("GET", "GET")
UPGRADE = b"Connection: upgrade\r\nUpgrade: x\r\n"

GOOD = [
    Good("a length", THREE + b"abc"),
    Good("pipelined", THREE + b"abc" + NONE, ((200, b"abc"), (200, b"")), TWO),
    Good("chunks", CHUNKS),
    Good("chunks and another", CHUNKS + NONE, ((200, b"abc"), (200, b"")), TWO),
    Good("trailers", CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", trailers=[(b"x", b"y")]),
    Good("to the end", ok(b"", b"abc"), keep_alive=False, to_the_end=True),
    Good("nothing to the end", ok(b""), ((200, b""),), keep_alive=False, to_the_end=True),
    Good(
        "to the end in 1.0",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc",
        keep_alive=False,
        to_the_end=True,
    ),
    Good("1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", keep_alive=False),
    Good(
        "close", ok(b"Connection: close\r\nContent-Length: 3\r\n", b"abc" + NONE), keep_alive=False
    ),
    Good("no reason", b"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc"),
    Good("no space before no reason", b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc"),
    Good("a reason above ASCII", b"HTTP/1.1 200 \xe4\t!\r\nContent-Length: 3\r\n\r\nabc"),
    Good("a status of nobody", b"HTTP/1.1 999 ?\r\nContent-Length: 3\r\n\r\nabc", ((999, b"abc"),)),
    Good("100", status(100) + THREE + b"abc", ((100, b""), (200, b"abc"))),
    Good(
        "many before",
        (status(102) + status(103)) * 5 + NONE,
        ((102, b""), (103, b"")) * 5 + ((200, b""),),
    ),
    Good("101", status(101, UPGRADE) + b"\0x", ((101, b""),), rest=b"\0x"),
    Good("an offer in 200", ok(UPGRADE + b"Content-Length: 3\r\n", b"abc")),
    Good("204", status(204) + NONE, ((204, b""), (200, b"")), TWO),
    Good(
        "204 with a length of 0",
        status(204, b"Content-Length: 0\r\n") + NONE,
        ((204, b""), (200, b"")),
        TWO,
    ),
    Good(
        "204 with a length",
        status(204, b"Content-Length: 3\r\n") + b"abc" + NONE,
        ((204, b""),),
        keep_alive=False,
    ),
    Good(
        "204 with chunks",
        status(204, b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n" + NONE,
        ((204, b""),),
        keep_alive=False,
    ),
    Good("304", status(304) + NONE, ((304, b""), (200, b"")), TWO),
    Good(
        "304 with a length",
        status(304, b"Content-Length: 3\r\n") + NONE,
        ((304, b""), (200, b"")),
        TWO,
    ),
    Good(
        "304 with chunks",
        status(304, b"Transfer-Encoding: chunked\r\n") + NONE,
        ((304, b""), (200, b"")),
        TWO,
    ),
    *(
        Good(f"HEAD {fields!r}", ok(fields) + NONE, ((200, b""), (200, b"")), ("HEAD", "GET"))
        for fields in (
            b"",
            b"Content-Length: 3\r\n",
            b"Content-Length: 0\r\n",
            b"Transfer-Encoding: chunked\r\n",
        )
    ),
    Good(
        "HEAD and close",
        ok(b"Connection: close\r\n") + b"abc",
        ((200, b""),),
        ("HEAD",),
        keep_alive=False,
    ),
    Good("HEAD after 100", status(100) + THREE, ((100, b""), (200, b"")), ("HEAD",)),
    Good("CONNECT", OK + b"\r\n\x16\x03", ((200, b""),), ("CONNECT",), rest=b"\x16\x03"),
    Good(
        "CONNECT with a length of nothing",
        OK + b"Content-Length: 0\r\n\r\n\x16",
        ((200, b""),),
        ("CONNECT",),
        rest=b"\x16",
    ),
    Good("CONNECT and nothing behind", OK + b"\r\n", ((200, b""),), ("CONNECT",), rest=b""),
    Good(
        "a CONNECT refused",
        status(407, b"Content-Length: 3\r\n") + b"abc",
        ((407, b"abc"),),
        ("CONNECT",),
    ),
    Good(
        "a length that a CONNECT was refused with",
        status(502) + b"abc",
        ((502, b"abc"),),
        ("CONNECT",),
        keep_alive=False,
        to_the_end=True,
    ),
]

BAD = [
    Bad("unasked", THREE + b"abc" + NONE, before=1),
    Bad("unasked behind 204", status(204) + b"abc", before=1),
    Bad("more than asked", THREE + b"abcd", before=1),
    Bad("a body for HEAD", THREE + b"abc", before=1, methods=("HEAD", "GET")),
    Bad("a body for HEAD, the last", THREE + b"abc", before=1, methods=("HEAD",)),
    Bad("a body for 304", status(304, b"Content-Length: 3\r\n") + b"abc", before=1, methods=TWO),
    *(
        Bad(f"status line {line!r}", line + b"\r\nContent-Length: 0\r\n\r\n")
        for line in (
            *(b"HTTP/1.1  200 OK", b"HTTP/1.1 99 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 2000 OK"),
            *(b"HTTP/1.1 20 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 000 OK", b"HTTP/1.1 -20 OK"),
            *(b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.10 200 OK"),
            *(b"HTTP/2 200 OK", b"http/1.1 200 OK", b"RTSP/1.0 200 OK", b"ICE/1.0 200 OK"),
            *(b"ICY 200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK", b" HTTP/1.1 200 OK", b""),
            *(
                b"HTTP/1.1 200 O\x01K",
                b"HTTP/1.1 200 O\0K",
                b"HTTP/1.1 200 O\rK",
                b"HTTP/1.1 200 \x7f",
            ),
            *(b"HTTP/1.1", b"200 OK", b"GET / HTTP/1.1", b"HTTP/1.1 200OK", b"\r\nHTTP/1.1 200 OK"),
        )
    ),
    Bad("a bare LF behind the status line", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    Bad("a bare LF behind a field", OK + b"Content-Length: 0\n\r\n"),
    Bad("a bare LF behind the head", OK + b"Content-Length: 0\r\n\n"),
    Bad("a bare LF between", THREE + b"abc\n" + NONE, before=1, methods=TWO),
    Bad("an empty line between", THREE + b"abc\r\n" + NONE, before=1, methods=TWO),
    Bad("a folded line", ok(b"Content-Length: 3\r\nX: a\r\n b\r\n", b"abc")),
    Bad("a space before the colon", ok(b"Content-Length : 3\r\n", b"abc")),
    Bad("NUL", ok(b"Content-Length: 3\r\nX: \0\r\n", b"abc")),
    Bad("length and coding", ok(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
    Bad("two lengths", ok(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abc")),
    Bad("one length twice", ok(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc")),
    Bad("a length for HEAD that is none", ok(b"Content-Length: x\r\n"), methods=("HEAD",)),
    Bad("another coding", ok(b"Transfer-Encoding: gzip\r\n", b"abc")),
    Bad("two codings", ok(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    Bad("a coding in 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Bad("a length in 100", status(100, b"Content-Length: 3\r\n") + NONE),
    Bad("chunks in 103", status(103, b"Transfer-Encoding: chunked\r\n") + NONE),
    Bad("101 without an upgrade", status(101)),
    Bad("101 with a length", status(101, UPGRADE + b"Content-Length: 3\r\n")),
    Bad("a length for CONNECT", THREE + b"abc", methods=("CONNECT",)),
    Bad("chunks for CONNECT", CHUNKS, methods=("CONNECT",)),
    Bad("bad chunks", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", before=1),
    Bad("too large a head", ok(b"X: " + b"x" * 4096 + b"\r\n")),
    Bad("too many fields", ok(b"X: y\r\n" * 21)),
    Bad("too large trailers", CHUNKED + b"0\r\nX: " + b"x" * 4096 + b"\r\n\r\n", before=1),
]
