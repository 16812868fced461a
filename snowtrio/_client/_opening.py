"""Opening one connection: attempts over several addresses, pauses between them, one deadline."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Generic

import trio
from typing_extensions import TypeVar

from .._errors import ConnectError, HandshakeError
from .._supervisor import TLS, Member, Place, Supervisor
from .._transport import Endpoint, merge_connect_errors, timed_out
from ._limits import ClientLimits

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


def pause_after(attempt: int, limits: ClientLimits, chance: float) -> float:
    """Return the pause after a failed attempt, in seconds.

    Doubles with each attempt up to a bound, and is spread between half of that and all of it, so
    that clients which failed together do not come back together.

    Parameters:
        attempt: 0 for the first.
        limits: for ``backoff`` and ``max_backoff``.
        chance: between 0 and 1.
    """
    return min(limits.max_backoff, limits.backoff * 2.0**attempt) * (0.5 + chance / 2)


class Opener(Generic[SendT, ReceiveT, ContextT]):
    """Opens connections for a supervisor.

    Parameters:
        supervisor: registers them.
        endpoints: tried in turn; the one that worked last is tried first.
        limits: for the times and the number of attempts.
    """

    def __init__(
        self,
        supervisor: Supervisor[SendT, ReceiveT, ContextT],
        endpoints: Sequence[Endpoint],
        limits: ClientLimits,
    ) -> None:
        self._supervisor = supervisor
        self._endpoints = endpoints
        self._limits = limits
        self._first = 0

    @property
    def target(self) -> str:
        """The endpoints as people read them."""
        return ", ".join(str(endpoint) for endpoint in self._endpoints)

    async def open(self, place: Place) -> Member[SendT, ReceiveT, ContextT]:
        """Connect and shake hands; `place` stays the caller's when it raises.

        Raises:
            ConnectError: no attempt succeeded in time, with all causes.
            HandshakeError: the peer was reached, and the last attempt failed in the handshake.
        """
        errors: list[Exception] = []
        timeout = self._limits.connect_timeout
        member = None
        with trio.move_on_after(timeout) as scope:
            member = await self._attempts(place, errors)
        if member is not None:
            return member
        if scope.cancelled_caught:
            raise timed_out(self.target, timeout, errors)
        if isinstance(errors[-1], ConnectError):
            raise merge_connect_errors(self.target, errors)
        raise errors[-1]

    async def _attempts(
        self, place: Place, errors: list[Exception]
    ) -> Member[SendT, ReceiveT, ContextT] | None:
        for attempt in range(self._limits.connect_attempts):
            if attempt:
                await trio.sleep(pause_after(attempt - 1, self._limits, random.random()))  # noqa: S311
            for offset in range(len(self._endpoints)):
                index = (self._first + offset) % len(self._endpoints)
                try:
                    member = await self._attempt(self._endpoints[index], place)
                except (ConnectError, HandshakeError) as error:
                    errors.append(error)
                else:
                    self._first = index
                    return member
        return None

    async def _attempt(self, endpoint: Endpoint, place: Place) -> Member[SendT, ReceiveT, ContextT]:
        transport = await endpoint.connect()
        tls = None
        if endpoint.ssl_context is not None:
            tls = TLS(endpoint.ssl_context, endpoint.server_hostname)
        return await self._supervisor.introduce(place, transport, tls)
