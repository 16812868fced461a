"""Measure throughput of TCP, from one process to another.

    python examples/tcp_throughput.py
    python examples/tcp_throughput.py --size 100

It starts a receiver, sends it messages for two seconds, each with its length before it, prints what
arrived, and stops. On two machines:

    python examples/tcp_throughput.py --receive --host 0.0.0.0 --port 9000
    python examples/tcp_throughput.py --host 192.0.2.7 --port 9000
"""

from __future__ import annotations

import argparse
import functools
import sys

import trio
from _throughput import make_parser, per_second, run

from snowtrio import (
    Connection,
    LengthPrefixCodec,
    LocalProtocolError,
    Server,
    open_tcp_connection,
    run_service,
    serve_tcp,
)

CODEC = LengthPrefixCodec(4, max_message_size=16 * 1024 * 1024)

# So many bytes are sent between two looks at the clock, about.
BATCH = 256 * 1024


async def count(connection: Connection[bytes]) -> None:
    """Count what a peer sends, and tell it at its end."""
    messages = size = 0
    async for batch in connection.batches():
        messages += len(batch)
        size += sum(map(len, batch))
    await connection.send(b"%d %d" % (messages, size))


async def receive(host: str, port: int) -> int:
    """Serve senders until SIGINT or SIGTERM; return the exit status."""

    def ready(server: Server[bytes]) -> None:
        print(f"listening on {host}:{server.port}", flush=True)

    serve = functools.partial(serve_tcp, count, CODEC, port, host=host)
    return (await run_service(serve, ready=ready)).status


async def measure(arguments: argparse.Namespace, port: int) -> None:
    """Send, wait for what the receiver says, print."""
    batch = [bytes(arguments.size)] * max(1, BATCH // max(1, arguments.size))
    async with open_tcp_connection(CODEC, arguments.host, port) as connection:
        began = trio.current_time()
        while trio.current_time() < began + arguments.seconds:
            await connection.send_batch(batch)
        await connection.send_eof()
        messages, size = map(int, (await connection.receive()).split())
        seconds = trio.current_time() - began
    megabytes, rate = per_second(size / 1e6, seconds), per_second(messages, seconds)
    print(f"received {messages:,} messages in {seconds:.2f} s: ", end="")
    print(f"{megabytes:.1f} MB/s, {rate:,.0f} messages/s")


if __name__ == "__main__":
    parser = make_parser("Measure throughput of TCP.", 64 * 1024)
    status: int | str = 0
    try:
        status = trio.run(run, __file__, parser.parse_args(), receive, measure)
    except* (OSError, LocalProtocolError) as errors:
        status = f"tcp_throughput: {errors.exceptions[0]}"
    sys.exit(status)
