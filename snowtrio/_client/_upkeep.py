"""Shrinking, ageing and refilling a pool while nobody looks (row S27)."""

from __future__ import annotations

import random
from typing import Generic
from weakref import WeakKeyDictionary

import trio
from typing_extensions import TypeVar

from .._connection import Cause, Connection
from .._supervisor import LOOKS, IdleWatch, Member
from ._limits import ClientLimits
from ._opening import pause_after
from ._pool import Pool

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class Upkeep(Generic[SendT, ReceiveT, ContextT]):
    """Looks after a pool.

    Parameters:
        pool: what it looks after.
        limits: for the minimum, the idle timeout and the lifetime.
    """

    def __init__(self, pool: Pool[SendT, ReceiveT, ContextT], limits: ClientLimits) -> None:
        self._pool = pool
        self._limits = limits
        self._lifetimes: WeakKeyDictionary[Connection[SendT, ReceiveT, ContextT], float] = (
            WeakKeyDictionary()
        )

    async def run(self) -> None:
        """Do what the limits ask for until cancelled."""
        async with trio.open_nursery() as nursery:
            if self._limits.min_connections:
                nursery.start_soon(self._keep_minimum)
            if self._limits.idle_timeout is not None:
                nursery.start_soon(self._retire_idle, self._limits.idle_timeout)
            if self._limits.max_lifetime is not None:
                nursery.start_soon(self._retire_aged, self._limits.max_lifetime, nursery)

    # The minimum

    async def _keep_minimum(self) -> None:
        """Refill at once; but with pauses where connections fail, or do not last."""
        refills = 0
        latest = float("-inf")
        while True:
            if self._pool.missing > 0:
                if trio.current_time() - latest > self._limits.max_backoff:
                    refills = 0
                elif refills:
                    await trio.sleep(pause_after(refills - 1, self._limits))
                refills += 1
                latest = trio.current_time()
                for _ in range(self._pool.missing):
                    self._pool.open_one()
            await self._pool.wait_changed()

    # The idle

    async def _retire_idle(self, timeout: float) -> None:
        watch = IdleWatch[Connection[SendT, ReceiveT, ContextT]]()
        while True:
            members = {member.connection: member for member in self._pool.usable}
            idle = watch.look([(c, member.life.activity) for c, member in members.items()])
            spare = len(members) - self._limits.min_connections
            # The youngest go first: selection prefers the oldest, so those are the ones in use.
            free = [c for c in reversed(idle) if not self._pool.pending(members[c])]
            for connection in free[: max(0, spare)]:
                members[connection].life.finish(Cause.IDLE)
            await trio.sleep(timeout / LOOKS)

    # The aged

    async def _retire_aged(self, lifetime: float, nursery: trio.Nursery) -> None:
        """Retire each connection when its time has come, give or take a tenth."""
        while True:
            now = trio.current_time()
            # One that is opened during the sleep is due no sooner.
            wake = now + 0.9 * lifetime
            for member in self._pool.usable:
                due = member.since + self._lifetime(member, lifetime)
                if due <= now:
                    member.life.end(Cause.AGED)  # It gets no more messages from here on.
                    nursery.start_soon(self._retire, member)
                else:
                    wake = min(wake, due)
            self._pool.changed()
            await trio.sleep_until(wake)

    def _lifetime(self, member: Member[SendT, ReceiveT, ContextT], lifetime: float) -> float:
        spread = 0.9 + random.random() / 5  # noqa: S311 - spreads load, keeps no secret
        return self._lifetimes.setdefault(member.connection, lifetime * spread)

    async def _retire(self, member: Member[SendT, ReceiveT, ContextT]) -> None:
        """Close a connection when nothing moves on it any more, or ``drain_timeout`` is over."""
        with trio.move_on_after(self._limits.drain_timeout):
            activity: object = None
            while activity != member.life.activity or self._pool.pending(member):
                activity = member.life.activity
                await trio.sleep(self._limits.drain_timeout / LOOKS)
        member.life.finish(Cause.AGED)
