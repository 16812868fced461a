"""``examples/loopback.py``, run as its docstring says."""

from __future__ import annotations

import re
import socket
import sys

from .examples import EXAMPLES, run_program


async def test_it_exchanges_a_line_and_leaves_nothing_open() -> None:
    """Row Z1: ready before the client connects, the expected reply, and the port free again."""
    done = await run_program(sys.executable, "-W", "error", str(EXAMPLES / "loopback.py"))
    assert (done.returncode, done.stderr) == (0, b"")
    said = re.fullmatch(
        r"listening on 127\.0\.0\.1:(\d+)\nreply: hello, world\n"
        r"closed, 0 connections had to be cut\n",
        done.stdout.decode(),
    )
    assert said is not None
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", int(said[1]))) != 0


async def test_it_goes_over_ipv6_as_well() -> None:
    """Row S26."""
    loopback = str(EXAMPLES / "loopback.py")
    done = await run_program(sys.executable, "-W", "error", loopback, "--host", "::1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"reply: hello, world\n" in done.stdout
