"""An HTTP server among abusers: does everybody who behaves get every answer?

    python tests/campaign/abuse_http.py --well-behaved 300 --each 50

Runs ``examples/http_json_server.py`` on loopback, as ``abuse.py`` runs the line server, and holds
the same against it. Exits with 1 and a list if anything was violated.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import attrs
import trio
from abuse import DESCRIPTORS_DEADLINE, DRAIN_DEADLINE, MIB, raise_descriptor_limit
from abusers import Abusers
from clients import PAUSE, Figures
from http_abusers import CHUNKED, HTTP_ABUSES, POST
from sockets import GONE, connected, read_exactly, read_to_end
from watched import HTTP_SERVER, WatchedServer, watched_server

TIME_LIMIT = 180.0
MEMORY_SLACK = 32 * MIB
# What a connection may hold: a body of a megabyte, its JSON and the answer, or a full outbox.
MEMORY_BODY = 4 * MIB
MEMORY_EACH = 200 * 1024
# Kinds of abuser that have the server hold as much as it ever does.
GREEDY = 4
# Of a response of this server: what can be read of it in one go.
_SHORTEST_HEAD = 100


@attrs.define
class Client:
    """Who behaves: posts JSON that is its own and nobody else's, and gets it back.

    Parameters:
        name: in each of its bodies.
        figures: where it notes what it sees.
    """

    name: str
    figures: Figures

    async def run(self, port: int, rounds: int) -> None:
        """Ask over one connection, in all ways; end our input, and see the server's end."""
        chance = random.Random(self.name)
        try:
            async with connected(port) as stream:
                for number in range(rounds):
                    await trio.sleep(chance.uniform(0, 2 * PAUSE))
                    await self.ask(stream, number, chance)
                await stream.send_eof()
                if left := await read_to_end(stream):
                    self.violate(f"got {left[:60]!r} unasked")
        except GONE as error:
            self.violate(f"got {error!r}")
        self.figures.finished += 1

    async def ask(self, stream: trio.abc.Stream, number: int, chance: random.Random) -> None:
        """Make some requests at a time, and check the answers."""
        bodies = [
            b'["%b",%d,%d,"%b"]' % (self.name.encode(), number, each, b"." * chance.randrange(3000))
            for each in range(chance.choice([1, 1, 1, 10]))
        ]
        began = trio.current_time()
        await stream.send_all(b"".join(_request(body, chance) for body in bodies))
        for body in bodies:
            seen = await _read_body(stream)
            if seen != body:
                self.violate(f"got {seen[:60]!r} for {body[:60]!r}")
        self.figures.latencies.append(trio.current_time() - began)
        self.figures.lines += len(bodies)

    def violate(self, text: str) -> None:
        """Note what must not be."""
        self.figures.violations.append(f"{self.name} {text}")


def _request(body: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    return CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def _read_body(stream: trio.abc.Stream) -> bytes:
    head = await read_exactly(stream, _SHORTEST_HEAD)
    while not head.endswith(b"\r\n\r\n"):
        byte = await read_exactly(stream, 1)
        if not byte:
            return head
        head += byte
    if not head.startswith(b"HTTP/1.1 200 "):
        return head
    return await read_exactly(stream, int(head.partition(b"content-length: ")[2].split()[0]))


class WellBehaved(Protocol):
    """A client that notes what it sees."""

    async def run(self, port: int, rounds: int) -> None:
        """Ask so often."""


MakeClient: TypeAlias = Callable[[str, Figures], WellBehaved]


async def run(
    server: WatchedServer,
    abusers: Abusers,
    figures: Figures,
    count: int,
    rounds: int,
    make_client: MakeClient,
) -> None:
    """Go through all of it."""
    await make_client("the first", figures).run(server.port, 3)
    server.look_before()
    async with trio.open_nursery() as everybody:
        everybody.start_soon(abusers.run, server.port, server.port)
        everybody.start_soon(show_progress, server, figures, count + 1)
        async with trio.open_nursery() as clients:
            for number in range(count):
                client = make_client(f"client {number}", figures)
                clients.start_soon(client.run, server.port, rounds)
        everybody.cancel_scope.cancel(reason="the well-behaved are done")
    server.descriptors_after = await server.wait_descriptors(DESCRIPTORS_DEADLINE)
    await make_client("the last", figures).run(server.port, 3)
    figures.violations += judge(server, abusers)
    server.computed = server.processor_time()
    await server.stop(DRAIN_DEADLINE)
    if server.process.returncode != 0:
        figures.violations.append(f"the server ended with {server.process.returncode}")
    if "Traceback" in (log := server.read_log()):
        figures.violations.append(f"the server's log has a traceback: {log[-2000:]}")


def judge(server: WatchedServer, abusers: Abusers) -> Iterator[str]:
    """Yield what is held against the server, and what the abusers hold against it."""
    if server.descriptors_after > server.descriptors_before:
        yield f"descriptors: {server.descriptors_after}, {server.descriptors_before} before"
    if server.memory_peak() > (bound := memory_bound(server, abusers)):
        yield f"{server.peak / MIB:.0f} MiB of memory, bound to {bound / MIB:.0f}"
    for kind, tally in abusers.tallies.items():
        yield from (f"{kind}: {each}" for each in tally.violations)


def memory_bound(server: WatchedServer, abusers: Abusers) -> int:
    """Return how much memory the server may need, in bytes."""
    connections = server.descriptors_peak - server.descriptors_before
    needed = connections * MEMORY_EACH + GREEDY * abusers.each * MEMORY_BODY
    return server.memory_before + needed + MEMORY_SLACK


async def show_progress(server: WatchedServer, figures: Figures, count: int) -> None:
    """Print a line every few seconds, and look at the server every second."""
    for seconds in range(10**9):
        connections = server.descriptors() - server.descriptors_before
        if seconds % 5 == 0:
            print(
                f"{seconds:3} s: {connections:5} connections, {count - figures.finished:4}"
                f" well-behaved still asking, {figures.lines:7,} answers checked,"
                f" {len(figures.violations)} violations,"
                f" server {server.memory() / MIB:4.0f} MiB",
                file=sys.stderr,
                flush=True,
            )
        await trio.sleep(1)


def table(server: WatchedServer, abusers: Abusers, figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table."""
    yield "answers checked", f"{figures.lines:,}"
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        yield f"latency {name}", f"{figures.percentile(share) * 1000:.1f} ms"
    for kind, tally in abusers.tallies.items():
        yield f"abuse: {kind}", f"{abusers.each} ({tally.connections:,} times)"
    bound = memory_bound(server, abusers) / MIB
    memory = f"{server.memory_before / MIB:.0f}, {server.peak / MIB:.0f} of {bound:.0f} MiB"
    yield "memory before, peak", memory
    before, after = server.descriptors_before, server.descriptors_after
    yield "descriptors before, peak, after", f"{before}, {server.descriptors_peak}, {after}"
    yield "seconds computed, to end", f"{server.computed:.1f}, {server.seconds_to_end:.1f}"
    yield "lines in its log", str(server.read_log().count("\n"))
    yield "violations", str(len(figures.violations))


async def main(arguments: argparse.Namespace) -> int:
    """Run the campaign, print what came of it, return the exit status."""
    abusers = Abusers(arguments.each, arguments.seconds / 5, HTTP_ABUSES)
    places = arguments.well_behaved + abusers.count
    options = ("--max-connections", str(2 * places))
    async with watched_server(*options, program=HTTP_SERVER) as server:
        return await campaign(server, abusers, arguments, Client)


async def campaign(
    server: WatchedServer,
    abusers: Abusers,
    arguments: argparse.Namespace,
    make_client: MakeClient,
) -> int:
    """Run a campaign against a server that listens; print what came of it, return the status."""
    count = arguments.well_behaved
    raise_descriptor_limit(count + abusers.count)
    figures, rounds = Figures(), max(1, int(arguments.seconds / PAUSE))
    with trio.move_on_after(TIME_LIMIT) as scope:
        await run(server, abusers, figures, count, rounds, make_client)
    if scope.cancelled_caught:
        figures.violations.append(f"not done in {TIME_LIMIT:.0f} seconds")
    for name, value in table(server, abusers, figures):
        print(f"{name:40}{value}")
    for violation in figures.violations[:20]:
        print(f"VIOLATION {violation}", file=sys.stderr)
    return 1 if figures.violations else 0


def parse_arguments(description: str = "An HTTP server among abusers.") -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--well-behaved", type=int, default=300, help="clients that behave")
    parser.add_argument("--each", type=int, default=50, help="abusers of each kind")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long clients ask, about")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(trio.run(main, parse_arguments()))
