"""Changing the codec of a live connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from snowtrio import (
    Codec,
    Connection,
    LineCodec,
    NetstringCodec,
    PoolLimits,
    RawCodec,
    ReceiveBuffer,
)
from snowtrio.testing import FaultyStream, open_memory_pair

NETSTRINGS = b"3:one,3:two,"


class UpgradingLines(Codec[bytes]):
    """Lines until the one that says ``upgrade``."""

    def encode(self, message: bytes) -> bytes:
        return message + b"\n"

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while (line := buffer.take_until(b"\n")) is not None:
            if line == b"upgrade":
                buffer.pause()
                yield line
                return
            yield line


async def read_to_upgrade(server: Connection[bytes]) -> list[bytes]:
    lines: list[bytes] = []
    async for line in server:
        lines.append(line)
        if line == b"upgrade":
            server.switch(NetstringCodec())
            break
    return lines


async def test_the_next_protocol_in_the_same_segment() -> None:
    """S7: bytes behind the boundary are the new codec's, even if nothing more ever comes."""
    async with open_memory_pair(RawCodec(), server_protocol=UpgradingLines()) as (client, server):
        await client.send(b"hello\nupgrade\n" + NETSTRINGS)
        assert await read_to_upgrade(server) == [b"hello", b"upgrade"]
        assert await server.receive_batch() == [b"one", b"two"]
        await server.send(b"ok")
        assert await client.receive() == b"2:ok,"


@pytest.mark.parametrize("cut", range(1, len(b"hello\nupgrade\n" + NETSTRINGS)))
async def test_the_boundary_anywhere_in_the_segments(cut: int) -> None:
    """S7: wherever the bytes are cut, nothing is taken for what it is not."""
    wire = b"hello\nupgrade\n" + NETSTRINGS
    async with open_memory_pair(RawCodec(), server_protocol=UpgradingLines()) as (client, server):
        await client.send(wire[:cut])
        await wait_all_tasks_blocked()
        await client.send(wire[cut:])
        assert await read_to_upgrade(server) == [b"hello", b"upgrade"]
        assert [await server.receive(), await server.receive()] == [b"one", b"two"]


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4, 5, 9, 10])
async def test_the_boundary_where_batches_end(before: int) -> None:
    """The reader may be handing over the batch before, or this one, when the switch comes."""
    limits = PoolLimits(max_inbox_messages=10)
    async with open_memory_pair(RawCodec(), server_protocol=UpgradingLines(), limits=limits) as (
        client,
        server,
    ):
        await client.send(b"line\n" * before + b"upgrade\n" + NETSTRINGS)
        await wait_all_tasks_blocked()
        assert len(await read_to_upgrade(server)) == before + 1
        assert [await server.receive(), await server.receive()] == [b"one", b"two"]


async def test_a_paused_reader_takes_little_more() -> None:
    """Until the switch the peer's next bytes wait where they are, but for those of one read."""
    limits = PoolLimits(receive_size=8)
    async with open_memory_pair(RawCodec(), server_protocol=UpgradingLines(), limits=limits) as (
        client,
        server,
    ):
        await client.send(b"upgrade\n")
        assert await server.receive() == b"upgrade"
        await client.send(NETSTRINGS * 10)
        await wait_all_tasks_blocked()
        assert 8 <= server.statistics().buffered < 16
        server.switch(NetstringCodec())
        for _ in range(10):
            assert [await server.receive(), await server.receive()] == [b"one", b"two"]


async def test_a_partial_frame_goes_to_the_new_codec_at_once() -> None:
    """A head of lines and a body without: the body that came with the head is not held back."""
    async with open_memory_pair(RawCodec(), server_protocol=LineCodec()) as (client, server):
        await client.send(b"head\n\nbody, and no newline")
        assert [await server.receive(), await server.receive()] == [b"head", b""]
        await wait_all_tasks_blocked()  # The reader waits for the end of the third line.
        server.switch(RawCodec())
        assert await server.receive() == b"body, and no newline"
        await client.send(b"more")
        assert await server.receive() == b"more"


async def test_what_was_decoded_before_the_switch_is_delivered() -> None:
    """Nothing of what the old codec took is lost, however many batches it is."""
    limits = PoolLimits(max_inbox_messages=10)
    lines = [b"%d" % number for number in range(100)]
    async with open_memory_pair(RawCodec(), server_protocol=LineCodec(), limits=limits) as (
        client,
        server,
    ):
        await client.send(b"".join(line + b"\n" for line in lines))
        await wait_all_tasks_blocked()
        got = [await server.receive()]
        server.switch(NetstringCodec())
        await client.send(NETSTRINGS)
        got += [await server.receive() for _ in range(101)]
        assert got == [*lines, b"one", b"two"]


async def test_a_switch_in_the_moment_of_a_read_loses_nothing() -> None:
    """The read that the switch would interrupt has just brought bytes."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(theirs)
    async with open_memory_pair(
        RawCodec(), server_protocol=LineCodec(), streams=(ours, faulty)
    ) as (client, server):
        await client.send(b"head\nhalf a ")
        assert await server.receive() == b"head"
        await wait_all_tasks_blocked()
        faulty.stall()
        await client.send(b"line\n")
        await wait_all_tasks_blocked()  # The stream has the bytes, and the reader not yet.
        server.switch(RawCodec())
        assert await server.receive() == b"half a "
        faulty.resume()
        assert await server.receive() == b"line\n"


async def test_both_directions_switch() -> None:
    async with open_memory_pair(LineCodec()) as (client, server):
        await client.send(b"one")
        assert await server.receive() == b"one"
        client.switch(NetstringCodec())
        server.switch(NetstringCodec())
        await client.send(b"with a\nnewline")
        assert await server.receive() == b"with a\nnewline"
        await server.send(b"so\ntoo")
        assert await client.receive() == b"so\ntoo"


async def test_a_paused_connection_can_close() -> None:
    """A handler that leaves at the boundary leaves nothing behind."""
    limits = PoolLimits(linger_timeout=0)
    async with open_memory_pair(RawCodec(), server_protocol=UpgradingLines(), limits=limits) as (
        client,
        server,
    ):
        await client.send(b"upgrade\nrest")
        assert await server.receive() == b"upgrade"
        with trio.fail_after(5):
            await server.aclose()
