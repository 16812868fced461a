"""Send lines over one connection and print the replies in order.

    python examples/line_client.py --port 7000 FILE
    echo hello | python examples/line_client.py --port 7000

Sending and receiving go on at the same time, so a file of any size passes through little memory.
Exits with 1 and one line on standard error when the server is not there, or goes away before it has
answered each line.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import BinaryIO, cast

import trio

from snowtrio import (
    Connection,
    ConnectionLostError,
    LineCodec,
    SendTooLargeError,
    SnowtrioError,
    open_tcp_connection,
)

READ_SIZE = 64 * 1024

CODEC = LineCodec("lf")


async def send_lines(connection: Connection[bytes], source: BinaryIO, all_sent: trio.Event) -> None:
    """Send every line, then the end of input: the server answers what is left and closes."""
    rest = b""
    while data := await read_some(source):
        *lines, rest = (rest + data).split(b"\n")
        await connection.send_batch(lines)
        if len(rest) > CODEC.max_message_size:
            raise SendTooLargeError(len(rest), CODEC.max_message_size)
    if rest:
        await connection.send(rest)
    all_sent.set()
    await connection.send_eof()


async def read_some(source: BinaryIO) -> bytes:
    """Return what is there to read, as somebody types it.

    A thread that waits for a terminal cannot be stopped. It is left behind, and holds no lock that
    the interpreter would need at its end.
    """
    return await trio.to_thread.run_sync(
        os.read, source.fileno(), READ_SIZE, abandon_on_cancel=True
    )


async def main(host: str, port: int, source: BinaryIO) -> None:
    """Run the exchange until the server has answered everything."""
    async with (
        open_tcp_connection(CODEC, host, port) as connection,
        trio.open_nursery() as nursery,
    ):
        all_sent = trio.Event()
        nursery.start_soon(send_lines, connection, source, all_sent)
        async for line in connection:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        counts = connection.statistics()
        if not all_sent.is_set() or counts.messages_received < counts.messages_accepted:
            raise ConnectionLostError("the server left before it had answered every line")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send lines and print the replies.")
    parser.add_argument("file", nargs="?", help="what to send; standard input if not given")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=7000, help="its port")
    return parser.parse_args()


def first_error(error: BaseException) -> BaseException:
    """Return the error that a person should read: a nursery reports several in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


if __name__ == "__main__":
    arguments = parse_arguments()
    # What goes wrong is said once, below.
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status: int | str = 0
    try:
        with open(arguments.file, "rb") if arguments.file else sys.stdin.buffer as opened:  # noqa: PTH123
            trio.run(main, arguments.host, arguments.port, opened)
    except* (SnowtrioError, OSError) as group:
        status = f"line_client: {first_error(group)}"
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
