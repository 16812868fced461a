"""A server in a process that has no descriptors left."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="this system has no such limit to set")

PROGRAM = """
import json
import logging
import resource
import sys

import trio
from snowtrio import LineCodec, serve_tcp

logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")

async def echo(connection):
    async for line in connection:
        await connection.send(line)

async def main():
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_tcp, echo, LineCodec(), 0)
        peers = [await trio.open_tcp_stream("127.0.0.1", server.port) for _ in range(3)]
        for peer in peers:
            await peer.send_all(b"x\\n")
            assert await peer.receive_some() == b"x\\n"
        late = trio.socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        await late.connect(("127.0.0.1", server.port))
        await late.send(b"late\\n")
        while server.statistics().accept_errors < 3:
            await trio.sleep(0.01)
        await peers[0].send_all(b"meanwhile\\n")
        assert await peers[0].receive_some() == b"meanwhile\\n"
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with trio.fail_after(10):
            assert await late.recv(100) == b"late\\n"
        errors = server.statistics().accept_errors
        for peer in peers:
            await peer.aclose()
        late.close()
        await server.drain()
        print(json.dumps({"errors": errors, "accepted": server.statistics().accepted}))

trio.run(main)
"""


def test_backs_off_logs_once_and_recovers() -> None:
    """S21: with the real limit of a real process; those who are connected are served meanwhile."""
    completed = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False
    )
    assert completed.returncode == 0, completed.stderr
    counted = json.loads(completed.stdout)
    assert counted["accepted"] == 4
    # Pauses of 0.05, 0.1 and 0.2 seconds: three tries, and hardly more before it was let go on.
    assert 3 <= counted["errors"] <= 6
    logged = completed.stderr.splitlines()
    assert [line.split()[0] for line in logged] == ["ERROR", "WARNING"], completed.stderr
    assert "Too many open files" in logged[0]
    assert "accepting again" in logged[1]
