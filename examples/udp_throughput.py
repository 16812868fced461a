"""Measure throughput and loss of UDP, from one process to another.

    python examples/udp_throughput.py
    python examples/udp_throughput.py --rate 20000

It starts a receiver, sends it datagrams for two seconds, prints what was sent and what arrived, and
stops. On two machines:

    python examples/udp_throughput.py --receive --host 0.0.0.0 --port 9000
    python examples/udp_throughput.py --host 192.0.2.7 --port 9000

Without a rate it sends as fast as it can, which is mostly faster than anybody can receive: what is
lost then is the point. Give such a rate only to networks that are yours.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from typing import Any

import attrs
import trio
from _throughput import make_parser, per_second, run

from snowtrio import LocalProtocolError, SocketOptions, run_service
from snowtrio.udp import (
    UDPEndpoint,
    UDPServer,
    UDPSession,
    UndeliveredError,
    connect_udp_endpoint,
    serve_udp,
)

# The first byte of a datagram says what it is; those of data have a number behind it.
DATA, END = b"d", b"e"
NUMBER_SIZE = 8

# The end may be lost as well: it is said again after so many seconds, so many times.
END_INTERVAL, END_TIMES = 0.2, 25


@attrs.define
class Count:
    """What one sender's datagrams came to."""

    datagrams: int = 0
    size: int = 0
    late: int = 0
    newest: int = -1

    def add(self, datagram: bytes) -> None:
        """Count one of data."""
        number = int.from_bytes(datagram[1 : 1 + NUMBER_SIZE], "big")
        self.datagrams += 1
        self.size += len(datagram)
        self.late += number < self.newest
        self.newest = max(self.newest, number)


async def count(session: UDPSession) -> None:
    """Count what a peer sends, and tell it when it asks for that."""
    counted = Count()
    while True:
        for datagram in await session.receive_batch():
            if datagram.startswith(DATA):
                counted.add(datagram)
            elif datagram == END:
                report = {"datagrams": counted.datagrams, "bytes": counted.size}
                await session.send(json.dumps(report | {"late": counted.late}).encode())


async def receive(host: str, port: int) -> int:
    """Serve senders until SIGINT or SIGTERM; return the exit status."""

    def ready(server: UDPServer) -> None:
        print(f"listening on {host}:{server.port}", flush=True)

    options = SocketOptions(receive_buffer_size=1024 * 1024)
    serve = functools.partial(serve_udp, count, port, host=host, options=options)
    return (await run_service(serve, ready=ready)).status


async def send(endpoint: UDPEndpoint, arguments: argparse.Namespace) -> tuple[int, float]:
    """Send for a while; return how many, and in how many seconds."""
    padding = bytes(max(0, arguments.size - 1 - NUMBER_SIZE))
    began = trio.current_time()
    end, number = began + arguments.seconds, 0
    while (now := trio.current_time()) < end:
        due = int((now - began) * arguments.rate) if arguments.rate else number + 64
        for each in range(number, due):
            await endpoint.send(DATA + each.to_bytes(NUMBER_SIZE, "big") + padding)
        number = due
        await trio.sleep(0.001 if arguments.rate else 0)
    return number, trio.current_time() - began


async def ask(endpoint: UDPEndpoint) -> dict[str, Any]:
    """Return the receiver's report.

    Raises:
        OSError: it does not answer.
    """
    for _ in range(END_TIMES):
        await endpoint.send(END)
        with trio.move_on_after(END_INTERVAL):
            report: dict[str, Any] = json.loads((await endpoint.receive()).data)
            return report
    raise OSError(f"no answer from {endpoint.peer_address}")


async def measure(arguments: argparse.Namespace, port: int) -> None:
    """Send, ask, print."""
    async with await connect_udp_endpoint(arguments.host, port) as endpoint:
        sent, seconds = await send(endpoint, arguments)
        report = await ask(endpoint)
        received, size = report["datagrams"], max(arguments.size, 1 + NUMBER_SIZE)
        show("sent", sent, sent * size, seconds)
        show("received", received, report["bytes"], seconds)
        print(f"lost     {(sent - received) / max(sent, 1):.2%}, {report['late']} out of order")


def show(what: str, number: int, size: int, seconds: float) -> None:
    """Print one line of figures."""
    megabytes, rate = per_second(size / 1e6, seconds), per_second(number, seconds)
    print(f"{what:<8} {number:,} datagrams in {seconds:.2f} s: ", end="")
    print(f"{megabytes:.1f} MB/s, {rate:,.0f} datagrams/s")


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("Measure throughput and loss of UDP.", 1200)
    parser.add_argument("--rate", type=float, help="datagrams a second; as many as possible if not")
    return parser.parse_args()


if __name__ == "__main__":
    status: int | str = 0
    try:
        status = trio.run(run, __file__, parse_arguments(), receive, measure)
    except* UndeliveredError:
        status = "udp_throughput: nobody receives there"
    except* (OSError, LocalProtocolError) as errors:
        status = f"udp_throughput: {errors.exceptions[0]}"
    sys.exit(status)
