"""A real memcached, for the tests of the client."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import trio

TIMEOUT = 20.0


@attrs.frozen
class Memcached:
    """A memcached that listens."""

    process: trio.Process
    port: int


@contextlib.asynccontextmanager
async def running_memcached(folder: Path, *arguments: str) -> AsyncIterator[Memcached]:
    """Run a memcached for the time of a block.

    It says where it listens by a file, under another name first. That one is a pipe here, so that
    it can be waited for.
    """
    pipe = folder / "port.lck"
    os.mkfifo(pipe)
    # Open in both directions, it has no end of input before the server has opened it too.
    stream = trio.lowlevel.FdStream(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
    command = ["memcached", "--port", "-1", "--listen", "127.0.0.1", "--udp-port", "0"]
    command += ["--user", "root"] if os.geteuid() == 0 else []
    environment = {**os.environ, "MEMCACHED_PORT_FILENAME": str(folder / "port")}
    async with stream:
        process = await trio.lowlevel.open_process(
            [*command, *arguments], env=environment, stdin=subprocess.DEVNULL
        )
        try:
            said = b""
            with trio.fail_after(TIMEOUT):
                while not said.endswith(b"\n"):
                    said += await stream.receive_some()
            yield Memcached(process, int(said.rpartition(b" ")[2]))
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            (folder / "port").unlink(missing_ok=True)
