"""TLS on the client's side: bad certificates, names, client certificates (rows S8, S26, B12)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from snowtrio import (
    Client,
    ClientLimits,
    Connection,
    ConnectionLostError,
    HandshakeError,
    LineCodec,
    Server,
    TCPEndpoint,
    UnixEndpoint,
    open_connection,
    open_tcp_connection,
    open_unix_connection,
    serve_tcp,
    serve_unix,
)


async def echo(connection: Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(line)


@asynccontextmanager
async def tls_server(
    context: ssl.SSLContext | None, handler: Any = echo, host: str = "127.0.0.1"
) -> AsyncIterator[Server[bytes, bytes, None]]:
    async with trio.open_nursery() as nursery:
        serve = partial(serve_tcp, handler, LineCodec(), 0, host=host, ssl_context=context)
        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_pooled_echo(
    host: str, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """S26: with the host's own name, and addresses through TLS."""
    async with (
        tls_server(server_ssl_context, host=host) as server,
        Client(LineCodec(), host, server.port, ssl_context=client_ssl_context) as client,
    ):
        for number in range(20):
            await client.send(b"%d" % number)
        received = {(await client.receive()).message for _ in range(20)}
        assert len(received) == 20
        [*connections] = client.connections
        assert connections[0].peer_address == server.addresses[0]
        assert connections[0].peer_certificate()


async def test_unix(
    tmp_path: Path, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """S26: over a Unix socket, with the name that the certificate must have."""
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        await nursery.start(
            partial(serve_unix, echo, LineCodec(), path, ssl_context=server_ssl_context)
        )
        async with open_unix_connection(
            LineCodec(), path, ssl_context=client_ssl_context, tls_hostname="localhost"
        ) as connection:
            await connection.send(b"a")
            assert await connection.receive() == b"a"
        with pytest.raises(HandshakeError, match="server_hostname"):
            async with open_unix_connection(LineCodec(), path, ssl_context=client_ssl_context):
                pass
        async with Client(
            LineCodec(),
            UnixEndpoint(path, ssl_context=client_ssl_context, tls_hostname="localhost"),
        ) as client:
            await client.send(b"a")
            assert (await client.receive()).message == b"a"
        nursery.cancel_scope.cancel()


async def test_a_bad_certificate(server_ssl_context: ssl.SSLContext) -> None:
    """S8: told promptly and readably, after one attempt; nothing is left of it."""
    async with tls_server(server_ssl_context) as server:
        strict = ssl.create_default_context()
        async with Client(LineCodec(), "127.0.0.1", server.port, ssl_context=strict) as client:
            with trio.fail_after(1), pytest.raises(HandshakeError) as caught:
                await client.send(b"a")
            assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            statistics = client.statistics()
            assert statistics.pool.handshakes_failed == statistics.opens_failed == 1
            assert statistics.pool.handshaking == statistics.opening == 0
        with pytest.raises(HandshakeError, match="CERTIFICATE_VERIFY_FAILED"):
            async with open_tcp_connection(
                LineCodec(), "127.0.0.1", server.port, ssl_context=strict
            ):
                pass


async def test_a_certificate_for_another_name(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """S8: the name that was asked for, unless another one is given, is what counts."""
    async with tls_server(server_ssl_context) as server:

        def endpoint(name: str | None) -> TCPEndpoint:
            return TCPEndpoint(
                "127.0.0.1", server.port, ssl_context=client_ssl_context, tls_hostname=name
            )

        with pytest.raises(HandshakeError, match=r"(?i)hostname mismatch.*elsewhere.example"):
            async with open_connection(LineCodec(), endpoint("elsewhere.example")):
                pass
        for name in (None, "localhost"):
            async with open_connection(LineCodec(), endpoint(name)) as connection:
                await connection.send(b"a")
                assert await connection.receive() == b"a"


async def test_client_certificates(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B12: the server sees whose it is."""
    server_ssl_context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server_ssl_context)
    ca.issue_cert("someone@example.org").configure_cert(client_ssl_context)

    async def who(connection: Connection[bytes]) -> None:
        certificate: Any = connection.peer_certificate()
        await connection.send(certificate["subjectAltName"][0][1].encode())

    async with (
        tls_server(server_ssl_context, who) as server,
        Client(LineCodec(), "127.0.0.1", server.port, ssl_context=client_ssl_context) as client,
    ):
        await client.bootstrap()
        assert (await client.receive()).message == b"someone@example.org"


async def test_no_client_certificate(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B12: the server's refusal comes after our handshake in TLS 1.3, and before with TLS 1.2."""
    server_ssl_context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server_ssl_context)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client_ssl_context.maximum_version = version
        async with tls_server(server_ssl_context) as server:
            with pytest.raises(ConnectionLostError) as caught:
                async with open_tcp_connection(
                    LineCodec(), "127.0.0.1", server.port, ssl_context=client_ssl_context
                ) as connection:
                    await connection.receive()
            assert isinstance(caught.value, HandshakeError) == (version < ssl.TLSVersion.TLSv1_3)


async def test_a_server_that_speaks_no_tls(client_ssl_context: ssl.SSLContext) -> None:
    """S8: an error of TLS, in time, though the server just waits for a line."""

    async def greet(connection: Connection[bytes]) -> None:
        await connection.send(b"220 welcome")
        await trio.sleep_forever()

    async with tls_server(None, greet) as server:
        with trio.fail_after(5), pytest.raises(HandshakeError, match=r"(?i)wrong.version"):
            async with open_tcp_connection(
                LineCodec(),
                "127.0.0.1",
                server.port,
                ssl_context=client_ssl_context,
                limits=ClientLimits(linger_timeout=0.1),
            ):
                pass


async def test_a_server_that_never_answers(client_ssl_context: ssl.SSLContext) -> None:
    """S9: TLS is part of the handshake, and has its deadline."""
    async with tls_server(None) as server:
        with pytest.raises(HandshakeError, match=r"0\.1 seconds"):
            async with open_tcp_connection(
                LineCodec(),
                "127.0.0.1",
                server.port,
                ssl_context=client_ssl_context,
                limits=ClientLimits(handshake_timeout=0.1),
            ):
                pass
