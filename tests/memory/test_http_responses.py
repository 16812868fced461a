"""Responses in all ways, and what becomes of those that fail."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from snowtrio import LocalProtocolError
from snowtrio.http import HTTPError, HTTPLimits, Request, Response, ResponseWriter, serve_http
from snowtrio.testing import MemoryListener

from ..http_serving import GET, chunked, request, serving_http
from ..serving import LIMIT, errors_in


class Pieces:
    """An async iterable that notes what becomes of it."""

    def __init__(self, *pieces: bytes | str | Exception) -> None:
        self.pieces = list(pieces)
        self.closed = 0
        self.given = 0

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes | str:
        if not self.pieces:
            raise StopAsyncIteration
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        self.given += 1
        return piece

    async def aclose(self) -> None:
        self.closed += 1


async def test_bodies_of_all_kinds() -> None:
    """Z5: each with its length or in chunks, and its type."""
    bodies: dict[str, Callable[[], Response]] = {
        "/bytes": lambda: Response(b"\0\1"),
        "/text": lambda: Response("grün"),
        "/json": lambda: Response.json({"a": [1, 2]}, 201, {"X-A": "b"}),
        "/none": lambda: Response(status=204),
        "/pieces": lambda: Response(Pieces("a", b"", b"bc"), content_type="text/x"),
        "/sized": lambda: Response(Pieces("a", b"bc"), content_length=3),
        "/buffer": lambda: Response(bytearray(b"xyz")),  # type: ignore[arg-type]
        "/fields": lambda: Response("x", headers=[("Set-Cookie", "a"), ("Set-Cookie", "b")]),
        "/type": lambda: Response("x", headers={"Content-Type": "text/y"}),
    }

    def handler(asked: Request) -> Response:
        return bodies[asked.path]()

    async with serving_http(handler, server_name="test/1") as served:
        peer = await served.connect()
        replies = {path: await peer.ask(request(target=path)) for path in bodies}
    assert replies["/bytes"].headers["content-type"] == "application/octet-stream"
    assert replies["/text"].headers["content-type"] == "text/plain; charset=utf-8"
    assert replies["/text"].headers["content-length"] == "5"
    assert (replies["/json"].status, replies["/json"].body) == (201, b'{"a":[1,2]}')
    assert replies["/json"].headers["x-a"] == "b"
    assert "content-length" not in replies["/none"].headers
    assert replies["/pieces"].body == replies["/sized"].body == b"abc"
    assert replies["/pieces"].headers["transfer-encoding"] == "chunked"
    assert replies["/sized"].headers["content-length"] == "3"
    assert replies["/buffer"].body == b"xyz"
    assert replies["/fields"].headers["set-cookie"] == "b"
    assert replies["/type"].headers["content-type"] == "text/y"
    for reply in replies.values():
        assert reply.headers["server"] == "test/1"
        assert reply.headers["date"].endswith(" GMT")


async def test_own_date_and_server_are_not_doubled() -> None:
    """Z5."""

    def handler(asked: Request) -> Response:
        return Response("x", headers={"Date": "today", "Server": "mine"})

    async with serving_http(handler, server_name="test") as served:
        peer = await served.connect(GET)
        data = await peer.stream.receive_some()
        assert (data.count(b"date:"), data.count(b"server:")) == (1, 1)


async def test_client_that_does_not_read_holds_the_stream_up() -> None:
    """Z5: no more is made than the outbox has room for."""
    made = Pieces(*[b"x" * 1000] * 1000)
    limits = HTTPLimits(max_outbox_bytes=5000, max_body_size=None)
    listener = MemoryListener(lockstep=True)
    async with serving_http(lambda _: Response(made), listener=listener, limits=limits) as served:
        peer = await served.connect(GET)
        assert made.given < 10
        assert len((await peer.reply()).body) == 1_000_000
        assert (made.given, made.closed) == (1000, 1)


@pytest.mark.parametrize("size", [100, 5000, None])
async def test_unread_bodies(size: int | None) -> None:
    """Z5: thrown away up to the bound; above it the connection ends, and the response arrives."""
    limits = HTTPLimits(max_unread_body=1000, linger_timeout=0.1)
    data = request("POST", "/", body=b"x" * (size or 0))
    if size is None:
        data = request("POST", "/", "Transfer-Encoding: chunked") + chunked(b"x" * 5000)
    head, _, body = data.partition(b"\r\n\r\n")
    async with serving_http(lambda_of(Response("ok")), limits=limits) as served:
        peer = await served.connect(head + b"\r\n\r\n")
        reply = await peer.reply()
        assert reply.status == 200
        await peer.send(body)
        if size == 100:
            assert "connection" not in reply.headers
            assert (await peer.ask(GET)).status == 200
        else:
            assert reply.headers["connection"] == "close"
            assert await peer.rest() == b""


def lambda_of(response: Response) -> Callable[[Request], Awaitable[Response]]:
    """Return a coroutine function, which may leave bodies unread."""

    async def handler(asked: Request) -> Response:
        return response

    return handler


async def test_stream_may_leave_a_body_of_unknown_length_unread() -> None:
    """Z5: it could have read it while it streamed, so only afterwards is it thrown away."""
    limits = HTTPLimits(max_unread_body=1000, linger_timeout=0.1)

    async def handler(asked: Request) -> Response:
        return Response(Pieces("ok"))

    head = request("POST", "/", "Transfer-Encoding: chunked")
    async with serving_http(handler, limits=limits) as served:
        peer = await served.connect(head)
        assert (await peer.reply()).body == b"ok"
        assert (await peer.ask(chunked(b"x" * 900) + GET)).body == b"ok"
        await peer.send(head)
        assert (await peer.reply()).body == b"ok"
        await peer.send(chunked(b"x" * 900, b"x" * 900))
        assert await peer.rest() == b""


async def test_body_streams_back_while_it_comes() -> None:
    """Z5: full duplex, as far as the client goes along."""

    async def handler(asked: Request) -> None:
        writer = await asked.start_response(200, {"X-A": "b"})
        async for piece in asked:
            await writer.send(piece.upper())

    async with serving_http(handler) as served:
        peer = await served.connect(request("POST", "/", "Transfer-Encoding: chunked"))
        await peer.send(b"3\r\nabc\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert (await peer.stream.receive_some()).endswith(b"3\r\nABC\r\n")
        await peer.send(b"3\r\ndef\r\n0\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert (await peer.stream.receive_some()) == b"3\r\nDEF\r\n0\r\n\r\n"
        await peer.send(request("GET", "/"))
        assert (await peer.reply()).body == b""


async def test_informational_responses() -> None:
    """Z5: before the response, to those who know them."""

    async def handler(asked: Request) -> Response:
        await asked.send_informational(103, {"Link": "</a.css>"})
        with pytest.raises(ValueError, match="102 to 199"):
            await asked.send_informational(101)
        return Response("ok")

    async with serving_http(handler) as served:
        peer = await served.connect(GET)
        hint = await peer.reply()
        assert (hint.status, hint.headers["link"]) == (103, "</a.css>")
        assert (await peer.reply()).body == b"ok"
        assert (await peer.ask(request(version="1.0"))).status == 200


async def test_problems() -> None:
    """Z5: an `HTTPError` is the response; its fields and words are checked as any."""

    async def handler(asked: Request) -> Response:
        if asked.path == "/field":
            raise HTTPError(400, headers={"X": "a\r\nb"})
        if asked.path == "/group":
            async with trio.open_nursery():
                raise HTTPError(409, "twice")
        raise HTTPError(404, "no such book", headers={"X-Why": "gone"})

    async with serving_http(handler) as served:
        peer = await served.connect()
        reply = await peer.ask(GET)
        assert (reply.status, reply.headers["x-why"]) == (404, "gone")
        assert reply.body == b'{"status":404,"title":"Not Found","detail":"no such book"}'
        assert (await peer.ask(request(target="/field"))).status == 500
        assert (await peer.ask(request(target="/group"))).status == 409


async def fail(asked: Request) -> Response:
    raise LookupError("a mistake")


async def fail_streaming(asked: Request) -> None:
    writer = await asked.start_response()
    await writer.send("begun")
    raise LookupError("a mistake")


async def fail_at_the_end(asked: Request) -> None:
    writer = await asked.start_response(content_length=4)
    await writer.send("done")
    await writer.end()
    raise LookupError("a mistake")


async def too_short(asked: Request) -> Response:
    return Response(Pieces("abc"), content_length=5)


async def too_long(asked: Request) -> Response:
    return Response(Pieces("abc", "def"), content_length=5)


async def fail_generating(asked: Request) -> Response:
    return Response(Pieces("abc", LookupError("a mistake")))


async def answer_twice(asked: Request) -> Response:
    await (await asked.start_response(content_length=0)).end()
    return Response("second")


async def return_nothing(asked: Request) -> None:
    pass


async def return_a_number(asked: Request) -> Any:
    return 42


async def say_a_wrong_length(asked: Request) -> Response:
    return Response("abc", content_length=5)


async def bad_field(asked: Request) -> Response:
    return Response("abc", headers={"a b": "c"})


async def body_of_204(asked: Request) -> Response:
    return Response("abc", status=204)


async def lose_another(asked: Request) -> Response:
    raise trio.BrokenResourceError("another connection of the handler's")


@pytest.mark.parametrize(
    ("handler", "status", "whole"),
    [
        (fail, 500, True),
        (return_nothing, 500, True),
        (return_a_number, 500, True),
        (say_a_wrong_length, 500, True),
        (bad_field, 500, True),
        (body_of_204, 500, True),
        (lose_another, 500, True),
        (fail_at_the_end, 200, True),
        (fail_streaming, 200, False),
        (fail_generating, 200, False),
        (too_short, 200, False),
        (too_long, 200, False),
        (answer_twice, 200, True),
    ],
)
async def test_mistakes_of_handlers(
    handler: Any, status: int, whole: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Z5: 500 before the response, a cut in it; logged either way, and nobody else is hurt."""
    async with serving_http(handler) as served:
        other = await served.connect()
        peer = await served.connect(request(target="/wrong"))
        if whole:
            reply = await peer.reply()
            assert reply.status == status
            if status == 500:
                assert b"mistake" not in reply.body
            assert (await peer.ask(GET)).status == status  # The connection goes on.
        else:
            data = await peer.rest()
            assert data.startswith(b"HTTP/1.1 200 OK\r\n")
            assert not data.endswith(b"0\r\n\r\n")
            assert b"abcde" not in data
        await other.send(GET)
        assert await other.stream.receive_some()
    assert len(errors_in(caplog)) in (2, 3)
    assert "/wrong" in caplog.text


async def test_answers_before_a_cut_arrive(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: those to requests that came together with the one that fails."""

    async def handler(asked: Request) -> Response | None:
        if asked.path == "/wrong":
            await fail_streaming(asked)
        return Response("fine")

    async with serving_http(handler) as served:
        peer = await served.connect(GET * 3 + request(target="/wrong") + GET)
        for _ in range(3):
            assert (await peer.reply()).body == b"fine"
        assert (await peer.rest()).endswith(b"5\r\nbegun\r\n")
    assert [type(error) for error in errors_in(caplog)] == [LookupError]


async def test_error_ends_the_server_where_errors_propagate() -> None:
    """S22: once the client has its 500; what a client causes does not."""

    async def ask() -> None:
        async with serving_http(fail, propagate_errors=True) as served:
            peer = await served.connect(b"nonsense\r\n\r\n")
            assert (await peer.reply()).status == 400
            peer = await served.connect(GET)
            assert (await peer.reply()).status == 500
            await trio.sleep(LIMIT)

    with pytest.raises(ExceptionGroup) as caught:
        await ask()
    assert caught.group_contains(LookupError)


async def test_client_leaves_while_a_response_streams() -> None:
    """Z5: the handler is cancelled, and what made the body is closed."""
    ended: list[str] = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                await trio.sleep(0.001)
                yield b"x" * 1000
        finally:
            ended.append("closed")

    async def handler(asked: Request) -> Response:
        return Response(pieces())

    async with serving_http(handler) as served:
        peer = await served.connect(GET)
        await peer.stream.receive_some(10)
        await peer.stream.aclose()
        with trio.fail_after(LIMIT):
            while served.connections:
                await trio.sleep(0.002)
    assert ended == ["closed"]


async def test_client_leaves_many_tasks_of_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: what they raise together only says that it has left."""

    async def flood(writer: ResponseWriter) -> None:
        while True:
            await writer.send(b"x" * 1000)

    async def handler(asked: Request) -> None:
        writer = await asked.start_response()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, writer)
            nursery.start_soon(flood, writer)

    async with serving_http(handler, listener=MemoryListener(lockstep=True)) as served:
        peer = await served.connect(GET)
        await peer.stream.receive_some(10)
        await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.connections == 0
    assert not errors_in(caplog)


async def test_what_is_over_is_over() -> None:
    """Z5: a request, or a writer, that is used after its handler has returned."""
    kept: list[Request] = []
    writers: list[ResponseWriter] = []

    async def handler(asked: Request) -> Response | None:
        kept.append(asked)
        if asked.path == "/writer":
            writers.append(await asked.start_response())
            return None
        return Response("ok")

    async with serving_http(handler) as served:
        peer = await served.connect(request("POST", "/", "Content-Length: 2"))
        await peer.ask(b"ab")
        await peer.ask(request(target="/writer"))
        for use in (
            kept[0].body,
            kept[0].text,
            kept[0].start_response,
            lambda: kept[0].send_informational(103),
            lambda: anext(aiter(kept[0])),
            lambda: writers[0].send(b"x"),
            writers[0].end,
        ):
            with pytest.raises(LocalProtocolError, match="its handler has returned"):
                await use()
        assert (await peer.ask(GET)).body == b"ok"
    assert kept[0].path == "/"


async def test_body_is_read_in_one_way() -> None:
    """Z5: whole as often as it is asked for, or in pieces once; whether it came at once or not."""

    async def handler(asked: Request) -> Response:
        if asked.path == "/whole":
            assert await asked.body() == await asked.body() == asked.content
            return Response(b"".join([piece async for piece in asked]))
        pieces = [piece async for piece in asked]
        with pytest.raises(LocalProtocolError, match="iterated"):
            await asked.body()
        return Response(b"".join(pieces))

    async with serving_http(handler) as served:
        for path in ("/whole", "/pieces"):
            peer = await served.connect(request("POST", path, body=b"abcd"))
            assert (await peer.reply()).body == b"abcd"
            for byte in request("POST", path, body=b"abcd"):
                await peer.send(bytes([byte]))
                await trio.testing.wait_all_tasks_blocked()
            assert (await peer.reply()).body == b"abcd"


async def test_reading_goes_on_after_a_cancelled_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Z5: nothing that came is lost."""

    async def handler(asked: Request) -> Response:
        with trio.move_on_after(1) as scope:
            await asked.body()
        assert scope.cancelled_caught
        with pytest.raises(LocalProtocolError, match="whole"):
            aiter(asked)
        return Response(await asked.body())

    async with serving_http(handler) as served:
        peer = await served.connect(request("POST", "/", "Content-Length: 4") + b"ab")
        await trio.sleep(2)
        assert (await peer.ask(b"cd")).body == b"abcd"


async def test_cancelled_response_has_not_begun(autojump_clock: trio.testing.MockClock) -> None:
    """Z5: a handler that gives up on a full outbox can still answer what it likes."""

    async def handler(asked: Request) -> Response | None:
        if asked.path == "/fill":
            return Response(b"x" * 10_000)
        with trio.move_on_after(1) as scope:
            await asked.start_response(200)
        return Response("late" if scope.cancelled_caught else "early")

    limits = HTTPLimits(max_outbox_messages=1)
    listener = MemoryListener(lockstep=True)
    async with serving_http(handler, listener=listener, limits=limits) as served:
        peer = await served.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, request(target="/fill") + GET)
            await trio.sleep(5)
            assert len((await peer.reply()).body) == 10_000
        assert (await peer.reply()).body == b"late"


@attrs.define
class Echoing:
    """An object that is a handler."""

    async def __call__(self, asked: Request) -> Response:
        return Response(await asked.body())


async def test_handlers_of_all_kinds(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: a plain function has the whole body; an object, or one that gives an awaitable, works."""

    def plain(asked: Request) -> Response:
        assert asked.content is not None
        return Response(asked.content)

    async def late(asked: Request) -> Response:
        return Response(await asked.body())

    for handler in (plain, Echoing(), lambda asked: late(asked)):
        async with serving_http(handler, limits=HTTPLimits(max_body_size=5)) as served:
            peer = await served.connect(request("POST", "/", "Content-Length: 4"))
            assert (await peer.ask(b"abcd")).body == b"abcd"
            assert (await peer.ask(request("POST", "/", body=b"abcde"))).body == b"abcde"
            assert (await peer.ask(request("POST", "/", body=b"abcdef"))).status == 413
    with pytest.raises(TypeError, match="handler"):
        await serve_http(42, 0)  # type: ignore[arg-type]
    assert not errors_in(caplog)


async def test_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: a line a request where INFO is on for it, and none without."""

    async def handler(asked: Request) -> Response:
        return Response("12345", 201) if asked.path == "/a" else Response(Pieces("ab", "c"))

    async with serving_http(handler, request_id_header="x-id") as served:
        peer = await served.connect(GET)
        await peer.reply()
        with caplog.at_level(logging.INFO, "snowtrio.http.access"):
            await peer.ask(request("GET", "/a?b", "X-Id: one"))
            await peer.ask(request("GET", "/b", "X-Id: two"))
    lines = [r.getMessage() for r in caplog.records if r.name == "snowtrio.http.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        '- "GET /a?b HTTP/1.1" 201 5',
        '- "GET /b HTTP/1.1" 200 3',
    ]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["one", "two"]


async def test_statistics() -> None:
    """B7, Z5: requests, responses by class, what was refused, what is under way."""

    async def handler(asked: Request) -> Response:
        if asked.path == "/wait":
            await trio.sleep_forever()
        return Response(status=int(asked.path[1:]))

    async with serving_http(handler) as served:
        peer = await served.connect()
        for status in (200, 204, 404, 302, 500):
            assert (await peer.ask(request(target=f"/{status}"))).status == status
        await peer.ask(b"what?\r\n\r\n")
        await served.connect(request(target="/wait"))
        counts = served.counts
        assert (counts.requests, counts.under_way, counts.upgraded) == (6, 1, 0)
        assert counts.responses == {2: 2, 3: 1, 4: 2, 5: 1}
        assert counts.refused == {400: 1}
        assert counts.server.pool.bytes_sent > 0
