"""What the throughput scripts share: what they do, a receiver in a process, and their options."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable

import trio

READY = "listening on "


@contextlib.asynccontextmanager
async def receiving(script: str) -> AsyncGenerator[int, None]:
    """Run the script as a receiver for the time of a block; give its port."""
    command = [sys.executable, script, "--receive", "--port", "0"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with process.stdout:
            yield await read_port(process.stdout)
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.wait()


async def run(
    script: str,
    arguments: argparse.Namespace,
    receive: Callable[[str, int], Awaitable[int]],
    measure: Callable[[argparse.Namespace, int], Awaitable[None]],
) -> int:
    """Do what the command line asks for; return the exit status.

    Parameters:
        script: the one that runs.
        arguments: its command line.
        receive: serves senders at an address, and returns the exit status.
        measure: sends to a port, and prints the figures.
    """
    if arguments.receive:
        return await receive(arguments.host, arguments.port or 0)
    if arguments.port:
        await measure(arguments, arguments.port)
    else:
        async with receiving(script) as port:
            await measure(arguments, port)
    return 0


async def read_port(stream: trio.abc.ReceiveStream) -> int:
    """Return the port that a receiver says that it listens on."""
    said = b""
    while b"\n" not in said:
        data = await stream.receive_some()
        if not data:
            raise OSError("the receiver did not start")
        said += data
    return int(said.decode().rpartition(":")[2])


def per_second(amount: float, seconds: float) -> float:
    """Return a rate."""
    return amount / seconds if seconds else 0.0


def byte_count(text: str) -> int:
    """Return a number of bytes.

    Raises:
        ValueError: it is none.
    """
    size = int(text)
    if size < 0:
        raise ValueError
    return size


def make_parser(description: str, size: int) -> argparse.ArgumentParser:
    """Return the parser of the options that both have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1", help="address of the receiver")
    parser.add_argument("--port", type=int, help="its port; without one, it is started here")
    parser.add_argument("--receive", action="store_true", help="be the receiver, until SIGINT")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to send")
    parser.add_argument("--size", type=byte_count, default=size, help="of a message, in bytes")
    return parser
