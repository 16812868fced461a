"""A request that goes on in another protocol (row Z4)."""

from __future__ import annotations

import pytest
import trio

from snowtrio import LineCodec
from snowtrio.http import BadResponseError, ClientResponse, RedirectError, UpgradeRefusedError

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


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nnever", b"never"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000, b"x" * 4096),
        (b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nnev", b"nev"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\nno", b""),
    ],
)
async def test_a_refusal_has_the_beginning_of_its_body(
    response: bytes, body: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    """Rows Z4, W27: for people to read; one that does not come is not waited for."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, response)
        with pytest.raises(UpgradeRefusedError) as caught:
            async with client.upgrade(URL, "lines", LineCodec()):
                pass
        assert isinstance(caught.value.response, ClientResponse)
        assert (caught.value.response.status, caught.value.response.body) == (403, body)


@pytest.mark.parametrize("location", ["ws://books.example/b", "http://books.example/b", "/b"])
async def test_a_redirect_to_another_url(location: str) -> None:
    """Rows Z9, W27: a URL of ws is asked over http, but for an upgrade alone."""
    peers = Servers()
    moved = f"HTTP/1.1 302 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            await answer(peers, 0, moved)
            assert (await read_request(peers, 0)).startswith(b"GET /b HTTP/1.1\r\n")
            await peers.say(0, SWITCHING)

        async with client.upgrade(
            "ws://books.example/a", "lines", LineCodec(), max_redirects=1
        ) as connection:
            await connection.aclose()
        if location.startswith("ws"):
            nursery.start_soon(answer, peers, 1, moved)
            with pytest.raises(RedirectError):
                await client.fetch("http://books.example/a")
            with pytest.raises(ValueError, match="neither of http nor of https"):
                await client.fetch("ws://books.example/a")
