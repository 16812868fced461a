"""Every example server says in one line that it cannot listen."""

from __future__ import annotations

import socket
import sys

import pytest

from .examples import EXAMPLES, run_program


@pytest.mark.parametrize(
    "name",
    [
        "echo_server",
        "line_server",
        "chat_server",
        "redis_server",
        "jsonrpc_server",
        "http_json_server",
        "asgi_server",
        "websocket_echo_server",
    ],
)
async def test_a_port_in_use_is_told_in_one_line(name: str) -> None:
    """P1: with the address, and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        example = str(EXAMPLES / f"{name}.py")
        done = await run_program(sys.executable, example, "--port", str(port))
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"{name}: ")
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert done.returncode == 1
