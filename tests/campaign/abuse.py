"""A line server among abusers: does everybody who behaves get every answer?

    python tests/campaign/abuse.py --well-behaved 600 --each 200

Runs ``examples/line_server.py`` twice, with TLS and without, on loopback. Some hundreds of each
kind of abuser and the well-behaved connect at the same time, more than two thousand in all. When
the well-behaved have had their answers and everybody has left, the servers must be as they were:
their descriptors closed, their memory within a bound; they must serve, and end in good order.

Prints its progress, and a table at the end. Exits with 1 and a list if anything was violated.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import ssl
import sys
from collections.abc import AsyncIterator, Iterator

import attrs
import trio
import trustme
from abusers import Abusers
from clients import PAUSE, Conversation, Figures, WellBehaved
from sockets import GONE, HOST, begin_tls, connected, read_to_end
from watched import WatchedServer, watched_server

TIME_LIMIT = 110.0
HANDSHAKE_TIMEOUT = 5.0
# In which a server must have noticed that everybody has left: its own bounds are a few seconds.
DESCRIPTORS_DEADLINE = 20.0
# What the phases of a drain may take, and the end of a process.
DRAIN_DEADLINE = 40.0

MIB = 1024 * 1024
# What a server may take above the rest, since an allocator gives back only whole pages.
MEMORY_SLACK = 16 * MIB
# What a connection may hold at most: an unfinished line, one read more, its tasks.
MEMORY_EACH = 160 * 1024
# What TLS needs besides: its buffers, and what waits for the garbage collector.
MEMORY_TLS = 256 * 1024
# And one whose peer does not read: a full outbox, each message beside its bytes, and a full inbox.
MEMORY_UNREAD = 3 * MIB


@attrs.define
class Campaign:
    """Everybody who takes part, and what is held against the servers.

    Parameters:
        plain: the server without TLS.
        tls: the one with it.
        client_context: trusts that one.
        well_behaved: who must get every answer.
        abusers: who must not matter.
    """

    plain: WatchedServer
    tls: WatchedServer
    client_context: ssl.SSLContext
    well_behaved: WellBehaved
    abusers: Abusers
    connections_peak: int = 0
    delay: float = 0.0
    """How late, in seconds, our own process was at worst: what of the latencies is our own."""
    violations: list[str] = attrs.Factory(list)

    @property
    def servers(self) -> tuple[WatchedServer, WatchedServer]:
        """Both."""
        return self.plain, self.tls

    @property
    def all_violations(self) -> list[str]:
        """What the clients have seen with it."""
        tallies = self.abusers.tallies.items()
        abused = [f"{kind}: {each}" for kind, tally in tallies for each in tally.violations]
        return self.violations + self.well_behaved.figures.violations + abused

    async def run(self) -> None:
        """Go through all of it."""
        for server in self.servers:
            await self.check_served(server)
            server.look_before()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.show_progress)
            nursery.start_soon(self.abusers.run, self.plain.port, self.tls.port)
            await self.well_behaved.run(self.plain.port, self.tls.port, self.client_context)
            nursery.cancel_scope.cancel(reason="the well-behaved are done")
        for server in self.servers:
            await self.check_descriptors(server)
            await self.check_served(server)
            self.check_memory(server)
            server.computed = server.processor_time()
            await self.check_end(server)

    async def show_progress(self) -> None:
        """Print a line a second."""
        began = trio.current_time()
        while True:
            due = trio.current_time() + 1
            await trio.sleep_until(due)
            self.delay = max(self.delay, trio.current_time() - due)
            present = sum(each.descriptors() - each.descriptors_before for each in self.servers)
            self.connections_peak = max(self.connections_peak, present)
            figures = self.well_behaved.figures
            print(
                f"{trio.current_time() - began:3.0f} s: {present:5} connections,"
                f" {self.well_behaved.count - figures.finished:4} well-behaved still asking,"
                f" {figures.lines:8,} lines checked, server {self.plain.memory() / MIB:4.0f} MiB",
                file=sys.stderr,
                flush=True,
            )

    @contextlib.asynccontextmanager
    async def connected(self, server: WatchedServer) -> AsyncIterator[trio.abc.Stream]:
        """Connect as the server wants it."""
        async with connected(server.port) as stream:
            secured = server is self.tls
            yield await begin_tls(stream, self.client_context) if secured else stream

    async def check_served(self, server: WatchedServer) -> None:
        """Check that a new client is answered."""
        figures = Figures()
        talk = Conversation("one more", 3, figures, pause=0)
        try:
            async with self.connected(server) as stream:
                await talk.ask_all(stream)
        except GONE as error:
            self.violations.append(f"a client alone got {error!r}")
        self.violations += figures.violations

    async def check_descriptors(self, server: WatchedServer) -> None:
        """Check that everybody who has left is noticed."""
        server.descriptors_after = await server.wait_descriptors(DESCRIPTORS_DEADLINE)
        if server.descriptors_after > server.descriptors_before:
            counts = f"{server.descriptors_after}, {server.descriptors_before} before"
            self.violations.append(f"descriptors left open: {counts}")

    def check_memory(self, server: WatchedServer) -> None:
        """Check the most that a server has needed."""
        if server.memory_peak() > (bound := self.memory_bound(server)):
            peak = server.memory_peak() / MIB
            self.violations.append(f"{peak:.0f} MiB of memory, bound to {bound / MIB:.0f}")

    def memory_bound(self, server: WatchedServer) -> int:
        """Return how much memory a server may need, in bytes."""
        connections = server.descriptors_peak - server.descriptors_before
        if server is self.tls:
            needed = connections * (MEMORY_EACH + MEMORY_TLS)
        else:
            needed = connections * MEMORY_EACH + self.abusers.each * MEMORY_UNREAD
        return server.memory_before + needed + MEMORY_SLACK

    async def check_end(self, server: WatchedServer) -> None:
        """Check that SIGTERM ends a server in time and well, with a client connected."""
        try:
            async with self.connected(server) as stream, trio.open_nursery() as nursery:
                nursery.start_soon(server.stop, DRAIN_DEADLINE)
                if left := await read_to_end(stream):
                    self.violations.append(f"{left[:60]!r} to a client that asked nothing")
                await stream.aclose()
        except GONE as error:
            self.violations.append(f"the last client got {error!r}")
        if server.process.returncode != 0:
            self.violations.append(f"the server ended with {server.process.returncode}")
        if "Traceback" in (log := server.read_log()):
            self.violations.append(f"the server's log has a traceback: {log[-2000:]}")


def table(campaign: Campaign, seconds: float) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table."""
    well, figures = campaign.well_behaved, campaign.well_behaved.figures
    yield "well-behaved clients", f"{well.count:,}"
    yield "  over TLS", f"{well.tls:,}"
    yield "  half-closing", f"{well.half_closing:,}"
    yield "lines checked", f"{figures.lines:,}"
    yield "megabytes checked", f"{figures.megabytes:.1f}"
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        yield f"latency {name}", f"{figures.percentile(share) * 1000:.1f} ms"
    yield "  of it our own delay, max", f"{campaign.delay * 1000:.1f} ms"
    for kind, tally in campaign.abusers.tallies.items():
        yield f"abuse: {kind}", f"{campaign.abusers.each} ({tally.connections:,} times)"
    yield "connections at once", f"{campaign.connections_peak:,}"
    for name, server in (("plain", campaign.plain), ("TLS", campaign.tls)):
        yield f"{name} server", ""
        yield from server_table(server, campaign.memory_bound(server))
    yield "seconds", f"{seconds:.0f}"
    yield "violations", str(len(campaign.all_violations))


def server_table(server: WatchedServer, bound: int) -> Iterator[tuple[str, str]]:
    """Yield the rows of one server."""
    empty, peak = server.memory_before / MIB, server.peak / MIB
    yield "  memory before, peak", f"{empty:.0f}, {peak:.0f} of {bound / MIB:.0f} MiB"
    before, after = server.descriptors_before, server.descriptors_after
    yield "  descriptors before, peak, after", f"{before}, {server.descriptors_peak}, {after}"
    yield "  seconds computed", f"{server.computed:.1f}"
    yield "  lines in its log", str(server.read_log().count("\n"))
    yield "  seconds to end", f"{server.seconds_to_end:.1f}"


@contextlib.asynccontextmanager
async def open_campaign(well_behaved: WellBehaved, abusers: Abusers) -> AsyncIterator[Campaign]:
    """Run both servers for the time of a block."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    places = 2 * (well_behaved.count + abusers.count)
    # A quarter of its places is for handshakes, and those who never finish one can take all of it.
    tls_places = 4 * abusers.each + well_behaved.tls
    with authority.issue_cert(HOST).private_key_and_cert_chain_pem.tempfile() as certificate:
        async with (
            watched_server("--max-connections", str(places)) as plain,
            watched_server(
                *("--tls-cert", certificate, "--max-connections", str(tls_places)),
                *("--handshake-timeout", str(HANDSHAKE_TIMEOUT)),
            ) as tls,
        ):
            yield Campaign(plain, tls, context, well_behaved, abusers)


def participants(arguments: argparse.Namespace) -> tuple[WellBehaved, Abusers]:
    """Return who takes part."""
    half_closing = min(arguments.each, arguments.well_behaved // 3)
    tls = arguments.well_behaved // 6
    plain = arguments.well_behaved - tls - half_closing
    rounds = max(1, int(arguments.seconds / PAUSE))
    abusers = Abusers(arguments.each, pause=arguments.seconds / 5)
    return WellBehaved(plain, tls, half_closing, rounds), abusers


async def main(arguments: argparse.Namespace) -> int:
    """Run the campaign, print what came of it, return the exit status."""
    well_behaved, abusers = participants(arguments)
    raise_descriptor_limit(well_behaved.count + abusers.count)
    began = trio.current_time()
    async with open_campaign(well_behaved, abusers) as campaign:
        with trio.move_on_after(TIME_LIMIT) as scope:
            await campaign.run()
        if scope.cancelled_caught:
            campaign.violations.append(f"not done in {TIME_LIMIT:.0f} seconds")
        for name, value in table(campaign, trio.current_time() - began):
            print(f"{name:40}{value}")
    for violation in campaign.all_violations[:20]:
        print(f"VIOLATION {violation}", file=sys.stderr)
    return 1 if campaign.all_violations else 0


def raise_descriptor_limit(connections: int) -> None:
    """Let this process and the servers that it starts have so many connections each."""
    needed = connections + 100
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < needed:
        sys.exit(f"abuse: {needed} descriptors are needed and {most} allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, needed), most))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A line server among abusers.")
    parser.add_argument("--well-behaved", type=int, default=600, help="clients that behave")
    parser.add_argument("--each", type=int, default=200, help="abusers of each kind")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long clients ask, about")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(trio.run(main, parse_arguments()))
