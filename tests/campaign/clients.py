"""Those who behave: they send lines and check each reply byte for byte.

Whatever goes wrong for one of them, a wrong byte, a reset or an end too early, is a violation.
"""

from __future__ import annotations

import functools
import random
import ssl
from collections.abc import Awaitable, Callable, Iterator

import attrs
import trio
from sockets import GONE, begin_tls, connected, read_exactly, read_to_end

LIMIT = 64 * 1024
PAUSE = 1.0
"""Seconds between two requests of a client, on average."""


@attrs.define
class Figures:
    """What the well-behaved have seen."""

    finished: int = 0
    lines: int = 0
    megabytes: float = 0.0
    latencies: list[float] = attrs.Factory(list)
    """Seconds from the beginning of a request to the end of its replies."""
    violations: list[str] = attrs.Factory(list)

    def percentile(self, share: float) -> float:
        """Return the latency that `share` of the requests did not exceed, in seconds."""
        ordered = sorted(self.latencies) or [0.0]
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def requests(name: str, count: int, chance: random.Random) -> Iterator[bytes]:
    """Yield requests of one numbered line mostly, at times of many, at times of the longest."""
    for number in range(count):
        kind = chance.random()
        if kind < 0.02:
            yield f"{name} {number} ".encode().ljust(LIMIT, b".") + b"\n"
        elif kind < 0.12:
            yield b"".join(b"%b %d.%d\n" % (name.encode(), number, each) for each in range(50))
        else:
            yield f"{name} {number} {'.' * chance.randrange(100)}\r\n".encode()


class Conversation:
    """One well-behaved client.

    Parameters:
        name: in each of its lines, so that no reply can be taken for another's.
        count: how many requests it makes.
        figures: where it notes what it sees.
        pause: seconds before each request, on average.
    """

    def __init__(self, name: str, count: int, figures: Figures, *, pause: float = PAUSE) -> None:
        self._name = name
        self._pause = pause
        self._figures = figures
        self._chance = random.Random(name)
        self._requests = list(requests(name, count, self._chance))

    async def plain(self, port: int) -> None:
        """Ask over one connection, then end our input and see the server's end."""
        async with connected(port) as stream:
            await self.ask_all(stream)
            await stream.send_eof()
            self._check(await read_to_end(stream), b"", "the end of input")

    async def tls(self, port: int, context: ssl.SSLContext) -> None:
        """Ask over one TLS connection."""
        async with connected(port) as stream:
            secured = await begin_tls(stream, context)
            await self.ask_all(secured)
            await secured.aclose()

    async def ask_all(self, stream: trio.abc.Stream) -> None:
        """Make the requests over a connection and check the replies."""
        for request in self._requests:
            await trio.sleep(self._chance.uniform(0, 2 * self._pause))
            began = trio.current_time()
            await stream.send_all(request)
            self._note(request, await read_exactly(stream, len(request)), began)

    async def half_closing(self, port: int) -> None:
        """Make half of the requests, each on a connection of its own, and end our input at once."""
        for request in self._requests[::2]:
            async with connected(port) as stream:
                await trio.sleep(self._chance.uniform(0, 4 * self._pause))
                began = trio.current_time()
                await stream.send_all(request)
                await stream.send_eof()
                self._note(request, await read_to_end(stream), began)

    def _note(self, request: bytes, reply: bytes, began: float) -> None:
        figures = self._figures
        figures.latencies.append(trio.current_time() - began)
        figures.lines += request.count(b"\n")
        figures.megabytes += len(request) / 1_000_000
        self._check(reply, request, "a reply")

    def _check(self, seen: bytes, expected: bytes, what: str) -> None:
        if seen != expected:
            text = f"{self._name}: {what} is {seen[:60]!r} and should be {expected[:60]!r}"
            self._figures.violations.append(text)


@attrs.frozen
class WellBehaved:
    """All of them.

    Parameters:
        plain: how many keep one connection.
        tls: how many keep one TLS connection.
        half_closing: how many half-close after each request.
        rounds: requests of each.
        figures: where they note what they see.
    """

    plain: int
    tls: int
    half_closing: int
    rounds: int
    figures: Figures = attrs.Factory(Figures)

    @property
    def count(self) -> int:
        """How many there are."""
        return self.plain + self.tls + self.half_closing

    async def run(self, port: int, tls_port: int, context: ssl.SSLContext) -> None:
        """Run all of them to their end."""
        async with trio.open_nursery() as nursery:
            for number in range(self.count):
                talk = Conversation(f"client {number}", self.rounds, self.figures)
                if number < self.plain:
                    way = functools.partial(talk.plain, port)
                elif number < self.plain + self.tls:
                    way = functools.partial(talk.tls, tls_port, context)
                else:
                    way = functools.partial(talk.half_closing, port)
                nursery.start_soon(self._run_one, f"client {number}", way)

    async def _run_one(self, name: str, way: Callable[[], Awaitable[None]]) -> None:
        try:
            await way()
        except GONE as error:
            self.figures.violations.append(f"{name}: {error!r}, from {error.__cause__!r}")
        self.figures.finished += 1
