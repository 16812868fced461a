"""One origin as a client's pool sees it, and the connections that it has there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import count
from typing import TypeAlias, cast

import attrs
import trio

from ..._client import ClientLimits, Line, Opener, Opening
from ..._connection import Connection
from ..._errors import HandshakeError
from ..._protocol import Protocol
from ..._side import Side
from ..._supervisor import Member, Supervisor
from ..._transport import Endpoint
from .._errors import ProxyError
from .._wire import ClientCodec, ClientCoder, RequestEvent, ResponseEvent
from ._limits import HTTPClientLimits
from ._urls import Origin

HTTPConnection: TypeAlias = Connection[RequestEvent, ResponseEvent, object]
HTTPMember: TypeAlias = Member[RequestEvent, ResponseEvent, object]
ClientProtocol: TypeAlias = Protocol[RequestEvent, ResponseEvent, object]

logger = logging.getLogger("snowtrio.http")

# For the closing alert of TLS, where it cannot leave at once.
_FAREWELL = 1.0


class HTTPClientProtocol(Protocol[RequestEvent, ResponseEvent, object]):
    """HTTP as a client speaks it.

    Parameters:
        limits: of the heads.
    """

    # A server that has ended its output answers nothing more, so such a connection is of no use:
    # that is how an idle one leaves the pool.
    eof_is_departure = True

    def __init__(self, limits: HTTPClientLimits) -> None:
        super().__init__(ClientCodec(limits))

    def purge(self, connection: HTTPConnection, messages: Sequence[RequestEvent]) -> None:
        """Say nothing of them: whoever sent the request knows what became of it."""


class Turn(Enum):
    """What those who wait for a connection are given instead of one."""

    OPEN = "a place is reserved to open one"
    LATE = "there is no more time to wait"


@attrs.frozen
class Way:
    """How an origin is reached.

    Parameters:
        endpoint: where to connect, and with which TLS.
        protocol: what is spoken there; its handshake may go through a proxy.
    """

    endpoint: Endpoint
    protocol: ClientProtocol


class Held:
    """A connection, for one request at a time.

    Parameters:
        member: the core's.
        site: where it leads.
    """

    __slots__ = ("coder", "connection", "farewell", "life", "member", "since", "site", "uses")

    def __init__(self, member: HTTPMember, site: Site) -> None:
        self.member = member
        self.life = member.life
        self.connection: HTTPConnection = member.connection
        self.coder = cast("ClientCoder", member.connection.coder)
        self.site = site
        self.uses = 0
        """Requests that were sent on it, or begun."""
        self.since = 0.0
        """When it became idle."""
        self.farewell: Callable[[], object] | None = None
        """Called before it is cut because the client is cancelled or closed; must not wait."""

    async def stay(self) -> None:
        """Be there until the connection ends."""
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if self.farewell is not None:
                self.farewell()
            raise

    @property
    def fit(self) -> bool:
        """Whether it can carry a request now: open, with nothing on it that nobody asked for."""
        return self.life.usable and not self.connection.has_input()


class Site:
    """An origin's connections, and the line of those who wait for one.

    Parameters:
        origin: whose they are.
        way: how it is reached.
        limits: the client's.
    """

    def __init__(self, origin: Origin, way: Way, limits: HTTPClientLimits) -> None:
        self.origin = origin
        self.count = 0
        """Connections open, being opened, or promised to somebody who opens one."""
        self.idle: dict[Held, None] = {}
        """Those that nobody uses; the one that was used last comes last."""
        self.line: Line[int, Held | Turn] = Line()
        """Who waits."""
        core = _core_limits(limits)
        self._supervisor = Supervisor[RequestEvent, ResponseEvent, object](
            way.protocol, Side.CLIENT, core, logger=logger
        )
        self._opener = Opener(self._supervisor, [way.endpoint], core)
        self._order = count()

    async def open(self) -> Held:
        """Open a connection; `attend` must be run for it.

        Raises:
            ConnectError: it could not be opened.
            HandshakeError: TLS said no.
            ProxyError: a proxy said no.
        """
        place = self._supervisor.places.reserve()
        try:
            opening = Opening(place, attempts=1, order=self._order)
            return Held(await self._opener.open(opening), self)
        except BaseException as error:
            place.release()
            if isinstance(error, HandshakeError) and isinstance(error.__cause__, ProxyError):
                raise error.__cause__ from error.__cause__.__cause__
            raise

    async def attend(self, held: Held) -> None:
        """Run a connection until it ends."""
        await self._supervisor.attend(held.member, held.stay)


def _core_limits(limits: HTTPClientLimits) -> ClientLimits:
    """Return the bounds that the core holds; requests have deadlines of their own."""
    return ClientLimits(
        max_connections=limits.max_connections_per_origin,
        receive_size=limits.receive_size,
        connect_timeout=float("inf"),
        handshake_timeout=float("inf"),
        stall_timeout=float("inf"),
        linger_timeout=0,  # What was asked has been answered: no last words can get lost.
        drain_timeout=_FAREWELL,
    )
