"""Requests and responses as they stand on the wire (rows Z7, Z10, Z12)."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from snowtrio.http import (
    BadResponseError,
    ClientResponse,
    ContentCodingError,
    InvalidURLError,
    NoResponseError,
    ResponseJSONError,
    ResponseStatusError,
    ResponseTooLargeError,
)
from snowtrio.http._codings import ACCEPT_ENCODING

from .http_client_peers import (
    OK,
    URL,
    Servers,
    answer,
    client_of,
    connected,
    exchange,
    read_request,
)


def lines(request: bytes) -> list[bytes]:
    return request.partition(b"\r\n\r\n")[0].split(b"\r\n")


async def test_get_by_default_with_the_usual_fields() -> None:
    """Row Z7: a GET with a host, and what says what can be read."""
    peers = Servers()
    async with client_of(peers) as client:
        response, request = await exchange(client, peers, url=f"{URL}/a b?q=ü#there")
    first, *fields = lines(request)
    assert first == b"GET /a%20b?q=%C3%BC HTTP/1.1"
    assert fields[0] == b"host: books.example"
    assert {field.partition(b":")[0] for field in fields} == {
        *(b"host", b"accept", b"accept-encoding", b"user-agent")
    }
    assert (response.status, response.body, response.ok) == (200, b"ok", True)


@pytest.mark.parametrize(
    ("given", "content_type", "sent"),
    [
        ({"body": b"\0"}, b"application/octet-stream", b"\0"),
        ({"body": "ü"}, b"text/plain; charset=utf-8", b"\xc3\xbc"),
        ({"json": {"a": 1}}, b"application/json", b'{"a":1}'),
        ({"json": None}, b"application/json", b"null"),
        ({"body": b""}, b"application/octet-stream", b""),
    ],
)
async def test_post_by_default_with_a_body(
    given: dict[str, Any], content_type: bytes, sent: bytes
) -> None:
    """Row Z7: a body makes it a POST, with its length and type."""
    peers = Servers()
    async with client_of(peers) as client:
        _, request = await exchange(client, peers, **given)
    first, *fields = lines(request)
    assert first.startswith(b"POST ")
    assert b"content-type: " + content_type in fields
    assert b"content-length: %d" % len(sent) in fields
    assert request.partition(b"\r\n\r\n")[2] == sent


async def test_defaults_give_way() -> None:
    """Row Z7: the client's fields stand instead of the defaults, a request's instead of both."""
    peers = Servers()
    async with client_of(peers, headers={"User-Agent": "mine", "Accept": "text/html"}) as client:
        _, request = await exchange(
            client, peers, method="PUT", body=b"x", headers=[("ACCEPT", "a/b"), ("Host", "other")]
        )
    fields = lines(request)
    assert b"user-agent: mine" in fields
    assert b"accept: a/b" in fields
    assert b"host: other" in fields
    assert len([field for field in fields if field.startswith((b"accept:", b"host:"))]) == 2


async def test_a_status_is_a_result() -> None:
    """Row Z7: 404 is a response, and an error only where that is wanted."""
    peers = Servers()
    async with client_of(peers) as client:
        found, _ = await exchange(
            client, peers, b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
        )
    assert (found.status, found.ok, found.text()) == (404, False, "no")
    with pytest.raises(ResponseStatusError, match="404 Not Found: GET") as raised:
        found.raise_for_status()
    assert raised.value.response is found


BODY = b"0123456789" * 20
HEAD = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n"
CHUNKS = b"".join(b"%x\r\n%b\r\n" % (20, BODY[at : at + 20]) for at in range(0, 200, 20))


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "response",
    [
        HEAD + b"Content-Length: 200\r\n\r\n" + BODY,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"0\r\n\r\n",
        HEAD + b"\r\n" + BODY,
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + HEAD
        + b"Content-Length: 200\r\n\r\n"
        + BODY,
    ],
)
async def test_responses_in_any_pieces(response: bytes, size: int) -> None:
    """Rows Z7, Z10: however the body is framed and coded, and however it comes."""
    peers = Servers()
    found: list[ClientResponse] = []
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def ask() -> None:
            found.append(await client.fetch(URL))

        nursery.start_soon(ask)
        await connected(peers, 1)
        await read_request(peers, 0)
        for at in range(0, len(response), size):
            await peers.say(0, response[at : at + size])
            await trio.testing.wait_all_tasks_blocked()
        await peers.streams[0].send_stream.aclose()
    assert found[0].body == BODY
    assert found[0].headers.getall("X-A") == ["1", "2"]


async def test_informational_responses_and_trailers() -> None:
    """Row Z7: what comes before the response can be seen, and so can what comes behind."""
    peers = Servers()
    seen: list[tuple[int, str]] = []
    response = (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    async with client_of(peers) as client:
        found, _ = await exchange(
            client,
            peers,
            response,
            on_informational=lambda status, headers: seen.append((status, headers["LINK"])),
        )
    assert seen == [(103, "x")]
    assert (found.body, found.trailers["x-sum"]) == (b"a", "1")


async def test_methods_are_sent_in_upper_case() -> None:
    """Row Z7: a server would take "get" for a method that it does not know."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(partial(client.fetch, URL, method="get"))
        await connected(peers, 1)
        assert (await read_request(peers, 0)).startswith(b"GET / HTTP/1.1\r\n")
        await peers.say(0, OK)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Range": "bytes=0-3"}, b"identity"),
        ({"Range": "bytes=0-3", "Accept-Encoding": "gzip"}, b"gzip"),
        ({}, ACCEPT_ENCODING.encode()),
    ],
)
async def test_part_of_a_body_is_asked_for_as_it_is(
    headers: dict[str, str], expected: bytes
) -> None:
    """Row Z10: servers that compress as they send would ignore a range."""
    peers = Servers()
    async with client_of(peers) as client:
        _, request = await exchange(client, peers, headers=headers)
    fields = [line for line in request.split(b"\r\n") if line.startswith(b"accept-encoding")]
    assert fields == [b"accept-encoding: " + expected]


async def test_head_has_no_body_and_keeps_its_connection() -> None:
    """Row Z15: a HEAD ends with its head, whatever that says of a length."""
    peers = Servers()
    async with client_of(peers) as client:
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n"
        found, _ = await exchange(client, peers, response, method="HEAD")
        assert (found.body, found.headers["content-length"]) == (b"", "5")
        await exchange(client, peers)
    assert len(peers.streams) == 1


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n01234567890",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 31\r\n\r\n"
        + gzip.compress(b"0" * 11, mtime=0).ljust(31, b"\0"),
    ],
)
async def test_a_body_above_the_bound(response: bytes) -> None:
    """Rows Z7, Z10: a body cap is an error, of what has been decoded too."""
    peers = Servers()
    async with client_of(peers, max_body_size=10) as client:
        with pytest.raises((ResponseTooLargeError, ContentCodingError)):
            await failing(client.fetch(URL), peers, response)
        found, _ = await exchange(client, peers, index=1 - client.statistics().idle)
        assert found.body == b"ok"


async def failing(fetching: Any, peers: Servers, response: bytes, *, close: bool = False) -> None:
    """Await a fetch that is answered with this, and raise what it raises."""

    async def serve() -> None:
        await answer(peers, 0, response)
        if close:
            await peers.streams[0].aclose()

    error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        try:
            await fetching
        except Exception as caught:
            error = caught
    assert error is not None
    raise error


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (b"", NoResponseError),
        (b"HTTP/1.1 200", NoResponseError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", NoResponseError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", NoResponseError),
        (b"SSH-2.0-OpenSSH\r\n", BadResponseError),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", BadResponseError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", BadResponseError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", BadResponseError),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip", ContentCodingError),
        (
            HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0)[:-9],
            ContentCodingError,
        ),
    ],
)
async def test_broken_servers(response: bytes, kind: type[Exception]) -> None:
    """Row Z7: whatever a server sends is a response or an error, and the client goes on."""
    peers = Servers()
    async with client_of(peers) as client:
        with pytest.raises(kind):
            await failing(client.fetch(URL), peers, response, close=True)
        await exchange(client, peers, index=1)


async def test_bodies_in_pieces(tmp_path: Path) -> None:
    """Row Z7: an async iterator goes in chunks, or with the length that it is said to have."""
    closed: list[bool] = []

    async def pieces() -> AsyncIterator[bytes | str]:
        try:
            yield b"ab"
            yield ""
            yield "ü"
        finally:
            closed.append(True)

    async def ask(peers: Servers, end: bytes, **options: Any) -> bytes:
        requests: list[bytes] = []

        async def serve() -> None:
            await connected(peers, 1)
            request = await read_request(peers, 0)
            while not request.endswith(end):
                request += await peers.read(0)
            requests.append(request)
            await peers.say(0, OK)

        async with client_of(peers) as client, trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            assert (await client.fetch(URL, **options)).body == b"ok"
            assert client.statistics().idle == 1
        return requests[0]

    chunked = await ask(Servers(), b"0\r\n\r\n", body=pieces())
    assert b"transfer-encoding: chunked" in lines(chunked)
    assert chunked.endswith(b"\r\n\r\n2\r\nab\r\n2\r\n\xc3\xbc\r\n0\r\n\r\n")
    assert closed == [True]
    sized = await ask(Servers(), b"\xc3\xbc", body=pieces(), content_length=4)
    assert b"content-length: 4" in lines(sized)
    path = tmp_path / "file"
    path.write_bytes(BODY)
    file = await ask(Servers(), BODY, body=path, method="PUT")
    assert b"content-length: 200" in lines(file)


async def test_a_failing_body_raises_what_it_raised() -> None:
    """Row Z7: the error of an iterator comes out plain, and its connection is cut."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    peers = Servers()
    async with client_of(peers) as client:
        with pytest.raises(ZeroDivisionError):
            await client.fetch(URL, body=pieces())
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().connections == 0
    assert b"0\r\n\r\n" not in await peers.read_rest(0)


async def test_an_early_refusal_ends_the_sending() -> None:
    """Row Z7: a response that comes while the body is sent is seen, and no more is sent."""
    told = trio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        told.set()
        await trio.sleep_forever()

    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def serve() -> None:
            await told.wait()
            await peers.say(0, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

        nursery.start_soon(serve)
        assert (await client.fetch(URL, body=pieces())).status == 413
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().connections == 0


@pytest.mark.parametrize("agrees", [True, False])
async def test_expect_continue(agrees: bool) -> None:
    """Row Z7: the body waits until the server agrees, and stays where it does not."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        rest: list[bytes] = []

        async def serve() -> None:
            await connected(peers, 1)
            head = await read_request(peers, 0)
            assert b"expect: 100-continue" in lines(head)
            assert head.endswith(b"\r\n\r\n")
            if agrees:
                await peers.say(0, b"HTTP/1.1 100 Continue\r\n\r\n")
                rest.append(await peers.read(0))
                await peers.say(0, OK)
            else:
                await peers.say(0, b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
                rest.append(await peers.read_rest(0))

        nursery.start_soon(serve)
        response = await client.fetch(URL, body=b"body", expect_continue=True)
        assert response.status == (200 if agrees else 417)
    assert rest == [b"body" if agrees else b""]


async def test_expect_continue_of_a_server_that_knows_nothing_of_it(autojump_clock: object) -> None:
    """Row Z7: after a second the body is sent all the same."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: answer(peers, 0, body=4))
        began = trio.current_time()
        await client.fetch(URL, body=b"body", expect_continue=True)
        assert 1 <= trio.current_time() - began < 2


@attrs.frozen
class Book:
    """What a response's JSON is to be."""

    title: str
    pages: list[int]


async def test_typed_json() -> None:
    """Row Z13: a body as an object of a class; what does not fit is named."""
    peers = Servers()

    def response(text: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)

    async with client_of(peers) as client:
        found, _ = await exchange(client, peers, response(b'{"title":"Emma","pages":[1]}'))
        assert found.json(Book) == Book("Emma", [1])
        assert found.json() == {"title": "Emma", "pages": [1]}
        found, _ = await exchange(client, peers, response(b'{"title":"Emma","pages":["x"]}'))
        with pytest.raises(ResponseJSONError, match=r"\$\.pages\[0\]"):
            found.json(Book)
        found, _ = await exchange(client, peers, response(b"<html>"))
        with pytest.raises(ResponseJSONError):
            found.json()


@pytest.mark.parametrize("encoding", ["latin-1", "no-such-thing"])
async def test_text(encoding: str) -> None:
    """Row Z7: text in the character set that the server names, UTF-8 where that is none."""
    peers = Servers()
    body = "ü".encode("latin-1" if encoding == "latin-1" else "utf-8")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={encoding}\r\n".encode()
    async with client_of(peers) as client:
        found, _ = await exchange(
            client, peers, head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
    assert found.text() == "ü"


async def test_what_cannot_be_asked() -> None:
    """Row Z7: a mistake of the caller's is told at once, and costs no connection."""
    peers = Servers()
    async with client_of(peers) as client:
        for url in ("ftp://books.example/", "http://", "http://a\nb/"):
            with pytest.raises(InvalidURLError):
                await client.fetch(url)
        with pytest.raises(ValueError, match="method"):
            await client.fetch(URL, method="BAD METHOD")
        with pytest.raises(TypeError, match="not both"):
            await client.fetch(URL, body=b"", json=1)
        with pytest.raises(TypeError, match="have their own"):
            await client.fetch(URL, body=b"x", content_length=1)
        with pytest.raises(TypeError, match="cannot be a body"):
            await client.fetch(URL, body=3)  # type: ignore[arg-type]
        assert client.statistics().opened == 0
    with pytest.raises(RuntimeError, match="async with"):
        await client_of(peers).fetch(URL)


async def test_redirects_are_followed_on_the_same_connection() -> None:
    """Row Z9: a redirect's body is read, the next request goes out, and the history is kept."""
    peers = Servers()
    moved = b"HTTP/1.1 303 See Other\r\nLocation: /there\r\nContent-Length: 3\r\n\r\nbye"
    requests: list[bytes] = []
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def serve() -> None:
            requests.append(await answer(peers, 0, moved, body=2))
            requests.append(await answer(peers, 0))

        nursery.start_soon(serve)
        found = await client.fetch(f"{URL}/here", body=b"hi")
    assert requests[1].startswith(b"GET /there HTTP/1.1\r\n")
    assert b"content-" not in requests[1]
    assert [(each.status, each.url.path) for each in found.history] == [(303, "/here")]
    assert (found.status, found.url.path) == (200, "/there")
    assert len(peers.streams) == 1
