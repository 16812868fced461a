"""nginx stands in front of our HTTP server, as it does where it is deployed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from snowtrio.http import HTTPLimits, HTTPServer, Request, Response

from ..serving import LIMIT
from .examples import needs_program, run_program
from .http_peers import curl, curl_json, opened, report, serving_http
from .nginx import KEPT, nginx_before

pytestmark = [needs_program("nginx"), needs_program("curl")]

LARGE = bytes(range(256)) * 4096 * 5


@asynccontextmanager
async def in_front_of(
    server: HTTPServer, folder: Path, **options: str
) -> AsyncGenerator[tuple[str, ...], None]:
    """Run nginx before a server, and give curl's options that lead to it."""
    async with nginx_before(server.port, folder, **options) as path:
        yield "--unix-socket", path


async def test_connections_to_us_are_kept(tmp_path: Path) -> None:
    """Row Z5: twenty clients one after the other share one."""
    async with serving_http() as server, in_front_of(server, tmp_path) as way:
        told = [await curl_json(*way, "http://service/path?a=1") for _ in range(20)]
        assert {each["target"] for each in told} == {"/path?a=1"}
        assert opened(server) == 1


async def test_as_nginx_is_without_a_word(tmp_path: Path) -> None:
    """Row Z5: it speaks HTTP/1.0 and closes."""
    async with (
        serving_http() as server,
        in_front_of(server, tmp_path, upstream="", location="") as way,
    ):
        told = await curl_json(*way, "http://service/")
        assert told["version"] == "1.0"
        assert (await curl(*way, "-I", "http://service/")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_both_ways(buffering: str, chunked: bool, tmp_path: Path) -> None:
    """Rows Z4 and Z5: five MiB up and down again."""

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    location = f"{KEPT} proxy_request_buffering {buffering}; proxy_buffering {buffering};"
    limits = HTTPLimits(max_body_size=8 * 2**20)
    async with (
        serving_http(echo, limits=limits) as server,
        in_front_of(server, tmp_path, location=location) as way,
    ):
        upload = ("-T", "-") if chunked else ("--data-binary", "@-")
        for _ in range(2):
            assert await curl(*way, *upload, "http://service/", stdin=LARGE) == LARGE
        assert opened(server) == 1


async def test_a_stream_comes_as_it_is_made(tmp_path: Path) -> None:
    """Row Z5: with buffering off, the client has the first piece before there is a second."""
    seen = trio.Event()

    async def pieces() -> AsyncIterator[str]:
        yield "first\n"
        await seen.wait()
        yield "second\n"

    async def stream(request: Request) -> Response:
        return Response(pieces())

    location = f"{KEPT} proxy_buffering off;"
    async with (
        serving_http(stream) as server,
        in_front_of(server, tmp_path, location=location) as way,
    ):
        process = await trio.lowlevel.open_process(
            ["curl", "-q", "-sSN", *way, "http://service/"], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        async with process.stdout as output:
            with trio.fail_after(LIMIT):
                assert await output.receive_some() == b"first\n"
                seen.set()
                assert await output.receive_some() == b"second\n"
                assert await process.wait() == 0


async def test_a_client_that_leaves_is_noticed_behind_nginx(tmp_path: Path) -> None:
    """Row Z5: nginx closes, the response's generator is closed, and the next is served."""
    closed = trio.Event()

    async def forever() -> AsyncIterator[str]:
        try:
            while True:
                yield "forever\n"
                await trio.sleep(0.01)
        finally:
            closed.set()

    async def answer(request: Request) -> Response:
        return Response(forever()) if request.path == "/forever" else await report(request)

    async with serving_http(answer) as server, in_front_of(server, tmp_path) as way:
        done = await run_program("curl", "-q", "-sS", "-m", "0.5", *way, "http://service/forever")
        assert done.returncode == 28
        with trio.fail_after(LIMIT):
            await closed.wait()
        assert (await curl_json(*way, "http://service/"))["method"] == "GET"


async def test_errors_go_through(tmp_path: Path) -> None:
    """Row Z4: an upload that is too large is answered with our 413, not with nginx's 502."""
    location = f"{KEPT} proxy_request_buffering off;"
    async with (
        serving_http() as server,
        in_front_of(server, tmp_path, location=location) as way,
    ):
        for _ in range(5):
            told = await curl(*way, "-T", "-", "http://service/", stdin=LARGE)
            assert json.loads(told)["status"] == 413
