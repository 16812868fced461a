"""HAProxy stands in front of our servers, and tells whom it speaks for."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from snowtrio import (
    LineCodec,
    ProxyHeader,
    ProxyingEndpoint,
    Server,
    TCPEndpoint,
    behind_proxy,
    open_connection,
    open_tcp_listeners,
    serve_listeners,
)
from snowtrio.http import Request, Response, serve_http_listeners

from ..serving import LIMIT, ask
from .examples import needs_program
from .haproxy import Balancer, haproxy
from .http_peers import CertificateFiles, curl_json, write_certificates
from .tcp import serving_tcp, until

pytestmark = needs_program("haproxy")


@asynccontextmanager
async def behind(
    folder: Path, options: str, front: str = "", *, host: str = "127.0.0.1", **serving: Any
) -> AsyncGenerator[tuple[Balancer, Server[Any, Any, Any]], None]:
    """Serve lines behind HAProxy.

    Parameters:
        folder: where HAProxy works.
        options: of the server, to HAProxy.
        front: of the address at which HAProxy listens.
        host: where that is.
        serving: options of the server itself.
    """
    listeners = behind_proxy(await open_tcp_listeners(0), trusted=["127.0.0.1"])
    async with serving_tcp(serve=serve_listeners, where=listeners, **serving) as server:
        configuration = f"""
listen front
  bind "${{FRONT}}" {front}
  unique-id-format unique-%[uuid()]
  server ours 127.0.0.1:{server.port} {options}
"""
        async with haproxy(folder, configuration, fronts={"FRONT": host}) as balancer:
            yield balancer, server


def header_of(server: Server[Any, Any, Any]) -> ProxyHeader:
    (connection,) = server.connections
    assert connection.proxy is not None
    return connection.proxy.header


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    "options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
)
async def test_clients_keep_their_addresses(options: str, host: str, tmp_path: Path) -> None:
    """W33: in both versions and both families; what is said beside them is there too."""
    async with behind(tmp_path, options, host=host) as (balancer, server):
        async with await balancer.connect() as stream:
            assert await ask(stream, b"hello") == b"hello"
            (connection,) = server.connections
            assert connection.peer_address == stream.socket.getsockname()
            assert connection.local_address == stream.socket.getpeername()
            assert connection.proxy is not None
            assert connection.proxy.local_address == server.addresses[0]
            header = connection.proxy.header
            assert header.version == (2 if "v2" in options else 1)
            assert header.checksum == ("crc32c" in options)
            assert (header.unique_id is not None) == ("unique-id" in options)
            assert (header.unique_id or b"unique-").startswith(b"unique-")
        assert server.statistics().pool.handshakes_failed == 0


@pytest.fixture
def certificates(ca: trustme.CA, server_cert: trustme.LeafCert, tmp_path: Path) -> CertificateFiles:
    files = write_certificates(ca, server_cert, tmp_path)
    both = Path(files.chain).read_text() + Path(files.key).read_text()
    (tmp_path / "both.pem").write_text(both)
    return files


async def test_what_it_says_of_the_tls_that_it_takes_off(
    certificates: CertificateFiles,
    ca: trustme.CA,
    client_ssl_context: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """W33: version, cipher, the client's certificate, its server name and ALPN."""
    ca.issue_cert("ann@example.org", common_name="ann").configure_cert(client_ssl_context)
    client_ssl_context.set_alpn_protocols(["lines"])
    front = f"ssl crt {tmp_path}/both.pem ca-file {certificates.authority} verify optional"
    told = "ssl,cert-cn,cert-key,cert-sig,ssl-cipher,authority,crc32c"
    options = f"send-proxy-v2 proxy-v2-options {told}"
    async with behind(tmp_path, options, f"{front} alpn lines") as (balancer, server):
        stream = trio.SSLStream(
            await balancer.connect(), client_ssl_context, server_hostname="localhost"
        )
        async with stream:
            assert await ask(stream, b"hello") == b"hello"
            header = header_of(server)
            assert header.tls is not None
            assert header.tls.used
            assert header.tls.verified
            assert header.tls.version == stream.version()
            assert header.tls.common_name == "ann"
            assert header.tls.cipher == stream.cipher()[0]
            assert header.tls.signature_algorithm
            assert header.tls.key_algorithm
            assert (header.authority, header.alpn) == ("localhost", b"lines")
            assert header.checksum


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
async def test_tls_that_goes_through_it(
    options: str,
    tmp_path: Path,
    server_ssl_context: ssl.SSLContext,
    client_ssl_context: ssl.SSLContext,
) -> None:
    """W33: the header stands before TLS, in plain text."""
    async with behind(tmp_path, options, ssl_context=server_ssl_context) as (balancer, server):
        below = await balancer.connect()
        stream = trio.SSLStream(below, client_ssl_context, server_hostname="localhost")
        async with stream:
            assert await ask(stream, b"hello") == b"hello"
            (connection,) = server.connections
            assert connection.peer_address == below.socket.getsockname()


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
async def test_health_checks(options: str, tmp_path: Path) -> None:
    """W33: we are up, and no check is a failed handshake."""
    checks = f"{options} check check-send-proxy inter 20ms"
    async with behind(tmp_path, checks) as (balancer, server):
        with trio.fail_after(LIMIT):
            await balancer.wait_for("ours", "UP")
        await until(lambda: server.statistics().pool.opened > 3)
        async with await balancer.connect() as stream:
            assert await ask(stream, b"hello") == b"hello"
        assert server.statistics().pool.handshakes_failed == 0
        await server.drain()
        with trio.fail_after(LIMIT):
            await balancer.wait_for("ours", "DOWN")


@needs_program("curl")
async def test_requests_come_from_their_clients(tmp_path: Path) -> None:
    """W33, Z6: in HAProxy's HTTP mode each client's connections to us are its own."""
    up = True

    async def handle(request: Request) -> Response:
        if request.path == "/health":
            return Response(status=204 if up else 503)
        assert request.peer_address is not None
        assert request.proxy is not None
        return Response.json([request.peer_address[0], request.proxy.header.version])

    listeners = behind_proxy(await open_tcp_listeners(0), trusted=["127.0.0.1"])
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_http_listeners, handle, listeners))
        configuration = f"""
listen front
  mode http
  bind "${{FRONT}}"
  option httpchk GET /health
  server ours 127.0.0.1:{server.port} send-proxy-v2 check check-send-proxy inter 20ms fall 2
"""
        async with haproxy(tmp_path, configuration) as balancer:
            with trio.fail_after(LIMIT):
                await balancer.wait_for("ours", "UP")
            url = "http://{}:{}/".format(*balancer.address["FRONT"])
            for host in ("127.0.0.5", "127.0.0.6", "127.0.0.5"):
                assert await curl_json("--interface", host, url) == [host, 2]
            up = False
            with trio.fail_after(LIMIT):
                await balancer.wait_for("ours", "DOWN")
        await server.drain()


HEADERS = [
    ProxyHeader(version=1, source=("192.0.2.1", 1), destination=("192.0.2.2", 2)),
    ProxyHeader(version=1, source=("2001:db8::1", 1, 0, 0), destination=("2001:db8::2", 2, 0, 0)),
    ProxyHeader(source=("192.0.2.1", 1), destination=("192.0.2.2", 2)),
    ProxyHeader(
        source=("2001:db8::1", 1, 0, 0),
        destination=("2001:db8::2", 2, 0, 0),
        unique_id=b"x",
        authority="example.org",
        others=((0xEA, b"mine"),),
        checksum=True,
    ),
]


@pytest.mark.parametrize("header", HEADERS)
async def test_it_takes_our_headers(header: ProxyHeader, tmp_path: Path) -> None:
    """W33: what we say as a proxy comes back to us through another one."""
    async with behind(tmp_path, "send-proxy-v2", "accept-proxy") as (balancer, server):
        endpoint = ProxyingEndpoint(TCPEndpoint(*balancer.address["FRONT"]), header)
        async with open_connection(LineCodec(), endpoint) as connection:
            await connection.send(b"hello")
            assert await connection.receive() == b"hello"
            (served,) = server.connections
            assert served.peer_address == header.source
            assert served.local_address == header.destination


async def test_it_takes_our_own_checks(tmp_path: Path) -> None:
    """W33: with a header that speaks for nobody else, HAProxy takes us for what we are."""
    async with behind(tmp_path, "send-proxy-v2", "accept-proxy") as (balancer, server):
        endpoint = ProxyingEndpoint(
            TCPEndpoint(*balancer.address["FRONT"]), ProxyHeader(local=True)
        )
        async with open_connection(LineCodec(), endpoint) as connection:
            await connection.send(b"hello")
            assert await connection.receive() == b"hello"
            assert server.connections[0].peer_address == connection.local_address
