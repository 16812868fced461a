"""Cancelled at every await in turn, receiving, answering and sending keep their account."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
import trio

from snowtrio import Connection, LineCodec, PoolLimits
from snowtrio.testing import open_memory_pair

from ..memory.cancelling import cancelled_at
from ..serving import LIMIT
from .pairs import SMALL, tcp_streams

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(60)]

LINES = [b"%d " % number + b"x" * 20_000 for number in range(12)]
LIMITS = PoolLimits(max_outbox_messages=2, max_inbox_messages=4, linger_timeout=0)


async def send_all(connection: Connection[bytes]) -> None:
    await connection.send_batch(LINES)
    await connection.send_eof()


async def receive_rest(connection: Connection[bytes], got: list[bytes]) -> None:
    got.extend([line async for line in connection])


async def receive_singly(connection: Connection[bytes], got: list[bytes]) -> None:
    with suppress(trio.EndOfChannel):
        while True:
            got.append(await connection.receive())


async def receive_batches(connection: Connection[bytes], got: list[bytes]) -> None:
    async for batch in connection.batches():
        got.extend(batch)


async def answer(connection: Connection[bytes], got: list[bytes]) -> None:
    await connection.answer(lambda _, line: got.append(line))


@pytest.mark.parametrize("take", [receive_singly, receive_batches, answer])
async def test_every_message_is_received_or_answered_once(take: object) -> None:
    """B6: in order, by whoever comes after the one that was cancelled."""
    assert callable(take)
    suspension, struck = 0, True
    while struck:
        got: list[bytes] = []
        streams = tcp_streams(buffer_size=SMALL)
        pair = open_memory_pair(LineCodec(), limits=LIMITS, client_limits=LIMITS, streams=streams)
        async with pair as (client, server), trio.open_nursery() as nursery:
            nursery.start_soon(send_all, client)
            with trio.fail_after(LIMIT):
                struck = await cancelled_at(suspension, partial(take, server, got))
                await receive_rest(server, got)
        assert got == LINES
        suspension += 1
    assert suspension > 1


async def test_what_was_accepted_of_a_batch_arrives() -> None:
    """B6, B1: those before the strike, and no other."""
    suspension, struck = 0, True
    while struck:
        got: list[bytes] = []
        streams = tcp_streams(buffer_size=SMALL)
        pair = open_memory_pair(LineCodec(), limits=LIMITS, client_limits=LIMITS, streams=streams)
        async with pair as (client, server), trio.open_nursery() as nursery:
            nursery.start_soon(receive_rest, server, got)
            with trio.fail_after(LIMIT):
                struck = await cancelled_at(suspension, partial(client.send_batch, LINES))
                accepted = client.statistics().messages_accepted
                await client.send_eof()
        assert got == LINES[:accepted]
        assert struck == (accepted < len(LINES))
        suspension += 1
    assert suspension > 2
