"""A Starlette application, asked by httpx and curl."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from .asgi import client_of, serving
from .examples import needs_program, run_program

pytest.importorskip("starlette")
from .starlette_app import make_starlette


async def test_starlette() -> None:
    """Z4: a Starlette application runs: JSON, streams both ways, files, threads, background."""
    events: list[str] = []
    async with client_of(make_starlette(events), lifespan="on") as client:
        assert (await client.post("/echo", json={"a": [1]})).json() == {"a": [1]}
        assert (await client.get("/count/1000")).text.split() == [str(n) for n in range(1000)]

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield bytes(50_000)

        assert (await client.post("/upload", content=pieces())).json() == {"size": 500_000}
        assert (await client.get("/state")).text == "open"
        assert (await client.get("/later")).text == "soon"
        assert (await client.get("/thread")).text == "from a thread"
        answer = await client.get("/file")
        assert (answer.text.splitlines()[0]).startswith('"""A Starlette application')
        assert answer.headers["x-added"] == "yes"
        part = await client.get("/file", headers={"Range": "bytes=5-13"})
        assert (part.status_code, part.text) == (206, "Starlette")
        head = await client.head("/file")
        assert (head.headers["content-length"], head.text) == (str(len(answer.content)), "")
        assert (await client.get("/nowhere")).status_code == 404
        assert (await client.put("/echo")).status_code == 405
    assert events == ["startup", "worked", "shutdown"]


async def test_starlette_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Z5: its own error page is sent, its error logged, and the connection is good for more."""
    async with client_of(make_starlette([])) as client:
        answer = await client.get("/fail")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert (await client.get("/thread")).status_code == 200
    assert "the application failed: GET /fail" in caplog.text


async def test_starlette_behind_a_proxy() -> None:
    """Z4: it finds its routes, and makes links, under a root path."""
    async with client_of(make_starlette([]), root_path="/api") as client:
        assert (await client.get("/mounted/where")).text == "/api/mounted/where"


async def test_starlette_refuses_large_bodies() -> None:
    """Z4: the server's limit holds for it."""
    async with client_of(make_starlette([])) as client:
        answer = await client.post("/upload", content=bytes(2 * 2**20))
        assert answer.status_code == 413


@needs_program("curl")
async def test_starlette_and_curl(tmp_path: Any) -> None:
    """Z4: curl uploads with an expectation, and downloads a stream."""
    path = tmp_path / "upload"
    path.write_bytes(bytes(900_000))
    async with serving(make_starlette([])) as server:
        base = f"http://127.0.0.1:{server.port}"
        for extra in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
            done = await run_program(
                "curl", "-sS", *extra, "--data-binary", f"@{path}", f"{base}/upload"
            )
            assert done.stdout == b'{"size":900000}', done.stderr
        done = await run_program("curl", "-sS", f"{base}/count/3")
        assert done.stdout == b"0\n1\n2\n"
