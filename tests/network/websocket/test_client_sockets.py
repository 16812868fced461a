"""The client on sockets of this machine, with our own server."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import (
    ConnectError,
    ConnectRefusedError,
    DrainTimeouts,
    HandshakeError,
    PoolClosedError,
    TCPEndpoint,
    UnixEndpoint,
)
from snowtrio.http import (
    FetchTimeoutError,
    HTTPClient,
    HTTPClientLimits,
    Origin,
    Proxy,
    ProxyError,
)
from snowtrio.websocket import (
    Message,
    Reconnect,
    WebSocket,
    WebSocketClosedError,
    open_reconnecting,
    open_websocket,
    serve_websocket_unix,
)

from ...memory.cancelling import cancelled_at, every_suspension
from ...serving import LIMIT
from ...websocket_answering import Answerer
from ...websocket_serving import echo
from ..examples import needs_program
from ..http_proxy import small_proxy
from ..tcp import until
from ..test_http_client_socks import microsocks
from .serving import serving_websocket_on


async def echoed(websocket: WebSocket, message: str) -> bool:
    await websocket.send(message)
    return await websocket.receive() == message


async def test_unix_sockets(tmp_path: Path) -> None:
    """Row W27: the host of the URL is only said."""
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_websocket_unix, echo, path)
        async with open_websocket("ws://books/", endpoint=UnixEndpoint(path)) as websocket:
            assert await echoed(websocket, "hello")
            assert websocket.request_headers["sec-websocket-version"] == "13"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("secure", [False, True])
async def test_http_proxies(
    secure: bool, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Row W27: both kinds of URLs go through tunnels, which the proxy is asked for with CONNECT."""
    context = server_ssl_context if secure else None
    async with serving_websocket_on(echo, ssl_context=context) as server, small_proxy() as proxy:
        url = f"{'wss' if secure else 'ws'}://localhost:{server.port}/"

        def choose(origin: Origin) -> Proxy:
            return Proxy(proxy.url)

        for choice in (proxy.url, Proxy(proxy.url), choose):
            async with open_websocket(
                url, proxy=choice, ssl_context=client_ssl_context
            ) as websocket:
                assert await echoed(websocket, "hello")
        assert len(proxy.heads) == 3
        assert all(head.startswith(b"CONNECT localhost:") for head in proxy.heads)


@needs_program("microsocks")
@pytest.mark.parametrize("secure", [False, True])
async def test_socks(
    secure: bool, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Row W27."""
    context = server_ssl_context if secure else None
    async with serving_websocket_on(echo, ssl_context=context) as server, microsocks() as port:
        url = f"{'wss' if secure else 'ws'}://localhost:{server.port}/"
        async with open_websocket(
            url, proxy=f"socks5h://127.0.0.1:{port}", ssl_context=client_ssl_context
        ) as websocket:
            assert await echoed(websocket, "x" * 100_000)
        with pytest.raises(ProxyError):
            async with open_websocket("ws://127.0.0.1:9/", proxy=f"socks5://127.0.0.1:{port}"):
                pass


@pytest.mark.parametrize("secure", [False, True])
async def test_receiving_under_timeouts(
    secure: bool, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Row W28: nothing is lost, TLS and plain alike; iterating ends with the close."""

    async def talk(websocket: WebSocket) -> None:
        for number in range(100):
            await websocket.send(f"{number} " + "x" * 5000)
            if number % 10 == 0:
                await trio.sleep(0.001)

    context = server_ssl_context if secure else None
    async with serving_websocket_on(talk, ssl_context=context) as server:
        url = f"{'wss' if secure else 'ws'}://localhost:{server.port}/"
        async with open_websocket(url, ssl_context=client_ssl_context) as websocket:
            got: list[Message] = []
            missed = 0
            while len(got) < 100:
                with trio.move_on_after(0.01 if missed % 2 else 0) as scope:
                    got.append(await websocket.receive())
                missed += scope.cancelled_caught
            assert missed
            assert got == [f"{number} " + "x" * 5000 for number in range(100)]
            assert [message async for message in websocket] == []


async def fail_to_open(url: str, **options: Any) -> None:
    async with open_websocket(url, **options):
        raise AssertionError("it is open")


async def test_nobody_there() -> None:
    """Row W27: a name that nobody knows, a port where nobody listens."""
    with pytest.raises(ConnectError, match=r"nowhere\.invalid"):
        await fail_to_open("ws://nowhere.invalid/")
    with pytest.raises(ConnectRefusedError):
        await fail_to_open("ws://127.0.0.1:9/")


async def test_bad_certificates(
    server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Row W30: promptly, with the reason; also where every other failure is tried again."""
    async with serving_websocket_on(ssl_context=server_ssl_context) as server:
        with trio.fail_after(10):
            with pytest.raises(HandshakeError, match="CERTIFICATE_VERIFY_FAILED"):
                await fail_to_open(f"wss://localhost:{server.port}/")
            with pytest.raises(HandshakeError, match="CERTIFICATE_VERIFY_FAILED"):
                await fail_to_open(
                    "wss://elsewhere.invalid/",
                    ssl_context=client_ssl_context,
                    endpoint=TCPEndpoint("127.0.0.1", server.port),
                )
            async with open_reconnecting(f"wss://localhost:{server.port}/") as connections:
                first = await anext(connections)
                with pytest.raises(HandshakeError):
                    await first.__aenter__()


async def test_a_server_that_is_silent_at_any_stage(client_ssl_context: ssl.SSLContext) -> None:
    """Row W27: one deadline; TLS counts as connecting."""

    async def wait(stream: trio.SocketStream) -> None:
        async with stream:
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, wait, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        for scheme, phase in (("ws", "response"), ("wss", "connect")):
            with pytest.raises(FetchTimeoutError) as caught:
                await fail_to_open(
                    f"{scheme}://localhost:{port}/", ssl_context=client_ssl_context, timeout=0.2
                )
            assert caught.value.phase == phase
        nursery.cancel_scope.cancel()


class NeverResolves(trio.abc.HostnameResolver):
    """DNS that answers nothing."""

    async def getaddrinfo(self, *_: object, **__: object) -> Any:
        await trio.sleep_forever()

    async def getnameinfo(self, *_: object) -> Any:
        raise AssertionError


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port where connections are neither accepted nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_one_deadline_over_name_tcp_and_proxies() -> None:
    """Row W27: whatever says nothing; TLS and the response have a test of their own."""

    async def late(url: str, proxy: str | None = None) -> None:
        with trio.fail_after(LIMIT), pytest.raises(FetchTimeoutError) as caught:
            await fail_to_open(url, timeout=0.2, proxy=proxy)
        assert caught.value.phase == "connect"
        assert isinstance(caught.value, TimeoutError)

    with full_backlog() as port:
        await late(f"ws://127.0.0.1:{port}/")
        for scheme in ("http", "socks5", "socks5h"):
            await late("ws://127.0.0.1:9/", f"{scheme}://127.0.0.1:{port}")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        for scheme in ("http", "socks5", "socks5h"):
            await late("ws://127.0.0.1:9/", f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
    before = trio.socket.set_custom_hostname_resolver(NeverResolves())
    try:
        await late("ws://books.example/")
        await late("ws://127.0.0.1:9/", "socks5h://books.example")
    finally:
        trio.socket.set_custom_hostname_resolver(before)


async def test_the_pool_of_a_client_is_the_bound() -> None:
    """Rows W23, W27: who finds it full waits, up to the deadline; a place that is free is given."""
    limits = HTTPClientLimits(max_connections_per_origin=2, max_waiting=1)
    async with serving_websocket_on(echo) as server, HTTPClient(limits=limits) as client:
        url = f"ws://127.0.0.1:{server.port}/"
        async with open_websocket(url, client=client) as first:
            async with open_websocket(url, client=client):
                with pytest.raises(FetchTimeoutError) as caught:
                    await fail_to_open(url, client=client, timeout=0.1)
                assert caught.value.phase == "waiting"
            async with open_websocket(url, client=client) as third:
                assert await echoed(third, "a")
            assert await echoed(first, "a")
        await until(lambda: not client.statistics().connections)
        assert client.statistics().waiting == 0


async def test_a_client_that_is_closed_meanwhile() -> None:
    """Rows W12, W26: its WebSockets get the time that it gives them, and then say 1001."""
    told: list[int | None] = []

    async def listen(websocket: WebSocket) -> None:
        async for _ in websocket:
            pass
        told.append(websocket.close_code)

    async with serving_websocket_on(listen) as server, HTTPClient() as client:
        url = f"ws://127.0.0.1:{server.port}/"
        async with open_websocket(url, client=client) as websocket:
            with trio.fail_after(LIMIT):
                await client.aclose(DrainTimeouts(wait=0.1))
                await until(lambda: told == [1001])
                with pytest.raises(WebSocketClosedError):
                    await websocket.receive()
                with pytest.raises(PoolClosedError):
                    await fail_to_open(url, client=client)
        assert client.statistics().connections == 0


@pytest.mark.parametrize("shared", [False, True])
async def test_cancelled(shared: bool) -> None:
    """Row W12: nothing is waited for, and the server is told that we go away all the same."""
    told: Counter[int | None] = Counter()

    async def listen(websocket: WebSocket) -> None:
        async for _ in websocket:
            pass
        close = websocket.close_received
        told[close.code if close is not None else None] += 1

    async with serving_websocket_on(listen) as server, HTTPClient() as client:
        given = client if shared else None
        for number in range(20):
            with trio.CancelScope() as scope:
                async with open_websocket(
                    f"ws://127.0.0.1:{server.port}/", client=given
                ) as websocket:
                    if number % 2:
                        await websocket.send("hello")
                    scope.cancel()
                    await websocket.receive()
            assert scope.cancelled_caught
        await until(lambda: told.total() == 20)
    assert told == {1001: 20}


@needs_program("microsocks")
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("way", ["direct", "http", "socks5", "socks5h"])
async def test_cancelled_at_every_await(
    way: str,
    secure: bool,
    server_ssl_context: ssl.SSLContext,
    client_ssl_context: ssl.SSLContext,
) -> None:
    """Rows W12, W27: opening, using and leaving, through what it may be; others go on."""
    context = server_ssl_context if secure else None
    async with (
        serving_websocket_on(echo, ssl_context=context) as server,
        small_proxy() as small,
        microsocks() as port,
    ):
        url = f"{'wss' if secure else 'ws'}://localhost:{server.port}/"
        proxies = {"direct": None, "http": small.url}
        proxy = proxies.get(way, f"{way}://127.0.0.1:{port}")

        async def work() -> None:
            async with open_websocket(
                url, proxy=proxy, ssl_context=client_ssl_context
            ) as websocket:
                assert await echoed(websocket, "a")
                await websocket.ping()

        async with open_websocket(url, ssl_context=client_ssl_context) as bystander:

            async def scenario(suspension: int) -> bool:
                with trio.fail_after(LIMIT):
                    struck = await cancelled_at(suspension, work)
                    assert await echoed(bystander, "a")
                    await bystander.ping()
                return struck

            strikes = [strike async for strike in every_suspension(scenario)]
        assert len(strikes) > 5


async def test_frames_in_the_segment_of_the_answer(readiness: str) -> None:
    """Rows W1, W10: a message, a ping and a close that came together with the 101."""
    codes: list[int] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            peer = Answerer(stream)
            behind = peer.framed("a") + peer.pinged(b"there?") + peer.closed(3000)
            await peer.agree(behind=behind)
            assert getattr(await peer.event(), "payload", None) == b"there?"
            codes.append(await peer.told())

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        async with open_websocket(f"ws://127.0.0.1:{port}/") as websocket:
            assert [message async for message in websocket] == ["a"]
        await until(lambda: codes == [3000])
        nursery.cancel_scope.cancel()


async def test_a_server_that_is_restarted() -> None:
    """Rows W26, W27: the simplest loop meets a drain, and goes on with the next server."""
    ports: list[int] = []
    heard: list[str | bytes] = []

    def find(origin: Origin) -> TCPEndpoint:
        return TCPEndpoint("127.0.0.1", ports[-1])

    async def greet(websocket: WebSocket) -> None:
        await websocket.send(f"{len(ports)}")
        await websocket.wait_closed()

    async def listen() -> None:
        policy = Reconnect(backoff=0.01, max_backoff=0.02)
        async with open_reconnecting(
            "ws://books.example/", reconnect=policy, endpoint=find
        ) as connections:
            async for connection in connections:
                async with connection as websocket:
                    async for message in websocket:
                        heard.append(message)

    async with trio.open_nursery() as nursery:
        for number in range(1, 4):
            async with serving_websocket_on(greet) as server:
                ports.append(server.port)
                if number == 1:
                    nursery.start_soon(listen)
                await until(lambda: len(heard) == len(ports))
        nursery.cancel_scope.cancel()
    assert heard == ["1", "2", "3"]
