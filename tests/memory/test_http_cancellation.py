"""Cancellation that strikes everywhere, and abuse."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from functools import partial

import pytest
import trio
import trio.testing

from snowtrio.http import HTTPLimits, HTTPServer, Request, Response, serve_http_listeners
from snowtrio.testing import MemoryListener

from ..http_serving import GET, Peer, chunked, nothing_left, request, serving_http
from ..serving import LIMIT, Steps


class Service:
    """A handler that uses everything, and counts what it has opened."""

    def __init__(self) -> None:
        self.open = 0

    async def __call__(self, asked: Request) -> Response | None:
        self.open += 1
        try:
            await asked.send_informational(103)
            if asked.path == "/pieces":
                body = await asked.body()
                return Response(self._pieces(body), trailers={"A": "b"})
            writer = await asked.start_response()
            async for piece in asked:
                await writer.send(piece)
            await writer.end()
            return None
        finally:
            self.open -= 1

    async def _pieces(self, body: bytes) -> AsyncGenerator[bytes, None]:
        self.open += 1
        try:
            for number in range(3):
                await trio.lowlevel.checkpoint()
                yield body + b"%d" % number
        finally:
            self.open -= 1


UPLOAD = request("POST", "/pieces", "Expect: 100-continue", "Transfer-Encoding: chunked")
STREAM = request("POST", "/stream", "Transfer-Encoding: chunked")


async def converse(listener: MemoryListener) -> None:
    """Ask for this and that; whoever cuts it short may."""
    peer = Peer(await listener.connect())
    try:
        await peer.send(UPLOAD)
        await peer.send(chunked(b"a", b"bc"))
        for expected in (103, 100, 200):
            assert (await peer.reply()).status == expected
        await peer.send(STREAM + chunked(b"abc") + GET)
        for expected in (103, 200, 103, 200):
            assert (await peer.reply()).status == expected
    except (trio.BrokenResourceError, EOFError):
        pass
    finally:
        await trio.aclose_forcefully(peer.stream)


async def struck(way: str, step: int) -> bool:
    """Converse, and strike at a step; return whether there were so many."""
    service, listener = Service(), MemoryListener(lockstep=True)
    talk = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        limits = HTTPLimits(linger_timeout=0)
        server: HTTPServer = await nursery.start(
            partial(serve_http_listeners, service, [listener], limits=limits)
        )
        strikes: dict[str, Callable[[], object]] = {
            "cancel": nursery.cancel_scope.cancel,
            "close_all": server.close_all,
            "drain": partial(nursery.start_soon, server.drain),
            "leave": talk.cancel,
        }
        steps = Steps(step, strikes[way])
        trio.lowlevel.add_instrument(steps)
        try:
            with talk:
                await converse(listener)
            await trio.testing.wait_all_tasks_blocked()
            assert service.open == 0
            assert server.statistics().server.pool.connections == 0
        finally:
            trio.lowlevel.remove_instrument(steps)
        nursery.cancel_scope.cancel()
    assert service.open == 0
    assert nothing_left(server)
    return steps.taken >= step


@pytest.mark.parametrize("way", ["cancel", "close_all", "drain", "leave"])
async def test_strikes_at_every_step(way: str) -> None:
    """Z5, S24: whatever ends the conversation, nothing of it is left."""
    before = trio.lowlevel.current_statistics().tasks_living
    step = 1
    with trio.fail_after(3 * LIMIT):
        while await struck(way, step):
            assert trio.lowlevel.current_statistics().tasks_living == before
            step += 1
    assert step > 30


async def test_random_bodies_in_random_pieces() -> None:
    """Z4: many requests of all sizes, cut anywhere, are answered with their own bodies."""
    dice = random.Random(4)

    async def handler(asked: Request) -> Response:
        if dice.random() < 0.3:
            return Response(b"".join([piece async for piece in asked]))
        return Response(await asked.body())

    bodies = [dice.randbytes(int(10 ** dice.uniform(0, 5))) for _ in range(60)]
    data = b""
    for body in bodies:
        if dice.random() < 0.5:
            pieces = [body[at : at + 5000] for at in range(0, len(body), 5000)]
            data += request("POST", "/", "Transfer-Encoding: chunked") + chunked(*pieces)
        else:
            data += request("POST", "/", body=body)

    async def upload(peer: Peer) -> None:
        at = 0
        while at < len(data):
            size = int(10 ** dice.uniform(0, 5))
            await peer.send(data[at : at + size])
            at += size
            if dice.random() < 0.3:
                await trio.testing.wait_all_tasks_blocked()

    async with serving_http(handler) as served, trio.open_nursery() as nursery:
        peer = await served.connect()
        nursery.start_soon(upload, peer)
        for body in bodies:
            assert (await peer.reply()).body == body


async def test_flood_of_pipelined_requests_is_held_up() -> None:
    """Z4: a client that asks and never reads is not read from either; memory stays bounded."""

    async def handler(asked: Request) -> Response:
        return Response(b"x" * 10_000)

    limits = HTTPLimits(max_outbox_bytes=100_000)
    listener = MemoryListener(lockstep=True)
    async with serving_http(handler, listener=listener, limits=limits) as served:
        flooding = Peer(await listener.connect())
        flood = GET * 200_000
        tracemalloc.start()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flooding.send, flood)
                await trio.testing.wait_all_tasks_blocked()
                assert served.counts.requests < 100
                assert tracemalloc.get_traced_memory()[1] < 10_000_000
                other = Peer(await listener.connect())
                assert len((await other.ask(GET)).body) == 10_000
                nursery.cancel_scope.cancel()
        finally:
            tracemalloc.stop()
