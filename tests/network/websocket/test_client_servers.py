"""The client against servers that are not ours."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio import HandshakeError
from snowtrio.websocket import Deflate, WebSocketLimits, open_websocket

from ..http_peers import write_certificates
from .servers import KINDS, Kind, echoing

LARGE = WebSocketLimits(max_message_size=2**24)

MESSAGES: list[str | bytes] = [
    "hello",
    "",
    b"",
    "äöü 🐉",
    bytes(range(256)),
    "x" * 125,
    "y" * 126,
    b"z" * 65_535,
    b"z" * 65_536,
    "large " * 60_000,
]


@pytest.fixture(params=KINDS, ids=str, scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def port(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with echoing(kind, tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.mark.parametrize(
    "compression",
    [None, Deflate(), Deflate(context_takeover=False)],
    ids=["plain", "deflate", "no takeover"],
)
async def test_echo(kind: Kind, port: int, compression: Deflate | None) -> None:
    """Rows W8, W14 to W17, W22: messages of all sizes, one by one and all at once, and pings."""
    url = f"ws://127.0.0.1:{port}/"
    with trio.fail_after(20):
        async with open_websocket(url, compression=compression, limits=LARGE) as websocket:
            agreed = "sec-websocket-extensions" in websocket.response_headers
            assert agreed == (compression is not None and kind.compresses)
            for message in MESSAGES:
                await websocket.send(message)
                assert await websocket.receive() == message
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def send() -> None:
                    for message in MESSAGES:
                        await websocket.send(message)

                assert [await websocket.receive() for _ in MESSAGES] == MESSAGES
            assert 0 <= await websocket.ping() < 20
            if kind.fragments:
                await websocket.send("fragments")
                assert await websocket.receive() == "abc"
            await websocket.send("ping me")
            assert await websocket.receive() == "pong"
        assert websocket.close_received is not None
        assert websocket.close_received.code in (1000, 1005)


async def test_path_and_subprotocol(kind: Kind, port: int) -> None:
    """Rows W4, W5: what the server sees and chooses."""
    url = f"ws://localhost:{port}/a%20b?c=d"
    async with open_websocket(url, subprotocols=["news", "chat"]) as websocket:
        await websocket.send("who")
        path, _, subprotocol = str(await websocket.receive()).rpartition(" ")
        assert path in ("/a%20b?c=d", "/a b?c=d")
        assert subprotocol == websocket.subprotocol == "chat"


async def test_the_server_closes(kind: Kind, port: int) -> None:
    """Rows W11, W13: code and reason of both sides; iterating ends."""
    async with open_websocket(f"ws://127.0.0.1:{port}/") as websocket:
        await websocket.send("close me")
        assert [message async for message in websocket] == []
        assert str(websocket.close_received) == "4001 as you like"
    assert websocket.close_sent is not None
    assert websocket.close_sent.code == 4001


async def test_tls(
    kind: Kind,
    tmp_path: Path,
    ca: trustme.CA,
    server_cert: trustme.LeafCert,
    client_ssl_context: ssl.SSLContext,
) -> None:
    """Row W30: one context for many; a certificate that nobody knows is told at once."""
    files = write_certificates(ca, server_cert, tmp_path)
    with echoing(kind, tmp_path, files) as port:
        url = f"wss://localhost:{port}/"
        async with (
            open_websocket(url, ssl_context=client_ssl_context, limits=LARGE) as one,
            open_websocket(url, ssl_context=client_ssl_context, limits=LARGE) as two,
        ):
            for message in MESSAGES:
                for websocket in (one, two):
                    await websocket.send(message)
                    assert await websocket.receive() == message
        with trio.fail_after(5), pytest.raises(HandshakeError, match="CERTIFICATE_VERIFY_FAILED"):
            async with open_websocket(url):
                pass
