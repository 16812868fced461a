"""Requests as they come to a handler, and the responses to those that do not."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import trio
import trio.testing

from snowtrio.http import HTTPLimits, Request, Response
from snowtrio.testing import MemoryListener

from ..http_serving import GET, Peer, chunked, request, serving_http

TEXT = "text/plain; charset=utf-8"


async def echo(asked: Request) -> Response:
    body = await asked.body()
    return Response(f"{asked.method} {asked.target} {asked.sequence} ".encode() + body)


FORMS = {
    "get": (request(target="/a?b=c"), b"GET /a?b=c 1 "),
    "body": (request("POST", "/b", body=b"12345"), b"POST /b 1 12345"),
    "chunks": (
        request("PUT", "/c", "Transfer-Encoding: chunked") + chunked(b"one", b"two"),
        b"PUT /c 1 onetwo",
    ),
    "options": (request("OPTIONS", "*"), b"OPTIONS * 1 "),
    "absolute": (request(target="http://test/d"), b"GET http://test/d 1 "),
    "ignored upgrade": (
        request("POST", "/e", "Connection: upgrade", "Upgrade: h2c", body=b"xy"),
        b"POST /e 1 xy",
    ),
    "refused upgrade": (
        request("GET", "/f", "Connection: upgrade", "Upgrade: h2c"),
        b"GET /f 1 ",
    ),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_request_in_any_pieces_is_answered(name: str, size: int) -> None:
    """Z4: split heads and bodies; the connection goes on with what stands behind them."""
    data, expected = FORMS[name]
    async with serving_http(echo) as served:
        peer = await served.connect()
        both = data + GET
        for start in range(0, len(both), size):
            await peer.send(both[start : start + size])
            if size < 10:
                await trio.testing.wait_all_tasks_blocked()
        reply = await peer.reply()
        assert (reply.status, reply.body) == (200, expected)
        assert "connection" not in reply.headers
        assert (await peer.reply()).body == b"GET / 2 "


async def test_pipelined_requests_are_answered_in_order_in_one_write() -> None:
    """Z4: however many came together."""
    async with serving_http(echo) as served:
        peer = await served.connect(b"".join(request(target=f"/{i}") for i in range(1000)))
        for i in range(1000):
            assert (await peer.reply()).body == f"GET /{i} {i + 1} ".encode()
        assert served.counts.requests == 1000
    async with serving_http(echo, listener=MemoryListener(lockstep=True)) as served:
        peer = await served.connect(GET * 20)
        # In lockstep, what is received at a time is what was sent at a time.
        assert (await peer.stream.receive_some(100_000)).count(b"HTTP/1.1 200 OK\r\n") == 20


BAD = {
    "no request": (b"hello\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", None),
    "both lengths": (
        request("POST", "/", "Content-Length: 3", "Transfer-Encoding: chunked") + b"abc",
        400,
    ),
    "expectation": (request("POST", "/", "Expect: tea", body=b"x"), 417),
    "long target": (request(target="/" + "x" * 200), 414),
    "many fields": (request("GET", "/", *[f"X-{i}: {i}" for i in range(20)]), 431),
    "long fields": (request("GET", "/", "X: " + "y" * 900), 431),
    "endless head": (b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000, 431),
    "unfinished": (b"GET / HTTP/1.1\r\nHo", 400),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_request_is_refused_and_the_connection_ends(name: str) -> None:
    """Z4: each from its named limit; the requests before it have been answered."""
    data, status = BAD[name]
    limits = HTTPLimits(max_target_size=100, max_fields=10, max_head_size=800)
    async with serving_http(echo, limits=limits) as served:
        peer = await served.connect(GET + data)
        if name == "unfinished":
            assert isinstance(peer.stream, trio.StapledStream)
            await peer.stream.send_eof()
        assert (await peer.reply()).status == 200
        reply = await peer.reply()
        assert status in (None, reply.status)
        assert reply.headers["connection"] == "close"
        assert reply.headers["content-type"] == "application/problem+json"
        assert await peer.rest() == b""
        assert served.counts.refused == {reply.status: 1}
        assert served.counts.requests == 1


async def test_body_above_its_limit_is_refused() -> None:
    """Z4: 413, known beforehand or found out; a handler may take more, or less."""

    async def bounded(asked: Request) -> Response:
        if asked.path != "/":
            asked.max_body_size = int(asked.path[1:])
        return await echo(asked)

    async with serving_http(bounded, limits=HTTPLimits(max_body_size=10)) as served:
        sized = request("POST", "/", body=b"x" * 11)
        unsized = request("POST", "/", "Transfer-Encoding: chunked")
        for data in (sized, unsized + chunked(b"x" * 6, b"x" * 5), unsized + b"b\r\n" + b"x" * 11):
            peer = await served.connect(data)
            reply = await peer.reply()
            assert (reply.status, b"10 bytes" in reply.body) == (413, True)
        peer = await served.connect(request("POST", "/20", body=b"x" * 11))
        assert (await peer.reply()).body.endswith(b" " + b"x" * 11)
        assert (await peer.ask(request("POST", "/5", body=b"x" * 6))).status == 413
        assert served.counts.refused == {413: 4}


async def test_continue_is_sent_when_the_handler_reads() -> None:
    """Z4: and not before; it need not be when the body came unasked."""
    seen: list[str] = []

    async def handler(asked: Request) -> Response:
        seen.append("called")
        if asked.path == "/no":
            return Response("no", 403)
        return Response(await asked.body())

    asking = "Expect: 100-continue"
    async with serving_http(handler) as served:
        peer = await served.connect(request("POST", "/", asking, "Content-Length: 4"))
        assert (await peer.reply()).status == 100
        reply = await peer.ask(b"four")
        assert (reply.body, "connection" in reply.headers) == (b"four", False)
        # The body came with the head: nobody waits for anything.
        assert (await peer.ask(request("POST", "/", asking, body=b"here"))).body == b"here"
        # Not read: nobody knows whether it still comes, so the connection cannot go on.
        reply = await peer.ask(request("POST", "/no", asking, "Content-Length: 4"))
        assert (reply.status, reply.headers["connection"]) == (403, "close")
        assert await peer.rest() == b""


async def test_head_without_a_body(autojump_clock: trio.testing.MockClock) -> None:
    """Z5: what a GET would say of its body, and none; a body that would be made is not."""
    ran: list[str] = []

    async def pieces(ends: str) -> AsyncGenerator[bytes, None]:
        try:
            ran.append("run")
            yield b"piece"
        finally:
            ran.append(ends)

    async def handler(asked: Request) -> Response | None:
        if asked.path == "/length":
            return Response(content_length=1234)
        if asked.path == "/pieces":
            return Response(pieces("closed"))
        if asked.path in ("/writer", "/304"):
            writer = await asked.start_response(200 if asked.path == "/writer" else 304)
            await writer.send("never seen")
            await writer.end()
            return None
        return Response("whole")

    async with serving_http(handler) as served:
        peer = await served.connect()
        whole = await peer.ask(request("HEAD", "/"), bodiless=True)
        assert whole.headers["content-length"] == "5"
        length = await peer.ask(request("HEAD", "/length"), bodiless=True)
        assert length.headers["content-length"] == "1234"
        await peer.ask(request("HEAD", "/pieces"), bodiless=True)
        await peer.ask(request("HEAD", "/writer"), bodiless=True)
        assert (await peer.ask(request(target="/304"))).status == 304
        assert (await peer.ask(GET)).body == b"whole"
    assert ran == []


@pytest.mark.parametrize("keep", [True, False])
async def test_http_1_0(keep: bool) -> None:
    """Z4: one request, unless the client asks for more; a body without a length ends it."""

    async def pieces() -> AsyncGenerator[str, None]:
        yield "one"
        yield "two"

    async def handler(asked: Request) -> Response:
        if asked.path == "/pieces":
            return Response(pieces(), trailers={"Sum": "6"})
        return Response(asked.http_version)

    fields = ["Connection: keep-alive"] if keep else []
    async with serving_http(handler) as served:
        peer = await served.connect(request("GET", "/", *fields, version="1.0"))
        reply = await peer.reply()
        assert (reply.body, reply.headers["connection"]) == (
            b"1.0",
            "keep-alive" if keep else "close",
        )
        if not keep:
            assert await peer.rest() == b""
            peer = await served.connect()
        reply = await peer.ask(request("GET", "/pieces", *fields, version="1.0"))
        assert (reply.body, reply.headers["connection"]) == (b"onetwo", "close")


async def test_trailers_both_ways() -> None:
    """Z4."""

    async def handler(asked: Request) -> Response:
        async def back() -> AsyncGenerator[bytes, None]:
            async for piece in asked:
                yield piece

        body = await asked.body()
        assert (body, asked.trailers["sum"]) == (b"abc", "3")
        return Response(back(), trailers={"Sum": asked.trailers["sum"]})

    head = request("POST", "/", "Transfer-Encoding: chunked")
    async with serving_http(handler) as served:
        peer = await served.connect(head + chunked(b"abc", trailers=b"Sum: 3\r\n"))
        reply = await peer.reply()
        assert (reply.body, reply.trailers) == (b"abc", {"sum": "3"})
        await peer.send(head)
        await trio.testing.wait_all_tasks_blocked()
        reply = await peer.ask(chunked(b"a", b"bc", trailers=b"Sum: 3\r\n"))
        assert (reply.body, reply.trailers) == (b"abc", {"sum": "3"})


async def test_last_request_of_a_connection() -> None:
    """Z4: ``max_requests``, and what the client itself says."""
    async with serving_http(echo, limits=HTTPLimits(max_requests=2)) as served:
        peer = await served.connect(GET * 3)
        assert "connection" not in (await peer.reply()).headers
        assert (await peer.reply()).headers["connection"] == "close"
        assert await peer.rest() == b""
        peer = await served.connect(request("GET", "/", "Connection: close") + GET)
        assert (await peer.reply()).headers["connection"] == "close"
        assert await peer.rest() == b""


async def test_full_server_answers_503() -> None:
    """Z4: as a farewell, and says when to come again; it can be another response."""
    limits = HTTPLimits(max_connections=1, linger_timeout=0.1)
    async with serving_http(echo, limits=limits) as served:
        first = await served.connect(GET)
        reply = await Peer(await served.listener.connect()).ask(GET)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.headers["connection"] == "close"
        assert (await first.reply()).status == 200
    busy = Response.json({"busy": True}, 429)
    async with serving_http(echo, limits=limits, when_full=busy) as served:
        await served.connect()
        reply = await Peer(await served.listener.connect()).ask(GET)
        assert (reply.status, reply.body) == (429, b'{"busy":true}')


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a/b?c=d&c=e&f", "/a/b", [("c", "d"), ("c", "e"), ("f", "")]),
        ("/caf%C3%A9?x=a+b%20c", "/café", [("x", "a b c")]),
        ("/a%2Fb", "/a/b", []),
        ("//a?", "//a", []),
        ("http://test/a?b=http://c/", "/a", [("b", "http://c/")]),
        ("http://test?b", "/", [("b", "")]),
        ("http://test", "/", []),
    ],
)
async def test_targets(target: str, path: str, query: list[tuple[str, str]]) -> None:
    """Z4: the path, with its encoding undone, and the query, in all forms of a target."""
    seen: list[Request] = []

    def handler(asked: Request) -> Response:
        seen.append(asked)
        return Response()

    async with serving_http(handler) as served:
        peer = await served.connect(request(target=target))
        assert (await peer.reply()).status == 200
    (asked,) = seen
    assert (asked.target, asked.path, list(asked.query.items())) == (target, path, query)


async def test_requests_are_numbered_in_order() -> None:
    """Z6: those of the whole server, from 1 on."""
    async with serving_http(echo) as served:
        first, second = await served.connect(), await served.connect()
        numbers = [(await peer.ask(GET)).body for peer in (first, second, first)]
    assert numbers == [b"GET / 1 ", b"GET / 2 ", b"GET / 3 "]


async def test_old_clients_offer_no_upgrade() -> None:
    """Z4: RFC 9110 section 7.8 has the field ignored in HTTP/1.0."""

    def handler(asked: Request) -> Response:
        return Response(str(asked.upgrade_offered))

    offer = ["Connection: upgrade, keep-alive", "Upgrade: lines"]
    async with serving_http(handler) as served:
        peer = await served.connect(request("GET", "/", *offer, version="1.0"))
        assert (await peer.reply()).body == b"None"
        assert (await peer.ask(request("GET", "/", *offer))).body == b"lines"
        assert (await peer.ask(GET)).body == b"None"


BODIES = {
    "utf-8": ("", "grün".encode(), (200, "grün")),
    "latin": ("text/plain; charset=latin-1", b"gr\xfcn", (200, "grün")),
    "broken": ("text/plain", b"gr\xfcn", (400, None)),
    "unknown": ("text/plain; charset=klingon", b"x", (415, None)),
    "no text": ("text/plain; charset=base64", b"eA==", (415, None)),
    "utf-16 cut": ("text/plain; charset=utf-16-le", b"abc", (400, None)),
}


@pytest.mark.parametrize("name", BODIES)
async def test_text(name: str) -> None:
    """Z5: in the charset that it comes in; what is no text is the client's mistake."""
    kind, body, (status, text) = BODIES[name]

    async def handler(asked: Request) -> Response:
        return Response(await asked.text())

    async with serving_http(handler) as served:
        fields = [f"Content-Type: {kind}"] if kind else []
        peer = await served.connect(request("POST", "/", *fields, body=body))
        reply = await peer.reply()
        assert reply.status == status
        if text is not None:
            assert reply.body.decode() == text


async def test_ids_come_from_outside_only_where_that_is_wanted() -> None:
    """Z5: and only such as can stand in a log line."""

    async def handler(asked: Request) -> Response:
        assert asked.id == asked.id
        return Response(asked.id)

    named = request("GET", "/", "X-Request-Id: seven")
    async with serving_http(handler) as served:
        peer = await served.connect(named + named)
        ids = {(await peer.reply()).body for _ in range(2)}
        assert len(ids) == 2
        assert b"seven" not in ids
    async with serving_http(handler, request_id_header="X-Request-Id") as served:
        peer = await served.connect(named)
        assert (await peer.reply()).body == b"seven"
        for bad in ("a b", "x" * 129, "ü"):
            reply = await peer.ask(request("GET", "/", f"X-Request-Id: {bad}"))
            assert len(reply.body) == 32


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), {}),
        (
            ['Cookie: a=1; b=x=y;c="q" ; d=; e; =f; '],
            {"a": "1", "b": "x=y", "c": '"q"', "d": "", "e": ""},
        ),
        (["Cookie: a=1; a=2", "cookie: a=3; A=4"], {"a": "1", "A": "4"}),
    ],
)
async def test_cookies(fields: list[str], expected: dict[str, str]) -> None:
    """Z4: names and values as they stand there, the first of each name."""
    seen: list[dict[str, str]] = []

    async def look(asked: Request) -> Response:
        seen.append(dict(asked.cookies))
        return Response("seen")

    async with serving_http(look) as served:
        peer = await served.connect()
        await peer.send(request("GET", "/", *fields))
        assert (await peer.reply()).body == b"seen"
    assert seen == [expected]
