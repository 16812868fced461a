"""The order of messages: what ASGI allows comes to the right bytes, the rest to an error."""

from __future__ import annotations

import logging

import pytest

from snowtrio import LocalProtocolError

from .asgi import CLOSE, KEEP, Message, Receive, Send, ask, body, sending, serving, start

HINT: Message = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
LENGTH_3 = (b"Content-Length", b"3")
HEAD = CLOSE.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"


def trailers(*headers: tuple[bytes, bytes], more: bool = False) -> Message:
    return {"type": "http.response.trailers", "headers": headers, "more_trailers": more}


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


ALLOWED: dict[str, tuple[list[Message], bytes, int, bytes]] = {
    "a body at once": ([start(), body(b"abc")], CLOSE, 200, b"abc"),
    "no body": ([start(), body()], CLOSE, 200, b""),
    "a body without its key": ([start(), {"type": "http.response.body"}], CLOSE, 200, b""),
    "no headers": ([{"type": "http.response.start", "status": 404}, body()], CLOSE, 404, b""),
    "a body in pieces": (
        [start(), body(b"ab", more=True), body(b"c", more=True), body()],
        CLOSE,
        200,
        chunked(b"ab", b"c"),
    ),
    "an empty piece is no last chunk": (
        [start(), body(more=True), body(b"c")],
        CLOSE,
        200,
        chunked(b"c"),
    ),
    "pieces of a known length": (
        [start(200, LENGTH_3), body(b"ab", more=True), body(b"c")],
        CLOSE,
        200,
        b"abc",
    ),
    "a known length at once": ([start(200, LENGTH_3), body(b"abc")], CLOSE, 200, b"abc"),
    "a coding of its own is not doubled": (
        [start(200, (b"Transfer-Encoding", b"chunked")), body(b"c", more=True), body()],
        CLOSE,
        200,
        chunked(b"c"),
    ),
    "pieces to HTTP/1.0": ([start(), body(b"ab", more=True), body(b"c")], OLD, 200, b"abc"),
    "HEAD": ([start(), body(b"abc")], HEAD, 200, b""),
    "HEAD in pieces": ([start(), body(b"ab", more=True), body(b"c")], HEAD, 200, b""),
    "HEAD with a length and no body": ([start(200, LENGTH_3), body()], HEAD, 200, b""),
    "204 with a body": ([start(204), body(b"abc")], CLOSE, 204, b""),
    "304 with a body in pieces": ([start(304), body(b"ab", more=True), body()], CLOSE, 304, b""),
    "trailers": (
        [start(trailers=True), body(b"c"), trailers((b"x-sum", b"1"))],
        CLOSE,
        200,
        chunked(b"c", end=b"0\r\nx-sum: 1\r\n\r\n"),
    ),
    "trailers in pieces": (
        [
            start(200, LENGTH_3, trailers=True),
            body(b"abc"),
            trailers((b"x-a", b"1"), more=True),
            trailers((b"x-b", b"2")),
        ],
        CLOSE,
        200,
        chunked(b"abc", end=b"0\r\nx-a: 1\r\nx-b: 2\r\n\r\n"),
    ),
    "other kinds of bytes": (
        [start(200, (bytearray(b"x-a"), memoryview(b"1"))), body(bytearray(b"abc"))],  # type: ignore[arg-type]
        CLOSE,
        200,
        b"abc",
    ),
}


@pytest.mark.parametrize("case", ALLOWED)
async def test_allowed(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Z5: what an application may send comes to one right response."""
    messages, request, status, expected = ALLOWED[case]
    async with serving(sending(*messages)) as server:
        answer = await ask(server, request)
    assert (answer.status, answer.body) == (status, expected)
    assert len(answer.values("content-length")) + len(answer.values("transfer-encoding")) <= 1
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


FORBIDDEN: dict[str, list[Message]] = {
    "a body first": [body(b"abc")],
    "an unknown type": [{"type": "http.response.begin"}],
    "a websocket's message": [{"type": "websocket.accept"}],
    "start twice": [start(), start()],
    "a hint behind the start": [start(), HINT],
    "trailers nobody announced": [start(), trailers()],
    "trailers before the body": [start(trailers=True), trailers()],
    "an informational status": [start(103), body()],
    "no number for a status": [start("200"), body()],  # type: ignore[arg-type]
    "text in a header": [start(200, ("x", "y")), body()],  # type: ignore[arg-type]
    "text in a body": [start(), body("abc")],  # type: ignore[arg-type]
    "no number for a length": [start(200, (b"content-length", b"-3")), body(b"abc")],
    "two lengths": [start(200, LENGTH_3, (b"content-length", b"4")), body(b"abc")],
    "a body shorter than its length": [start(200, LENGTH_3), body(b"ab")],
    "a body longer than its length": [start(200, LENGTH_3), body(b"abcd")],
}


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_forbidden(case: str) -> None:
    """Z5: what is against the order raises in the application, and the client gets a 500."""
    raised: list[Exception] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        try:
            for message in FORBIDDEN[case]:
                await send(message)
        except Exception as error:
            raised.append(error)

    async with serving(app) as server:
        answer = await ask(server)
    assert [type(error) for error in raised] == [LocalProtocolError]
    assert answer.status == 500


CUT: dict[str, list[Message]] = {
    "more than announced": [start(200, LENGTH_3), body(b"ab", more=True), body(b"cd")],
    "less than announced": [start(200, LENGTH_3), body(b"ab", more=True), body()],
    "start in the middle": [start(), body(b"ab", more=True), start()],
    "body in the place of trailers": [start(trailers=True), body(b"ab"), body(b"c")],
}


@pytest.mark.parametrize("case", CUT)
async def test_cut(case: str) -> None:
    """Z5: where the response has begun, the client can tell that it is not whole."""
    async with serving(sending(*CUT[case])) as server:
        answer = await ask(server)
    assert answer.status == 200
    assert not answer.body.endswith(b"0\r\n\r\n")
    assert len(answer.body) < 10


async def test_complete_is_complete() -> None:
    """Z5: a message behind a complete response raises, and harms neither it nor the next one."""
    raised: list[Exception] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await sending(start(), body(b"abc"))(scope, receive, send)
        for message in (body(b"more"), start(), HINT):
            try:
                await send(message)
            except LocalProtocolError as error:
                raised.append(error)

    async with serving(app) as server:
        answer = await ask(server, KEEP + CLOSE)
    assert len(raised) == 6
    assert answer.body.count(b"HTTP/1.1 200 OK") == 1
    assert answer.body.endswith(b"\r\n\r\nabc")


async def test_early_hints() -> None:
    """Z5: hints leave before the response, and HTTP/1.0 sees none."""
    app = sending(HINT, start(), body(b"abc"))
    async with serving(app) as server:
        answer = await ask(server)
        assert answer.status == 103
        assert answer.values("link") == ["</a.css>; rel=preload"]
        assert answer.body.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await ask(server, OLD)).status == 200


async def test_connection_close() -> None:
    """Z5: an application may end the connection; its framing fields are not passed on."""
    app = sending(start(200, (b"Connection", b"close"), (b"Keep-Alive", b"timeout=5")), body(b"a"))
    async with serving(app) as server:
        answer = await ask(server, KEEP)
    assert answer.values("connection") == ["close"]
    assert answer.values("keep-alive") == []


async def test_one_date() -> None:
    """Z5: there is one Date, the application's where it has one."""
    app = sending(start(200, (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")), body(b"a"))
    async with serving(app) as server:
        assert (await ask(server)).values("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    async with serving(sending(start(), body(b"a"))) as server:
        assert len((await ask(server)).values("date")) == 1


async def test_head_says_the_length() -> None:
    """Z5: HEAD is answered with the length that GET would have."""
    request = CLOSE.replace(b"GET", b"HEAD")
    async with serving(sending(start(), body(b"abc"))) as server:
        assert (await ask(server, request)).values("content-length") == ["3"]
    async with serving(sending(start(200, LENGTH_3), body())) as server:
        assert (await ask(server, request)).values("content-length") == ["3"]
