"""``examples/websocket_echo_server.py``, run as its docstring says."""

from __future__ import annotations

import signal
import ssl
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme

from ..websocket_serving import WebSocketPeer, handshake
from .examples import (
    EXAMPLES,
    RunningExample,
    SharedExample,
    run_program,
    running_example,
    shared_example,
)
from .http_peers import write_certificates

NAME = "websocket_echo_server"


@pytest.fixture(scope="module")
def limited() -> Iterator[SharedExample]:
    """One that compresses."""
    with shared_example(NAME, "--max-message-size", "1000", "--compression=deflate") as example:
        yield example


@pytest.fixture(scope="module")
def unlimited() -> Iterator[SharedExample]:
    """One that does not."""
    with shared_example(NAME, "--max-message-size", "0", "--compression=none") as example:
        yield example


@asynccontextmanager
async def peer_of(
    example: RunningExample | SharedExample, *fields: str, context: ssl.SSLContext | None = None
) -> AsyncGenerator[WebSocketPeer, None]:
    """Connect and shake hands."""
    stream: trio.abc.Stream = await example.connect()
    if context is not None:
        stream = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
    async with stream:
        peer = WebSocketPeer(stream)
        await peer.open(*fields)
        yield peer


async def test_it_echoes() -> None:
    """W8: text as text, binary as binary, on any path; nothing is said on the console."""
    async with running_example(NAME) as example:
        assert example.address == f"127.0.0.1:{example.port}"
        async with peer_of(example) as peer:
            for message in ("hello", "", "äöü 🐉", b"\x00\xff", b"x" * 2_000_000):
                assert await peer.echoed(message) == message
            assert await peer.ping(b"are you there") == b"are you there"
            assert await peer.close(4000, "done") == (4000, "")
            assert await peer.rest() == b""
        await example.stop()
        assert example.read_errors() == ""


async def test_its_limit(limited: SharedExample) -> None:
    """W16: a message of that size is echoed, one byte more is 1009."""
    async with peer_of(limited) as peer:
        assert await peer.echoed(b"x" * 1000) == b"x" * 1000
        await peer.say(b"x" * 1001)
        assert (await peer.told())[0] == 1009
    async with peer_of(limited) as peer:
        assert await peer.echoed("still") == "still"


async def test_no_limit(unlimited: SharedExample) -> None:
    """W16: above what it is by default."""
    large = b"x" * (2**24 + 1)
    async with peer_of(unlimited) as peer:
        assert await peer.echoed(large) == large


async def test_compression(limited: SharedExample, unlimited: SharedExample) -> None:
    """W22: agreed to where it was asked for; a client that does not offer it has none."""
    for example in limited, unlimited:
        for offer in (), ("Sec-WebSocket-Extensions: permessage-deflate",):
            async with await example.connect() as stream:
                peer = WebSocketPeer(stream)
                answer = (await peer.ask(handshake(*offer))).headers
                agreed = "sec-websocket-extensions" in answer
                assert agreed is (bool(offer) and example is limited)


async def test_tls(
    ca: trustme.CA,
    server_cert: trustme.LeafCert,
    client_ssl_context: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """W30."""
    files = write_certificates(ca, server_cert, tmp_path)
    arguments = ("--tls-cert", files.chain, "--tls-key", files.key)
    async with (
        running_example(NAME, *arguments) as example,
        peer_of(example, context=client_ssl_context) as peer,
    ):
        assert await peer.echoed("hello") == "hello"
        assert await peer.close() == (1000, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_its_end(number: signal.Signals) -> None:
    """W26: a signal tells every client 1001, and the status is 0."""
    async with running_example(NAME, "--host", "::1") as example:
        assert example.address == f"::1:{example.port}"
        example.host = "::1"
        async with peer_of(example) as one, peer_of(example) as other:
            assert await one.echoed("x") == "x"
            example.process.send_signal(number)
            for peer in one, other:
                assert await peer.told() == (1001, "")
                await peer.answer_close()
                assert await peer.rest() == b""
        await example.wait_stopped()
        assert example.read_errors() == ""


async def test_bad_arguments() -> None:
    """W25: are told in a line, as is a certificate that is not there."""
    example = str(EXAMPLES / f"{NAME}.py")
    done = await run_program(sys.executable, example, "--compression", "zip")
    assert done.returncode == 2
    done = await run_program(sys.executable, example, "--port", "0", "--tls-cert", "no/such.pem")
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"{NAME}: ")
