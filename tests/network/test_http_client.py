"""The HTTP client on real sockets, with servers that are not ours (rows Z7, Z8, Z14)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from snowtrio import ConnectRefusedError, HandshakeError, TCPEndpoint, UnixEndpoint
from snowtrio.http import HTTPClient, NoResponseError, fetch

from .http_client_servers import (
    LIMIT,
    BytesServer,
    free_port,
    nginx_server,
    standard_server,
    uvicorn_server,
)
from .tcp import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield bytes(10_000)


async def ask_everything(port: int, *, chunks: bool = True) -> None:
    """Ask in all ways, one after the other and many at a time."""
    url = f"http://127.0.0.1:{port}"
    with trio.fail_after(LIMIT):
        async with HTTPClient() as client:
            assert (await client.fetch(f"{url}/a")).text() == "GET /a 0"
            assert (await client.fetch(f"{url}/a", method="HEAD")).body == b""
            assert (await client.fetch(f"{url}/a", json=[1])).text() == "POST /a 3"
            sized = await client.fetch(url, method="PUT", body=pieces(), content_length=1_000_000)
            assert sized.text() == "PUT / 1000000"
            if chunks:
                assert (await client.fetch(url, body=pieces())).text() == "POST / 1000000"
            async with client.stream("POST", url, body=bytes(1_000_000)) as response:
                assert b"".join([piece async for piece in response]) == b"POST / 1000000"
            assert client.statistics().opened == 1
            async with trio.open_nursery() as nursery:
                for number in range(30):
                    nursery.start_soon(client.fetch, f"{url}/{number}")
            assert client.statistics().opened <= 16


async def test_standard_library(readiness: str) -> None:
    """Rows Z7, Z8: ``http.server`` answers, on one connection."""
    with standard_server() as port:
        await ask_everything(port, chunks=False)


async def test_uvicorn(readiness: str, tmp_path: Path) -> None:
    """Rows Z7, Z8: uvicorn answers in chunks, on one connection."""
    async with uvicorn_server(tmp_path) as port:
        await ask_everything(port)


async def test_nginx(readiness: str, tmp_path: Path) -> None:
    """Rows Z7 to Z10: nginx compresses, redirects, refuses, and ends connections as it likes."""
    async with nginx_server(tmp_path) as port:
        page, url = b"page " * 10_000, f"http://127.0.0.1:{port}"
        with trio.fail_after(LIMIT):
            async with HTTPClient() as client:
                for _ in range(10):
                    response = await client.fetch(f"{url}/moved")
                    assert response.body == page
                    assert response.headers["content-encoding"] == "gzip"
                assert 5 <= client.statistics().opened <= 10
                assert (await client.fetch(f"{url}/none")).status == 404
                refused = await client.fetch(
                    f"{url}/refused", body=pieces(), content_length=1_000_000
                )
                assert refused.status == 413
            endpoint = UnixEndpoint(tmp_path / "socket")
            assert (await fetch("http://nobody.example/page", endpoint=endpoint)).body == page


async def test_https(
    readiness: str, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Row Z14: a custom authority is kept, names are checked, and others are not believed."""
    with standard_server(server_ssl_context) as port:
        async with HTTPClient(ssl_context=client_ssl_context) as client:
            for _ in range(3):
                response = await client.fetch(f"https://localhost:{port}/a", body=bytes(100_000))
                assert response.text() == "POST /a 100000"
            assert client.statistics().opened == 1
        with pytest.raises(HandshakeError) as raised:
            await fetch(f"https://localhost:{port}/")
        assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
        endpoint = TCPEndpoint("127.0.0.1", port)
        async with HTTPClient(ssl_context=client_ssl_context, endpoint=endpoint) as client:
            assert (await client.fetch("https://localhost/a")).text() == "GET /a 0"
            with pytest.raises(HandshakeError) as raised:
                await client.fetch("https://other.example/")
            assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)


async def test_nobody_listens() -> None:
    """Row Z7: the core's error says why there is no connection."""
    with pytest.raises(ConnectRefusedError):
        await fetch(f"http://127.0.0.1:{free_port()}/")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ["end", "response"])
async def test_what_came_a_moment_ago_is_seen(readiness: str, method: str, way: str) -> None:
    """Row Z8: a connection is looked at before it is used, so even a POST goes to a new one."""
    with BytesServer() as server:
        async with HTTPClient() as client, trio.open_nursery() as nursery:
            nursery.start_soon(server.answer, 0, OK)
            await client.fetch(server.url)
            nursery.start_soon(server.answer, 1, OK.replace(b"ok", b"no"))
            await trio.lowlevel.checkpoint()
            if way == "end":
                server.close(0)
            else:
                server.connections[0].sendall(b"HTTP/1.1 408 Too Late\r\n\r\n")
            response = await client.fetch(server.url, method=method)
            assert response.body == b"no"
            assert client.statistics().stale == 0


@pytest.mark.parametrize("idle", [0.0, 0.1])
async def test_an_idle_connection_that_is_reset(readiness: str, idle: float) -> None:
    """Row Z8: a reset is seen before the next request, however long it has been quiet."""
    with BytesServer() as server:
        async with HTTPClient() as client, trio.open_nursery() as nursery:
            nursery.start_soon(server.answer, 0, OK)
            await client.fetch(server.url)
            await trio.sleep(idle)
            server.reset(0)
            nursery.start_soon(server.answer, 1, OK)
            assert (await client.fetch(server.url, method="POST")).ok


async def test_a_reset_instead_of_a_response(readiness: str) -> None:
    """Row Z8: a reset after the request: a GET goes out once more, a POST does not."""
    with BytesServer() as server:
        async with HTTPClient() as client, trio.open_nursery() as nursery:

            async def reset_after_request() -> None:
                index = len(server.connections) - 1
                await server.answer(index, b"")
                server.reset(index)

            nursery.start_soon(server.answer, 0, OK)
            await client.fetch(server.url)
            nursery.start_soon(reset_after_request)
            with pytest.raises(NoResponseError):
                await client.fetch(server.url, body=b"pay")
            nursery.start_soon(server.answer, 1, OK)
            await client.fetch(server.url)

            async def reset_then_answer() -> None:
                await reset_after_request()
                await server.answer(2, OK)

            nursery.start_soon(reset_then_answer)
            assert (await client.fetch(server.url)).ok
            assert client.statistics().stale == 1


async def test_an_idle_connection_is_closed_with_its_server(readiness: str) -> None:
    """Row Z8: no descriptor stays open for a server that has gone."""
    with BytesServer() as server:
        async with HTTPClient() as client, trio.open_nursery() as nursery:
            nursery.start_soon(server.answer, 0, OK)
            await client.fetch(server.url)
            server.close(0)
            await until(lambda: not client.statistics().connections)


async def test_a_large_body_up_to_the_end_of_input(readiness: str) -> None:
    """Row Z7: nothing of it is lost where the end follows at once and the reader is slow."""
    body = bytes(range(256)) * 10_000
    with BytesServer() as server:
        async with HTTPClient() as client, trio.open_nursery() as nursery:

            async def serve() -> None:
                await server.answer(0, b"HTTP/1.1 200 OK\r\n\r\n")
                await trio.to_thread.run_sync(server.connections[0].sendall, body)
                server.close(0)

            nursery.start_soon(serve)
            read = b""
            async with client.stream("GET", server.url) as response:
                async for piece in response:
                    read += piece
                    await trio.sleep(0.001)
            assert read == body
