"""Clients that leave, or break the protocol, in the middle of a request."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import LocalProtocolError
from snowtrio.http import BadMessageError, HTTPLimits, Request, Response

from ..http_serving import GET, Peer, chunked, request, serving_http
from ..serving import errors_in

CHUNKED = request("POST", "/", "Transfer-Encoding: chunked")
SIZED = request("POST", "/", "Content-Length: 10")


async def end(peer: Peer) -> None:
    assert isinstance(peer.stream, trio.StapledStream)
    await peer.stream.send_eof()


@pytest.mark.parametrize("way", ["whole", "pieces", "unread"])
@pytest.mark.parametrize("broken", ["cut", "chunk", "trailer"])
async def test_broken_bodies(way: str, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """Z4, Z5: 400, unless the response has gone out; no mistake of the handler's."""
    errors: list[BadMessageError] = []

    async def handler(asked: Request) -> Response | None:
        if way == "unread":
            await (await asked.start_response()).send("early")
            return None
        try:
            if way == "whole":
                await asked.body()
            async for _ in asked:
                pass
        except BadMessageError as error:
            errors.append(error)
            raise
        return Response("never")

    async with serving_http(handler, limits=HTTPLimits(linger_timeout=0)) as served:
        peer = await served.connect((SIZED if broken == "cut" else CHUNKED) + b"4\r\n")
        if broken == "cut":
            await end(peer)
        elif broken == "chunk":
            await peer.send(b"abcdXY")
        else:
            await peer.send(b"abcd\r\n0\r\nA B: c\r\n\r\n")
        reply = await peer.reply()
        assert (reply.status, len(errors)) == ((200, 0) if way == "unread" else (400, 1))
        if way != "unread":
            assert reply.headers["connection"] == "close"
            assert served.counts.refused == {400: 1}
        assert await peer.rest() == b""
    assert not errors_in(caplog)


async def test_broken_body_of_somebody_else(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: an error of this kind that a handler has from elsewhere is its own mistake."""

    async def handler(asked: Request) -> Response:
        raise BadMessageError(418, "from a server that the handler asked")

    async with serving_http(handler) as served:
        peer = await served.connect(GET)
        assert (await peer.reply()).status == 500
        assert (await peer.ask(GET)).status == 500
    assert len(errors_in(caplog)) == 2


async def test_body_becomes_too_large_while_it_streams_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Z4: too late for 413, so the client sees a cut; no mistake of the handler's."""

    async def handler(asked: Request) -> None:
        writer = await asked.start_response()
        async for piece in asked:
            await writer.send(piece)

    async with serving_http(handler, limits=HTTPLimits(max_body_size=6)) as served:
        peer = await served.connect(CHUNKED)
        await peer.send(b"4\r\nabcd\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(b"4\r\nabcd\r\n")
        assert (await peer.rest()).endswith(b"\r\n4\r\nabcd\r\n")
        assert served.counts.refused == {413: 1}
    assert not errors_in(caplog)


@pytest.mark.parametrize("way", ["end", "leave", "nonsense"])
async def test_waiting_until_a_client_leaves(way: str) -> None:
    """Z5: it ends its input, or is gone, or breaks the protocol."""
    seen: list[str] = []

    async def handler(asked: Request) -> Response:
        await asked.wait_disconnected()
        seen.append("left")
        return Response("so long")

    async with serving_http(handler, limits=HTTPLimits(linger_timeout=0)) as served:
        peer = await served.connect(GET)
        assert seen == []
        if way == "leave":
            await peer.stream.aclose()
        else:
            await (end(peer) if way == "end" else peer.send(b"nonsense\r\n\r\n"))
            assert (await peer.reply()).body == b"so long"
            rest = await peer.rest()
            assert rest.startswith(b"HTTP/1.1 400") if way == "nonsense" else not rest
        await trio.testing.wait_all_tasks_blocked()
    assert seen == ["left"]


@pytest.mark.parametrize("leaving", [False, True])
async def test_waiting_until_a_client_leaves_that_offers_another_protocol(leaving: bool) -> None:
    """Z5: as ``curl --http2`` does; what stands behind its request is still nobody's."""
    seen: list[str] = []

    async def handler(asked: Request) -> Response:
        await asked.wait_disconnected()
        seen.append("left")
        return Response("so long")

    offer = request("GET", "/", "Connection: Upgrade", "Upgrade: h2c")
    async with serving_http(handler, limits=HTTPLimits(linger_timeout=0)) as served:
        peer = await served.connect(offer)
        await peer.send(b"x" * 100)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        if leaving:
            await peer.stream.aclose()
        else:
            await end(peer)
            assert (await peer.reply()).body == b"so long"
        await trio.testing.wait_all_tasks_blocked()
    assert seen == ["left"]


async def test_what_stands_behind_an_offer_is_kept(autojump_clock: MockClock) -> None:
    """Z4: up to a read, and is the next request where the offer was not taken."""
    go_on = trio.Event()

    async def handler(asked: Request) -> Response:
        if asked.upgrade_offered is not None:
            await go_on.wait()
        return Response(asked.path)

    offer = request("GET", "/first", "Connection: Upgrade", "Upgrade: h2c")
    behind = request("GET", "/next", f"X-Long: {'x' * 3000}")
    async with serving_http(handler, limits=HTTPLimits(receive_size=1024)) as served:
        peer = await served.connect(offer)
        for start in range(0, len(behind), 100):
            await peer.send(behind[start : start + 100])
            await trio.testing.wait_all_tasks_blocked()
        await end(peer)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
        assert [(await peer.reply()).body for _ in range(2)] == [b"/first", b"/next"]
        assert await peer.rest() == b""


async def test_request_that_comes_while_a_client_is_watched(autojump_clock: MockClock) -> None:
    """Z4: it is kept for its turn, and whoever watches goes on doing so."""

    async def handler(asked: Request) -> Response:
        if asked.path == "/":
            return Response("next")
        if asked.method == "POST":
            with pytest.raises(LocalProtocolError, match="body"):
                await asked.wait_disconnected()
            await asked.body()
        for _ in range(2):
            with trio.move_on_after(1) as scope:
                await asked.wait_disconnected()
            assert scope.cancelled_caught
        return Response("first")

    async with serving_http(handler) as served:
        for before in (b"", GET, GET * 3, GET[:5]):
            peer = await served.connect(request("POST", "/x", "Content-Length: 4"))
            await peer.send(b"abcd")
            await trio.testing.wait_all_tasks_blocked()
            await peer.send(before)
            await trio.sleep(1)
            await peer.send(GET[5:] if before == GET[:5] else GET)
            assert (await peer.reply()).body == b"first"
            for _ in range(max(1, before.count(b"\r\n\r\n") + (before != GET[:5]))):
                assert (await peer.reply()).body == b"next"


async def test_unread_rest_of_a_request_that_was_begun(autojump_clock: MockClock) -> None:
    """Z5: what is left is thrown away, and the next request is found behind it."""

    async def handler(asked: Request) -> Response:
        if asked.method == "POST":
            async for piece in asked:
                return Response(piece)
        return Response("next")

    async with serving_http(handler) as served:
        for head, body in ((SIZED, b"abcdefghij"), (CHUNKED, chunked(b"ab", b"cdefghij"))):
            peer = await served.connect(head + body[:4])
            await trio.sleep(1)
            await peer.reply()
            if head is SIZED:
                assert (await peer.ask(body[4:] + GET)).body == b"next"
            else:
                assert await peer.rest() == b""  # Nobody knows how much would come.


async def test_farewells() -> None:
    """Z4: what a full server may do."""
    limits = HTTPLimits(max_connections=1, linger_timeout=0.1)

    def handler(asked: Request) -> Response:
        return Response("ok")

    for when_full, expected in (("close", b""), (b"full\r\n", b"full\r\n")):
        async with serving_http(handler, limits=limits, when_full=when_full) as served:
            await served.connect()
            assert await Peer(await served.listener.connect()).rest() == expected
    async with serving_http(handler, limits=limits, when_full="wait") as served:
        first = await served.connect()
        second = await served.connect(GET)
        await first.stream.aclose()
        assert (await second.reply()).body == b"ok"
