"""Opening a WebSocket: what the client asks, and what a server may answer."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio
import yarl

from snowtrio.http import (
    BadFieldError,
    BadResponseError,
    CookieJar,
    FetchTimeoutError,
    HTTPClient,
    InvalidURLError,
    NoResponseError,
    RedirectError,
    UpgradeRefusedError,
)
from snowtrio.websocket import (
    AbnormalCloseError,
    WebSocketClosedError,
    WebSocketHandshakeError,
    WebSocketProtocolError,
    open_reconnecting,
    open_websocket,
)

from ...websocket_answering import URL, Answering, Request

quiet = trio.testing.wait_all_tasks_blocked


async def test_what_is_asked() -> None:
    """Rows W1, W5, W27: the fields of RFC 6455 section 4.1, each once, and the caller's own."""
    server = Answering()
    async with trio.open_nursery() as nursery:
        requests: list[Request] = []

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            requests.append(await peer.agree("Sec-WebSocket-Protocol: b", "X-Own: 1"))
            assert await peer.told() == 1000
            await peer.send(peer.closed())
            await peer.stream.aclose()

        async with open_websocket(
            "ws://us%40er:pass@books.example:8080/chat?a=b",
            subprotocols=["a", "b"],
            headers={"X-Mine": "2", "User-Agent": "me"},
            origin="https://books.example",
            endpoint=server.endpoint,
        ) as websocket:
            assert websocket.subprotocol == "b"
            assert websocket.response_headers["x-own"] == "1"
            assert websocket.request_headers["origin"] == "https://books.example"
            assert (websocket.path, dict(websocket.query)) == ("/chat", {"a": "b"})
        (request,) = requests
        fields = request.fields
        assert request.line == "GET /chat?a=b HTTP/1.1"
        assert fields["host"] == "books.example:8080"
        assert fields["authorization"] == "Basic dXNAZXI6cGFzcw=="
        assert (fields["upgrade"], fields["connection"].lower()) == ("websocket", "upgrade")
        assert (fields["sec-websocket-version"], len(fields["sec-websocket-key"])) == ("13", 24)
        assert fields["sec-websocket-protocol"] == "a, b"
        assert (fields["x-mine"], fields["user-agent"]) == ("2", "me")
        assert fields["origin"] == "https://books.example"
        assert "sec-websocket-extensions" not in fields


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://books.example", "books.example"),
        ("ws://books.example:80/", "books.example"),
        ("WS://[::1]:8080", "[::1]:8080"),
        (yarl.URL("ws://books.example/"), "books.example"),
    ],
)
async def test_hosts_and_ports(url: str | yarl.URL, host: str) -> None:
    """Row W27: the port is named where it is not the scheme's own."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            request = await (await server.accept()).agree()
            assert request.fields["host"] == host
            assert request.line == "GET / HTTP/1.1"
            nursery.cancel_scope.cancel()

        async with open_websocket(url, endpoint=server.endpoint):
            await trio.sleep_forever()


@pytest.mark.parametrize(
    "url",
    [
        "http://books.example/",
        "books.example",
        "ws://books.example/#top",
        "ws://books.example/#",
        "ws://",
        "ws://books.example:99999/",
        "ws://books.example/\n",
        "",
        yarl.URL("ws://books.example/#top"),
        "ws:///chat",
        "wss:books.example",
        "ws://books example/",
        "ws://[::1/",
        "ws://user:pass@/",
    ],
)
@pytest.mark.parametrize("opener", [open_websocket, open_reconnecting])
async def test_urls_that_are_none(url: str | yarl.URL, opener: Any) -> None:
    """Row W27: nothing is sent; a fragment has no meaning here (RFC 6455, section 3)."""
    server = Answering()
    with pytest.raises(InvalidURLError):
        async with opener(url, endpoint=server.endpoint):
            pass
    assert not server.attempts


async def test_arguments_that_cannot_be() -> None:
    """Rows W5, W27."""
    for names in (["a", "a"], ["a b"], [""]):
        with pytest.raises(ValueError, match="subprotocol"):
            async with open_websocket(URL, subprotocols=names):
                pass
    with pytest.raises(TypeError, match="not one name"):
        async with open_websocket(URL, subprotocols="chat"):
            pass
    with pytest.raises(ValueError, match="the handshake itself"):
        async with open_websocket(URL, headers={"sec-websocket-key": "x"}):
            pass
    async with HTTPClient() as client:
        with pytest.raises(TypeError, match="of its own"):
            async with open_websocket(URL, client=client, proxy="http://proxy"):
                pass


@pytest.mark.parametrize("opener", [open_websocket, open_reconnecting])
@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (BadFieldError, {"headers": {"X": "a\r\nb"}}),
        (BadFieldError, {"headers": {"a b": "c"}}),
        (BadFieldError, {"headers": {"X": 1}}),
        (BadFieldError, {"origin": "https://books.example\n"}),
        (ValueError, {"origin": "https://a", "headers": {"Origin": "https://b"}}),
        (ValueError, {"timeout": 0}),
        (ValueError, {"max_redirects": -1}),
        (TypeError, {"compression": True}),
        (TypeError, {"limits": 5}),
    ],
)
async def test_arguments_are_looked_at_before_anything_else(
    opener: Any, error: type[Exception], wrong: dict[str, Any]
) -> None:
    """Rows W5, W27: where they are given, also to what opens one WebSocket after the other."""
    server = Answering()
    with pytest.raises(error):
        async with opener(URL, endpoint=server.endpoint, **wrong):
            pass
    assert not server.attempts


@pytest.mark.parametrize(
    ("lines", "without", "match"),
    [
        ([], ("Sec-WebSocket-Accept",), "Accept"),
        (["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], (), "Accept"),
        (
            ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
            ("Sec-WebSocket-Accept",),
            "Accept",
        ),
        (["Sec-WebSocket-Protocol: c"], (), "'c', which was not offered"),
        (["Sec-WebSocket-Protocol: A"], (), "'A', which was not offered"),
        (["Sec-WebSocket-Protocol: a, b"], (), "not offered"),
        (["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"], (), "not offered"),
        (["Sec-WebSocket-Protocol:"], (), "not offered"),
        (["Sec-WebSocket-Extensions: permessage-deflate"], (), "extension"),
        (["Sec-WebSocket-Extensions: x-own"], (), "extension"),
    ],
)
async def test_an_answer_that_is_no_websockets(
    lines: list[str], without: tuple[str, ...], match: str
) -> None:
    """Rows W1, W5, W22: everything that the client must fail for (RFC 6455, section 4.1)."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            request = await peer.request()
            await peer.send(request.agreeing(*lines, without=without))
            assert await peer.ended()

        with pytest.raises(WebSocketHandshakeError, match=match) as caught:
            async with open_websocket(URL, subprotocols=["a", "b"], endpoint=server.endpoint):
                pass
        assert getattr(caught.value.response, "status", None) == 101


@pytest.mark.parametrize(
    "tokens", ["Upgrade", "upgrade", "keep-alive, UPGRADE", "Upgrade\r\nConnection: keep-alive"]
)
async def test_connection_is_a_list(tokens: str) -> None:
    """Row W1: of tokens in any case, over any number of lines."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            request = await peer.request()
            answer = request.agreeing(f"Connection: {tokens}", without=("Connection",))
            await peer.send(answer.replace(b"Upgrade: websocket", b"uPGRADE: WebSocket"))
            await peer.send(peer.framed("hello"))

        async with open_websocket(URL, endpoint=server.endpoint) as websocket:
            assert await websocket.receive() == "hello"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 426, 503])
async def test_a_refusal(status: int) -> None:
    """Rows W4, W27: status, headers and what the body says are there to be read."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.request()
            await peer.send(
                f"HTTP/1.1 {status} No\r\nX-Why: 1\r\nContent-Length: 6\r\n\r\n".encode()
            )
            await peer.send(b"never!")

        with pytest.raises(UpgradeRefusedError, match=f"{status}") as caught:
            async with open_websocket(URL, endpoint=server.endpoint):
                pass
        response = caught.value.response
        assert response.headers["x-why"] == "1"  # type: ignore[attr-defined]
        assert response.text() == "never!"  # type: ignore[attr-defined]
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", NoResponseError),
        (b"HTTP/1.1 101 Swi", NoResponseError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", BadResponseError),
        (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n\r\n", BadResponseError),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", BadResponseError),
        (
            b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            BadResponseError,
        ),
        (b"HTTP/1.1 302 Moved\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n", RedirectError),
        (b"HTTP/1.1 101 Switching\r\nX: " + b"x" * 100_000, BadResponseError),
    ],
)
async def test_what_is_no_answer(answer: bytes, error: type[Exception]) -> None:
    """Row W27: each with an error of its own."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.request()
            await peer.send(answer)
            await peer.stream.aclose()

        with pytest.raises(error):
            async with open_websocket(URL, endpoint=server.endpoint):
                pass


async def test_one_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """Row W27: over everything up to the answer, redirects too; what is over by then is named."""

    async def never() -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    server = Answering()
    for phase in ("connect", "response"):
        server = Answering()
        if phase == "connect":
            server.endpoint = type(server.endpoint)(never)
        began = trio.current_time()
        with pytest.raises(FetchTimeoutError) as caught:
            async with open_websocket(URL, endpoint=server.endpoint, timeout=7):
                pass
        assert caught.value.phase == phase
        assert trio.current_time() - began == pytest.approx(7)


async def test_a_slow_answer_counts_together(autojump_clock: trio.testing.MockClock) -> None:
    """Row W27: a byte a second is not a deadline for each."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.request()
            with contextlib.suppress(trio.BrokenResourceError):
                for byte in b"HTTP/1.1 101 Switching Protocols\r\n":
                    await trio.sleep(1)
                    await peer.send(bytes([byte]))

        began = trio.current_time()
        with pytest.raises(FetchTimeoutError):
            async with open_websocket(URL, endpoint=server.endpoint):
                pass
        assert trio.current_time() - began == pytest.approx(10)


@pytest.mark.parametrize("cut", [True, False])
async def test_what_comes_with_the_answer(cut: bool) -> None:
    """Rows W1, W6, W10: frames in the segment of the 101, whole and in part, pings answered."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            frames = [peer.framed("a"), peer.pinged(b"there?"), peer.framed(b"b" * 300)]
            data = b"".join(frames) + peer.closed(3000, "bye")
            behind, rest = (data[:-200], data[-200:]) if cut else (data, b"")
            await peer.agree(behind=behind)
            if rest:
                await quiet()
                await peer.send(rest)
            pong = await peer.event()
            assert getattr(pong, "payload", None) == b"there?"
            assert await peer.told() == 3000

        async with open_websocket(URL, endpoint=server.endpoint) as websocket:
            await quiet()
            assert [message async for message in websocket] == ["a", b"b" * 300]
            assert str(websocket.close_received) == "3000 bye"


async def test_garbage_behind_the_answer() -> None:
    """Rows W14, W18: told in the RFC's code, and to whoever receives."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.agree(behind=peer.framed("good") + b"HTTP/1.1 200 OK\r\n\r\n")
            assert await peer.told() == 1002

        async with open_websocket(URL, endpoint=server.endpoint) as websocket:
            assert await websocket.receive() == "good"
            with pytest.raises(WebSocketProtocolError) as caught:
                await websocket.receive()
            assert caught.value.code == 1002


async def test_redirects() -> None:
    """Row W27: followed up to a bound, credentials stay behind; from wss to ws never."""
    server = Answering()
    async with trio.open_nursery() as nursery:
        seen: list[Request] = []

        @nursery.start_soon
        async def serve() -> None:
            for target in ("/there", "ws://other.example/here"):
                peer = await server.accept()
                seen.append(await peer.request())
                moved = f"HTTP/1.1 307 Go\r\nLocation: {target}\r\nConnection: close\r\n"
                await peer.send(f"{moved}Content-Length: 0\r\n\r\n".encode())
            peer = await server.accept()
            seen.append(await peer.agree())
            await peer.told()
            await peer.send(peer.closed())
            await peer.stream.aclose()
            for _ in range(2):
                peer = await server.accept()
                await peer.request()
                await peer.send(b"HTTP/1.1 307 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")

        secret = {"Authorization": "secret"}
        async with open_websocket(URL, headers=secret, endpoint=server.endpoint) as websocket:
            assert websocket.target == "/here"
        assert [each.line.split()[1] for each in seen] == ["/chat?a=b", "/there", "/here"]
        assert [each.fields.get("authorization") for each in seen] == ["secret", "secret", None]
        assert seen[2].fields["host"] == "other.example"
        with pytest.raises(UpgradeRefusedError) as caught:
            async with open_websocket(URL, max_redirects=0, endpoint=server.endpoint):
                pass
        assert caught.value.status == 307
        nursery.cancel_scope.cancel()


async def test_through_the_pool_of_a_client() -> None:
    """Row W35: an idle connection is used, with cookies and defaults; the place is given back."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n")
            request = await peer.agree()
            assert request.fields["cookie"] == "a=1"
            assert request.fields["x-app"] == "mine"
            assert await peer.hear() == "hello"
            await peer.send(peer.framed("there") + peer.closed(1001))
            assert await peer.told() == 1001

        async with HTTPClient(
            endpoint=server.endpoint, cookies=CookieJar(), headers={"X-App": "mine"}
        ) as client:
            assert (await client.fetch("http://books.example/login")).status == 200
            async with open_websocket(URL, client=client) as websocket:
                assert client.statistics().connections == 1
                await websocket.send("hello")
                assert await websocket.receive() == "there"
                with pytest.raises(WebSocketClosedError):
                    await websocket.receive()
            await quiet()
            assert client.statistics().connections == 0
        assert len(server.attempts) == 1


async def test_an_end_without_a_close() -> None:
    """Row W13: 1006, to whoever receives; the block goes on."""
    server = Answering()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            peer = await server.accept()
            await peer.agree(behind=peer.framed("a"))
            await peer.stream.aclose()

        async with open_websocket(URL, endpoint=server.endpoint) as websocket:
            await quiet()
            assert await websocket.receive() == "a"
            with pytest.raises(AbnormalCloseError) as caught:
                await websocket.receive()
            assert caught.value.code == 1006
            with pytest.raises(AbnormalCloseError):
                await websocket.send("b")
