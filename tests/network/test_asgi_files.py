"""Files that an application has the server send."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import pytest
import trio

from snowtrio import LocalProtocolError

from .asgi import (
    CLOSE,
    KEEP,
    Message,
    Receive,
    Send,
    ask,
    body,
    client_of,
    connect,
    read_all,
    read_answer,
    read_until,
    sending,
    serving,
    start,
)

SIZES = [0, 5, 64 * 1024, 3 * 2**20 + 1]


@pytest.fixture(params=SIZES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes((b"0123456789abcdef" * (request.param // 16 + 1))[: request.param])
    return path


def size_of(path: Path) -> int:
    return path.stat().st_size


def read(path: Path) -> bytes:
    return path.read_bytes()


def open_descriptors() -> int:
    """Return how many there are, as far as the system tells."""
    folder = Path("/dev/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def pathsend(path: object) -> Message:
    return {"type": "http.response.pathsend", "path": path}


@pytest.mark.parametrize("announced", [False, True])
async def test_file(file: Path, announced: bool) -> None:
    """Z5: a file is sent whole with its length, and the connection goes on."""
    size = size_of(file)
    fields = [(b"content-type", b"x/y")] + [(b"content-length", b"%d" % size)] * announced
    async with serving(sending(start(200, *fields), pathsend(str(file))), lifespan="off") as server:
        answer = await ask(server)
        assert answer.body == read(file)
        assert answer.values("content-length") == [str(size)]
        assert answer.values("content-type") == ["x/y"]
        async with await connect(server, KEEP + CLOSE) as stream:
            assert (await read_all(stream)).count(read(file) or b"HTTP/1.1 200") == 2


async def test_file_over_tls(
    file: Path, server_ssl_context: ssl.SSLContext, client_ssl_context: ssl.SSLContext
) -> None:
    """Z14: where the kernel cannot send a file it is read."""
    app = sending(start(), pathsend(str(file)))
    async with serving(app, lifespan="off", ssl_context=server_ssl_context) as server:
        plain = await connect(server)
        stream = trio.SSLStream(
            plain,
            client_ssl_context,
            server_hostname="localhost",
            https_compatible=True,
        )
        await stream.send_all(CLOSE)
        data = b""
        while piece := await stream.receive_some():
            data += piece
        await plain.aclose()
        assert read_answer(data).body == read(file)


async def test_head_and_no_content(file: Path) -> None:
    """Z4: a HEAD is told the length; what has no body sends none."""
    size = size_of(file)
    async with serving(sending(start(), pathsend(str(file))), lifespan="off") as server:
        answer = await ask(server, CLOSE.replace(b"GET", b"HEAD"))
        assert (answer.values("content-length"), answer.body) == ([str(size)], b"")
    async with serving(sending(start(204), pathsend(str(file))), lifespan="off") as server:
        answer = await ask(server)
        assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("case", ["missing", "folder", "relative", "bytes", "length", "trailers"])
async def test_refused(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Z5: a file that cannot be sent is the application's mistake: it is answered with 500."""
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    message = pathsend(
        {
            "missing": str(tmp_path / "none"),
            "folder": str(tmp_path),
            "relative": "file",
            "bytes": os.fsencode(path),
        }.get(case, str(path))
    )
    fields = [(b"content-length", b"4")] * (case == "length")
    raised: list[LocalProtocolError] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(200, *fields, trailers=case == "trailers"))
        try:
            await send(message)
        except LocalProtocolError as error:
            raised.append(error)
            raise

    async with serving(app, lifespan="off") as server:
        assert (await ask(server)).status == 500
    assert len(raised) == 1
    assert [each.levelno for each in caplog.records if each.levelno > logging.INFO] != []


async def test_out_of_order(tmp_path: Path) -> None:
    """Z5: a file is the whole body, or none."""
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    for messages in (
        [pathsend(str(path))],
        [start(), body(b"abc", more=True), pathsend(str(path))],
        [start(), pathsend(str(path)), pathsend(str(path))],
    ):
        raised: list[LocalProtocolError] = []

        async def app(scope: Message, receive: Receive, send: Send) -> None:
            try:
                await sending(*messages)(scope, receive, send)  # noqa: B023
            except LocalProtocolError as error:
                raised.append(error)  # noqa: B023

        async with serving(app, lifespan="off") as server:
            await ask(server)
        assert len(raised) == 1


async def test_client_leaves(tmp_path: Path) -> None:
    """Z5: an application whose client leaves in a file is told, and the file closed."""
    path = tmp_path / "file"
    path.write_bytes(bytes(64 * 2**20))
    raised: list[OSError] = []
    over = trio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await send(pathsend(str(path)))
        except OSError as error:
            raised.append(error)
        over.set()

    before = open_descriptors()
    async with serving(app, lifespan="off") as server:
        stream = await connect(server, KEEP)
        await read_until(stream, b"\0")
        await stream.aclose()
        await over.wait()
    assert len(raised) == 1
    assert open_descriptors() <= before


async def test_starlette(file: Path) -> None:
    """Z4: Starlette's file response takes this way by itself."""
    responses = pytest.importorskip("starlette.responses")
    applications = pytest.importorskip("starlette.applications")
    routing = pytest.importorskip("starlette.routing")

    async def give(request: object) -> object:
        return responses.FileResponse(file)

    async with client_of(applications.Starlette(routes=[routing.Route("/", give)])) as client:
        response = await client.get("/")
        assert response.content == read(file)
        part = await client.get("/", headers={"range": "bytes=1-2"})
        assert part.content in (read(file)[1:3], b"")
