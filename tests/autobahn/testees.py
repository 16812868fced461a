"""The programs that Autobahn tests: a server that echoes, and a client that does."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.abc import ReceiveStream

EXAMPLES = Path(__file__).parents[2] / "examples"
READY = "listening on "
START_TIMEOUT = 20.0
# What the largest message of group 9 has.
LARGEST = 16 * 1024 * 1024


def example(name: str, options: str) -> str:
    """Return the command of an example."""
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(EXAMPLES / name))} {options}"


SERVER = example("websocket_echo_server.py", f"--port 0 --compression --max-message-size {LARGEST}")
CLIENT = example("autobahn_client.py", "--url {url} --agent {agent}")


@asynccontextmanager
async def running_server(command: str, output: Path) -> AsyncGenerator[str, None]:
    """Run a server for the time of a block, and give the address that it listens on.

    Parameters:
        command: it prints ``listening on HOST:PORT``.
        output: where its errors go.
    """
    with output.open("wb") as errors:
        process = await trio.lowlevel.open_process(
            shlex.split(command), stdout=subprocess.PIPE, stderr=errors
        )
    assert process.stdout is not None
    async with process.stdout:
        try:
            with trio.fail_after(START_TIMEOUT):
                address = await _read_address(process.stdout)
            if address is None:
                raise RuntimeError(f"the server does not listen: {_end_of(output)}")
            yield address
        finally:
            # Not asked to drain: what it has to tell, the other side has seen.
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def _read_address(stdout: ReceiveStream) -> str | None:
    told = b""
    async for data in stdout:
        told += data
        for line in told.decode().splitlines(keepends=True):
            if line.startswith(READY) and line.endswith("\n"):
                return line.removeprefix(READY).strip()
    return None


async def run_client(command: str, url: str, agent: str, output: Path) -> None:
    """Run a client to its end.

    Parameters:
        command: with ``{url}`` and ``{agent}``, which are put in.
        url: of the server that fuzzes.
        agent: the name under which it reports.
        output: where all that it prints goes.
    """
    words = [word.format(url=url, agent=agent) for word in shlex.split(command)]
    with output.open("wb") as file:
        done = await trio.run_process(words, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        print(f"the client has ended with status {done.returncode}: {_end_of(output)}")


def _end_of(output: Path) -> str:
    return output.read_text(errors="replace")[-2000:]
