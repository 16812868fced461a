"""One WebSocket after the other: when there is another, and what ends it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio

from snowtrio import ConnectError, ConnectionLostError, HandshakeError
from snowtrio.http import (
    BadResponseError,
    ClientResponse,
    FetchTimeoutError,
    HTTPClient,
    NoResponseError,
    ProxyError,
    UpgradeRefusedError,
)
from snowtrio.websocket import (
    Reconnect,
    Reconnecting,
    WebSocketHandshakeError,
    WebSocketProtocolError,
    is_temporary,
    open_reconnecting,
)

from ...websocket_answering import URL, Answerer, Answering

quiet = trio.testing.wait_all_tasks_blocked

AT_ONCE = Reconnect(backoff=0.001, max_backoff=0.001)


async def opened(server: Answering, *said: str) -> Answerer:
    """Agree, and say something."""
    peer = await server.accept()
    await peer.agree(behind=b"".join(map(peer.framed, said)))
    return peer


async def gather(connections: Reconnecting, number: int) -> list[str | bytes]:
    """Return messages of so many connections, as the simplest loop takes them."""
    heard: list[str | bytes] = []
    async for connection in connections:
        async with connection as websocket:
            async for message in websocket:
                heard.append(message)
        if connections.opened == number:
            break
    return heard


async def test_the_simplest_loop(autojump_clock: trio.testing.MockClock) -> None:
    """Row W27: it goes on after a close, after an end without one, and after a violation."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await opened(server, "a")
            await peer.send(peer.closed(1001))
            await peer.told()
            await peer.stream.aclose()
            peer = await opened(server, "b")
            await peer.stream.aclose()
            peer = await opened(server, "c")
            await peer.send(b"\xff\xff")
            assert await peer.told() == 1002
            await peer.stream.aclose()
            peer = await opened(server, "d")
            await peer.send(peer.closed(1000))
            await peer.told()
            await peer.stream.aclose()

        async with open_reconnecting(
            URL, reconnect=AT_ONCE, endpoint=server.endpoint
        ) as connections:
            assert await gather(connections, 4) == ["a", "b", "c", "d"]
            assert isinstance(connections.last_error, WebSocketProtocolError)


async def test_only_its_own_end_is_not_raised(autojump_clock: trio.testing.MockClock) -> None:
    """Row W13: another connection's loss, in the same block, is the caller's business."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            for _ in range(2):
                peer = await opened(server)
                await peer.send(peer.closed(await peer.told()))
                await peer.stream.aclose()

        async def raise_within(error: Exception) -> None:
            async with open_reconnecting(URL, endpoint=server.endpoint) as connections:
                async for connection in connections:
                    async with connection:
                        raise error

        for error in (ConnectionLostError("of a database"), KeyError("mine")):
            with pytest.raises(type(error)) as caught:
                await raise_within(error)
            assert caught.value is error


async def test_groups(autojump_clock: trio.testing.MockClock) -> None:
    """Row W13: tasks that all meet the end of the connection; and one that fails by itself."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            for _ in range(2):
                peer = await opened(server)
                await peer.stream.aclose()

        async def fail(error: Exception) -> None:
            raise error

        async def use(connections: Reconnecting) -> None:
            async for connection in connections:
                async with connection as websocket, trio.open_nursery() as inner:
                    inner.start_soon(websocket.receive)
                    if connections.opened == 2:
                        inner.start_soon(fail, KeyError())

        with pytest.raises(ExceptionGroup) as caught:
            async with open_reconnecting(
                URL, reconnect=AT_ONCE, endpoint=server.endpoint
            ) as connections:
                await use(connections)
        assert caught.group_contains(KeyError, depth=1)
        assert connections.opened == 2


async def test_pauses(autojump_clock: trio.testing.MockClock) -> None:
    """Row W27: doubled up to a bound; they begin anew once a connection has lasted."""
    server = Answering()
    policy = Reconnect(backoff=1, max_backoff=4, settled=10)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            for _ in range(2):
                await (await opened(server)).stream.aclose()
            peer = await opened(server)
            await trio.sleep(11)
            await peer.stream.aclose()
            for _ in range(3):
                await (await opened(server)).stream.aclose()

        server.failures = [OSError("no")] * 3
        async with open_reconnecting(
            URL, reconnect=policy, endpoint=server.endpoint
        ) as connections:
            await gather(connections, 6)
    times = server.attempts
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(pauses) == 8
    pauses[5] -= 11
    for pause, longest in zip(pauses, (1, 2, 4, 4, 4, 1, 2, 4), strict=True):
        assert longest / 2 - 0.01 <= pause <= longest + 0.01


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", UpgradeRefusedError),
        (b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n", UpgradeRefusedError),
        (b"SSH-2.0-OpenSSH\r\n", BadResponseError),
    ],
)
async def test_what_no_repetition_mends(
    answer: bytes, error: type[Exception], autojump_clock: trio.testing.MockClock
) -> None:
    """Row W27: it is raised where the connection would have begun, at the first attempt too."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            await (await opened(server)).stream.aclose()
            peer = await server.accept()
            await peer.request()
            await peer.send(answer)

        with pytest.raises(error):
            async with open_reconnecting(URL, endpoint=server.endpoint) as connections:
                await gather(connections, 10)
        assert connections.opened == connections.failed_in_a_row == 1


async def test_attempts_are_bounded_where_that_is_wanted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Row W27: the last error is raised; without a bound the loop goes on until cancelled."""
    server = Answering()
    server.failures = [OSError("no")] * 1000
    with pytest.raises(ConnectError, match="no"):
        async with open_reconnecting(
            URL, reconnect=Reconnect(max_attempts=3), endpoint=server.endpoint
        ) as connections:
            await gather(connections, 1)
    assert len(server.attempts) == 3
    with trio.move_on_after(1000) as scope:
        async with open_reconnecting(URL, endpoint=server.endpoint) as connections:
            await gather(connections, 1)
    assert scope.cancelled_caught
    assert 20 < connections.failed_in_a_row < 40
    assert isinstance(connections.last_error, ConnectError)


async def test_the_caller_decides(autojump_clock: trio.testing.MockClock) -> None:
    """Row W27: a function says whether an error is worth another attempt."""
    server = Answering()
    asked: list[Exception] = []

    def retry(error: Exception) -> bool:
        asked.append(error)
        return len(asked) < 3

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            for _ in range(3):
                peer = await server.accept()
                await peer.request()
                await peer.send(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")

        with pytest.raises(UpgradeRefusedError):
            async with open_reconnecting(
                URL, reconnect=Reconnect(retry=retry), endpoint=server.endpoint
            ) as connections:
                await gather(connections, 1)
    assert [getattr(error, "status", None) for error in asked] == [404] * 3


async def test_break_and_leaving_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """Row W12: the WebSocket is closed with 1000, and no other is opened."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await opened(server, "a")
            code = await peer.told()
            await peer.send(peer.closed(code))
            await peer.stream.aclose()
            assert code == 1000

        async with open_reconnecting(URL, endpoint=server.endpoint) as connections:
            async for connection in connections:
                async with connection as websocket:
                    assert await websocket.receive() == "a"
                    break
        assert len(server.attempts) == 1


async def test_a_client_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """Row W35: every connection goes through its pool, and none stays."""
    server = Answering()
    async with trio.open_nursery() as nursery, HTTPClient(endpoint=server.endpoint) as client:

        @nursery.start_soon
        async def serve() -> None:
            for _ in range(3):
                await (await opened(server, "a")).stream.aclose()

        async with open_reconnecting(URL, reconnect=AT_ONCE, client=client) as connections:
            assert await gather(connections, 3) == ["a"] * 3
        assert client.statistics().opened == 3
        await quiet()
        assert client.statistics().connections == 0


async def test_bad_arguments_are_told_at_once() -> None:
    """Row W27."""
    with pytest.raises(ValueError, match="begins with ws"):
        async with open_reconnecting("http://books.example/"):
            pass
    wrong: list[dict[str, Any]] = [{"backoff": 0}, {"max_attempts": 0}, {"settled": -1}]
    for each in wrong:
        with pytest.raises(ValueError, match="must be"):
            Reconnect(**each)


def refused(status: int, retry_after: str | None = None) -> UpgradeRefusedError:
    fields = () if retry_after is None else ((b"retry-after", retry_after.encode()),)
    head = _Head(status, fields)
    return UpgradeRefusedError(status, "websocket", ClientResponse(head, URL))  # type: ignore[arg-type]


class _Head:
    method = "GET"
    http_version = "1.1"

    def __init__(self, status: int, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        self.status = status
        self.fields = fields


def test_how_long_a_pause_is() -> None:
    """Row W27: spread over a half; what the server asks for counts, up to the bound."""
    policy = Reconnect(backoff=2, max_backoff=20)
    assert [policy.pause_after(each, chance=1) for each in (1, 2, 3, 4, 5, 5000)] == [
        *(2, 4, 8, 16, 20),
        20,
    ]
    assert policy.pause_after(1, chance=0) == 1
    assert 1 <= policy.pause_after(1) <= 2
    for asked, pause in {"7": 7, "0": 1, "1000": 20, "9" * 99: 20, "soon": 1, "-5": 1}.items():
        assert policy.pause_after(1, refused(503, asked), 0) == pause
    assert policy.pause_after(1, refused(503), 0) == 1


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def test_what_is_temporary() -> None:
    """Row W27: what the network does, and what servers say that will pass."""
    tls = ssl.SSLCertVerificationError(1, "unknown authority")
    make: Callable[[str], HandshakeError] = HandshakeError
    temporary = [
        ConnectError(111, "refused", []),
        FetchTimeoutError("late", phase="connect", in_doubt=False),
        NoResponseError("gone", in_doubt=True),
        caused(make("tls"), ConnectionResetError()),
        caused(make("tls"), ssl.SSLEOFError()),
        ProxyError("gone"),
        ProxyError("busy", 503),
        *map(refused, (408, 425, 429, 500, 502, 503, 504)),
    ]
    lasting = [
        caused(make("tls"), tls),
        ProxyError("who are you?", 407),
        BadResponseError("no HTTP"),
        WebSocketHandshakeError("no WebSocket"),
        ValueError("mine"),
        *map(refused, (200, 302, 400, 401, 403, 404, 426, 501, 505)),
    ]
    assert [error for error in temporary if not is_temporary(error)] == []
    assert [error for error in lasting if is_temporary(error)] == []
