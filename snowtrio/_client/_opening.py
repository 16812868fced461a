"""Opening one connection: attempts over several addresses, pauses between them, one deadline."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator, Sequence
from typing import Generic

import attrs
import trio
from typing_extensions import TypeVar

from .._errors import ConnectError, HandshakeError, HandshakeTimeoutError, SocketOptionError
from .._supervisor import TLS, Member, Place, Supervisor
from .._transport import Endpoint, merge_connect_errors, timed_out
from ._limits import ClientLimits

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


def pause_after(attempt: int, limits: ClientLimits, chance: float | None = None) -> float:
    """Return the pause after a failed attempt, in seconds.

    Doubles with each attempt up to a bound, and is spread between half of that and all of it, so
    that clients which failed together do not come back together.

    Parameters:
        attempt: 0 for the first.
        limits: for ``backoff`` and ``max_backoff``.
        chance: between 0 and 1; random by default.
    """
    if chance is None:
        chance = random.random()  # noqa: S311 - spreads load, keeps no secret
    # Beyond a thousand doublings a float overflows; the bound is reached long before.
    return min(limits.max_backoff, limits.backoff * 2.0 ** min(attempt, 64)) * (0.5 + chance / 2)


@attrs.define(eq=False)
class Opening:
    """A connection that is being opened.

    Parameters:
        place: for the connection.
        attempts: how often to try each endpoint.
        order: numbers the attempts.
        scope: cancelled when nobody wants the connection any more.
    """

    place: Place
    attempts: int
    order: Iterator[int]
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    tried: int = -1
    """The number of the latest attempt."""
    final: bool = False
    """Whether it has failed in a way that another attempt would only repeat."""


class Opener(Generic[SendT, ReceiveT, ContextT]):
    """Opens connections for a supervisor.

    Parameters:
        supervisor: registers them.
        endpoints: tried in turn; the one that worked last is tried first.
        limits: for the times.
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

    async def open(self, opening: Opening) -> Member[SendT, ReceiveT, ContextT]:
        """Connect and shake hands within ``connect_timeout``; the place stays when it raises.

        Raises:
            ConnectError: no attempt succeeded in time, with all causes.
            HandshakeError: the peer was reached, and the last attempt failed in the handshake.
        """
        deadline = trio.current_time() + self._limits.connect_timeout
        errors: list[Exception] = []
        for attempt in range(opening.attempts):
            if attempt and not await self._pause(attempt - 1, deadline):
                break
            before = len(errors)
            opening.tried = next(opening.order)
            member = await self._round(opening.place, deadline, errors)
            if member is not None:
                return member
            opening.final = all(map(_is_final, errors[before:]))
            if opening.final:
                break
        raise self._sum_up(errors)

    async def _pause(self, attempt: int, deadline: float) -> bool:
        """Wait before the next round; at once False where it would come too late."""
        pause = pause_after(attempt, self._limits)
        if trio.current_time() + pause >= deadline:
            return False
        await trio.sleep(pause)
        return True

    async def _round(
        self, place: Place, deadline: float, errors: list[Exception]
    ) -> Member[SendT, ReceiveT, ContextT] | None:
        """Try each endpoint once.

        Each has an even share of the time left: one that does not answer leaves the others some.
        """
        first, count = self._first, len(self._endpoints)
        for offset in range(count):
            index = (first + offset) % count
            share = (deadline - trio.current_time()) / (count - offset)
            try:
                member = await self._attempt(self._endpoints[index], place, max(0.0, share))
            except (ConnectError, HandshakeError) as error:
                errors.append(error)
            else:
                self._first = index
                return member
        return None

    async def _attempt(
        self, endpoint: Endpoint, place: Place, seconds: float
    ) -> Member[SendT, ReceiveT, ContextT]:
        reached = False
        with trio.move_on_after(seconds):
            transport = await endpoint.connect()
            reached = True
            tls = None
            if endpoint.ssl_context is not None:
                tls = TLS(endpoint.ssl_context, endpoint.server_hostname)
            return await self._supervisor.introduce(place, transport, tls)
        if reached:
            raise HandshakeTimeoutError(
                f"the handshake with {endpoint} was not done when connect_timeout was over"
            )
        raise timed_out(str(endpoint), seconds)

    def _sum_up(self, errors: list[Exception]) -> Exception:
        """Return one error for all; what it does not say of the others is in its cause or notes."""
        last = errors[-1]
        if len(errors) == 1:
            return last
        if isinstance(last, ConnectError):
            merged = merge_connect_errors(self.target, errors)
            merged.__cause__ = ExceptionGroup("every attempt failed", errors)
            return merged
        for error in errors[:-1]:
            last.add_note(f"before that: {error}")
        return last


def _is_final(error: Exception) -> bool:
    """Whether another attempt would only bring the same: a refused login, a bad certificate.

    So would a socket option that the system refuses. A handshake that the network or the clock cut
    short may well succeed the next time.
    """
    if isinstance(error, ConnectError):
        return any(isinstance(cause, SocketOptionError) for cause in error.causes)
    if isinstance(error, HandshakeTimeoutError):
        return False
    cause = error.__cause__
    if isinstance(cause, HandshakeError):
        return True  # The protocol's own word for a refusal.
    if isinstance(cause, trio.BrokenResourceError) and isinstance(cause.__cause__, ssl.SSLError):
        return not isinstance(cause.__cause__, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return not isinstance(cause, trio.BrokenResourceError | trio.EndOfChannel)
