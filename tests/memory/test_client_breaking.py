"""Connections that break before they accept a message: another has it, without a hot loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import Client, Codec, ConnectionLostError, ReceiveBuffer

from .client_peers import Peers, Recording, client_of, counts


class Lines(Codec[bytes]):
    """A codec that can have attributes."""

    def encode(self, message: bytes) -> bytes:
        return message + b"\n"

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while (line := buffer.take_until(b"\n")) is not None:
            yield line


class Breaking(Lines):
    """Has the connection break in the moment in which it is given a message."""

    client: Client[Any]

    def __init__(self, breaks: float) -> None:
        self.breaks = breaks
        self.broken = 0

    def encode(self, message: bytes) -> bytes:
        if self.broken < self.breaks:
            self.broken += 1
            # The least busy one, and where all are idle the oldest.
            self.client.connections[0].drop()
            raise ConnectionLostError("broken on command")
        return super().encode(message)


def breaking_client(peers: Peers, breaks: float, **limits: Any) -> tuple[Client[bytes], Breaking]:
    codec = Breaking(breaks)
    codec.client = client_of(peers, protocol=codec, **limits)
    return codec.client, codec


async def test_stale_connections(autojump_clock: MockClock) -> None:
    """S17: connections that were there before and are dead cost a sender no time."""
    peers = Peers()
    client, codec = breaking_client(peers, breaks=5, min_connections=5)
    async with client:
        await trio.sleep(1)
        assert counts(client) == (5, 0, 0, 0)
        asked = trio.current_time()
        await client.send(b"a")
        assert trio.current_time() == asked
        assert codec.broken == 5
        assert await peers.read(5) == b"a\n"


async def test_new_connections_that_break_at_once(autojump_clock: MockClock) -> None:
    """S17: as often as a connect is tried, with the same pauses, and then it is the sender's."""
    peers = Peers()
    client, codec = breaking_client(
        peers, breaks=float("inf"), connect_attempts=4, backoff=1, max_backoff=100
    )
    async with client:
        began = trio.current_time()
        with pytest.raises(ConnectionLostError, match="broken on command"):
            await client.send(b"a")
        assert codec.broken == len(peers.attempts) == 4
        for at, earliest in zip(peers.attempts, [0, 0.5, 1.5, 3.5], strict=True):
            assert at - began >= earliest


async def test_no_longer_than_the_deadline(autojump_clock: MockClock) -> None:
    """S17: retries have the deadline that connecting has."""
    peers = Peers()
    client, _ = breaking_client(
        peers, breaks=float("inf"), connect_attempts=100, backoff=1, max_backoff=1
    )
    async with client:
        began = trio.current_time()
        with pytest.raises(ConnectionLostError):
            await client.send(b"a")
        assert 10 <= trio.current_time() - began <= 11


async def test_a_codec_that_blames_the_connection(mock_clock: MockClock) -> None:
    """S17: an error of the codec's own making is raised, not retried for ever."""

    class Blaming(Lines):
        def encode(self, message: bytes) -> bytes:
            raise ConnectionLostError("says the codec")

    async with client_of(Peers(), protocol=Blaming()) as client:
        await client.bootstrap()
        with pytest.raises(ConnectionLostError, match="says the codec"):
            await client.send(b"a")


async def test_a_sender_that_waits_for_room_goes_to_another(autojump_clock: MockClock) -> None:
    """S18: what a connection had not accepted when it died is not lost with it."""
    peers = Peers(lockstep=True)
    protocol = Recording()
    async with client_of(
        peers, protocol=protocol, max_connections=1, max_outbox_messages=1
    ) as client:
        await client.send(b"accepted")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"waiting")
            await wait_all_tasks_blocked()
            assert client.statistics().pool.sends_waited == 1
            peers.theirs[0].break_now()
            await peers.streams[0].aclose()
        assert await peers.read(1) == b"waiting\n"
        statistics = client.statistics().pool
        assert statistics.messages_unsent + statistics.messages_in_doubt == 1
