"""Handshakes on the client's side (rows S7, S8 and S9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import (
    BufferedStream,
    Client,
    Connection,
    HandshakeError,
    HandshakeTimeoutError,
    IncompleteFrameError,
    LineCodec,
    Protocol,
    Side,
)

from .client_peers import NOTHING, Peers, client_of, counts, outcomes

Shake: TypeAlias = Callable[[BufferedStream], Awaitable[str]]


class Login(Protocol[bytes, bytes, str]):
    """Says its name and reads who greets it; notes every hook."""

    def __init__(self, shake: Shake | None = None) -> None:
        super().__init__(LineCodec())
        self.hooks: list[str] = []
        self._shake = shake if shake is not None else self.greet

    async def greet(self, stream: BufferedStream) -> str:
        await stream.send_all(b"name\n")
        return (await stream.receive_line()).decode()

    async def handshake(self, side: Side, stream: BufferedStream) -> str:
        assert side is Side.CLIENT
        self.hooks.append("handshake")
        return await self._shake(stream)

    async def close(self, connection: Connection[bytes, bytes, str]) -> None:
        self.hooks.append("close")

    def purge(self, connection: Connection[bytes, bytes, str], messages: object) -> None:
        self.hooks.append("purge")


async def refuse(stream: BufferedStream) -> str:
    raise PermissionError("wrong password")


def check_nothing_left(client: Client[bytes], peers: Peers, protocol: Login) -> None:
    assert counts(client) == NOTHING
    assert peers.connected == 0
    assert set(protocol.hooks) == {"handshake"}


async def test_the_result_is_the_context() -> None:
    """S7: it runs first; what it read too much reaches the codec; then the message is sent."""
    peers, protocol = Peers(), Login()
    async with client_of(peers, protocol=protocol) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"a")
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 1, 1, 1)
            assert not client.connections
            assert await peers.read(0) == b"name\n"
            await peers.say(0, b"server\nfirst\n")
        assert await peers.read(0) == b"a\n"
        message, connection = await client.receive()
        assert message == b"first"
        assert connection.context == "server"
        assert connection.side is Side.CLIENT
    assert protocol.hooks == ["handshake", "close"]


async def test_the_error_reaches_who_asked() -> None:
    """S8: the cause chained, the stream closed, the place free, no hook; tried once only."""
    peers, protocol = Peers(), Login(refuse)
    async with client_of(peers, protocol=protocol) as client:
        with pytest.raises(HandshakeError, match="wrong password") as caught:
            await client.send(b"a")
        assert isinstance(caught.value.__cause__, PermissionError)
        check_nothing_left(client, peers, protocol)
        assert client.statistics().opens_failed == 1
        assert client.statistics().pool.handshakes_failed == 1
    assert len(peers.attempts) == 1
    assert protocol.hooks == ["handshake"]


async def test_a_refusal_in_the_protocols_own_word_is_one() -> None:
    """S8: a HandshakeError is an end of a connection too, and yet not tried again."""

    async def refuse_by_name(stream: BufferedStream) -> str:
        raise HandshakeError("wrong password")

    peers, protocol = Peers(), Login(refuse_by_name)
    async with client_of(peers, protocol=protocol) as client:
        with pytest.raises(HandshakeError, match="wrong password"):
            await client.send(b"a")
        check_nothing_left(client, peers, protocol)
    assert len(peers.attempts) == 1


async def test_the_error_reaches_everyone_who_asked() -> None:
    """S8: each has one of their own, with the cause."""
    peers, protocol = Peers(closed=True), Login(refuse)
    async with client_of(peers, protocol=protocol, max_connections=1) as client:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                found = await outcomes(
                    client.bootstrap, *[lambda: client.send(b"a") for _ in range(3)]
                )
                assert {type(error) for error in found} == {HandshakeError}
                assert len(set(map(id, found))) == 4
                for error in found:
                    assert isinstance(error, HandshakeError)
                    assert isinstance(error.__cause__, PermissionError)

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            peers.open()
        assert len(peers.attempts) == 1


async def test_a_handshake_that_is_cut_is_tried_again(autojump_clock: MockClock) -> None:
    """S8, S17: a peer that leaves in the midst may be there the next time."""
    peers, protocol = Peers(), Login()
    async with client_of(peers, protocol=protocol) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"a")
            await wait_all_tasks_blocked()
            await peers.streams[0].aclose()
            await trio.sleep(1)
            assert await peers.read(1) == b"name\n"
            await peers.say(1, b"server\n")
        assert await peers.read(1) == b"a\n"


async def test_a_handshake_that_is_always_cut(autojump_clock: MockClock) -> None:
    """S8, S17: the last error comes out, and says what was before."""
    peers, protocol = Peers(), Login()
    async with client_of(peers, protocol=protocol, connect_attempts=2) as client:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(HandshakeError) as caught:
                    await client.send(b"a")
                assert isinstance(caught.value.__cause__, IncompleteFrameError)
                assert any("end of input" in note for note in caught.value.__notes__)

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            await peers.streams[0].aclose()
            await trio.sleep(1)
            await peers.say(1, b"half a line")
            await peers.streams[1].aclose()
        check_nothing_left(client, peers, protocol)


async def test_another_endpoint_after_a_refusal() -> None:
    """S8, B13: who refuses is not asked again; the next endpoint is."""
    refusing, friendly = Peers(name="refusing"), Peers(name="friendly")

    async def shake(stream: BufferedStream) -> str:
        if len(friendly.attempts) == 0:
            raise PermissionError("not you")
        return ""

    async with client_of(refusing, friendly, protocol=Login(shake)) as client:
        await client.send(b"a")
        assert await friendly.read(0) == b"a\n"
        assert len(refusing.attempts) == 1


async def test_a_peer_that_stalls(autojump_clock: MockClock) -> None:
    """S9: cut in time, each attempt, and told from a connect that gets no answer."""
    peers, protocol = Peers(), Login()
    async with client_of(
        peers, protocol=protocol, handshake_timeout=2, connect_timeout=100
    ) as client:
        began = trio.current_time()
        with pytest.raises(HandshakeTimeoutError, match="2 seconds"):
            await client.send(b"a")
        assert 6 <= trio.current_time() - began <= 6.5
        check_nothing_left(client, peers, protocol)
        assert client.statistics().pool.handshakes_timed_out == 3


async def test_a_peer_that_stalls_until_the_deadline(autojump_clock: MockClock) -> None:
    """S9: what connect_timeout cuts in the handshake is a handshake too."""
    peers, protocol = Peers(), Login()
    async with client_of(peers, protocol=protocol, connect_timeout=5) as client:
        began = trio.current_time()
        with pytest.raises(HandshakeTimeoutError, match="connect_timeout"):
            await client.send(b"a")
        assert trio.current_time() - began == pytest.approx(5)
        check_nothing_left(client, peers, protocol)


async def test_writes_go_on_while_a_peer_stalls(mock_clock: MockClock) -> None:
    """S9: one handshake that hangs holds up neither the live connection nor the end."""
    peers, protocol = Peers(), Login()
    async with client_of(peers, protocol=protocol) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"a")
            nursery.start_soon(client.send, b"b")
            await wait_all_tasks_blocked()
            assert counts(client) == (0, 2, 2, 2)
            await peers.say(1, b"server\n")
        assert sorted(await peers.read_lines(1, 3)) == [b"a", b"b", b"name"]
        await client.send(b"c")
        assert await peers.read(1) == b"c\n"
        assert counts(client) == (1, 1, 1, 0)
    assert peers.connected == 0


async def test_a_codec_that_cannot_start() -> None:
    """S8: a mistake after the handshake leaves nothing behind either."""

    class Broken(LineCodec):
        def start(self, side: Side, context: object) -> LineCodec:
            raise ZeroDivisionError("no coder")

    peers = Peers()
    async with client_of(peers, protocol=Broken()) as client:
        with pytest.raises(HandshakeError, match="no coder"):
            await client.send(b"a")
        assert counts(client) == NOTHING
        assert peers.connected == 0
