"""TLS: truncation, STARTTLS, certificates, addresses, stalls and closes through it."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trustme

from snowtrio import (
    BufferedStream,
    Cause,
    ClientLimits,
    Connection,
    HandshakeError,
    LengthPrefixCodec,
    LineCodec,
    LocalProtocolError,
    PoolLimits,
    Protocol,
    RawCodec,
    RemoteProtocolError,
    Server,
    ServerLimits,
    Side,
    StalledError,
    StreamEndpoint,
    TCPEndpoint,
    TruncatedError,
    open_connection,
    open_tcp_connection,
    serve_tcp,
)
from snowtrio._transport import SocketTransport
from snowtrio.testing import open_memory_pair

from .pairs import SMALL, start_tls, tcp_pair, tcp_streams, transports

pytestmark = pytest.mark.usefixtures("readiness")


class StartTLS(Protocol[bytes, bytes, bytes]):
    """Agrees on TLS in plain text, as mail servers do; then names itself under TLS."""

    codec = LineCodec()

    def __init__(
        self, client: ssl.SSLContext, server: ssl.SSLContext, *, injected: bytes = b""
    ) -> None:
        super().__init__()
        self._client = client
        self._server = server
        self._injected = injected
        self.refused: list[RemoteProtocolError] = []
        """What the client would not take for the protected conversation."""

    async def handshake(self, side: Side, stream: BufferedStream) -> bytes:
        if side is Side.SERVER:
            assert await stream.receive_line() == b"STARTTLS"
            await stream.send_all(b"220 go ahead\r\n" + self._injected)
            await stream.start_tls(self._server, server_side=True)
            await stream.send_all(b"server\n")
            return await stream.receive_line()
        await stream.send_all(b"STARTTLS\r\n")
        assert await stream.receive_line() == b"220 go ahead"
        try:
            await stream.start_tls(self._client, server_side=False, server_hostname="localhost")
        except RemoteProtocolError as error:
            self.refused.append(error)
            raise
        await stream.send_all(b"client\n")
        return await stream.receive_line()


@pytest.fixture
def starttls(client_ssl_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext) -> StartTLS:
    return StartTLS(client_ssl_context, server_ssl_context)


@asynccontextmanager
async def tls_pair(
    protocol: StartTLS,
    *,
    limits: PoolLimits | None = None,
    client_limits: PoolLimits | None = None,
) -> AsyncIterator[tuple[Connection[bytes, bytes, bytes], Connection[bytes, bytes, bytes]]]:
    streams = tcp_streams(buffer_size=SMALL)
    async with open_memory_pair(
        protocol, streams=streams, limits=limits, client_limits=client_limits
    ) as pair:
        yield pair


async def test_tls_half_way_through_a_handshake(starttls: StartTLS) -> None:
    """S7: what the handshake says under TLS becomes the context, and messages follow."""
    async with tls_pair(starttls) as (client, server):
        assert (client.context, server.context) == (b"server", b"client")
        await client.send(b"hello")
        assert await server.receive() == b"hello"
        assert client.peer_certificate() is not None


async def test_plain_text_injected_behind_the_agreement_is_refused(
    client_ssl_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext
) -> None:
    """S7, S8: it was in the same segment, and must not be read as if TLS had protected it."""
    protocol = StartTLS(client_ssl_context, server_ssl_context, injected=b"server\n")
    with pytest.raises(HandshakeError):
        async with tls_pair(protocol):
            pass
    (error,) = protocol.refused
    assert "plain text" in str(error)


@pytest.mark.parametrize("size", [0, 1, 20_000, 1_000_000])
async def test_large_messages_through_tls(starttls: StartTLS, size: int) -> None:
    """S5, S26: slices, records and small kernel buffers leave every byte in place."""
    starttls.codec = LineCodec(max_message_size=2_000_000)
    message = b"0123456789abcdef" * (size // 16) + b"x" * (size % 16)
    async with tls_pair(starttls) as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.send_batch, [message, b"and more"])
        nursery.start_soon(server.send, message)
        assert await server.receive() == message
        assert await server.receive() == b"and more"
        assert await client.receive() == message


async def test_one_direction_alone_cannot_end(starttls: StartTLS) -> None:
    """P5: TLS has no half-close, and says so; nothing has changed."""
    async with tls_pair(starttls) as (client, server):
        with pytest.raises(LocalProtocolError):
            await client.send_eof()
        await client.send(b"goes on")
        assert await server.receive() == b"goes on"


async def test_a_closed_connection_is_a_clean_end(starttls: StartTLS) -> None:
    """P10: the closing alert is sent, and what was accepted before it."""
    async with tls_pair(starttls) as (client, server), trio.open_nursery() as nursery:
        for number in range(100):
            client.send_nowait(b"%d" % number)
        nursery.start_soon(client.aclose)
        assert [message async for message in server] == [b"%d" % n for n in range(100)]
        nursery.start_soon(server.aclose)


@asynccontextmanager
async def cut_short(
    protocol: LineCodec | LengthPrefixCodec | RawCodec, sent: bytes, contexts: list[ssl.SSLContext]
) -> AsyncIterator[Connection[bytes]]:
    """Open a client's connection to a TLS server that sends bytes and vanishes without an alert."""
    client_context, server_context = contexts
    client_stream, server_stream = tcp_streams()

    async def vanish() -> None:
        tls = trio.SSLStream(server_stream, server_context, server_side=True)
        await tls.send_all(sent)
        await server_stream.aclose()

    async def connect() -> trio.abc.Stream:
        return client_stream

    endpoint = StreamEndpoint(connect, ssl_context=client_context, tls_hostname="localhost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vanish)
        async with open_connection(protocol, endpoint) as connection:
            yield connection


@pytest.fixture
def contexts(
    client_ssl_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext
) -> list[ssl.SSLContext]:
    return [client_ssl_context, server_ssl_context]


async def test_an_end_without_an_alert_is_truncated(contexts: list[ssl.SSLContext]) -> None:
    """P10: somebody may have cut it short; what came before is delivered."""
    async with cut_short(LineCodec(), b"one\n", contexts) as connection:
        assert await connection.receive() == b"one"
        for _ in range(2):
            with pytest.raises(TruncatedError):
                await connection.receive()


class EndsItself(LineCodec):
    """Lines, of a protocol whose messages say when it is over."""

    ends_itself = True


async def test_a_codec_that_ends_itself_needs_no_alert(contexts: list[ssl.SSLContext]) -> None:
    """P10: between frames it is a clean end."""
    async with cut_short(EndsItself(), b"one\n", contexts) as connection:
        assert [message async for message in connection] == [b"one"]


async def test_inside_a_frame_it_needs_one(contexts: list[ssl.SSLContext]) -> None:
    """P10: whoever cut the frame cut the connection."""
    async with cut_short(EndsItself(), b"one\nhal", contexts) as connection:
        assert await connection.receive() == b"one"
        with pytest.raises(TruncatedError):
            await connection.receive()


@asynccontextmanager
async def serving(
    context: ssl.SSLContext, limits: ServerLimits | None = None
) -> AsyncIterator[Server[bytes]]:
    async def echo(connection: Connection[bytes]) -> None:
        async for line in connection:
            await connection.send(line)

    async with trio.open_nursery() as nursery:
        server: Server[bytes] = await nursery.start(
            partial(serve_tcp, echo, LineCodec(), 0, ssl_context=context, limits=limits)
        )
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()


async def test_addresses_and_certificates_through_tls(contexts: list[ssl.SSLContext]) -> None:
    """S26: both ends' addresses, and the server's certificate, on the connection itself."""
    client_context, server_context = contexts
    server_context.set_alpn_protocols(["lines"])
    client_context.set_alpn_protocols(["other", "lines"])
    async with (
        serving(server_context) as server,
        open_tcp_connection(
            LineCodec(), "127.0.0.1", server.port, ssl_context=client_context
        ) as client,
    ):
        await client.send(b"hello")
        assert await client.receive() == b"hello"
        (theirs,) = server.connections
        assert client.peer_address == theirs.local_address == ("127.0.0.1", server.port)
        assert client.local_address == theirs.peer_address
        certificate = client.peer_certificate()
        assert certificate is not None
        assert ("IP Address", "127.0.0.1") in certificate["subjectAltName"]  # type: ignore[operator]
        assert theirs.peer_certificate() is None
        assert client.alpn_protocol() == theirs.alpn_protocol() == "lines"


async def test_a_clients_certificate_is_seen_by_the_server(
    contexts: list[ssl.SSLContext], ca: trustme.CA
) -> None:
    """B12: where the server asks for one."""
    client_context, server_context = contexts
    ca.issue_cert("client@example.org").configure_cert(client_context)
    ca.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    async with (
        serving(server_context) as server,
        open_tcp_connection(
            LineCodec(), "127.0.0.1", server.port, ssl_context=client_context
        ) as client,
    ):
        await client.send(b"hello")
        assert await client.receive() == b"hello"
        (theirs,) = server.connections
        certificate = theirs.peer_certificate()
        assert certificate is not None
        assert ("email", "client@example.org") in certificate["subjectAltName"]  # type: ignore[operator]


async def test_a_bad_certificate_is_refused_at_once(contexts: list[ssl.SSLContext]) -> None:
    """S8: with the reason as the cause; the server goes on."""
    client_context, server_context = contexts
    async with serving(server_context) as server:
        endpoint = TCPEndpoint(
            "127.0.0.1", server.port, ssl_context=client_context, tls_hostname="example.org"
        )
        limits = ClientLimits(connect_attempts=1)
        with pytest.raises(HandshakeError, match=r"example\.org"):
            async with open_connection(LineCodec(), endpoint, limits=limits):
                pass
        async with open_tcp_connection(
            LineCodec(), "127.0.0.1", server.port, ssl_context=client_context
        ) as client:
            await client.send(b"hello")
            assert await client.receive() == b"hello"


async def send_for_ever(connection: Connection[bytes, bytes, bytes], message: bytes) -> None:
    while True:
        await connection.send(message)
        await connection.flush()


async def test_a_stall_keeps_its_name_through_tls(starttls: StartTLS) -> None:
    """B4: a peer that reads nothing is cut in time; what it may have of it is in doubt."""
    limits = PoolLimits(stall_timeout=0.2, drain_timeout=5, linger_timeout=0)
    async with tls_pair(starttls, client_limits=limits, limits=limits) as (client, server):
        server.stop_receiving()
        message = b"x" * 60_000
        with pytest.raises(StalledError):
            await send_for_ever(client, message)
        with pytest.raises(StalledError):
            await client.receive()
    assert client.ending is not None
    assert client.ending.cause is Cause.STALLED
    assert client.ending.in_doubt == (message,)


async def test_a_slow_peer_that_moves_is_not_stalled_through_tls(
    contexts: list[ssl.SSLContext],
) -> None:
    """B4: each byte that goes counts, though a slice (16 KiB) takes longer than the timeout."""
    one, other = transports(buffer_size=SMALL)
    client, server = BufferedStream(one), BufferedStream(other)
    await start_tls(client, server, *contexts)
    client.transport.stall_timeout = 0.5
    async with client, server, trio.open_nursery() as nursery:

        async def sip() -> None:
            while True:
                await trio.sleep(0.05)
                await other.receive_some(1024)

        nursery.start_soon(sip)
        view = memoryview(bytes(64_000))
        await client.transport.send_some(view)  # A part of which the kernel takes at once.
        began = trio.current_time()
        assert await client.transport.send_some(view) == 16 * 1024
        assert trio.current_time() - began > 0.5
        nursery.cancel_scope.cancel()


async def test_a_reset_under_tls_is_a_loss(contexts: list[ssl.SSLContext]) -> None:
    """P10: and not an end of input, nor a truncated one."""
    ours, theirs = tcp_pair()
    client, server = BufferedStream(SocketTransport(ours)), BufferedStream(SocketTransport(theirs))
    await start_tls(client, server, *contexts)
    await client.send_all(b"never read")
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await client.receive_exactly(1)
    assert not isinstance(caught.value, TruncatedError)
    await client.aclose()
