"""Functions that block, in threads, as handlers of HTTP and routes (row W32)."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

from snowtrio import DrainTimeouts, Threads
from snowtrio.http import HTTPError, HTTPLimits, HTTPServer, Request, Response, Router, serve_http

from ..http_serving import Peer, request, serving_http_on
from ..serving import LIMIT, errors_in
from .held import Held, holding
from .tcp import reset, until, until_closed

MANY = 50


async def connect(server: HTTPServer) -> Peer:
    return Peer(await trio.open_tcp_stream("127.0.0.1", server.port))


def make_router(held: Held, threads: Threads) -> Router:
    router = Router()

    @router.get("/slow/{name}")
    @threads
    def slow(asked: Request) -> Response:
        held.hold()
        return Response(asked.params["name"])

    @router.post("/body")
    @threads
    def body(asked: Request) -> Response:
        return Response(asked.content or b"")

    @router.get("/gone")
    @threads
    def gone(asked: Request) -> Response:
        raise HTTPError(410)

    @router.get("/broken")
    @threads
    def broken(asked: Request) -> Response:
        raise KeyError("broken")

    @router.get("/quick")
    async def quick(asked: Request) -> Response:
        return Response("quick")

    return router


async def test_fifty_requests_block_and_another_is_answered() -> None:
    """Row W32: with all threads busy, what needs none goes on, on other connections."""
    threads = Threads(8)
    with holding() as held:
        router = make_router(held, threads)
        async with serving_http_on(serve_http, router, 0) as server, AsyncExitStack() as stack:
            peers = [await connect(server) for _ in range(MANY)]
            for number, peer in enumerate(peers):
                await stack.enter_async_context(peer.stream)
                await peer.send(request("GET", f"/slow/{number}"))
            await held.wait_running(8)
            await until(lambda: threads.statistics().waiting == MANY - 8)
            other = await connect(server)
            async with other.stream:
                for _ in range(20):
                    assert (await other.ask(request("GET", "/quick"))).body == b"quick"
            held.let_go()
            for number, peer in enumerate(peers):
                assert (await peer.reply()).body == str(number).encode()
            assert (held.most, threads.statistics().finished) == (8, MANY)


async def test_requests_of_one_connection_are_answered_in_order() -> None:
    """Row W32: pipelined ones too, and one at a time."""
    threads = Threads()
    with holding() as held:
        async with serving_http_on(serve_http, make_router(held, threads), 0) as server:
            peer = await connect(server)
            async with peer.stream:
                await peer.send(request("GET", "/slow/a") + request("GET", "/quick"))
                await peer.send(request("GET", "/slow/b"))
                await held.wait_running(1)
                held.let_go()
                assert [(await peer.reply()).body for _ in range(3)] == [b"a", b"quick", b"b"]
            assert threads.statistics().peak == 1


async def test_a_body_is_there_when_it_is_called() -> None:
    """Row W32: as for a plain function, and bounded; a server's own handler as well as a route."""
    threads = Threads()
    limits = HTTPLimits(linger_timeout=0.2, max_body_size=2**16)

    @threads
    def length(asked: Request) -> Response:
        return Response(str(len(asked.content or b"")))

    with holding() as held:
        for handler in (make_router(held, threads), length):
            async with serving_http_on(serve_http, handler, 0, limits=limits) as server:
                peer = await connect(server)
                async with peer.stream:
                    reply = await peer.ask(request("POST", "/body", body=b"x" * 2**16))
                    assert reply.body in (b"x" * 2**16, b"65536")
                    reply = await peer.ask(request("POST", "/body", body=b"x" * (2**16 + 1)))
                    assert reply.status == 413


async def test_errors_are_answered_as_any_handlers(caplog: pytest.LogCaptureFixture) -> None:
    """Row W32."""
    with holding() as held:
        async with serving_http_on(serve_http, make_router(held, Threads()), 0) as server:
            peer = await connect(server)
            async with peer.stream:
                assert (await peer.ask(request("GET", "/gone"))).status == 410
                assert (await peer.ask(request("GET", "/broken"))).status == 500
            (error,) = errors_in(caplog)
            assert isinstance(error, KeyError)


async def test_a_client_that_leaves_gives_its_place_back_at_once() -> None:
    """Row W32."""
    threads = Threads()
    with holding() as held:
        async with serving_http_on(serve_http, make_router(held, threads), 0) as server:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            await stream.send_all(request("GET", "/slow/a"))
            await held.wait_running(1)
            reset(stream)
            await until(lambda: not server.statistics().server.pool.connections)
            assert threads.statistics().abandoned == 1


@pytest.mark.parametrize("in_time", [True, False])
async def test_a_drain_has_its_deadline(in_time: bool) -> None:
    """Rows W32 and B3: a request that is done in time is answered, one that is not is cut."""
    timeouts = DrainTimeouts(goodbye=0.05, wait=LIMIT if in_time else 0.05)
    with holding() as held:
        router = make_router(held, Threads())
        async with serving_http_on(serve_http, router, 0) as server:
            peer = await connect(server)
            async with peer.stream, trio.open_nursery() as nursery:
                await peer.send(request("GET", "/slow/a"))
                await held.wait_running(1)
                nursery.start_soon(server.drain, timeouts)
                await until_closed(server.port)
                if in_time:
                    held.let_go()
                    reply = await peer.reply()
                    assert (reply.body, reply.headers["connection"]) == (b"a", "close")
                assert await peer.rest() == b""
            assert (await server.drain()).clean is in_time
