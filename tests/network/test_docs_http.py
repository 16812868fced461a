"""The how-to's JSON service, deployed as it says: behind nginx, ended by SIGTERM."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from .documented import HOW_TO, deployed, read_blocks
from .examples import needs_program
from .http_peers import curl, curl_json
from .peers import TIMEOUT

PAGE = HOW_TO / "http.md"

pytestmark = [
    needs_program("nginx"),
    needs_program("curl"),
    pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here"),
]

ADDED = """
@router.get("/slow")
async def slow(request: Request) -> Response:
    print("begun", flush=True)
    await trio.sleep(1)
    return Response.json({"id": request.id, "asked": request.headers["X-Request-Id"]})
"""


@asynccontextmanager
async def serving_books(folder: Path) -> AsyncGenerator[tuple[trio.Process, str], None]:
    """Run the service and nginx as the page says; give the service, and nginx's socket."""
    (folder / "public").mkdir()
    (folder / "public" / "hello.txt").write_text("hello\n")
    (folder / "report.txt").write_text("all is well\n")
    async with deployed(PAGE, folder, ADDED) as running:
        yield running


async def test_the_service_behind_nginx(tmp_path: Path) -> None:
    """Rows Z4 to Z6, Z13: what the page says that a client gets, it gets."""
    async with serving_books(tmp_path) as (_, front):

        async def ask(path: str, *arguments: str) -> bytes:
            return await curl("--unix-socket", front, *arguments, f"http://books{path}")

        book = json.dumps({"title": "Emma", "authors": ["Austen"]})
        typed = ("-H", "Content-Type: application/json")
        assert json.loads(await ask("/books", *typed, "-d", book)) == {"id": "1"}
        assert json.loads(await ask("/books/1"))["title"] == "Emma"
        assert await ask("/titles") == b"Emma\n"
        assert json.loads(await ask("/books/2")) == {
            "status": 404,
            "title": "Not Found",
            "detail": "there is no such book",
        }
        wrong = json.loads(await ask("/books", *typed, "-d", '{"title": "Emma", "authors": [1]}'))
        assert (wrong["status"], "$.authors[0]" in wrong["detail"]) == (422, True)
        told = ("-o", "/dev/null", "-w", "%{http_code}")
        assert await ask("/health", *told) == b"204"
        assert await ask("/books", *told, "-d", "{") == b"415"
        assert await ask("/books", *told, *typed, "-d", "{") == b"400"
        assert await ask("/books", *told, "-X", "DELETE") == b"405"
        assert await ask("/report", "-r", "0-2") == b"all"
        assert await ask("/static/hello.txt") == b"hello\n"
        assert await ask("/static/../service.py", *told, "--path-as-is") == b"404"
        digest = await ask("/digest", "-T", str(tmp_path / "report.txt"))
        assert re.fullmatch(rb"[0-9a-f]{64}", digest)


async def test_sigterm_ends_it_when_what_is_under_way_is_answered(tmp_path: Path) -> None:
    """Row P11: and the id is nginx's."""
    async with serving_books(tmp_path) as (process, front):
        told: list[Any] = []

        async def ask() -> None:
            told.append(await curl_json("--unix-socket", front, "http://books/slow"))

        assert process.stdout is not None
        with trio.fail_after(TIMEOUT):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                assert (await process.stdout.receive_some()).startswith(b"begun")
                process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        assert told[0]["id"] == told[0]["asked"]
        assert re.fullmatch("[0-9a-f]{32}", told[0]["id"])


@needs_program("systemd-analyze")
async def test_the_unit(tmp_path: Path) -> None:
    """P11: systemd knows each line of it."""
    (block,) = read_blocks(PAGE, "ini")
    unit = tmp_path / "books.service"
    unit.write_text(re.sub("ExecStart=.*", f"ExecStart={sys.executable} -m books", block))
    done = await trio.run_process(
        ["systemd-analyze", "verify", str(unit)], capture_stderr=True, check=False
    )
    assert str(unit) not in done.stderr.decode()
