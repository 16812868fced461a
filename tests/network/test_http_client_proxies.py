"""A client behind a proxy."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from snowtrio import ConnectError, HandshakeError, UnixEndpoint
from snowtrio.http import (
    DiscardSink,
    EnvironmentProxies,
    FetchTimeoutError,
    HTTPClient,
    HTTPClientLimits,
    Origin,
    Proxy,
    ProxyError,
    Request,
    Response,
    basic_authorization,
    fetch,
    serve_http,
)

from ..memory.cancelling import cancelled_at, every_suspension
from .http_proxy import SmallProxy, small_proxy


async def tell(request: Request) -> Response:
    """Return what came, or lead elsewhere."""
    if request.path == "/away":
        return Response(status=302, headers={"Location": request.query["to"]})
    fields = [[name.decode(), value.decode()] for name, value in request.fields]
    body = (await request.body()).decode()
    return Response.json({"target": request.target, "fields": fields, "body": body})


@asynccontextmanager
async def serving(ssl_context: ssl.SSLContext | None = None) -> AsyncGenerator[int, None]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_http, tell, 0, ssl_context=ssl_context))
        yield server.port
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_plain_proxy_is_asked_with_the_whole_url() -> None:
    """Z15: it alone resolves the name, and the credentials are for it."""
    async with serving() as port, small_proxy() as proxy:
        with_login = Proxy(f"http://us%40er:pass@127.0.0.1:{proxy.port}", headers={"X-Hop": "1"})
        url = f"http://books.invalid:{port}/a?b"
        response = await fetch(url, proxy=with_login, json=[1], timeout=5)
        asked = response.json()
        assert (asked["target"], asked["body"]) == ("/a?b", "[1]")
        lines = proxy.heads[0].decode().split("\r\n")
    assert lines[0] == f"POST http://books.invalid:{port}/a?b HTTP/1.1"
    assert f"host: books.invalid:{port}" in lines
    assert f"proxy-authorization: {basic_authorization('us@er', 'pass')}" in lines
    assert "x-hop: 1" in lines
    assert "pass" not in repr(with_login)


async def test_a_tunnel_for_tls(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Z15: what the proxy is told, the server is not, and the other way round; one is dug once."""
    async with serving(server_ssl_context) as port, small_proxy() as proxy:
        through = Proxy(f"http://user:pass@127.0.0.1:{proxy.port}")
        async with HTTPClient(proxy=through, ssl_context=client_ssl_context) as client:
            for _ in range(3):
                url = f"https://localhost:{port}/secret"
                response = await client.fetch(url, headers={"X-Own": "1"}, timeout=5)
                asked = response.json()
                assert asked["target"] == "/secret"
                names = [name for name, _ in asked["fields"]]
                assert "x-own" in names
                assert "proxy-authorization" not in names
    assert len(proxy.heads) == 1
    lines = proxy.heads[0].decode().split("\r\n")
    assert lines[:2] == [f"CONNECT localhost:{port} HTTP/1.1", f"host: localhost:{port}"]
    assert lines[2:] == [f"proxy-authorization: {basic_authorization('user', 'pass')}"]


async def test_the_name_in_the_certificate_is_the_servers(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Z15: a proxy that leads elsewhere is found out."""
    async with serving(server_ssl_context) as port, small_proxy() as proxy:
        with pytest.raises(HandshakeError):
            await fetch(
                f"https://elsewhere.invalid:{port}/",
                proxy=proxy.url,
                ssl_context=client_ssl_context,
                timeout=5,
            )


async def test_a_tunnel_for_http() -> None:
    """Z15: where it is asked for; what stands behind the proxy's head is the tunnel's."""
    async with serving() as port, small_proxy() as proxy:
        through = Proxy(proxy.url, tunnel_all=True)
        response = await fetch(f"http://books.invalid:{port}/", proxy=through, timeout=5)
        assert response.json()["target"] == "/"
    assert proxy.heads[0].startswith(b"CONNECT books.invalid:")


async def test_tls_with_the_proxy_and_through_it(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Z15: one within the other."""

    async def serve(client: trio.SSLStream[trio.SocketStream]) -> None:
        await client.do_handshake()
        assert (await client.receive_some()).startswith(b"CONNECT localhost:")
        await client.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        server = await trio.open_tcp_stream("127.0.0.1", port)
        async with server, trio.open_nursery() as pumps:
            pumps.start_soon(_pump, client, server, pumps.cancel_scope)
            await _pump(server, client, pumps.cancel_scope)

    async with serving(server_ssl_context) as port, trio.open_nursery() as nursery:
        listen = partial(trio.serve_ssl_over_tcp, serve, 0, server_ssl_context, host="127.0.0.1")
        listeners = await nursery.start(listen)
        where = listeners[0].transport_listener.socket.getsockname()[1]
        proxy = Proxy(f"https://localhost:{where}")
        response = await fetch(
            f"https://localhost:{port}/x", proxy=proxy, ssl_context=client_ssl_context, timeout=5
        )
        assert response.json()["target"] == "/x"
        nursery.cancel_scope.cancel(reason="the test is over")


async def _pump(
    source: trio.abc.ReceiveStream, drain: trio.abc.SendStream, scope: trio.CancelScope
) -> None:
    try:
        while data := await source.receive_some():
            await drain.send_all(data)
    except trio.BrokenResourceError:
        pass
    scope.cancel(reason="one end has gone")


async def test_cancelled_at_every_await(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Z11, Z15: on the way through a proxy no place is lost, and no connection left behind."""
    async with serving(server_ssl_context) as port, small_proxy() as proxy:
        url = f"https://localhost:{port}/"

        async def scenario(suspension: int) -> bool:
            async with HTTPClient(
                proxy=proxy.url,
                ssl_context=client_ssl_context,
                limits=HTTPClientLimits(max_connections=1),
            ) as client:

                async def work() -> None:
                    await client.fetch(url, sink=DiscardSink(), timeout=5)

                struck = await cancelled_at(suspension, work)
                assert (await client.fetch(url, timeout=5)).status == 200
                assert client.statistics().connections == 1
                return struck

        strikes = [strike async for strike in every_suspension(scenario)]
        assert len(strikes) > 5


@pytest.mark.parametrize(
    ("answer", "status", "match"),
    [
        (
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            407,
            "Basic",
        ),
        (b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nnever", 403, "403"),
        (b"HTTP/1.0 503 No\r\n\r\nlater", 503, "503"),
        (b"HTTP/1.1 301 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 301, "301"),
        (b"HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, "500"),
        (b"HTTP/1.1 103 Hint\r\n\r\n" * 50, None, "come to the point"),
        (b"", None, "said nothing"),
        (b"HTTP/1.1 2", None, "no response"),
        (b"SSH-2.0-OpenSSH\r\n", None, "no response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", None, "no response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, None, "no response"),
        (b"HTTP/1.1 200 OK\r\n\r\nplain text", None, "where TLS had to begin"),
    ],
)
async def test_what_a_proxy_says_against_a_tunnel(
    answer: bytes, status: int | None, match: str
) -> None:
    """Z15: a clear error, which says that nothing was sent; no connection is kept."""
    async with small_proxy(SmallProxy(answer)) as proxy:
        async with HTTPClient(proxy=Proxy(proxy.url)) as client:
            with pytest.raises(ProxyError, match=match) as caught:
                await client.fetch("https://books.invalid/", timeout=5)
            assert caught.value.status == status
            assert client.statistics().connections == 0
        assert b"\r\n\r\n" not in proxy.heads[0]


async def test_a_plain_proxy_that_asks_who_it_is() -> None:
    """Z15: 407 is not the server's answer, so it is an error here as well."""

    async def refuse(request: Request) -> Response:
        return Response("no", status=407, headers={"Proxy-Authenticate": "Basic"})

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_http, refuse, 0)
        proxy = Proxy(f"http://127.0.0.1:{server.port}")
        with pytest.raises(ProxyError) as caught:
            await fetch("http://books.invalid/", proxy=proxy, timeout=5)
        assert caught.value.status == 407
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_proxy_that_says_nothing() -> None:
    """Z11, Z15: its time counts as connecting."""
    async with trio.open_nursery() as nursery:

        async def wait(stream: trio.SocketStream) -> None:
            await trio.sleep_forever()

        listeners = await nursery.start(partial(trio.serve_tcp, wait, 0, host="127.0.0.1"))
        proxy = Proxy(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}")
        with pytest.raises(FetchTimeoutError) as caught:
            await fetch("https://books.invalid/", proxy=proxy, timeout=0.2)
        assert (caught.value.phase, caught.value.in_doubt) == ("connect", False)
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_proxy_that_is_not_there() -> None:
    """Z15."""
    with pytest.raises(ConnectError):
        await fetch("http://books.invalid/", proxy=Proxy("http://127.0.0.1:9"), timeout=5)


async def test_credentials_do_not_follow_a_redirect_away_from_the_proxy() -> None:
    """Z9, Z15: each hop is told what is its own."""
    async with serving() as port, small_proxy() as proxy:
        through = Proxy(f"http://user:pass@127.0.0.1:{proxy.port}")

        def choose(origin: Origin) -> Proxy | None:
            return through if origin.host == "books.invalid" else None

        async with HTTPClient(proxy=choose) as client:
            response = await client.fetch(
                f"http://books.invalid:{port}/away?to=http://127.0.0.1:{port}/direct",
                headers={"Authorization": "secret", "X-Own": "1"},
                timeout=5,
            )
    names = [name for name, _ in response.json()["fields"]]
    assert response.json()["target"] == "/direct"
    assert "x-own" in names
    assert not {"authorization", "proxy-authorization"} & set(names)
    assert len(proxy.heads) == 1


async def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z15: only for a client that is told so, and not for what is to bypass them."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    async with serving() as port, small_proxy() as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1,.direct.example")
        async with HTTPClient(proxy=EnvironmentProxies()) as client:
            await client.fetch(f"http://localhost:{port}/", timeout=5)
            assert len(proxy.heads) == 1
            await client.fetch(f"http://127.0.0.1:{port}/", timeout=5)
            assert len(proxy.heads) == 1
        await fetch(f"http://localhost:{port}/", timeout=5)
        assert len(proxy.heads) == 1
    choose = EnvironmentProxies()
    assert choose(Origin("https", "books.example", 443)) is None
    assert choose(Origin("http", "a.direct.example", 80)) is None
    assert choose(Origin("http", "books.example", 80)) is choose(Origin("http", "x.example", 80))
    monkeypatch.setenv("all_proxy", "http://all.example:1")
    everything = EnvironmentProxies()(Origin("https", "books.example", 443))
    assert everything is not None
    assert everything.origin == Origin("http", "all.example", 1)


def test_what_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z15: said before anything is asked."""
    for url in (
        "socks4://127.0.0.1:1",
        "socks5://127.0.0.1:1/path",
        "socks5://",
        "http://127.0.0.1:1/path",
        "127.0.0.1:1",
        "",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - an InvalidURLError
            Proxy(url)
    monkeypatch.setenv("all_proxy", "socks4://127.0.0.1:1")
    with pytest.raises(ValueError, match="http"):
        EnvironmentProxies()
    with pytest.raises(TypeError, match="not to both"):
        HTTPClient(proxy=Proxy("http://h"), endpoint=UnixEndpoint("/x"))


@pytest.mark.skipif(shutil.which("tinyproxy") is None, reason="tinyproxy is not installed")
async def test_tinyproxy(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext, tmp_path: Path
) -> None:
    """Z15: a proxy that is not ours, plain and with tunnels, with and without the password."""
    port = _free_port()
    config = tmp_path / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 10\nMaxClients 10\nBasicAuth user pass\n"
        f'LogFile "{tmp_path}/log"\nPidFile "{tmp_path}/pid"\n'
    )
    command = ["tinyproxy", "-d", "-c", str(config)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.run_process, command, stdout=subprocess.DEVNULL))
        await _wait_for(port)
        async with serving() as plain, serving(server_ssl_context) as secure:
            proxy = Proxy(f"http://user:pass@127.0.0.1:{port}")
            async with HTTPClient(proxy=proxy, ssl_context=client_ssl_context) as client:
                for url in (f"http://127.0.0.1:{plain}/a", f"https://localhost:{secure}/a"):
                    for _ in range(2):
                        response = await client.fetch(url, body="hello", timeout=5)
                        assert response.json()["body"] == "hello"
            nobody = Proxy(f"http://127.0.0.1:{port}")
            async with HTTPClient(proxy=nobody, ssl_context=client_ssl_context) as client:
                for url in (f"http://127.0.0.1:{plain}/a", f"https://localhost:{secure}/a"):
                    with pytest.raises(ProxyError) as caught:
                        await client.fetch(url, timeout=5)
                    assert caught.value.status in (401, 407)
        nursery.cancel_scope.cancel(reason="the test is over")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def _wait_for(port: int) -> None:
    with trio.fail_after(10):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                await trio.sleep(0.02)
            else:
                return
