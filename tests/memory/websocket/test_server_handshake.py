"""The opening handshake, as a server answers it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from snowtrio.http import HTTPError, Request, Response, serve_http_listeners
from snowtrio.testing import MemoryListener
from snowtrio.websocket import WebSocket, WebSocketServer, accept_websocket

from ...serving import LIMIT, errors_in
from ...websocket_serving import (
    ACCEPT,
    KEY,
    WebSocketPeer,
    echo,
    handshake,
    serving_websocket,
)

CONNECTION, UPGRADE = ("Connection",), ("Upgrade",)
VERSION_FIELD, KEY_FIELD = ("Sec-WebSocket-Version",), ("Sec-WebSocket-Key",)


async def test_the_answer() -> None:
    """W1: the accept value of the RFC's example, and nothing that a 101 must not have."""
    async with serving_websocket() as served:
        peer = await served.connect()
        reply = await peer.open()
        assert reply.headers == {
            "sec-websocket-accept": ACCEPT,
            "connection": "upgrade",
            "upgrade": "websocket",
        }
        assert await peer.echoed("hello") == "hello"
        assert await peer.close() == (1000, "")
        assert await peer.rest() == b""


GOOD = {
    "as it should be": handshake(),
    "Connection is a list": handshake("Connection: keep-alive, Upgrade", without=CONNECTION),
    "Connection is a list in one": handshake("Connection: foo,UPGRADE ,bar", without=CONNECTION),
    "Connection comes twice": handshake("Connection: keep-alive"),
    "Connection comes twice, the last counts": handshake(
        "Connection: keep-alive", "Connection: upgrade", without=CONNECTION
    ),
    "names and values in any case": handshake(
        *("CONNECTION: UPGRADE", "upgrade: WebSocket", f"sec-websocket-KEY: {KEY}"),
        without=CONNECTION + UPGRADE + KEY_FIELD,
    ),
    "Upgrade is a list": handshake("Upgrade: h2c, websocket", without=UPGRADE),
    "Upgrade comes twice": handshake("Upgrade: h2c"),
    "spaces around": handshake(
        f"Sec-WebSocket-Key:   {KEY}\t", "Upgrade:websocket  ", without=KEY_FIELD + UPGRADE
    ),
    "a length of nothing": handshake("Content-Length: 0"),
    "unknown fields": handshake("Sec-WebSocket-Extensions: x-foo; bar", "Cookie: a=b"),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
async def test_good_requests(data: bytes) -> None:
    """W1: whole, byte by byte, and with a frame behind."""
    async with serving_websocket() as served:
        for way in "whole", "bytes", "trailing":
            peer = await served.connect()
            frame = peer.framed("hi")
            if way == "bytes":
                for byte in data:
                    await peer.send(bytes([byte]))
            else:
                await peer.send(data + frame if way == "trailing" else data)
            reply = await peer.reply()
            assert (reply.status, reply.headers["sec-websocket-accept"]) == (101, ACCEPT)
            if way != "trailing":
                await peer.send(frame)
            peer.read_frames()
            assert await peer.hear() == "hi"
            await peer.stream.aclose()


NEEDS_UPGRADE = {"upgrade": "websocket", "connection": "upgrade"}
BAD: dict[str, tuple[bytes, int, dict[str, str]]] = {
    "plain HTTP": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, {"upgrade": "websocket"}),
    "plain POST": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        405,
        {"allow": "GET"},
    ),
    "another method": (handshake(method="POST"), 400, {}),
    "HEAD": (handshake(method="HEAD"), 400, {}),
    "HTTP/1.0": (handshake(version="1.0"), 400, {}),
    "HTTP/2.0": (handshake(version="2.0"), 505, {}),
    "no Host": (handshake(without=("Host",)), 400, {}),
    "no Upgrade": (handshake(without=UPGRADE), 400, {}),
    "another Upgrade": (handshake("Upgrade: h2c", without=UPGRADE), 400, {}),
    "Upgrade with a version": (handshake("Upgrade: websocket/13", without=UPGRADE), 400, {}),
    "no Connection": (handshake(without=CONNECTION), 400, {}),
    "another Connection": (handshake("Connection: keep-alive", without=CONNECTION), 400, {}),
    "Connection's token in another": (
        handshake("Connection: upgrades", without=CONNECTION),
        400,
        {},
    ),
    "no version": (handshake(without=VERSION_FIELD), 426, {"sec-websocket-version": "13"}),
    "an old version": (
        handshake("Sec-WebSocket-Version: 8", without=VERSION_FIELD),
        426,
        {"sec-websocket-version": "13"},
    ),
    "a list of versions": (
        handshake("Sec-WebSocket-Version: 13, 8", without=VERSION_FIELD),
        426,
        {"sec-websocket-version": "13"},
    ),
    "two versions": (handshake("Sec-WebSocket-Version: 13"), 400, {}),
    "no key": (handshake(without=KEY_FIELD), 400, {}),
    "an empty key": (handshake("Sec-WebSocket-Key:", without=KEY_FIELD), 400, {}),
    "a short key": (handshake("Sec-WebSocket-Key: Zm9v", without=KEY_FIELD), 400, {}),
    "a key that is no base64": (
        handshake("Sec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ==", without=KEY_FIELD),
        400,
        {},
    ),
    "two keys": (handshake(f"Sec-WebSocket-Key: {KEY}"), 400, {}),
    "a body": (handshake("Content-Length: 3", body=b"abc"), 400, {}),
    "a body in chunks": (
        handshake("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
        400,
        {},
    ),
}


@pytest.mark.parametrize(("data", "status", "fields"), BAD.values(), ids=BAD.keys())
async def test_bad_requests(data: bytes, status: int, fields: dict[str, str]) -> None:
    """W2: each has its status and fields; no handler runs; the connection does not go on."""
    opened: list[WebSocket] = []

    async def handler(websocket: WebSocket) -> None:
        opened.append(websocket)

    async with serving_websocket(handler) as served:
        peer = await served.connect()
        reply = await peer.ask(data, bodiless=data.startswith(b"HEAD"))
        assert reply.status == status
        assert reply.headers.items() >= fields.items()
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.connections == 0
        assert (served.counts.opened, opened) == (0, [])
        seen = served.counts.rejected or served.counts.http.refused
        assert seen == {status: 1}


async def test_a_connection_has_one_request() -> None:
    """W3: who asks on and on without ever upgrading keeps no place."""
    async with serving_websocket() as served:
        peer = await served.connect()
        plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        reply = await peer.ask(plain + plain)
        assert (reply.status, reply.headers["upgrade"]) == (426, "websocket")
        assert await peer.rest() == b""


# What comes together with the request


@pytest.mark.parametrize("cut", range(1, 12))
async def test_a_frame_partly_behind_the_request(cut: int) -> None:
    """W1: over-read bytes are the decoder's, however the stream is cut."""
    async with serving_websocket() as served:
        peer = await served.connect()
        frame = peer.framed("hello")
        await peer.send(handshake() + frame[:cut])
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(frame[cut:] + peer.framed(b"more"))
        assert (await peer.reply()).status == 101
        peer.read_frames()
        assert await peer.hear() == "hello"
        assert await peer.hear() == b"more"
        await peer.stream.aclose()


async def test_everything_in_one_segment() -> None:
    """W1: request, messages and the close at once; other servers stalled or ended here."""
    async with serving_websocket() as served:
        for _ in range(3):
            peer = await served.connect()
            frames = b"".join(peer.framed(str(number)) for number in range(100))
            await peer.send(handshake() + frames)
            assert (await peer.reply()).status == 101
            peer.read_frames()
            for number in range(100):
                assert await peer.hear() == str(number)
            assert await peer.close(4000, "bye") == (4000, "")
            assert await peer.rest() == b""
            await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts.closed == {4000: 3}


async def test_connect_and_leave(caplog: pytest.LogCaptureFixture) -> None:
    """W1: at every point of the handshake, and right behind it; the server goes on, silently."""
    data = handshake()
    async with serving_websocket() as served:
        for length in (0, 1, 20, len(data) - 1, len(data)):
            peer = await served.connect()
            if length:
                await peer.send(data[:length])
            await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert await (await served.open()).echoed("still") == "still"
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


# The application decides


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_the_application_sees_the_request(kind: str) -> None:
    """W4: path, query, headers and peer, before the reply; what it returns is the handler's."""
    seen: list[object] = []

    def look(request: Request) -> object:
        seen.append((request.path, dict(request.query), request.headers["X-User"]))
        return {"user": request.headers["X-User"]}

    async def look_later(request: Request) -> object:
        await trio.lowlevel.checkpoint()
        return look(request)

    async def handler(websocket: WebSocket) -> None:
        await websocket.send(f"{websocket.context['user']} {websocket.path} {websocket.target}")
        assert list(websocket.query.items()) == [("x", "1"), ("y", "")]
        assert websocket.request_headers["x-user"] == "ann"

    process = look if kind == "plain" else look_later
    async with serving_websocket(handler, process_request=process) as served:
        peer = await served.open("X-User: ann", target="/r%20oom?x=1&y=")
        assert seen == [("/r oom", {"x": "1", "y": ""}, "ann")]
        assert await peer.hear() == "ann /r oom /r%20oom?x=1&y="
        assert await peer.told() == (1000, "")
        await peer.answer_close()
        peer = await served.open("X-User: eve", target="http://test/absolute?x=1&y=")
        assert await peer.hear() == "eve /absolute /absolute?x=1&y="


async def test_a_target_that_names_its_host() -> None:
    """W4: the WebSocket has path and query of it, as they stand there."""

    async def handler(websocket: WebSocket) -> None:
        await websocket.send(websocket.target)

    async with serving_websocket(handler) as served:
        for target in ("/", "/chat", "/chat?a=%20"):
            peer = await served.open(target=f"http://test{target}")
            assert await peer.hear() == target


@pytest.mark.parametrize("kind", ["plain", "coroutine", "error"])
async def test_the_application_rejects(kind: str) -> None:
    """W4: with any status, headers and body; no later hook runs."""

    def reject(request: Request) -> object:
        if kind == "error":
            raise HTTPError(418, "a teapot", headers={"X-Why": "tea"})
        return Response("a teapot", 418, {"X-Why": "tea"})

    async def reject_later(request: Request) -> object:
        return reject(request)

    def choose(offered: object) -> str:
        raise AssertionError("called for a request that was rejected")

    async with serving_websocket(
        echo,
        process_request=reject_later if kind == "coroutine" else reject,
        subprotocols=choose,
    ) as served:
        peer = await served.connect()
        reply = await peer.ask(handshake() + peer.framed("too early"))
        assert (reply.status, reply.headers["x-why"]) == (418, "tea")
        assert b"a teapot" in reply.body
        assert await peer.rest() == b""
        assert served.counts.rejected == {418: 1}
        assert served.counts.opened == 0


async def test_a_page_for_those_who_want_none() -> None:
    """W4: a request that asks for no WebSocket is shown as well."""

    def process(request: Request) -> object:
        return Response("fine") if request.path == "/health" else None

    async with serving_websocket(process_request=process) as served:
        peer = await served.connect()
        reply = await peer.ask(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (reply.status, reply.body) == (200, b"fine")
        assert await (await served.open(target="/else")).echoed("x") == "x"


async def test_a_mistake_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    """W4: the client gets 500, the log the traceback, and the next client its WebSocket."""
    problem = ZeroDivisionError("mine")

    def process(request: Request) -> object:
        if request.path == "/bad":
            raise problem
        return None

    async with serving_websocket(process_request=process) as served:
        peer = await served.connect()
        assert (await peer.ask(handshake(target="/bad"))).status == 500
        assert errors_in(caplog) == [problem]
        assert await (await served.open()).echoed("x") == "x"
        assert served.counts.rejected == {500: 1}


# Subprotocols, origins, headers


@pytest.mark.parametrize(
    ("offer", "spoken", "chosen"),
    [
        ((), ("a", "b"), None),
        (("Sec-WebSocket-Protocol: x, y",), ("a", "b"), None),
        (("Sec-WebSocket-Protocol: b, a",), ("a", "b"), "a"),
        (("Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: b"), ("a", "b"), "b"),
        (("Sec-WebSocket-Protocol: B",), ("a", "b"), None),
        (("Sec-WebSocket-Protocol: a",), (), None),
        (("Sec-WebSocket-Protocol: v1, v2",), max, "v2"),
        (("Sec-WebSocket-Protocol: v1",), lambda offered: None, None),
    ],
)
async def test_subprotocols(offer: tuple[str, ...], spoken: Any, chosen: str | None) -> None:
    """W5: one that was offered, by our order or as a function says."""

    async def handler(websocket: WebSocket) -> None:
        await websocket.send(str(websocket.subprotocol))

    async with serving_websocket(handler, subprotocols=spoken) as served:
        peer = await served.connect()
        reply = await peer.open(*offer)
        assert reply.headers.get("sec-websocket-protocol") == chosen
        assert await peer.hear() == str(chosen)


async def test_a_subprotocol_that_was_not_offered(caplog: pytest.LogCaptureFixture) -> None:
    """W5: is a mistake of the function that chose it."""
    async with serving_websocket(subprotocols=lambda offered: "mine") as served:
        peer = await served.connect()
        assert (await peer.ask(handshake("Sec-WebSocket-Protocol: a"))).status == 500
        assert len(errors_in(caplog)) == 1


@pytest.mark.parametrize(
    ("origins", "fields", "status"),
    [
        (None, (), 101),
        (None, ("Origin: https://evil.example",), 101),
        (["https://a.example"], ("Origin: https://a.example",), 101),
        (["https://a.example"], ("Origin: HTTPS://A.example",), 101),
        (["https://a.example"], ("Origin: https://a.example.evil",), 403),
        (["https://a.example"], ("Origin: http://a.example",), 403),
        (["https://a.example"], ("Origin: null",), 403),
        (["https://a.example"], (), 403),
        (["https://a.example", None], (), 101),
        (["https://a.example"], ("Origin: https://a.example", "Origin: https://b.example"), 403),
        ([], ("Origin: https://a.example",), 403),
    ],
)
async def test_origins(origins: Any, fields: tuple[str, ...], status: int) -> None:
    """W5: pages that may not, browsers that send none, and everybody."""
    async with serving_websocket(origins=origins) as served:
        peer = await served.connect()
        assert (await peer.ask(handshake(*fields))).status == status


@pytest.mark.parametrize("kind", ["pairs", "mapping", "function"])
async def test_response_headers(kind: str) -> None:
    """W5: extra headers are delivered, and the WebSocket knows them."""
    found: list[str] = []
    headers: Any = [("X-One", "1"), ("Set-Cookie", "a=b")]
    if kind == "mapping":
        headers = dict(headers)
    given = (
        (lambda request: [*headers, ("X-Path", request.path)]) if kind == "function" else headers
    )

    async def handler(websocket: WebSocket) -> None:
        found.append(websocket.response_headers["X-One"])
        assert websocket.response_headers["Sec-WebSocket-Accept"] == ACCEPT

    async with serving_websocket(handler, headers=given) as served:
        reply = await (await served.connect()).open(target="/here")
        assert (reply.headers["x-one"], reply.headers["set-cookie"]) == ("1", "a=b")
        assert reply.headers.get("x-path") == ("/here" if kind == "function" else None)
        await trio.testing.wait_all_tasks_blocked()
    assert found == ["1"]


@pytest.mark.parametrize(
    "name", ["Connection", "Upgrade", "content-length", "Sec-WebSocket-Accept", "Transfer-Encoding"]
)
async def test_headers_of_the_handshake_itself(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """W5: are not the application's to set."""
    async with serving_websocket(headers={name: "0"}) as served:
        peer = await served.connect()
        assert (await peer.ask(handshake())).status == 500
        assert len(errors_in(caplog)) == 1


def test_settings_that_cannot_be() -> None:
    """W5: are told when the server is made."""
    with pytest.raises(TypeError, match="a handler is"):
        WebSocketServer(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sequence"):
        WebSocketServer(echo, subprotocols="chat")
    with pytest.raises(TypeError, match="sequence"):
        WebSocketServer(echo, origins="https://a.example")
    with pytest.raises(TypeError, match="Deflate"):
        WebSocketServer(echo, compression="deflate")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no name of a subprotocol"):
        WebSocketServer(echo, subprotocols=["a b"])


# Beside HTTP


async def test_within_an_http_server() -> None:
    """W35: one handler answers both; a request that asks for none is told what is spoken there."""

    async def handle(request: Request) -> Response | None:
        if request.path != "/ws":
            return Response.json({"path": request.path})
        async with accept_websocket(request, subprotocols=["v1"], headers={"X-A": "b"}) as opened:
            await echo(opened)
        return None

    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_http_listeners, handle, [listener])
        peer = WebSocketPeer(await listener.connect(), LIMIT)
        plain = await peer.ask(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert plain.body == b'{"path":"/a"}'
        assert (await peer.ask(b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")).status == 426
        reply = await peer.open("Sec-WebSocket-Protocol: v1", target="/ws")
        assert (reply.headers["x-a"], reply.headers["sec-websocket-protocol"]) == ("b", "v1")
        assert await peer.echoed(b"hi") == b"hi"
        assert await peer.close() == (1000, "")
        nursery.cancel_scope.cancel()
