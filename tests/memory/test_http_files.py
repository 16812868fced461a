"""Files as responses, and folders of them."""

from __future__ import annotations

import os
import re
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio.http import (
    Folder,
    Request,
    Response,
    Router,
    _opened,
    check_conditions,
    file_response,
)

from ..conftest import open_descriptors
from ..serving import errors_in
from .http_served import HTTPServed, read_to_end, serving_http

OLD = 784111777
BIG = os.urandom(700_000)


@pytest.fixture(autouse=True)
def nothing_stays_open(no_leaked_descriptors: None) -> None:
    """Every test here: files are closed, however their responses end."""


@pytest.fixture(params=["memory", "threads"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How files are read: as on Linux where that can be, and as elsewhere."""
    if request.param == "threads":
        monkeypatch.setattr(_opened, "_NOWAIT", None)
    return str(request.param)


def write(path: Path, content: bytes, modified: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


def sends(path: Path, **options: Any) -> partial[Response]:
    return partial(_send, path=path, **options)


def _send(request: Request, path: Path, **options: Any) -> Response:
    return file_response(request, path, **options)


@pytest.mark.parametrize("content", [b"", b"0123456789", BIG], ids=len)
async def test_a_whole_file(tmp_path: Path, way: str, content: bytes) -> None:
    """Z5."""
    async with serving_http(sends(write(tmp_path / "a.html", content))) as server:
        answer = await server.ask()
        head = await server.ask(method="HEAD")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["last-modified"] == formatdate(OLD, usegmt=True)
    assert answer.headers["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', answer.headers["etag"])
    assert head.body == b""
    assert (head.status, head.headers) == (200, {**answer.headers, "date": head.headers["date"]})


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=-9", slice(-9, None)),
        ("bytes=1-600000", slice(1, 600_001)),
        ("bytes=699999-", slice(699_999, None)),
    ],
)
async def test_a_part(tmp_path: Path, way: str, asked: str, part: slice) -> None:
    """Z5."""
    async with serving_http(sends(write(tmp_path / "a.bin", BIG))) as server:
        answer = await server.ask(range=asked)
        head = await server.ask(method="HEAD", range=asked)
    start, stop, _ = part.indices(len(BIG))
    assert (answer.status, answer.body) == (206, BIG[part])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BIG)}"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (head.status, head.headers["content-length"]) == (200, str(len(BIG)))


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=5-6, 10-299999, -3"])
async def test_many_parts(tmp_path: Path, way: str, asked: str) -> None:
    """Z5."""
    path = write(tmp_path / "a.bin", BIG)
    async with serving_http(sends(path, content_type="application/x-a")) as server:
        answer = await server.ask(range=asked)
    assert answer.status == 206
    assert "content-range" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)
    boundary = answer.headers["content-type"].removeprefix("multipart/byteranges; boundary=")
    first, *parts, last = answer.body.split(f"--{boundary}".encode())
    assert (first, last) == (b"", b"--\r\n")
    assert len(parts) == asked.count(",") + 1
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        match = re.search(rb"content-range: bytes (\d+)-(\d+)/700000", head)
        assert match is not None
        assert b"\r\ncontent-type: application/x-a\r\n" in head
        assert content == BIG[int(match[1]) : int(match[2]) + 1] + b"\r\n"


@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=9999999-", 416), ("bytes=0-,0-", 200), ("bytes=x", 200)]
)
async def test_parts_that_are_not_there(tmp_path: Path, asked: str, status: int) -> None:
    """Z5."""
    async with serving_http(sends(write(tmp_path / "a", BIG))) as server:
        answer = await server.ask(range=asked)
    assert answer.status == status
    assert answer.headers.get("content-range") == ("bytes */700000" if status == 416 else None)


async def test_a_file_that_the_client_has(tmp_path: Path) -> None:
    """Z5: 304 tells what caches want to know, and a part of another state is not sent."""
    path = write(tmp_path / "a.txt", b"0123456789")
    async with serving_http(sends(path, headers={"cache-control": "no-cache"})) as server:
        first = await server.ask()
        tag, date = first.headers["etag"], first.headers["last-modified"]
        same = await server.ask(if_none_match=tag)
        since = await server.ask(if_modified_since=date)
        part = await server.ask(range="bytes=2-3", if_range=tag)
        write(path, b"9876543210", OLD + 1)
        changed = await server.ask(if_none_match=tag)
        failed = await server.ask(if_match=tag)
        whole = await server.ask(range="bytes=2-3", if_range=tag)
    assert (same.status, since.status, changed.status, failed.status) == (304, 304, 200, 412)
    assert same.body == b""
    for name in ("etag", "last-modified", "cache-control"):
        assert same.headers[name] == first.headers[name]
    assert "content-type" not in same.headers
    assert (part.status, part.body) == (206, b"23")
    assert (whole.status, whole.body) == (200, b"9876543210")


async def test_the_tag_of_a_file_just_written_is_weak(tmp_path: Path) -> None:
    """Z5: it may be written again before the clock ticks."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    async with serving_http(sends(path)) as server:
        answer = await server.ask()
        again = await server.ask(if_none_match=answer.headers["etag"])
        part = await server.ask(range="bytes=0-0", if_range=answer.headers["etag"])
    assert answer.headers["etag"].startswith('W/"')
    assert (again.status, part.status) == (304, 200)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [Path.mkdir, make_pipe, make_loop, lambda path: None])
async def test_only_regular_files_are_sent(tmp_path: Path, make: object) -> None:
    """Z5: and a pipe holds up nobody."""
    path = tmp_path / "a"
    assert callable(make)
    make(path)
    async with serving_http(sends(path)) as server:
        assert (await server.ask()).status == 404


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "\ud800", "b/c"])
async def test_names_that_no_file_has(tmp_path: Path, name: str) -> None:
    """Z5."""
    write(tmp_path / "b", b"")
    async with serving_http(sends(tmp_path / name)) as server:
        assert (await server.ask()).status == 404


class Changing:
    """Sends a big file, and changes it once its response has begun.

    Parameters:
        path: of it.
        size: to change it to.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    async def __call__(self, request: Request) -> Response:
        response = file_response(request, self._path)
        os.truncate(self._path, self._size)
        return response


async def test_a_file_that_grows_is_sent_as_it_was(tmp_path: Path, way: str) -> None:
    """Z5."""
    async with serving_http(Changing(write(tmp_path / "a", BIG), 900_000)) as server:
        assert (await server.ask()).body == BIG


async def test_a_file_that_shrinks_ends_in_a_cut(
    tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Z5: the client sees that bytes are missing."""
    async with serving_http(Changing(write(tmp_path / "a", BIG), 300_000)) as server:
        stream = (await server.served.connect()).stream
        await stream.send_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        body = (await read_to_end(stream)).partition(b"\r\n\r\n")[2]
    assert len(body) <= 300_000
    assert BIG.startswith(body)
    assert "become shorter" in str(errors_in(caplog)[0])


async def test_a_client_that_leaves_has_the_file_closed(tmp_path: Path, way: str) -> None:
    """Z5: `nothing_stays_open` looks."""
    path = write(tmp_path / "a", BIG * 10)
    async with serving_http(sends(path), lockstep=True) as server:
        stream = (await server.served.connect(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")).stream
        await stream.receive_some(10)
        assert str(path) in open_descriptors().values()
        await stream.aclose()


async def test_a_response_that_is_not_sent_has_the_file_closed(tmp_path: Path) -> None:
    """Z5."""
    path = write(tmp_path / "a", BIG)

    async def handler(request: Request) -> Response:
        file_response(request, path)
        assert str(path) not in open_descriptors().values()
        return Response("another")

    async with serving_http(handler) as server:
        assert (await server.ask()).body == b"another"


async def test_others_run_while_a_large_file_is_sent(tmp_path: Path, way: str) -> None:
    """Z5: a client that takes everything at once does not have the event loop for itself."""
    turns = 0
    begun = trio.Event()
    path = write(tmp_path / "a", BIG * 10)

    async def handler(request: Request) -> Response:
        begun.set()
        return file_response(request, path)

    async def count() -> None:
        nonlocal turns
        await begun.wait()
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with serving_http(handler) as server:
        server.served.nursery.start_soon(count)
        assert len((await server.ask()).body) == len(BIG) * 10
    assert turns > 20


# Conditions without files


async def test_a_handler_has_its_own_resources_judged() -> None:
    """Z5: a lost update is refused, a copy that is good is not sent again."""
    versions = {"/book": "v1"}

    async def handler(request: Request) -> Response:
        version = versions.get(request.path)
        etag = None if version is None else f'"{version}"'
        exists = version is not None
        response = check_conditions(request, etag=etag, modified=OLD + 0.5, exists=exists)
        return response or Response(f"{request.method} {version}")

    async with serving_http(handler) as server:
        same = await server.ask("/book", if_none_match='"v1"')
        assert (same.status, same.headers["etag"]) == (304, '"v1"')
        assert (await server.ask("/book", if_none_match='"v0"')).body == b"GET v1"
        assert (await server.ask("/book", method="PUT", if_match='"v1"')).status == 200
        assert (await server.ask("/book", method="PUT", if_match='"v0"')).status == 412
        assert (await server.ask("/book", method="PUT", if_none_match="*")).status == 412
        assert (await server.ask("/new", method="PUT", if_none_match="*")).status == 200


# Folders


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with everything that should not be sent in it or near it."""
    site = tmp_path / "site"
    write(tmp_path / "secret.txt", b"secret")
    write(site / "a.txt", b"a")
    write(site / "deep" / "er" / "b.txt", b"b")
    write(site / "docs" / "index.html", b"docs")
    write(site / "index.html", b"index")
    write(site / ".git" / "config", b"hidden")
    write(site / "é x.txt", b"e")
    (site / "out.txt").symlink_to(tmp_path / "secret.txt")
    (site / "out").symlink_to(tmp_path)
    (site / "in.txt").symlink_to("a.txt")
    return site


async def ask_status(server: HTTPServed, target: str) -> tuple[int, bytes]:
    answer = await server.ask(target)
    return answer.status, answer.body if answer.status == 200 else b""


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/a.txt", 200, b"a"),
        ("/deep/er/b.txt", 200, b"b"),
        ("/%C3%A9%20x.txt", 200, b"e"),
        ("/", 200, b"index"),
        ("/docs/", 200, b"docs"),
        ("/docs", 308, b""),
        ("/deep", 404, b""),
        ("/deep/", 404, b""),
        ("/none", 404, b""),
        ("/a.txt/", 404, b""),
        ("/a.txt/b", 404, b""),
        ("//a.txt", 404, b""),
        ("/../secret.txt", 404, b""),
        ("/%2e%2e/secret.txt", 404, b""),
        ("/deep/..%2f..%2fsecret.txt", 404, b""),
        ("/..%5csecret.txt", 404, b""),
        ("/a.txt%00", 404, b""),
        ("/out.txt", 404, b""),
        ("/out/secret.txt", 404, b""),
        ("/in.txt", 404, b""),
        ("/.git/config", 404, b""),
        ("/nul", 404, b""),
        ("/%ff", 404, b""),
    ],
)
async def test_a_folder(site: Path, target: str, status: int, body: bytes) -> None:
    """Z5: nothing outside of it is sent."""
    async with serving_http(Folder(site, index="index.html")) as server:
        assert await ask_status(server, target) == (status, body)


async def test_a_folder_is_mounted_by_a_router(site: Path) -> None:
    """Z5."""
    router = Router()
    router.get("/static/{path...}")(Folder(site, index="index.html", headers={"x-a": "b"}))
    async with serving_http(router) as server:
        answer = await server.ask("/static/a.txt", range="bytes=0-0")
        assert (answer.body, answer.headers["x-a"]) == (b"a", "b")
        assert await ask_status(server, "/static/") == (200, b"index")
        assert await ask_status(server, "/static/..%2Fsecret.txt") == (404, b"")
        moved = await server.ask("/static/docs?a=b")
        assert (moved.status, moved.headers["location"]) == (308, "./docs/?a=b")
        assert (await server.ask("/static/a.txt", method="DELETE")).status == 405


async def test_a_folder_has_no_index_unless_one_is_named(site: Path) -> None:
    """Z5: and it shows hidden files to those who want that."""
    async with serving_http(Folder(site, hidden=True)) as server:
        assert await ask_status(server, "/") == (404, b"")
        assert await ask_status(server, "/docs") == (404, b"")
        assert await ask_status(server, "/.git/config") == (200, b"hidden")
        assert (await server.ask("/a.txt", method="POST")).headers["allow"] == "GET, HEAD"


async def test_a_file_that_must_not_be_read_is_forbidden(site: Path) -> None:
    """Z5."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (site / "a.txt").chmod(0)
    async with serving_http(Folder(site)) as server:
        assert await ask_status(server, "/a.txt") == (403, b"")
