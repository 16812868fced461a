"""A real HAProxy, listening where the test has bound, for the time of a block."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from .tcp import until

# FOLDER stands for the folder that it works in.
START = """
global
  stats socket FOLDER/stats mode 600
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
"""

NO_SERVER = "has no server available"
"""What it says when the last of its servers is down, which a test may want."""


@attrs.frozen
class Balancer:
    """An HAProxy that runs.

    Parameters:
        process: what runs it.
        address: where it listens, of each name.
        stats: the path of its socket for statistics.
    """

    process: trio.Process
    address: Mapping[str, tuple[str, int]]
    stats: str

    async def connect(self, name: str = "FRONT") -> trio.SocketStream:
        """Return a connection to where it listens."""
        return await trio.open_tcp_stream(*self.address[name])

    async def state(self, server: str, *, section: str = "front") -> Mapping[str, str]:
        """Return what it says of one of its servers: ``status``, ``check_status`` and so on."""
        async with await trio.open_unix_socket(self.stats) as stream:
            await stream.send_all(b"show stat\n")
            text = b"".join([piece async for piece in stream]).decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        (found,) = [row for row in rows if (row["pxname"], row["svname"]) == (section, server)]
        return found

    async def wait_for(self, server: str, status: str, *, section: str = "front") -> None:
        """Wait until one of its servers is in a state, such as ``UP``, and has been looked at."""
        while True:
            state = await self.state(server, section=section)
            if state["status"] == status and state["check_status"].startswith("L"):
                return
            await trio.sleep(0.02)


@asynccontextmanager
async def haproxy(
    folder: Path,
    configuration: str,
    *,
    fronts: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Balancer, None]:
    """Run HAProxy; at the end check that it had nothing to complain of.

    Parameters:
        folder: where it works.
        configuration: all of it, or what stands behind `START` where it has no ``global``.
        fronts: the addresses to listen at, by the names of the variables that have them in the
            configuration (``bind "${FRONT}"``). Whoever connects before HAProxy is there waits.
        environment: other variables of the configuration.
    """
    path, stats = folder / "haproxy.cfg", folder / "stats"
    text = configuration if "global" in configuration else START + configuration
    path.write_text(text.replace("FOLDER", str(folder)))
    with ExitStack() as stack:
        bound = {
            name: stack.enter_context(_listen(host))
            for name, host in (fronts or {"FRONT": "127.0.0.1"}).items()
        }
        variables = {name: f"fd@{sock.fileno()}" for name, sock in bound.items()}
        process = await trio.lowlevel.open_process(
            ["haproxy", "-db", "-f", str(path)],
            env={**os.environ, **variables, "STATS": str(stats), **(environment or {})},
            pass_fds=[sock.fileno() for sock in bound.values()],
            stderr=subprocess.PIPE,
        )
        addresses = {name: sock.getsockname()[:2] for name, sock in bound.items()}
    assert process.stderr is not None
    async with process.stderr:
        said: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read, process.stderr, said)
            try:
                await until(lambda: stats.exists() or process.poll() is not None)
                assert process.returncode is None, b"".join(said).decode()
                yield Balancer(process, addresses, str(stats))
            finally:
                process.terminate()
                with trio.CancelScope(shield=True):
                    await process.wait()
    lines = b"".join(said).decode().splitlines()
    complaints = [line for line in lines if "[ALERT]" in line and NO_SERVER not in line]
    assert not complaints, complaints


def _listen(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


async def _read(stream: trio.abc.ReceiveStream, pieces: list[bytes]) -> None:
    async for piece in stream:
        pieces.append(bytes(piece))
