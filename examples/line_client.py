"""Send lines over one connection and print the replies in order.

    python examples/line_client.py --port 7000 FILE
    echo hello | python examples/line_client.py --port 7000

Sending and receiving go on at the same time, so a file of any size passes through little memory. Exits
with 1 and one line on standard error when the server is not there, or goes away.
"""

from __future__ import annotations

import argparse
import sys
from typing import BinaryIO

import trio

from snowtrio import Connection, LineCodec, SnowtrioError, open_tcp_connection


async def send_lines(connection: Connection[bytes], lines: BinaryIO) -> None:
    """Send every line, then the end of input: the server answers what is left and closes."""
    async for line in trio.wrap_file(lines):
        await connection.send(line.rstrip(b"\r\n"))
    await connection.send_eof()


async def main(host: str, port: int, lines: BinaryIO) -> None:
    """Run the exchange until the server has answered everything."""
    async with open_tcp_connection(LineCodec(), host, port) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_lines, connection, lines)
            async for batch in connection.batches():
                sys.stdout.buffer.write(b"".join(line + b"\n" for line in batch))
        sys.stdout.buffer.flush()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send lines and print the replies.")
    parser.add_argument("file", nargs="?", help="what to send; standard input if not given")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=7000, help="its port")
    return parser.parse_args()


def first_error(error: BaseException) -> BaseException:
    """Return the error that a person should read: a nursery reports several in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    arguments = parse_arguments()
    try:
        with open(arguments.file, "rb") if arguments.file else sys.stdin.buffer as source:  # noqa: PTH123
            trio.run(main, arguments.host, arguments.port, source)
    except* (SnowtrioError, OSError) as group:
        raise SystemExit(f"line_client: {first_error(group)}") from None
    except* KeyboardInterrupt:
        raise SystemExit(130) from None
