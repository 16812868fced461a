"""Connections with socket options, for the tests of those."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from snowtrio import Connection, LineCodec, SocketOptions, open_tcp_connection

from ..serving import echo
from .tcp import serving_tcp, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="an option of Linux")
has_ss = pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")


@asynccontextmanager
async def accepting(
    port_options: SocketOptions | None = None, *, host: str = "127.0.0.1", **client: Any
) -> AsyncGenerator[tuple[Connection[bytes], Connection[bytes]], None]:
    """Yield both ends of a connection, the client's first.

    Parameters:
        port_options: of the server.
        host: where it listens.
        client: parameters of the client.
    """
    connections: list[Connection[bytes]] = []

    async def keep(connection: Connection[bytes]) -> None:
        connections.append(connection)
        await echo(connection)

    async with (
        serving_tcp(keep, options=port_options, host=host) as server,
        open_tcp_connection(LineCodec(), host, server.port, **client) as ours,
    ):
        await until(lambda: connections)
        yield ours, connections[0]


def look(where: str, port: int) -> str:
    """Return what ``ss`` says of established connections."""
    command = ["ss", "-tinoH", "state", "established", f"( {where} = :{port} )"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
