"""Shrinking, ageing and refilling a pool while nobody looks (row S27)."""

from __future__ import annotations

import random
from typing import Generic
from weakref import WeakKeyDictionary

import trio
from typing_extensions import TypeVar

from .._connection import Cause, Connection
from .._supervisor import LOOKS, IdleWatch
from ._limits import ClientLimits
from ._pool import Pool

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Upkeep(Generic[SendT, ReceiveT, ContextT]):
    """Looks after a pool from time to time.

    Parameters:
        pool: what it looks after.
        limits: for the minimum, the idle timeout and the lifetime.
    """

    def __init__(self, pool: Pool[SendT, ReceiveT, ContextT], limits: ClientLimits) -> None:
        self._pool = pool
        self._limits = limits
        self._idle = IdleWatch[Connection[SendT, ReceiveT, ContextT]]()
        self._spreads: WeakKeyDictionary[Connection[SendT, ReceiveT, ContextT], float] = (
            WeakKeyDictionary()
        )
        self._retiring: dict[Connection[SendT, ReceiveT, ContextT], object] = {}

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        times = [self._limits.idle_timeout, self._limits.max_lifetime]
        shortest = min((time for time in times if time is not None), default=None)
        return shortest / LOOKS if shortest is not None else self._limits.max_backoff

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._pool.open_minimum()
            await trio.sleep(self.interval)
            self._finish_retiring()
            if self._limits.max_lifetime is not None:
                self._retire_aged(trio.current_time(), self._limits.max_lifetime)
            if self._limits.idle_timeout is not None:
                self._retire_idle()

    def _retire_aged(self, now: float, lifetime: float) -> None:
        """Give the aged no more messages; they are closed when nothing moves on them any more."""
        for member in self._pool.usable:
            spread = self._spreads.setdefault(member.connection, 0.9 + random.random() / 5)  # noqa: S311
            if now >= member.since + lifetime * spread:
                member.life.end(Cause.AGED)
                self._retiring[member.connection] = member.life.activity

    def _finish_retiring(self) -> None:
        members = self._pool.members
        for connection, activity in list(self._retiring.items()):
            member = members.get(connection)
            if member is None:
                del self._retiring[connection]
            elif activity == member.life.activity and not self._pool.pending(member):
                member.life.finish(Cause.AGED)
                del self._retiring[connection]
            else:
                self._retiring[connection] = member.life.activity

    def _retire_idle(self) -> None:
        members = {member.connection: member for member in self._pool.usable}
        idle = self._idle.look([(c, member.life.activity) for c, member in members.items()])
        spare = len(members) - self._limits.min_connections
        # The youngest go first: selection prefers the oldest, so those are the ones in use.
        for connection in [c for c in reversed(idle) if not self._pool.pending(members[c])]:
            if spare <= 0:
                return
            spare -= 1
            members[connection].life.finish(Cause.IDLE)
