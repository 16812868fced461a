"""Push a real text of some megabytes through a pool, and compare every reply.

    python examples/demo.py
    python examples/demo.py --file war-and-peace.txt --connections 4

A line server echoes on loopback; a pooled client sends it every line with its number in front, over
as many connections as the load opens. Each reply must be what was sent, byte for byte. Any file
will do: a line may have any length, and any bytes in it. Without ``--file`` the text is the source
of Python's standard library, which every Python has.

Exits with 0 when nothing was lost or changed.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import trio

from snowtrio import Client, ClientLimits, Connection, LineCodec, serve_tcp

MEGABYTE = 1_000_000

# What the number in front of a line may take.
NUMBER_SIZE = 20

# Seconds without a reply after which what is missing counts as lost.
PATIENCE = 30


@attrs.define
class Ledger:
    """What was sent and what came back."""

    lines: list[bytes]
    seen: bytearray = attrs.field(init=False)
    returned: int = 0
    wrong: int = 0

    def __attrs_post_init__(self) -> None:
        self.seen = bytearray(len(self.lines))

    def check(self, reply: bytes) -> None:
        """Compare a reply with the line of its number; each counts once."""
        number, _, line = reply.partition(b" ")
        index = int(number)
        if self.lines[index] != line or self.seen[index]:
            self.wrong += 1
        self.seen[index] = 1
        self.returned += 1


def library_text(size: int) -> bytes:
    """Return about `size` bytes of the standard library's source."""
    parts: list[bytes] = []
    for path in sorted(Path(os.__file__).parent.glob("**/*.py")):
        parts.append(path.read_bytes())
        if (size := size - len(parts[-1])) <= 0:
            break
    return b"".join(parts)


async def echo(connection: Connection[bytes]) -> None:
    """Answer batches with themselves."""
    async for lines in connection.batches():
        await connection.send_batch(lines)


async def send_all(client: Client[bytes], lines: list[bytes]) -> None:
    for number, line in enumerate(lines):
        await client.send(b"%d %b" % (number, line))


async def receive_all(client: Client[bytes], ledger: Ledger) -> None:
    while ledger.returned < len(ledger.lines):
        ledger.check((await client.receive()).message)


async def show_progress(ledger: Ledger, give_up: trio.CancelScope) -> None:
    """Draw a bar on standard error a few times a second; give up when no more replies come."""
    moved, before = trio.current_time(), -1
    while trio.current_time() < moved + PATIENCE:
        if ledger.returned > before:
            moved, before = trio.current_time(), ledger.returned
        done = ledger.returned / max(1, len(ledger.lines))
        bar = "#" * int(done * 40)
        print(f"\r[{bar:40}] {done:4.0%}", end="", file=sys.stderr, flush=True)
        await trio.sleep(0.1)
    give_up.cancel(reason="no more replies come")


async def exchange(client: Client[bytes], ledger: Ledger) -> None:
    """Send all lines and take the replies to them."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, client, ledger.lines)
        nursery.start_soon(show_progress, ledger, nursery.cancel_scope)
        await receive_all(client, ledger)
        nursery.cancel_scope.cancel(reason="all replies are here")
    print("\r" + " " * 50 + "\r", end="", file=sys.stderr, flush=True)


async def main(text: bytes, host: str, port: int, connections: int) -> int:
    """Run the exchange, print the table, return the exit status."""
    ledger = Ledger(text.removesuffix(b"\n").split(b"\n") if text else [])
    longest = max(map(len, ledger.lines), default=0)
    codec = LineCodec("lf", max_message_size=longest + NUMBER_SIZE)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(functools.partial(serve_tcp, echo, codec, port, host=host))
        print(f"listening on {host}:{server.port}", flush=True)
        began = time.perf_counter()
        limits = ClientLimits(max_connections=connections)
        async with Client(codec, host, server.port, limits=limits) as client:
            await exchange(client, ledger)
            elapsed = time.perf_counter() - began
            pool = client.statistics().pool
        await server.drain()
    lost = len(ledger.lines) - sum(ledger.seen)
    for name, value in table(ledger, len(text), elapsed, pool.opened, pool.outbox_peak, lost):
        print(f"{name:20} {value:>12}")
    return 1 if lost or ledger.wrong else 0


def table(
    ledger: Ledger, size: int, elapsed: float, opened: int, peak: int, lost: int
) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table."""
    yield "lines", f"{len(ledger.lines):,}"
    yield "megabytes", f"{size / MEGABYTE:.1f}"
    yield "seconds", f"{elapsed:.2f}"
    yield "lines a second", f"{len(ledger.lines) / elapsed:,.0f}"
    yield "connections opened", str(opened)
    yield "peak queue", str(peak)
    yield "wrong replies", str(ledger.wrong)
    yield "lost", "nothing" if not lost else str(lost)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Push a text through a pool of connections.")
    parser.add_argument("--file", type=Path, help="the text; Python's own library if not given")
    parser.add_argument("--megabytes", type=float, default=6.0, help="how much of the library")
    parser.add_argument("--connections", type=int, default=8, help="connections at most")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 chooses one")
    return parser.parse_args()


def read_text(arguments: argparse.Namespace) -> bytes:
    path: Path | None = arguments.file
    if path is not None:
        return path.read_bytes()
    return library_text(int(arguments.megabytes * MEGABYTE))


if __name__ == "__main__":
    arguments = parse_arguments()
    try:
        content = read_text(arguments)
    except OSError as error:
        sys.exit(f"demo: {error}")
    sys.exit(trio.run(main, content, arguments.host, arguments.port, arguments.connections))
