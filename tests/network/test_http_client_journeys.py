"""A client's way over redirects, with cookies, and to where the body goes."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from snowtrio.http import (
    BadFieldError,
    BufferSink,
    ContentCodingError,
    CookieJar,
    DiscardSink,
    FetchTimeoutError,
    HTTPClient,
    MemorySink,
    RedirectError,
    Request,
    Response,
    ResponseTooLargeError,
    SinkOverflowError,
    Timeouts,
    TooManyRedirectsError,
    serve_http,
)

LARGE = bytes(range(256)) * 4096


async def answer(request: Request) -> Response:
    """Serve everything that is needed here."""
    query = request.query
    if request.path == "/to":
        return Response(
            "moved", status=int(query.get("status", "302")), headers={"Location": query["url"]}
        )
    if request.path == "/round":
        return Response(status=302, headers={"Location": f"{request.path}#again"})
    if request.path == "/count":
        left = int(query["left"])
        return Response(
            status=302, headers={"Location": f"/count?left={left - 1}" if left else "/"}
        )
    if request.path == "/login":
        if request.headers.get("Cookie") == "key=1":
            return Response("welcome")
        return Response(status=302, headers={"Location": "/login", "Set-Cookie": "key=1"})
    if request.path == "/coded":
        body = gzip.compress(LARGE) if query["how"] == "gzip" else zlib.compress(LARGE)
        body = body[: len(body) - int(query.get("cut", "0"))]
        return Response(body, headers={"Content-Encoding": query["how"]})
    if request.path == "/pieces":
        return Response(_pieces())
    if request.path == "/missing":
        return Response("there is nothing", status=404)
    told = {
        "method": request.method,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": (await request.body()).decode(),
    }
    return Response.json(told)


async def _pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(LARGE), 50_000):
        yield LARGE[start : start + 50_000]


@asynccontextmanager
async def serving() -> AsyncGenerator[str, None]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_http, answer, 0)
        yield f"http://127.0.0.1:{server.port}"
        nursery.cancel_scope.cancel(reason="the test is over")


# Redirects


async def test_a_redirect_is_followed_on_the_same_connection() -> None:
    """Z8, Z9: what redirected is told of."""
    async with serving() as base, HTTPClient() as client:
        response = await client.fetch(f"{base}/to?url=/to%3Furl%3D/end#part")
        assert response.status == 200
        assert str(response.url) == f"{base}/end#part"
        assert [each.status for each in response.history] == [302, 302]
        assert [each.url.path for each in response.history] == ["/to", "/to"]
        assert client.statistics().opened == 1


async def test_credentials_of_the_client_stay_where_it_asked() -> None:
    """Z9: whoever redirects does not choose who gets them."""
    seen: list[tuple[str | None, str | None]] = []

    def elsewhere(request: Request) -> Response:
        seen.append((request.headers.get("authorization"), request.headers.get("x-all")))
        return Response()

    headers = {"Authorization": "Bearer secret", "X-All": "1"}
    async with serving() as base, trio.open_nursery() as nursery:
        other = await nursery.start(serve_http, elsewhere, 0)
        url = f"http://127.0.0.1:{other.port}/"
        async with HTTPClient(headers=headers) as client:
            await client.fetch(f"{base}/to?url={url}")
            own = {"Authorization": "Bearer other"}
            await client.fetch(f"{base}/to?url={url}", headers=own)
            await client.fetch(url)
        nursery.cancel_scope.cancel(reason="the test is over")
    assert seen == [(None, "1"), (None, "1"), ("Bearer secret", "1")]


def test_a_client_has_no_host_of_its_own() -> None:
    """Z7: there would be two."""
    with pytest.raises(BadFieldError):
        HTTPClient(headers={"Host": "books.example"})


async def test_as_many_redirects_as_allowed() -> None:
    """Z9: three by default."""
    async with serving() as base, HTTPClient() as client:
        assert (await client.fetch(f"{base}/count?left=2")).status == 200
        with pytest.raises(TooManyRedirectsError):
            await client.fetch(f"{base}/count?left=3")
        assert (await client.fetch(f"{base}/count?left=9", max_redirects=10)).status == 200
        unfollowed = await client.fetch(f"{base}/count?left=2", max_redirects=0)
        assert (unfollowed.status, unfollowed.headers["Location"]) == (302, "/count?left=1")
        async with client.stream("GET", f"{base}/count?left=2") as response:
            assert response.status == 200


async def test_a_circle_is_an_error() -> None:
    """Z9."""
    async with serving() as base, HTTPClient() as client:
        with pytest.raises(RedirectError, match="circle"):
            await client.fetch(f"{base}/round", max_redirects=100)
        with pytest.raises(RedirectError, match="nowhere"):
            await client.fetch(f"{base}/to?url=file:///etc/passwd")


@pytest.mark.parametrize(
    ("status", "method", "body"), [(303, "GET", ""), (302, "GET", ""), (307, "POST", "[1]")]
)
async def test_what_becomes_of_a_body(status: int, method: str, body: str) -> None:
    """Z9."""
    async with serving() as base, HTTPClient() as client:
        response = await client.fetch(f"{base}/to?status={status}&url=/end", json=[1])
        told = response.json()
        assert (told["method"], told["body"]) == (method, body)
        assert ("content-type" in told["headers"]) == bool(body)


async def test_an_iterator_is_not_sent_twice() -> None:
    """Z9."""

    async def once() -> AsyncGenerator[bytes, None]:
        yield b"once"

    async with serving() as base, HTTPClient() as client:
        with pytest.raises(RedirectError, match="again"):
            await client.fetch(f"{base}/to?status=308&url=/end", body=once())
        response = await client.fetch(f"{base}/to?status=303&url=/end", body=once())
        assert response.json()["method"] == "GET"


async def test_credentials_stay_behind() -> None:
    """Z9: those of the URL and those of a field."""
    async with serving() as base, serving() as other, HTTPClient() as client:
        with_login = base.replace("//", "//user:pass@")
        for start, headers in ((with_login, {}), (base, {"Authorization": "x", "Cookie": "a=1"})):
            near = await client.fetch(f"{start}/to?url=/end", headers=headers)
            assert "authorization" in near.json()["headers"]
            far = await client.fetch(f"{start}/to?url={other}/end", headers=headers)
            assert not {"authorization", "cookie"} & far.json()["headers"].keys()


# Cookies


async def test_cookies_only_for_those_who_want_them() -> None:
    """Z9: without a jar the page leads to itself for ever."""
    async with serving() as base:
        async with HTTPClient() as client:
            with pytest.raises(RedirectError, match="circle"):
                await client.fetch(f"{base}/login")
        jar = CookieJar()
        async with HTTPClient(cookies=jar) as client:
            assert (await client.fetch(f"{base}/login")).text() == "welcome"
            assert (await client.fetch(f"{base}/login")).history == ()
            own = await client.fetch(f"{base}/", headers={"Cookie": "own=2"})
            assert own.json()["headers"]["cookie"] == "own=2"
        async with HTTPClient(cookies=jar, headers={"Cookie": "own=3"}) as client:
            assert (await client.fetch(f"{base}/")).json()["headers"]["cookie"] == "own=3"
        assert [cookie.name for cookie in jar] == ["key"]


# Codings


@pytest.mark.parametrize("how", ["gzip", "deflate"])
async def test_codings_are_undone(how: str) -> None:
    """Z10: whole, as a stream, or not where that is not wanted."""
    async with serving() as base, HTTPClient() as client:
        url = f"{base}/coded?how={how}"
        assert (await client.fetch(url)).body == LARGE
        assert len((await client.fetch(url, decode=False)).body) < len(LARGE) // 2
        async with client.stream("GET", url) as response:
            assert b"".join([piece async for piece in response]) == LARGE
        assert client.statistics().opened == 1
        with pytest.raises(ContentCodingError, match="cut short"):
            await client.fetch(f"{url}&cut=1")
        with pytest.raises(ResponseTooLargeError):
            await client.fetch(url, max_body_size=len(LARGE) - 1)
        assert (await client.fetch(url, max_body_size=len(LARGE))).body == LARGE


# Sinks


async def test_into_sinks(tmp_path: Path) -> None:
    """Z12: a file, memory, a buffer, a stream, or away; the connection goes on."""
    async with serving() as base, HTTPClient() as client:
        for path in ("/pieces", "/coded?how=gzip"):
            memory, buffer, counter = io.BytesIO(), BufferSink(bytearray(len(LARGE))), DiscardSink()
            growing = MemorySink(len(LARGE))
            async with await trio.open_file(tmp_path / "file", "wb") as file:
                for sink in (memory, buffer, counter, growing, file):
                    response = await client.fetch(base + path, sink=sink)
                    assert (response.status, response.body) == (200, b"")
            assert memory.getvalue() == growing.body == buffer.filled == LARGE
            assert counter.size == len(LARGE)
            assert (tmp_path / "file").read_bytes() == LARGE
        assert client.statistics().opened == 1


async def test_a_buffer_that_is_too_small() -> None:
    """Z12: its size and what came are named, and nothing is written behind its end."""
    async with serving() as base, HTTPClient() as client:
        memory = bytearray(b"." * 2000)
        with pytest.raises(SinkOverflowError) as caught:
            await client.fetch(f"{base}/pieces", sink=BufferSink(memoryview(memory)[:1000]))
        assert memory == LARGE[:1000] + b"." * 1000
        assert caught.value.limit == 1000 < caught.value.size
        assert (await client.fetch(base)).status == 200


async def test_a_bound_for_a_sink() -> None:
    """Z12: only where one is given."""
    async with serving() as base, HTTPClient() as client:
        sink = io.BytesIO()
        with pytest.raises(ResponseTooLargeError):
            await client.fetch(f"{base}/pieces", sink=sink, max_body_size=100_000)
        assert len(sink.getvalue()) <= 100_000


async def test_what_is_no_success_goes_to_no_sink() -> None:
    """Z12: a page that says 404 is not what was to be stored."""
    async with serving() as base, HTTPClient() as client:
        sink = DiscardSink()
        response = await client.fetch(f"{base}/missing", sink=sink)
        assert (sink.size, response.text()) == (0, "there is nothing")
        response = await client.fetch(f"{base}/to?url=/", sink=sink)
        assert sink.size > 0
        assert response.body == b""


async def test_a_sink_may_take_its_time() -> None:
    """Z11, Z12: the server is not blamed for it; the total counts."""

    class Slow:
        def __init__(self, seconds: float) -> None:
            self.left = seconds

        async def write(self, piece: bytes) -> None:
            left, self.left = self.left, 0.0
            await trio.sleep(left)

    async with serving() as base, HTTPClient() as client:
        patient = Timeouts(total=30, piece=0.4)
        response = await client.fetch(f"{base}/pieces", sink=Slow(0.6), timeout=patient)
        assert response.status == 200
        with pytest.raises(FetchTimeoutError) as caught:
            await client.fetch(f"{base}/pieces", sink=Slow(30), timeout=0.5)
        assert (caught.value.phase, caught.value.in_doubt) == ("sink", True)


async def test_what_a_sink_raises_ends_the_request() -> None:
    """Z12: and its connection."""

    class Broken:
        def write(self, piece: bytes) -> None:
            raise ZeroDivisionError

    async with serving() as base, HTTPClient() as client:
        with pytest.raises(ZeroDivisionError):
            await client.fetch(f"{base}/pieces", sink=Broken())
        with pytest.raises(TypeError, match="sink"):
            await client.fetch(f"{base}/pieces", sink=3)  # type: ignore[arg-type]
        assert (await client.fetch(base)).status == 200
