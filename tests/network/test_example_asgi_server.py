"""``examples/asgi_server.py``, run as its docstring says and asked by curl and by hand."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from .asgi import CLOSE, KEEP, read_all, read_answer, read_until
from .examples import EXAMPLES, needs_program, run_program, running_example

APPLICATION = """
import trio

class Slow:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("shut down", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"<", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b">"})

class apps:
    slow = Slow()

async def broken(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with applications, where examples are started."""
    (tmp_path / "project.py").write_text(APPLICATION)
    paths = [str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_program("curl")
async def test_hello() -> None:
    """Z4: it says hello to curl, with and without a body."""
    async with running_example("asgi_server") as server:
        base = f"http://{server.address}"
        done = await run_program("curl", "-sS", f"{base}/x")
        assert done.stdout == b"hello from /x, 0 bytes came\n", done.stderr
        done = await run_program("curl", "-sS", "--data", "abc", f"{base}/")
        assert done.stdout == b"hello from /, 3 bytes came\n", done.stderr
        done = await run_program("curl", "-sSI", f"{base}/x")
        assert b"content-length: 28" in done.stdout.lower()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_drain(project: Path, number: signal.Signals) -> None:
    """Z4: a signal lets the request under way complete; then the application shuts down."""
    async with running_example("asgi_server", "project:apps.slow") as server:
        async with await server.connect() as stream:
            await stream.send_all(KEEP)
            data = await read_until(stream, b"<")
            server.process.send_signal(number)
            await wait_refused(server.port)
            await stream.send_eof()
            data += await read_all(stream)
        await server.wait_stopped()
        assert read_answer(data).body == b"1\r\n<\r\n1\r\n>\r\n0\r\n\r\n"
        assert server.lines[-1] == "shut down"


async def wait_refused(port: int) -> None:
    """Wait until nobody listens any more."""
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            return
        await stream.aclose()


async def test_root_path() -> None:
    """Z4: a path that a proxy has shortened is made whole."""
    async with (
        running_example("asgi_server", "--root-path", "/api") as server,
        await server.connect() as stream,
    ):
        await stream.send_all(CLOSE)
        assert read_answer(await read_all(stream)).body.startswith(b"hello from /api/,")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:app", "asgi_server: nowhere:app: No module named 'nowhere'"),
        ("project:app", "asgi_server: project:app: module 'project' has no attribute 'app'"),
        ("project:broken", "asgi_server: the application did not start: no database"),
    ],
)
async def test_what_cannot_be_served(project: Path, name: str, said: str) -> None:
    """Z4: it says in one line why it cannot serve an application."""
    example = str(EXAMPLES / "asgi_server.py")
    done = await run_program(sys.executable, "-W", "error", example, "--port", "0", name)
    assert done.stderr.decode().splitlines() == [said]
    assert done.returncode == 1
