"""A request that goes on in another protocol (row Z4)."""

from __future__ import annotations

import pytest
import trio

from snowtrio import LineCodec
from snowtrio.http import BadResponseError, UpgradeRefusedError

from .http_client_peers import URL, Servers, answer, client_of, connected, read_request

quiet = trio.testing.wait_all_tasks_blocked

SWITCHING = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n"


async def test_upgrade() -> None:
    """Row Z4: both sides go on in another protocol, beginning with what came behind the 101."""
    peers = Servers()
    switching = SWITCHING + b"hello\nth"
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        requests: list[bytes] = []

        async def serve() -> None:
            requests.append(await answer(peers, 0, switching))
            assert await peers.read(0) == b"good\n"
            await peers.say(0, b"ere\n")

        nursery.start_soon(serve)
        async with client.upgrade(URL, "lines", LineCodec(), headers={"x": "y"}) as connection:
            assert await connection.receive() == b"hello"
            await connection.send(b"good")
            assert await connection.receive() == b"there"
        assert b"\r\nupgrade: lines\r\nx: y\r\n" in requests[0]
        await quiet()
        assert client.statistics().connections == 0
        nursery.start_soon(answer, peers, 1)
        with pytest.raises(UpgradeRefusedError, match="200 OK"):
            async with client.upgrade(URL, "lines", LineCodec()):
                pass
        nursery.start_soon(answer, peers, client.statistics().opened - 1, switching)
        with pytest.raises(BadResponseError):
            await client.fetch(URL)


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_upgraded_connection_sends_after_the_server_has_ended(at_once: bool) -> None:
    """Rows Z4, P5: the new protocol decides what an end of input means."""
    peers = Servers()
    switching = SWITCHING + b"hello\n"
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            await connected(peers, 1)
            if at_once:
                await peers.say(0, switching)
                await peers.streams[0].send_stream.aclose()
                await read_request(peers, 0)
            else:
                await answer(peers, 0, switching)
                await quiet()
                await peers.streams[0].send_stream.aclose()

        async with client.upgrade(URL, "lines", LineCodec()) as connection:
            assert await connection.receive() == b"hello"
            with pytest.raises(trio.EndOfChannel):
                await connection.receive()
            await quiet()
            await connection.send(b"good")
            assert await peers.read(0) == b"good\n"
        assert await peers.read(0) == b""


@pytest.mark.parametrize("named", [b"", b"Upgrade: columns\r\n", b"Upgrade: lines, columns\r\n"])
async def test_another_protocol_than_was_asked_for(named: bytes) -> None:
    """Row Z4: a server that goes on in another protocol is not believed."""
    peers = Servers()
    switching = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n" + named + b"\r\n"
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, switching)
        with pytest.raises(BadResponseError):
            async with client.upgrade(URL, "lines", LineCodec()):
                pass
        await quiet()
        assert client.statistics().connections == 0


async def test_a_refused_upgrade_leaves_a_connection_like_others() -> None:
    """Row Z8: an idle connection still leaves when the server ends it."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0)
        with pytest.raises(UpgradeRefusedError):
            async with client.upgrade(URL, "lines", LineCodec()):
                pass
        await quiet()
        assert client.statistics().idle == 1
        await peers.streams[0].send_stream.aclose()
        await quiet()
        assert client.statistics().connections == 0
