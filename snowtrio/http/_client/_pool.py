"""Connections for requests: each is one request's alone, and then the next one's (row Z8).

Only synchronous functions change what is counted. A connection that comes back is put into the
hands of who has waited longest, so none is lost to a cancellation and nobody is woken for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

import attrs
import trio

from ..._connection import Cause
from ..._errors import PoolBusyError, PoolClosedError
from .._errors import ProxyError
from ._limits import HTTPClientLimits
from ._site import Held, Site, Turn, Way
from ._timing import Phase, Stopwatch
from ._urls import Origin

LOOKS = 4
"""How often to look for idle connections within ``keep_alive_timeout``."""


@attrs.frozen(kw_only=True)
class HTTPClientStatistics:
    """A client's counts at one moment (row B7).

    Parameters:
        connections: open or being opened.
        idle: of those, the ones that nobody uses.
        origins: that there are connections to, or somebody waits for.
        waiting: requests that wait for a connection.
        requests: that were begun; further attempts and redirects count as well.
        opened: connections that were opened.
        opens_failed: connections that could not be opened.
        stale: requests that were repeated since their connection had ended before them.
    """

    connections: int
    idle: int
    origins: int
    waiting: int
    requests: int
    opened: int
    opens_failed: int
    stale: int


class ConnectionPool:
    """Finds, opens, keeps and closes connections.

    Parameters:
        limits: the bounds.
        find_way: says how an origin is reached.
    """

    def __init__(self, limits: HTTPClientLimits, find_way: Callable[[Origin], Way]) -> None:
        self.closed = False
        self.nursery: trio.Nursery | None = None
        """Where the connections run."""
        self.stale = 0
        self._limits = limits
        self._find_way = find_way
        self._sites: dict[Origin, Site] = {}
        self._held: dict[Held, None] = {}
        """All that run."""
        self._count = 0
        self._idle = 0
        self._waiting = 0
        self._order = count()
        self._openings: set[trio.CancelScope] = set()
        self._changed = trio.lowlevel.ParkingLot()
        self._requests = self._opened = self._failed = 0

    # Taking

    async def take(self, origin: Origin, watch: Stopwatch, *, fresh: bool = False) -> Held:
        """Return a connection that is the caller's until `give_back`.

        Cancelled, or when it raises, it has taken nothing.

        Parameters:
            origin: whom it is to lead to.
            watch: bounds the waiting.
            fresh: rather a new one than one that was there before.

        Raises:
            PoolClosedError: the client is closed.
            PoolBusyError: too many wait already.
            ConnectError: a connection could not be opened.
            HandshakeError: TLS said no.
            ProxyError: a proxy said no.
        """
        site = self._site(origin)
        try:
            held = await self._find(site, watch, fresh)
        finally:
            self._forget(site)
        held.uses += 1
        self._requests += 1
        return held

    async def _find(self, site: Site, watch: Stopwatch, fresh: bool) -> Held:
        held = None if fresh else self._take_idle(site)
        if held is not None:
            return held
        if self._has_room(site) and not site.line:
            self._reserve(site)
            return await self._open(site, watch)
        if self._waiting >= self._limits.max_waiting:
            raise PoolBusyError(f"{self._waiting} requests wait for a connection already")
        self._make_way(site)
        return await self._wait(site, watch)

    async def _wait(self, site: Site, watch: Stopwatch) -> Held:
        turn = next(self._order)
        ahead = False
        turn_away = partial(site.line.turn_away, trio.lowlevel.current_task(), Turn.LATE)
        watch.enter(Phase.WAITING, watch.timeouts.waiting, turn_away)
        while not watch.late:
            self._waiting += 1
            try:
                held = await site.line.wait(turn, ahead=ahead)
            finally:
                self._waiting -= 1
            if held is Turn.OPEN:
                return await self._open(site, watch)
            if isinstance(held, Held):
                if held.fit:
                    return held
                self._cut(held)
                ahead = True
        raise watch.give_up()

    def _take_idle(self, site: Site) -> Held | None:
        """Return the idle connection that was used last, if one is fit."""
        while site.idle:
            held, _ = site.idle.popitem()
            self._idle -= 1
            if held.fit and trio.current_time() - held.since < self._limits.keep_alive_timeout:
                return held
            self._cut(held)
        return None

    def _has_room(self, site: Site) -> bool:
        limits = self._limits
        room = site.count < limits.max_connections_per_origin
        return room and self._count < limits.max_connections

    def _reserve(self, site: Site) -> None:
        site.count += 1
        self._count += 1

    def _free(self, site: Site) -> None:
        site.count -= 1
        self._count -= 1
        self._serve()
        self._forget(site)
        self._changed.unpark_all()

    # Opening

    async def _open(self, site: Site, watch: Stopwatch) -> Held:
        """Open a connection in a place that is reserved."""
        scope = trio.CancelScope()
        self._openings.add(scope)
        try:
            if self.closed:
                raise PoolClosedError("this client is closed")
            watch.enter(Phase.CONNECT, watch.timeouts.connect, scope.cancel)
            with scope:
                held = await site.open()
                self._opened += 1
                return await self._begin(held)
            raise watch.give_up() if watch.late else PoolClosedError("this client is closed")
        except BaseException as error:
            self._failed += isinstance(error, OSError | trio.BrokenResourceError | ProxyError)
            self._free(site)
            raise
        finally:
            self._openings.discard(scope)

    async def _begin(self, held: Held) -> Held:
        """Have a connection run that was opened."""
        if self.closed or self.nursery is None:
            held.life.cut(Cause.DROPPED)
            await held.site.attend(held)  # Nobody else closes its socket.
            raise PoolClosedError("this client is closed")
        self._held[held] = None
        self.nursery.start_soon(self._attend, held)
        return held

    async def _attend(self, held: Held) -> None:
        try:
            await held.site.attend(held)
        finally:
            del self._held[held]
            if held in held.site.idle:
                del held.site.idle[held]
                self._idle -= 1
            self._free(held.site)

    # Giving back

    def give_back(self, held: Held, *, keep: bool, clean: bool = False) -> None:
        """Give a connection back.

        Parameters:
            held: one that was taken.
            keep: whether another request may follow on it.
            clean: whether, if none may, it can be closed in order: nothing is under way on it.
        """
        site = held.site
        if not (keep and held.life.usable) or self.closed:
            if (keep or clean) and held.life.usable:
                held.life.finish(Cause.DONE)
            else:
                self._cut(held)
            return
        if self._waiting > len(site.line) and self._gives_way(site):
            self._cut(held)
            return
        if site.line:
            site.line.give(held)
            return
        held.since = trio.current_time()
        site.idle[held] = None
        self._idle += 1
        if self._idle > self._limits.max_idle:
            self._cut_idlest()

    def _gives_way(self, site: Site) -> bool:
        """Whether somebody waits for another origin, and longer than anybody for this one."""
        if self._count < self._limits.max_connections:
            return False  # They wait for their own origin's connections.
        next_in_line = self._next_in_line()
        if next_in_line is None or next_in_line is site:
            return False
        return not site.line or next_in_line.line.first < site.line.first

    def _next_in_line(self) -> Site | None:
        """Return the origin of who has waited longest, of those who could open a connection."""
        bound = self._limits.max_connections_per_origin
        waiting = [site for site in self._sites.values() if site.line and site.count < bound]
        return min(waiting, key=lambda site: site.line.first, default=None)

    def _serve(self) -> None:
        """Give places that are free to those who wait."""
        while self._waiting and self._count < self._limits.max_connections:
            site = self._next_in_line()
            if site is None:
                return
            self._reserve(site)
            site.line.give(Turn.OPEN)

    def _make_way(self, site: Site) -> None:
        """Have an idle connection end whose place is needed."""
        if site.count < self._limits.max_connections_per_origin:
            self._cut_idlest()
        elif site.idle:
            self._cut_idle(next(iter(site.idle)))

    def _cut_idlest(self) -> None:
        oldest = [next(iter(site.idle)) for site in self._sites.values() if site.idle]
        if oldest:
            self._cut_idle(min(oldest, key=lambda held: held.since))

    def _cut_idle(self, held: Held) -> None:
        del held.site.idle[held]
        self._idle -= 1
        self._cut(held)

    def _cut(self, held: Held) -> None:
        held.life.cut(Cause.DROPPED)

    # Origins

    def _site(self, origin: Origin) -> Site:
        if self.closed:
            raise PoolClosedError("this client is closed")
        if self.nursery is None:
            raise RuntimeError("use the client within its async with block")
        site = self._sites.get(origin)
        if site is None:
            site = self._sites[origin] = Site(origin, self._find_way(origin), self._limits)
        return site

    def _forget(self, site: Site) -> None:
        """Forget an origin that there is nothing of."""
        if not (site.count or site.line) and self._sites.get(site.origin) is site:
            del self._sites[site.origin]

    # Upkeep and end

    async def watch_idle(self) -> None:
        """Close connections that were idle for too long, until cancelled."""
        timeout = self._limits.keep_alive_timeout
        while True:
            await trio.sleep(timeout / LOOKS)
            bound = trio.current_time() - timeout
            for site in list(self._sites.values()):
                for held in [each for each in site.idle if each.since <= bound or not each.fit]:
                    self._cut_idle(held)

    def close(self) -> None:
        """Give no more connections; what is under way goes on."""
        self.closed = True
        for scope in self._openings:
            scope.cancel(reason="the client is closed")
        for site in list(self._sites.values()):
            while site.line:
                self._reserve(site)
                site.line.give(Turn.OPEN)  # It finds that the client is closed.
            for held in list(site.idle):
                del site.idle[held]
                self._idle -= 1
                held.life.finish(Cause.DONE)

    def cut(self) -> None:
        """End every connection at once."""
        for held in self._held:
            if held.farewell is not None:
                held.farewell()
            self._cut(held)

    async def wait_empty(self) -> None:
        """Wait until no connection is left."""
        while self._count:
            await self._changed.park()

    def statistics(self) -> HTTPClientStatistics:
        """Return the counts of this moment."""
        return HTTPClientStatistics(
            connections=self._count,
            idle=self._idle,
            origins=len(self._sites),
            waiting=self._waiting,
            requests=self._requests,
            opened=self._opened,
            opens_failed=self._failed,
            stale=self.stale,
        )
