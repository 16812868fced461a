"""What comes from a socket, however the reader waits for it: in its task, or watched among many."""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter
from collections.abc import Iterable

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from typing_extensions import override

from snowtrio import (
    Cause,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    LineCodec,
    PoolLimits,
    ReceiveBuffer,
    ServerLimits,
)
from snowtrio._transport._notifier import FEW, current_notifier
from snowtrio.testing import open_memory_pair

from ..serving import LIMIT, ask, echo, read_all
from .pairs import SMALL, stream_of, tcp_pair, tcp_streams
from .tcp import connect, living_tasks, reset, serving_tcp, until

resource = pytest.importorskip("resource", reason="this system has no such limit to set")

pytestmark = [pytest.mark.usefixtures("readiness"), pytest.mark.timeout(30)]


async def test_watching_begins_where_there_are_many(readiness: str) -> None:
    """What the other tests rely on: the fixture makes the difference that it says it makes."""
    async with open_memory_pair(LineCodec(), streams=tcp_streams()):
        await wait_all_tasks_blocked()
        notifier = current_notifier()
        assert notifier is not None
        assert (notifier._selector is not None) == (readiness == "watched")


async def test_byte_by_byte() -> None:
    """S1."""
    async with serving_tcp() as server, await connect(server) as stream:
        for number in range(20):
            for byte in b"line %d\n" % number:
                await stream.send_all(bytes([byte]))
                await wait_all_tasks_blocked()
            with trio.fail_after(LIMIT):
                assert await stream.receive_some() == b"line %d\n" % number


async def test_many_frames_in_a_segment_and_the_beginning_of_one() -> None:
    """S1, S12: more than one batch of them."""
    async with serving_tcp() as server, await connect(server) as stream:
        lines = b"".join(b"%d\n" % number for number in range(3000))
        await stream.send_all(lines + b"be")
        read = b""
        with trio.fail_after(LIMIT):
            while len(read) < len(lines):
                read += await stream.receive_some()
        assert read == lines
        assert await ask(stream, b"gun") == b"begun"


async def test_the_end_in_the_same_segment_as_the_last_line() -> None:
    """P5: both are seen, the line first."""
    ours, theirs = tcp_pair()
    ours.sendall(b"one\ntwo\n")
    ours.shutdown(1)
    spare, other = tcp_pair()
    pair = open_memory_pair(LineCodec(), streams=(stream_of(spare), stream_of(theirs)))
    with ours, other:
        async with pair as (client, server):
            assert [line async for line in server] == [b"one", b"two"]
            client.drop()


async def test_a_half_closed_peer_is_answered() -> None:
    """P5."""
    async with serving_tcp() as server, await connect(server) as stream:
        assert await ask(stream, b"before") == b"before"
        await stream.send_all(b"one\ntwo")
        await wait_all_tasks_blocked()
        await stream.send_all(b"\n")
        await stream.send_eof()
        assert await read_all(stream) == b"one\ntwo\n"
        await until(lambda: not server.connections)
        assert server.statistics().pool.ended == {Cause.PEER_CLOSED: 1}


async def test_a_reset_cancels_the_handler() -> None:
    """P10, S10: nobody is there to be answered."""
    cancelled = trio.Event()

    async def wait(connection: Connection[bytes]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with serving_tcp(wait) as server:
        stream = await connect(server)
        await until(lambda: server.connections)
        reset(stream)
        with trio.fail_after(LIMIT):
            await cancelled.wait()
        await until(lambda: not server.connections)
        assert server.statistics().pool.ended == {Cause.LOST: 1}


async def test_a_reset_reaches_a_receiver() -> None:
    """P10: after what came before."""
    ours, theirs = tcp_pair()
    pair = open_memory_pair(LineCodec(), streams=tuple(map(stream_of, tcp_pair())))  # type: ignore[arg-type]
    ours.close()
    theirs.close()
    async with pair as (client, server):
        await client.send(b"x")
        assert await server.receive() == b"x"
        assert client.socket is not None
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.drop()
        with trio.fail_after(LIMIT), pytest.raises(ConnectionLostError):
            await server.receive()


async def test_a_receiver_that_is_away_finds_all_in_order() -> None:
    """S13, S3: what is read ahead of it is bounded, and nothing of it is lost."""
    limits = PoolLimits(max_inbox_messages=8, receive_size=64)
    streams = tcp_streams(buffer_size=SMALL)
    lines = [b"%d" % number for number in range(2000)]
    async with open_memory_pair(LineCodec(), limits=limits, streams=streams) as (client, server):

        async def send() -> None:
            for first in range(0, 2000, 100):
                await client.send_batch(lines[first : first + 100])
            await client.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            got = [await server.receive()]
            for _ in range(20):
                await wait_all_tasks_blocked(0.001)
                statistics = server.statistics()
                assert statistics.messages_received - len(got) <= 8
                assert statistics.buffered <= 64
                got += await server.receive_batch()
            got += [line async for line in server]
    assert got == lines


class Stop(BaseException):
    """More than an error."""


@attrs.frozen
class Broken(LineCodec):
    """Fails in its own way."""

    mistake: BaseException = attrs.field(kw_only=True)

    @override
    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        for line in super().decode(buffer):
            if line == b"fail":
                raise self.mistake
            yield line


@pytest.mark.parametrize("error", [LookupError("a codec's mistake"), Stop()])
async def test_a_codec_that_fails_in_its_own_way(error: BaseException) -> None:
    """S22: an error is the receiver's, and what is more than that goes on to whoever runs it."""
    pair = open_memory_pair(
        LineCodec(), server_protocol=Broken(mistake=error), streams=tcp_streams()
    )
    got: list[bytes] = []
    caught: BaseException | None = None
    try:
        async with pair as (client, server):
            await wait_all_tasks_blocked()
            await client.send_batch([b"one", b"fail", b"two"])
            with trio.fail_after(LIMIT):
                async for line in server:
                    got.append(line)
    except BaseException as raised:
        caught = raised
        while isinstance(caught, BaseExceptionGroup):
            (caught,) = caught.exceptions
    assert type(caught) is type(error)
    if isinstance(error, Exception):
        assert got == [b"one"]


async def test_closing_wakes_the_receiver() -> None:
    """P6."""
    limits = PoolLimits(linger_timeout=0)
    async with open_memory_pair(LineCodec(), limits=limits, streams=tcp_streams()) as pair:
        client, server = pair
        raised: list[str] = []

        async def receive(connection: Connection[bytes]) -> None:
            with trio.fail_after(LIMIT), pytest.raises(ConnectionClosedError):
                await connection.receive()
            raised.append("closed")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, server)
            await wait_all_tasks_blocked()
            await server.aclose()
        assert raised == ["closed"]
        with pytest.raises(trio.EndOfChannel):
            await client.receive()


async def test_a_transport_that_is_closed_behind_our_back() -> None:
    """P6, S22: whoever waits is told, and whoever sends."""
    async with open_memory_pair(LineCodec(), streams=tcp_streams()) as (client, server):
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with trio.fail_after(LIMIT), pytest.raises(ConnectionClosedError):
                    await server.receive()

            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            await server._life.transport.aclose()
        with pytest.raises(ConnectionClosedError):
            await server.send(b"x")
        with trio.fail_after(LIMIT), pytest.raises(trio.EndOfChannel):
            await client.receive()


async def test_no_descriptor_is_left_to_watch_with() -> None:
    """S21: then each socket is waited for by itself, and no connection is lost for it."""
    notifier = current_notifier()
    assert notifier is not None
    async with serving_tcp() as server, await connect(server) as stream:
        assert await ask(stream, b"first") == b"first"
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        for _ in range(FEW + 1):
            notifier.join()
        try:
            for number in range(3):
                assert await ask(stream, b"%d" % number) == b"%d" % number
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for _ in range(FEW + 1):
                notifier.leave()
        assert await ask(stream, b"more") == b"more"


@pytest.mark.parametrize("plain", [False, True])
async def test_many_connections_are_served_in_turn(plain: bool) -> None:
    """Each of 200 that never stop to ask gets about as many answers."""
    answers: Counter[int] = Counter()

    async def ask_on(stream: trio.SocketStream, number: int) -> None:
        while True:
            await stream.send_all(b"x\n" * 20)
            await stream.receive_some()
            answers[number] += 1

    limits = ServerLimits(max_connections=200, linger_timeout=0)
    handler = (lambda _, line: line) if plain else echo
    async with serving_tcp(handler, limits=limits) as server:
        streams = [await connect(server) for _ in range(200)]
        async with trio.open_nursery() as nursery:
            for number, stream in enumerate(streams):
                nursery.start_soon(ask_on, stream, number)
            await until(lambda: answers.total() > 4000)
            nursery.cancel_scope.cancel()
        for stream in streams:
            await stream.aclose()
        await until(lambda: not server.connections)
    assert len(answers) == 200
    assert max(answers.values()) <= 4 * min(answers.values()) + 8


@pytest.mark.parametrize("plain", [False, True])
async def test_connections_come_and_go_while_others_speak(plain: bool) -> None:
    """B5: nothing is lost as there are now few, now many; no task is left over."""
    rng = random.Random(7)
    handler = (lambda _, line: line) if plain else echo
    said: list[bytes] = []
    heard: list[bytes] = []

    async def speak(server: object, name: int) -> None:
        async with await connect(server) as stream:  # type: ignore[arg-type]
            lines = b"".join(b"%d-%d\n" % (name, number) for number in range(rng.randrange(1, 40)))
            said.extend(lines.split())
            while lines:
                size = rng.randrange(1, 60)
                piece, lines = lines[:size], lines[size:]
                await stream.send_all(piece)
                for _ in range(rng.randrange(3)):
                    await trio.lowlevel.checkpoint()
            await stream.send_eof()
            heard.extend((await read_all(stream)).split())

    async with serving_tcp(handler) as server:
        async with await connect(server) as stream:
            assert await ask(stream, b"first") == b"first"
        await until(lambda: not server.connections)
        tasks = living_tasks()
        for round_ in range(60):
            async with trio.open_nursery() as nursery:
                for number in range(rng.randrange(1, 2 * FEW + 2)):
                    nursery.start_soon(speak, server, round_ * 100 + number)
        await until(lambda: living_tasks() == tasks)
    for name in {line.partition(b"-")[0] for line in said}:
        mine = name + b"-"
        assert [x for x in heard if x.startswith(mine)] == [x for x in said if x.startswith(mine)]
