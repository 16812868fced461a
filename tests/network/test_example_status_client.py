"""``examples/status_client.py`` asks ``examples/http_json_server.py``, and servers that are ill."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
import trio

from snowtrio.http import Request, Response

from .examples import EXAMPLES, run_program, running_example
from .http_peers import serving_http


async def ask(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the example, which writes nothing to its standard error."""
    example = str(EXAMPLES / "status_client.py")
    command = (sys.executable, "-W", "error", example, "--port", str(port), *arguments)
    done = await run_program(*command)
    assert done.stderr == b"", done.stderr.decode()
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode())


async def test_all_fields_and_those_that_a_filter_names() -> None:
    """Row Z16."""
    async with running_example("http_json_server") as example:
        whole = await ask(example.port)
        assert whole.stdout.splitlines() == [
            "service: http_json_server",
            "message: hello",
            "method: GET",
            "path: /stats",
            "sequence: 1",
        ]
        some = await ask(example.port, "--filter", "sequence, path")
        assert (some.returncode, some.stdout) == (0, "sequence: 2\npath: /stats\n")


@pytest.mark.on_one_python
async def test_a_filter_of_what_is_not_there() -> None:
    """Row Z16: told before anybody is asked."""
    example = str(EXAMPLES / "status_client.py")
    done = await run_program(sys.executable, example, "--filter", "path,weather")
    assert done.returncode == 2
    assert b"weather: not among service, message, method, path, sequence" in done.stderr


@pytest.mark.on_one_python
async def test_a_server_that_takes_too_long() -> None:
    """Rows Z11 and Z16: a line instead of the fields."""

    async def wait(request: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    async with serving_http(wait) as server:
        done = await ask(server.port, "--timeout", "0.3")
    assert done.returncode == 1
    assert done.stdout == (
        f"no status: 127.0.0.1:{server.port} has not answered within 0.3 seconds\n"
    )


@pytest.mark.on_one_python
async def test_a_server_that_is_not_there() -> None:
    """Row Z16."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = await ask(port)
    assert done.returncode == 1
    assert done.stdout.startswith(f"no status: 127.0.0.1:{port} cannot be reached: ")


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response.json({"status": 503}, 503), "503 Service Unavailable"),
        (Response("hello\n"), "JSON"),
        (Response.json({"service": "another"}), "message"),
        (Response.json([]), "array"),
    ],
)
async def test_an_answer_that_is_no_status(response: Response, told: str) -> None:
    """Rows Z13 and Z16."""

    async def answer(request: Request) -> Response:
        return response

    async with serving_http(answer) as server:
        done = await ask(server.port)
    assert done.returncode == 1
    assert done.stdout.startswith(f"no status: 127.0.0.1:{server.port} gives no status: ")
    assert told in done.stdout
    assert len(done.stdout.splitlines()) == 1
