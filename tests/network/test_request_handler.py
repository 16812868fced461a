"""A handler for each request, on real sockets: how many writes replies take, and resets."""

from __future__ import annotations

import pytest
import trio

from snowtrio import Cause, Connection, RequestHandler

from ..memory.requests import Workshop
from .peers import Peer
from .tcp import connect, reset, serving_tcp, until

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]

MANY = [b"%02d" % number for number in range(16)]
ASKED = b"".join(request + b"\n" for request in MANY)


@pytest.mark.parametrize("in_order", [True, False])
async def test_replies_that_are_ready_together_leave_in_one_write(in_order: bool) -> None:
    """S12 for requests: those that waited for the same thing."""
    workshop = Workshop()
    async with serving_tcp(RequestHandler(workshop.answer, in_order=in_order)) as server:
        peer = Peer(await connect(server))
        async with peer.stream:
            await peer.send(ASKED)
            await until(lambda: workshop.at_work == 16)
            workshop.release(*MANY)
            got = await peer.exactly(len(ASKED))
            assert got == ASKED if in_order else sorted(got.split()) == MANY
            (connection,) = server.connections
            assert connection.statistics().writes == 1


@pytest.mark.parametrize("most", [1, 16])
async def test_replies_that_need_no_waiting_leave_in_one_write(most: int) -> None:
    """S12 for requests: those that one read brought."""

    async def answer(connection: Connection[bytes], request: bytes) -> bytes:
        return request

    async with serving_tcp(RequestHandler(answer, max_concurrent=most)) as server:
        peer = Peer(await connect(server))
        async with peer.stream:
            await peer.send(ASKED)
            assert await peer.exactly(len(ASKED)) == ASKED
            (connection,) = server.connections
            counts = connection.statistics()
            assert counts.writes == counts.reads


@pytest.mark.parametrize("most", [1, 4, 16])
async def test_a_reset_cancels_what_is_under_way(most: int) -> None:
    """S10 for requests: noticed although nothing is being sent."""
    workshop = Workshop()
    async with serving_tcp(RequestHandler(workshop.answer, max_concurrent=most)) as server:
        stream = await connect(server)
        await stream.send_all(b"".join(request + b"\n" for request in MANY[:4]))
        await until(lambda: workshop.at_work == min(most, 4))
        reset(stream)
        await until(lambda: len(workshop.cancelled) == min(most, 4))
        await until(lambda: server.statistics().pool.ended == {Cause.LOST: 1})


async def test_many_connections_with_requests_under_way() -> None:
    """B5 for requests: each reply goes to the connection whose request it answers."""

    async def answer(connection: Connection[bytes], request: bytes) -> bytes:
        for _ in range(int(request) % 5):
            await trio.lowlevel.checkpoint()
        return request

    async def talk(peer: Peer, requests: bytes) -> None:
        async with peer.stream:
            for _ in range(5):
                await peer.send(requests)
                assert await peer.exactly(len(requests)) == requests

    async with serving_tcp(RequestHandler(answer, max_concurrent=7)) as server:
        async with trio.open_nursery() as nursery:
            for each in range(20):
                requests = b"".join(b"%d\n" % (each * 100 + number) for number in range(30))
                nursery.start_soon(talk, Peer(await connect(server)), requests)
        assert server.statistics().pool.messages_sent == 20 * 5 * 30
