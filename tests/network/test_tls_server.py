"""TLS in service: certificates of both sides, ALPN, SNI, reloads, and peers that get it wrong."""

from __future__ import annotations

import contextlib
import logging
import ssl

import pytest
import trio
import trustme

from snowtrio import BufferedStream, Connection, LineCodec, Protocol, ServerLimits, Side

from ..serving import LIMIT, ask, echo, lines_of, read_all
from .tcp import connect, reset, serving_tcp, until


async def connect_tls(
    server: object, context: ssl.SSLContext, name: str = "localhost"
) -> trio.SSLStream[trio.SocketStream]:
    stream = trio.SSLStream(await connect(server), context, server_hostname=name)  # type: ignore[arg-type]
    try:
        with trio.fail_after(LIMIT):
            await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def test_client_certificate_is_asked_for_and_shown(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B12: the handler sees whose it is."""
    server_ssl_context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server_ssl_context)
    ca.issue_cert("ann@example.org", common_name="ann").configure_cert(client_ssl_context)
    names: list[object] = []

    async def note(connection: Connection[bytes]) -> None:
        certificate = connection.peer_certificate()
        assert certificate is not None
        names.append(certificate["subject"])
        await echo(connection)

    async with (
        serving_tcp(note, ssl_context=server_ssl_context) as server,
        await connect_tls(server, client_ssl_context) as stream,
    ):
        assert await ask(stream, b"x") == b"x"
    assert "ann" in str(names)


async def test_client_without_a_certificate_is_refused_and_harms_nobody(
    ca: trustme.CA,
    server_ssl_context: ssl.SSLContext,
    client_ssl_context: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """B12, S8: it learns so promptly, and the others go on."""
    caplog.set_level(logging.INFO)
    server_ssl_context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server_ssl_context)
    with_one = ssl.create_default_context()
    ca.configure_trust(with_one)
    ca.issue_cert("ann@example.org").configure_cert(with_one)
    async with (
        serving_tcp(ssl_context=server_ssl_context) as server,
        await connect_tls(server, with_one) as good,
    ):
        # With TLS 1.3 a client is done before the server has looked at its certificate.
        async with await connect_tls(server, client_ssl_context) as bad:
            with contextlib.suppress(trio.BrokenResourceError):
                assert await ask(bad, b"x") == b""
        await until(lambda: server.statistics().pool.handshakes_failed == 1)
        assert await ask(good, b"still") == b"still"
    assert any("handshake" in line for line in lines_of(caplog, logging.INFO))


async def test_alpn_chooses_among_the_protocols(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B12: the handshake can see what was chosen, and so can the handler."""
    server_ssl_context.set_alpn_protocols(["lines/2", "lines/1"])
    client_ssl_context.set_alpn_protocols(["lines/1", "other"])

    class Chosen(Protocol[bytes, bytes, str | None]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> str | None:
            return stream.alpn_protocol()

        async def handle(self, connection: Connection[bytes, bytes, str | None]) -> None:
            await connection.send(f"{connection.context} {connection.alpn_protocol()}".encode())

    async with (
        serving_tcp(None, Chosen(), ssl_context=server_ssl_context) as server,
        await connect_tls(server, client_ssl_context) as stream,
    ):
        assert await read_all(stream) == b"lines/1 lines/1\n"


async def test_name_asked_for_chooses_the_certificate(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B12: SNI, through the context's own callback."""
    other = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("other.example").configure_cert(other)

    def choose(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if name == "other.example":
            tls.context = other

    server_ssl_context.sni_callback = choose
    async with serving_tcp(ssl_context=server_ssl_context) as server:
        for name in ("localhost", "other.example"):
            async with await connect_tls(server, client_ssl_context, name) as stream:
                assert name in str(stream.getpeercert())
                assert await ask(stream, b"x") == b"x"


async def test_certificates_are_reloaded_without_dropping_anybody(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """B12: who is there stays on the old one, who comes gets the new one."""
    renewed = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(renewed)
    async with serving_tcp(ssl_context=server_ssl_context) as server:
        before = await connect_tls(server, client_ssl_context)
        server.ssl_context = renewed
        after = await connect_tls(server, client_ssl_context)
        assert before.getpeercert(True) != after.getpeercert(True)
        for stream in (before, after):
            assert await ask(stream, b"x") == b"x"
            await stream.aclose()
        assert server.statistics().pool.opened == 2


async def test_client_that_trusts_nobody_is_told_at_once(
    server_ssl_context: ssl.SSLContext,
) -> None:
    """W30, S8: a bad certificate raises promptly there, and is counted here."""
    async with serving_tcp(ssl_context=server_ssl_context) as server:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await connect_tls(server, ssl.create_default_context())
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        await until(lambda: server.statistics().pool.handshakes_failed == 1)
        await until(lambda: server.statistics().pool.handshaking == 0)


@pytest.mark.parametrize("words", [b"", b"\x16\x03", b"hello in plain text\n", b"\x00" * 5000])
async def test_peer_that_cannot_speak_tls_is_cut(
    words: bytes, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """S9: whether it says nothing, half of something, or something else."""
    limits = ServerLimits(handshake_timeout=0.3, linger_timeout=0.2)
    async with serving_tcp(ssl_context=server_ssl_context, limits=limits) as server:
        good = await connect_tls(server, client_ssl_context)
        async with await connect(server) as bad:
            await bad.send_all(words)
            with contextlib.suppress(trio.BrokenResourceError):  # Closing over what it sent.
                await read_all(bad)
        await until(lambda: server.statistics().pool.handshaking == 0)
        pool = server.statistics().pool
        assert pool.handshakes_failed + pool.handshakes_timed_out == 1
        assert await ask(good, b"still") == b"still"
        await good.aclose()


async def test_peers_that_reset_in_the_handshake_leave_nothing(
    server_ssl_context: ssl.SSLContext,
) -> None:
    """S8."""
    async with serving_tcp(ssl_context=server_ssl_context) as server:
        for _ in range(20):
            stream = await connect(server)
            await stream.send_all(b"\x16\x03\x01")
            reset(stream)
        await until(lambda: server.statistics().pool.handshakes_failed == 20)


async def test_full_tls_server_closes_without_a_farewell(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """S20: plain words would be no TLS, so there are none."""
    limits = ServerLimits(max_connections=1, linger_timeout=0.2)
    async with (
        serving_tcp(ssl_context=server_ssl_context, limits=limits, when_full=b"full\n") as server,
        await connect_tls(server, client_ssl_context) as stream,
    ):
        assert await ask(stream, b"x") == b"x"
        async with await connect(server) as refused:
            assert await read_all(refused) == b""


async def test_starttls_half_way_through_the_handshake(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """S7, S26: a step of the handshake, after which the codec speaks TLS."""

    class StartTLS(Protocol[bytes]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            assert await stream.receive_line() == b"STARTTLS"
            await stream.send_all(b"go on\n")
            await stream.start_tls(server_ssl_context, server_side=True)

    async with serving_tcp(echo, StartTLS()) as server:
        async with await connect(server) as plain:
            assert await ask(plain, b"STARTTLS") == b"go on"
            secure = trio.SSLStream(plain, client_ssl_context, server_hostname="localhost")
            assert await ask(secure, b"secret") == b"secret"
            await secure.aclose()
        # What somebody put after it in plain text must not count as said in secret.
        async with await connect(server) as injecting:
            await injecting.send_all(b"STARTTLS\nDELETE ALL\n")
            assert await read_all(injecting) == b"go on\n"
        await until(lambda: server.statistics().pool.handshakes_failed == 1)
