"""What an application is told of a request, and how its body comes."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pytest
import trio

from snowtrio.http import HTTPLimits

from .asgi import (
    CLOSE,
    KEEP,
    Answer,
    Message,
    Receive,
    Send,
    ask,
    body,
    connect,
    read_all,
    read_answer,
    read_until,
    sending,
    serving,
    start,
)

HELLO = sending(start(), body(b"hello"))


async def scope_of(request: bytes, **options: Any) -> Message:
    """Return the scope that a request comes to."""
    scopes: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await HELLO(scope, receive, send)

    async with serving(app, lifespan="off", **options) as server:
        answer = await ask(server, request)
        assert answer.status == 200
        assert scopes[0]["server"] == ("127.0.0.1", server.port)
    return scopes[0]


async def test_scope() -> None:
    """Z4: the scope has what ASGI says, in its types."""
    scope = await scope_of(
        b"PUT /a%20b/%C3%A9?x=%20&y HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\n"
        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    host, port = scope.pop("client")
    assert (host, type(port)) == ("127.0.0.1", int)
    del scope["server"]
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"x=%20&y",
        "root_path": "",
        "headers": [
            (b"host", b"x"),
            (b"x-two", b"1"),
            (b"x-two", b"2"),
            (b"content-length", b"0"),
            (b"connection", b"close"),
        ],
        "state": {},
        "extensions": {
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.trailers": {},
        },
    }


async def test_scope_of_http_10() -> None:
    """Z4: a client of HTTP/1.0 is offered neither early hints nor trailers."""
    scope = await scope_of(b"GET / HTTP/1.0\r\n\r\n")
    assert scope["http_version"] == "1.0"
    assert scope["extensions"] == {"http.response.pathsend": {}}


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://x/a?b", "/a", b"b"),
        (b"http://x", "/", b""),
        (b"/?", "/", b""),
        (b"//a//b", "//a//b", b""),
        (b"/%ff", "/\ufffd", b""),
    ],
)
async def test_targets(target: bytes, path: str, query: bytes) -> None:
    """Z4: every form of a target has a path and a query."""
    scope = await scope_of(CLOSE.replace(b"GET /", b"GET " + target))
    assert (scope["path"], scope["query_string"]) == (path, query)


async def test_root_path() -> None:
    """Z4: what a proxy has taken off the path is put before it again."""
    scope = await scope_of(CLOSE.replace(b"/", b"/x%20y", 1), root_path="/api")
    assert scope["root_path"] == "/api"
    assert (scope["path"], scope["raw_path"]) == ("/api/x y", b"/api/x%20y")
    scope = await scope_of(CLOSE.replace(b"GET /", b"OPTIONS *"), root_path="/api")
    assert (scope["path"], scope["raw_path"]) == ("*", b"*")


@pytest.mark.parametrize("root_path", ["api", "/api/", "/"])
async def test_no_root_path(root_path: str) -> None:
    """Z4: a root path that would make no sense is refused."""
    with pytest.raises(ExceptionGroup) as caught:
        async with serving(HELLO, root_path=root_path):
            pass
    assert isinstance(caught.value.exceptions[0], ValueError)


async def test_tls(server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext) -> None:
    """Z14: over TLS the scheme is https."""
    schemes = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        schemes.append(scope["scheme"])
        await HELLO(scope, receive, send)

    async with serving(app, lifespan="off", ssl_context=server_ssl_context) as server:
        plain = await connect(server)
        stream = trio.SSLStream(plain, client_ssl_context, server_hostname="localhost")
        await stream.send_all(KEEP)
        assert (await stream.receive_some()).endswith(b"hello")
        await plain.aclose()
    assert schemes == ["https"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (
            CLOSE.replace(
                b"Connection: close", b"Connection: upgrade, close\r\nUpgrade: WebSocket"
            ),
            426,
        ),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 501),
    ],
)
async def test_what_is_not_http(request_: bytes, status: int) -> None:
    """Z4: what has no http scope is refused, and no application called."""
    async with serving(sending(body(b"never"))) as server:
        with trio.fail_after(5):
            async with await connect(server, request_) as stream:
                data = await read_until(stream, b"\r\n\r\n")
    assert read_answer(data).status == status


async def test_another_upgrade_is_ignored() -> None:
    """Z4: an offer of anything else is a plain request."""
    request = CLOSE.replace(b"Connection: close", b"Connection: upgrade, close\r\nUpgrade: h2c")
    async with serving(HELLO) as server:
        assert (await ask(server, request)).body == b"hello"


# The body


def gathering(pieces: list[Message], *, until: str = "end") -> Any:
    """Return an application that notes what it receives and answers at the body's end."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while not pieces or pieces[-1].get("more_body"):
            pieces.append(await receive())
        await send(start())
        await send(body(b"".join(each.get("body", b"") for each in pieces)))

    return app


async def post(data: bytes, *, step: int | None = None, **options: Any) -> tuple[Answer, Any]:
    pieces: list[Message] = []
    async with (
        serving(gathering(pieces), lifespan="off", **options) as server,
        await connect(server) as stream,
    ):
        for at in range(0, len(data), step or len(data)):
            await stream.send_all(data[at : at + (step or len(data))])
            if step is not None:
                await trio.testing.wait_all_tasks_blocked()
        answer = read_answer(await read_all(stream))
    return answer, pieces


SIZED = CLOSE.replace(b"GET", b"POST")[:-2] + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = (
    CLOSE.replace(b"GET", b"POST")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("data", [SIZED, CHUNKED])
async def test_body_at_once(data: bytes) -> None:
    """Z4: a body that came with its head is one message."""
    answer, pieces = await post(data)
    assert answer.body == b"hello"
    assert pieces == [{"type": "http.request", "body": b"hello", "more_body": False}]


@pytest.mark.parametrize("data", [SIZED, CHUNKED])
async def test_body_byte_by_byte(data: bytes) -> None:
    """Z4: a body that drips is given as it comes, and its end is told."""
    answer, pieces = await post(data, step=1)
    assert answer.body == b"hello"
    assert len(pieces) > 3
    assert [each["more_body"] for each in pieces] == [True] * (len(pieces) - 1) + [False]


async def test_expectation() -> None:
    """Z4: the client is told to go on when the application asks for the body, not before."""
    pieces: list[Message] = []
    head, data = SIZED[:-5].replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"), SIZED[-5:]
    async with (
        serving(gathering(pieces), lifespan="off") as server,
        await connect(server, head) as stream,
    ):
        assert (await read_until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        await stream.send_all(data)
        assert read_answer(await read_all(stream)).body == b"hello"
    async with serving(HELLO) as server:
        assert (await ask(server, head)).status == 200


@pytest.mark.parametrize("step", [None, 1])
async def test_body_too_large(step: int | None, caplog: pytest.LogCaptureFixture) -> None:
    """Z4: the server answers 413 itself, and the application is told that nobody is there."""
    answer, pieces = await post(CHUNKED, step=step, limits=HTTPLimits(max_body_size=4))
    assert answer.status == 413
    assert pieces[-1] == {"type": "http.disconnect"}
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


async def test_body_broken() -> None:
    """Z4: chunks that are none are answered with 400."""
    answer, pieces = await post(CHUNKED.replace(b"3\r\n", b"x\r\n"), step=1)
    assert answer.status == 400
    assert pieces[-1] == {"type": "http.disconnect"}


async def test_body_cut() -> None:
    """Z4: a client that leaves in the middle of its body is one that has disconnected."""
    pieces: list[Message] = []
    async with (
        serving(gathering(pieces), lifespan="off") as server,
        await connect(server, SIZED[:-2]) as stream,
    ):
        await stream.send_eof()
        await read_all(stream)
    assert pieces[-1] == {"type": "http.disconnect"}


async def test_body_left_unread() -> None:
    """Z5: a body that nobody reads does not become the next request."""
    async with serving(HELLO) as server:
        keep = SIZED.replace(b"Connection: close\r\n", b"")
        assert (await ask(server, keep + CLOSE)).body.count(b"hello") == 2


async def test_upload_waits_for_the_application() -> None:
    """Z4: while the application takes nothing, the client cannot send without bound."""
    go_on = trio.Event()
    size = 32 * 2**20

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await go_on.wait()
        total = 0
        while (message := await receive())["more_body"]:
            total += len(message["body"])
        await send(start())
        await send(body(b"%d" % total))

    head = SIZED.partition(b"Content-Length")[0] + b"Content-Length: %d\r\n\r\n" % size
    sent = 0
    async with (
        serving(app, lifespan="off", limits=HTTPLimits(max_body_size=None)) as server,
        await connect(server, head) as stream,
        trio.open_nursery() as nursery,
    ):

        async def upload() -> None:
            nonlocal sent
            while sent < size:
                await stream.send_all(bytes(65536))
                sent += 65536

        nursery.start_soon(upload)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert sent < size
        go_on.set()
        assert read_answer(await read_all(stream)).body == b"%d" % size
