"""A client behind a SOCKS5 proxy."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from snowtrio import ConnectError, HandshakeError
from snowtrio.http import (
    EnvironmentProxies,
    FetchTimeoutError,
    HTTPClient,
    Proxy,
    ProxyError,
    fetch,
)

from ..memory.cancelling import cancelled_at, every_suspension
from .examples import needs_program
from .http_peers import serving_http
from .tcp import until

pytest.importorskip("python_socks", reason="python-socks is not installed")


@asynccontextmanager
async def microsocks(*options: str) -> AsyncGenerator[int, None]:
    """Run a SOCKS5 server that is not ours; gives its port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    command = ["microsocks", "-i", "127.0.0.1", "-p", str(port), *options]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdout=subprocess.DEVNULL)
        nursery.start_soon(partial(run, stderr=subprocess.DEVNULL, check=False))

        async def listens() -> bool:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                return False
            return True

        while not await listens():
            await trio.sleep(0.02)
        yield port
        nursery.cancel_scope.cancel(reason="the test is over")


@asynccontextmanager
async def answering(answer: bytes, *, close: bool = True) -> AsyncGenerator[int, None]:
    """Run a proxy that says this, whatever it is asked; gives its port."""

    async def serve(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.receive_some()
            await stream.send_all(answer)
            if close:
                await stream.send_eof()
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel(reason="the test is over")


@needs_program("microsocks")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_plain_and_tls_go_through(
    scheme: str, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Rows Z15, W27: TLS is spoken with the server, and connections are kept as always."""
    async with (
        microsocks() as port,
        serving_http() as plain,
        serving_http(ssl_context=server_ssl_context) as secure,
        HTTPClient(proxy=f"{scheme}://127.0.0.1:{port}", ssl_context=client_ssl_context) as client,
    ):
        for url in (f"http://localhost:{plain.port}/a", f"https://localhost:{secure.port}/a"):
            for _ in range(2):
                response = await client.fetch(url, body="hello", timeout=5)
                told = response.json()
                assert (told["target"], told["size"]) == ("/a", 5)
        assert client.statistics().opened == 2


@needs_program("microsocks")
async def test_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row Z15: user and password, which nothing shows; and the environment names one as well."""
    async with microsocks("-u", "us@er", "-P", "pass") as port, serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        proxy = Proxy(f"socks5h://us%40er:pass@127.0.0.1:{port}")
        assert "pass" not in repr(proxy)
        assert (await fetch(url, proxy=proxy, timeout=5)).status == 200
        for wrong in ("", "us%40er:no@"):
            with pytest.raises(ProxyError):
                await fetch(url, proxy=f"socks5h://{wrong}127.0.0.1:{port}", timeout=5)
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("all_proxy", f"socks5://us%40er:pass@127.0.0.1:{port}")
        async with HTTPClient(proxy=EnvironmentProxies()) as client:
            assert (await client.fetch(url, timeout=5)).status == 200


@needs_program("microsocks")
async def test_what_is_behind_it(server_ssl_context: ssl.SSLContext) -> None:
    """Rows Z15, W27: nobody there, a name that nobody knows, a certificate of nobody known."""
    async with microsocks() as port, serving_http(ssl_context=server_ssl_context) as server:
        proxy = f"socks5h://127.0.0.1:{port}"
        for url in ("http://127.0.0.1:9/", "http://nowhere.invalid/"):
            with pytest.raises(ProxyError, match="gives no way to"):
                await fetch(url, proxy=proxy, timeout=10)
        with pytest.raises(ConnectError, match="nowhere"):
            await fetch("http://nowhere.invalid/", proxy=f"socks5://127.0.0.1:{port}", timeout=10)
        with pytest.raises(HandshakeError):
            await fetch(f"https://localhost:{server.port}/", proxy=proxy, timeout=5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x05",
        b"\x04\x00",
        b"\x05\xff",
        b"\x05\x02",
        b"\x05\x00\x05\x00\x00\x07",
        b"\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_what_a_proxy_says_instead(answer: bytes) -> None:
    """Row Z15: always the same error, and nothing is left open."""
    async with answering(answer) as port, HTTPClient(proxy=f"socks5h://127.0.0.1:{port}") as client:
        with pytest.raises(ProxyError, match=r"gives no way to books\.invalid:80"):
            await client.fetch("http://books.invalid/", timeout=5)
        assert client.statistics().connections == 0


async def test_no_proxy_there_or_a_silent_one() -> None:
    """Rows Z11, W27: told apart."""
    with pytest.raises(ConnectError, match=r"socks5h://127\.0\.0\.1:9"):
        await fetch("http://books.invalid/", proxy="socks5h://127.0.0.1:9", timeout=5)
    async with answering(b"", close=False) as port:
        with pytest.raises(FetchTimeoutError) as caught:
            await fetch("http://books.invalid/", proxy=f"socks5h://127.0.0.1:{port}", timeout=0.2)
        assert (caught.value.phase, caught.value.in_doubt) == ("connect", False)


@needs_program("microsocks")
async def test_cancelled_at_every_await() -> None:
    """Rows Z11, Z15: no place is lost, and no connection left behind."""
    async with microsocks() as port, serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"

        async def scenario(suspension: int) -> bool:
            async with HTTPClient(proxy=f"socks5://127.0.0.1:{port}") as client:

                async def work() -> None:
                    await client.fetch(url, timeout=5)

                struck = await cancelled_at(suspension, work)
                assert (await client.fetch(url, timeout=5)).status == 200
                await until(lambda: client.statistics().connections <= 1)
                return struck

        strikes = [strike async for strike in every_suspension(scenario)]
        assert len(strikes) > 3
