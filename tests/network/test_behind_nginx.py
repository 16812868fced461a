"""nginx stands in front of our servers as a proxy of bytes, and takes our headers as a server."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from snowtrio import (
    ProxyHeader,
    ProxyingEndpoint,
    RawCodec,
    UnixEndpoint,
    behind_proxy,
    open_connection,
    open_tcp_listeners,
    open_unix_listener,
    serve_listeners,
)

from ..serving import LIMIT, ask
from .examples import needs_program
from .http_client_servers import free_port
from .nginx import listens, nginx
from .tcp import serving_tcp, until

MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
"""Debian's is loaded; an nginx that was built with it has it without a word."""

CONFIGURATION = """
LOAD
daemon off;
master_process off;
pid FOLDER/pid;
error_log FOLDER/errors warn;
events {}
stream {
  server {
    listen FRONT;
    proxy_pass BACK;
    proxy_protocol on;
  }
}
"""

pytestmark = needs_program("nginx")


LOAD = f"load_module {MODULE};" if MODULE.exists() else ""


def has_stream() -> bool:
    try:
        told = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return False
    return bool(LOAD) or "--with-stream " in told


needs_stream = pytest.mark.skipif(not has_stream(), reason="nginx has no stream module here")


@asynccontextmanager
async def nginx_stream(folder: Path, front: str, back: str) -> AsyncGenerator[None, None]:
    """Run nginx as a proxy of bytes.

    Parameters:
        folder: where it works.
        front: where it listens.
        back: where it connects to, with a header.
    """
    path, errors = folder / "nginx.conf", folder / "errors"
    text = CONFIGURATION.replace("LOAD", LOAD).replace("FRONT", front).replace("BACK", back)
    path.write_text(text.replace("FOLDER", str(folder)))
    process = await trio.lowlevel.open_process(
        ["nginx", "-p", str(folder), "-e", str(errors), "-c", str(path)], stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: (folder / "pid").exists() or process.poll() is not None)
        assert process.returncode is None, errors.read_text()
        yield
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.wait()
    assert errors.read_text() == ""


async def connect(host: str, port: int) -> trio.SocketStream:
    """Connect, when there is somebody."""
    with trio.fail_after(LIMIT):
        while True:
            try:
                return await trio.open_tcp_stream(host, port)
            except OSError:
                await trio.sleep(0.01)


@needs_stream
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_clients_keep_their_addresses(host: str, tmp_path: Path) -> None:
    """W33: in version 1, of both families."""
    listeners = behind_proxy(await open_tcp_listeners(0), trusted=["127.0.0.1"])
    port = free_port()
    front = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    async with (
        serving_tcp(serve=serve_listeners, where=listeners) as server,
        nginx_stream(tmp_path, front, f"127.0.0.1:{server.port}"),
        await connect(host, port) as stream,
    ):
        assert await ask(stream, b"hello") == b"hello"
        (connection,) = server.connections
        assert connection.peer_address == stream.socket.getsockname()
        assert connection.local_address == stream.socket.getpeername()
        assert connection.proxy is not None
        assert connection.proxy.header.version == 1


@needs_stream
async def test_over_unix_sockets(tmp_path: Path) -> None:
    """W33: whoever may connect to ours is trusted, and a client of nginx's has no address."""
    listeners = behind_proxy([await open_unix_listener(tmp_path / "ours")], trusted=["unix"])
    async with (
        serving_tcp(serve=serve_listeners, where=listeners) as server,
        nginx_stream(tmp_path, f"unix:{tmp_path}/front", f"unix:{tmp_path}/ours"),
        await trio.open_unix_socket(tmp_path / "front") as stream,
    ):
        assert await ask(stream, b"hello") == b"hello"
        (connection,) = server.connections
        assert connection.proxy is not None
        assert connection.proxy.header == ProxyHeader(version=1)
        assert connection.peer_address == ""


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (("192.0.2.1", 4000), ("192.0.2.2", 443)),
        (("2001:db8::1", 4000, 0, 0), ("2001:db8::2", 443, 0, 0)),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
async def test_it_takes_our_headers(
    version: int, source: object, destination: object, checksum: bool, tmp_path: Path
) -> None:
    """W33: both versions and both families, with values that it does not know."""
    header = ProxyHeader(
        version=version,  # type: ignore[arg-type]
        source=source,  # type: ignore[arg-type]
        destination=destination,  # type: ignore[arg-type]
        authority="example.org",
        others=((0xEA, b"mine"),),
        checksum=checksum,
    )
    inside = (
        "listen unix:FOLDER/proxied proxy_protocol;"
        'return 200 "$proxy_protocol_addr $proxy_protocol_port'
        ' $proxy_protocol_server_addr $proxy_protocol_server_port";'
    )
    async with nginx(tmp_path, inside):
        await until(lambda: listens(tmp_path / "proxied"))
        endpoint = ProxyingEndpoint(UnixEndpoint(tmp_path / "proxied"), header)
        async with open_connection(RawCodec(), endpoint) as connection:
            await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join([piece async for piece in connection])
    expected = f"{source[0]} {source[1]} {destination[0]} {destination[1]}"  # type: ignore[index]
    assert answer.endswith(b"\r\n\r\n" + expected.encode())
