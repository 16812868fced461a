"""Our HTTP client asks nginx and Python's own server."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from snowtrio import UnixEndpoint
from snowtrio.http import HTTPClient, HTTPClientLimits, RedirectError

from ..serving import LIMIT
from .examples import needs_program
from .http_peers import serving_http
from .nginx import nginx, nginx_before

TEXT = b"".join(b"line %d\n" % number for number in range(20_000))
SITE = """
    root FOLDER/files;
    log_not_found off;
    gzip on;
    gzip_types text/plain;
    gzip_min_length 1;
    gzip_proxied any;
    location /old { return 302 /text.txt; }
    location /round { return 302 /round; }
    location /taken { return 200 taken; }
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "text.txt").write_bytes(TEXT)
    (folder / "index.html").write_text("<p>index</p>")
    return folder


@needs_program("nginx")
async def test_files_of_nginx(files: Path, tmp_path: Path) -> None:
    """Rows Z7 to Z10: gzip, ranges, a redirect, 404 and HEAD, all over one connection."""
    async with nginx(tmp_path, SITE) as path, HTTPClient(endpoint=UnixEndpoint(path)) as client:
        whole = await client.fetch("http://site/text.txt")
        assert (whole.status, whole.body) == (200, TEXT)
        assert whole.headers["Content-Encoding"] == "gzip"
        plainly = {"Accept-Encoding": "identity"}
        plain = await client.fetch("http://site/text.txt", headers=plainly)
        assert plain.body == TEXT
        part = await client.fetch("http://site/text.txt", headers={"Range": "bytes=5-9"})
        assert (part.status, part.body) == (206, TEXT[5:10])
        led = await client.fetch("http://site/old")
        assert (led.body, led.url.path, len(led.history)) == (TEXT, "/text.txt", 1)
        missing = await client.fetch("http://site/missing")
        assert (missing.status, missing.ok) == (404, False)
        head = await client.fetch("http://site/", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        with pytest.raises(RedirectError, match="circle"):
            await client.fetch("http://site/round")
        assert (await client.fetch("http://site/")).text() == "<p>index</p>"
        assert client.statistics().opened == 1


@needs_program("nginx")
async def test_a_body_that_nginx_does_not_want(tmp_path: Path) -> None:
    """Row Z8: an answer before the body has been sent, and the next request is answered."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 65536

    site = "client_max_body_size 1m; location / { proxy_pass http://127.0.0.1:9; }"
    async with (
        nginx(tmp_path, site, accepted="too large body") as path,
        HTTPClient(endpoint=UnixEndpoint(path)) as client,
    ):
        for _ in range(3):
            refused = await client.fetch("http://site/", body=pieces(), content_length=200 * 65536)
            assert refused.status == 413


@needs_program("nginx")
async def test_nginx_that_closes_idle_connections(files: Path, tmp_path: Path) -> None:
    """Row Z8: none of the requests that follow fails."""
    site = SITE + "keepalive_requests 3;"
    async with nginx(tmp_path, site) as path, HTTPClient(endpoint=UnixEndpoint(path)) as client:
        for _ in range(20):
            assert (await client.fetch("http://site/")).status == 200


@needs_program("nginx")
async def test_our_client_through_nginx_to_our_server(tmp_path: Path) -> None:
    """Rows Z5 and Z8: bodies both ways, a hundred at the same time."""
    async with (
        serving_http() as server,
        nginx_before(server.port, tmp_path) as path,
        HTTPClient(
            endpoint=UnixEndpoint(path), limits=HTTPClientLimits(max_connections_per_origin=8)
        ) as client,
    ):

        async def ask(number: int) -> None:
            told = await client.fetch(f"http://site/{number}", body=b"x" * number * 100)
            assert json.loads(told.body)["target"] == f"/{number}"
            assert json.loads(told.body)["size"] == number * 100

        with trio.fail_after(LIMIT):
            async with trio.open_nursery() as nursery:
                for number in range(100):
                    nursery.start_soon(ask, number)
        assert client.statistics().opened <= 8


@asynccontextmanager
async def pythons_server(folder: Path, *arguments: str) -> AsyncGenerator[str, None]:
    """Run ``python -m http.server`` on a folder, and give its URL."""
    process = await trio.lowlevel.open_process(
        [
            *(sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"),
            *("--directory", str(folder), *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with process.stdout as output:
            with trio.fail_after(LIMIT):
                line = b""
                while b"\n" not in line:
                    line += await output.receive_some()
            yield line.decode().partition("(")[2].partition(")")[0]
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_pythons_server(files: Path, version: str) -> None:
    """Rows Z7 and Z8: closes behind each response, or keeps the connection."""
    async with pythons_server(files, "--protocol", version) as url, HTTPClient() as client:
        for _ in range(3):
            response = await client.fetch(f"{url}text.txt")
            assert response.body == TEXT
            assert response.http_version == version.removeprefix("HTTP/")
        assert (await client.fetch(f"{url}missing")).status == 404
        posted = await client.fetch(url, body=b"x")
        assert posted.status == 501
        sums = hashlib.sha256()
        async with client.stream("GET", f"{url}text.txt") as stream:
            async for piece in stream:
                sums.update(piece)
        assert sums.digest() == hashlib.sha256(TEXT).digest()
