"""A running UDP server: takes what comes to its endpoints to whoever answers it."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, cast

import attrs
import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._side import Side
from .._supervisor import (
    Drain,
    DrainReport,
    DrainTimeouts,
    LogLimit,
    open_plain_nursery,
)
from . import _messages
from ._answering import Answering, FunctionHandler, Patience
from ._datagram import Datagram, InternetAddress
from ._endpoint import UDPEndpoint
from ._errors import EXHAUSTED, UndeliveredError
from ._limits import UDPServerLimits
from ._session import UDPSession
from ._sessions import Admit, Member, SessionHandler, Sessions
from ._statistics import UDPServerStatistics

SendT = TypeVar("SendT", default=bytes)
ReceiveT = TypeVar("ReceiveT", default=SendT)

Handler: TypeAlias = SessionHandler[SendT, ReceiveT] | FunctionHandler[ReceiveT, SendT]

logger = logging.getLogger("snowtrio.udp")

# How many datagrams are handled before other tasks get their turn, so that a flood starves nobody.
# No more than a handler of sessions can send between two turns, or its inbox fills meanwhile.
_IN_A_ROW = 64

# How many batches of what waits in the system's buffer a drain still looks at.
_LAST_BATCHES = 16

# Where the system has no memory, in seconds.
_PAUSE = 0.05


@attrs.define(eq=False)
class Source:
    """An endpoint of a server, and its sessions by address."""

    endpoint: UDPEndpoint
    home: dict[InternetAddress, Member[Any, Any]] = attrs.field(factory=dict[Any, Any])
    receiving: trio.CancelScope = attrs.field(factory=trio.CancelScope)


class UDPServer(Generic[SendT, ReceiveT]):
    """Serves datagrams until it is drained or cancelled.

    Made by `serve_udp` and `serve_udp_endpoints`, which report it to ``nursery.start``.

    Parameters:
        handler: a plain function called with each `Datagram`, whose result is sent to its sender,
            if not None; or a coroutine function called with a `UDPSession` for each peer.
        codec: makes a datagram of each message and a message of each datagram. One that is not
            exactly one message is counted and thrown away. None: messages are the bytes.
        admit: a plain function called with the first datagram of an address, before anything is
            remembered of it: True gives it a session, None or False does not, and anything else is
            sent back as a message, without a session (a cookie, say, that the peer has to come
            back with). None admits everybody. For coroutine handlers.
        limits: the bounds.
        propagate_errors: let what a handler raises end the server, rather than log it.
    """

    def __init__(
        self,
        handler: Handler[SendT, ReceiveT],
        *,
        codec: Codec[SendT, ReceiveT] | None = None,
        admit: Admit[ReceiveT, SendT] | None = None,
        limits: UDPServerLimits | None = None,
        propagate_errors: bool = False,
    ) -> None:
        limits = limits if limits is not None else UDPServerLimits()
        coder = _messages.start(codec, Side.SERVER)
        self._answering: Answering[SendT, ReceiveT] | None = None
        self._sessions: Sessions[SendT, ReceiveT] | None = None
        if _is_coroutine_function(handler):
            self._sessions = Sessions(
                cast("SessionHandler[SendT, ReceiveT]", handler),
                admit,
                coder,
                limits,
                start_soon=self._start_soon,
                failed=self._handler_failed,
            )
        elif admit is not None:
            raise TypeError("a plain function has no sessions to admit anybody to")
        else:
            self._answering = Answering(
                cast("FunctionHandler[ReceiveT, SendT]", handler),
                coder,
                failed=self._handler_failed,
                refused=self._reply_refused,
            )
        self._limits = limits
        self._propagate = propagate_errors
        self._sources: list[Source] = []
        self._nursery: trio.Nursery | None = None
        self._drain: Drain | None = None
        self._stopped = trio.Event()
        self._ended = trio.Event()
        self._handler_errors = self._replies_failed = 0
        # One each: what strangers can cause as they like must not hide what a handler raises.
        self._error_lines, self._refusal_lines = LogLimit(), LogLimit()

    # Serving

    async def serve(
        self,
        endpoints: Sequence[UDPEndpoint],
        *,
        task_status: trio.TaskStatus[UDPServer[SendT, ReceiveT]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until drained or cancelled; once only. Owns the endpoints.

        Parameters:
            endpoints: without a codec.
            task_status: for ``nursery.start``.

        Raises:
            OSError: an endpoint broke.
        """
        if self._sources or self._ended.is_set():
            raise RuntimeError("a UDPServer serves once")
        with contextlib.ExitStack() as stack:
            for endpoint in endpoints:
                stack.callback(endpoint.close)
                self._sources.append(Source(endpoint))
            stack.callback(self._ended.set)
            async with open_plain_nursery() as self._nursery:
                self._nursery.start_soon(self._receive)
                if self._sessions is not None:
                    self._nursery.start_soon(self._sessions.watch_idle)
                task_status.started(self)
                await self._ended.wait()
                self._nursery.cancel_scope.cancel(reason="the server is drained")

    async def _receive(self) -> None:
        async with open_plain_nursery() as nursery:
            for source in self._sources:
                nursery.start_soon(self._receive_from, source)
        self._stopped.set()

    async def _receive_from(self, source: Source) -> None:
        """Handle what comes until a drain begins, and then what has come before it."""
        endpoint = source.endpoint
        with source.receiving:
            while True:
                # What has been taken is handled, whatever is cancelled meanwhile.
                await self._handle(source, await self._receive_batch(endpoint))
        for _ in range(_LAST_BATCHES):
            batch = endpoint.receive_batch_nowait()
            if not batch:
                break
            await self._handle(source, batch)
            await trio.lowlevel.checkpoint()

    async def _receive_batch(self, endpoint: UDPEndpoint) -> list[Datagram]:
        try:
            return await endpoint.receive_batch()
        except UndeliveredError:
            return []  # Counted, and nobody's fault here.
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            await trio.sleep(_PAUSE)
            return []

    async def _handle(self, source: Source, batch: list[Datagram]) -> None:
        patience = Patience()
        for start in range(0, len(batch), _IN_A_ROW):
            if start:
                await trio.lowlevel.cancel_shielded_checkpoint()
            some = batch[start : start + _IN_A_ROW]
            if self._answering is not None:
                await self._answering.answer(source.endpoint, some, patience)
            else:
                assert self._sessions is not None
                self._sessions.deliver(source.endpoint, source.home, some)

    def _start_soon(self, function: Any, *arguments: Any) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(function, *arguments)

    def _handler_failed(self, whom: object, error: Exception) -> None:
        self._handler_errors += 1
        if self._propagate:
            raise error
        # Whoever finds the datagram that does it can send it again and again.
        if self._error_lines.allows():
            logger.error("the handler failed with %s", whom, exc_info=error)

    def _reply_refused(self, whom: object, error: OSError) -> None:
        self._replies_failed += 1
        if self._refusal_lines.allows():
            logger.info("a reply to %s was not sent: %s", whom, error)

    # Looking at it

    @property
    def addresses(self) -> list[InternetAddress]:
        """Where it listens, with the real ports."""
        return [source.endpoint.address for source in self._sources]

    @property
    def port(self) -> int:
        """The port of the first address.

        Raises:
            LookupError: it has no endpoints.
        """
        for address in self.addresses:
            return address[1]
        raise LookupError("this server has no endpoints")

    @property
    def sessions(self) -> list[UDPSession[SendT, ReceiveT]]:
        """The sessions that are there now, the oldest first."""
        return [each.session for each in self._sessions.members] if self._sessions else []

    @property
    def limits(self) -> UDPServerLimits:
        """The bounds. Those of sessions can be replaced, and then hold for new ones.

        Fewer ``max_sessions`` cut nobody. Endpoints keep theirs.
        """
        return self._limits

    @limits.setter
    def limits(self, limits: UDPServerLimits) -> None:
        self._limits = limits
        if self._sessions is not None:
            self._sessions.limits = limits

    def statistics(self) -> UDPServerStatistics:
        """Return the counts of this moment."""
        sessions, answering = self._sessions, self._answering
        kept = sessions or answering
        assert kept is not None
        return UDPServerStatistics(
            endpoints=tuple(source.endpoint.statistics() for source in self._sources),
            sessions=len(sessions.members) if sessions else 0,
            peak_sessions=sessions.peak if sessions else 0,
            opened=sessions.opened if sessions else 0,
            ended=dict(sessions.ended) if sessions else {},
            refused=dict(sessions.refused) if sessions else {},
            not_admitted=sessions.not_admitted if sessions else 0,
            dropped=sessions.held.dropped if sessions else 0,
            undecodable=kept.undecodable,
            handler_errors=self._handler_errors,
            replies_failed=self._replies_failed,
            memory_held=sessions.held.bytes if sessions else 0,
        )

    # Ending

    def close_all(self) -> None:
        """Cancel the handlers of all sessions, and go on serving. Does not wait."""
        if self._sessions is not None:
            self._sessions.cut()

    async def drain(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """End in good order: handle what has come, let sessions end, cut those that do not.

        What comes from then on is not read. Handlers of sessions see the end behind what has come,
        and have ``timeouts.wait`` seconds to return. Afterwards `serve` returns. Called again, it
        waits for the first drain and returns the same report. Cancelled, the drain goes on without
        its caller. A handler must not wait for it.

        Parameters:
            timeouts: of the phases.

        Raises:
            RuntimeError: the server does not serve yet, or ended before it had drained.
        """
        if self._nursery is None:
            raise RuntimeError("this server does not serve yet")
        if self._drain is None and not self._ended.is_set():
            self._drain = Drain(timeouts or DrainTimeouts())
            self._start_soon(self._run_drain, self._drain)
        await self._ended.wait()
        if self._drain is None or self._drain.report is None:
            raise RuntimeError("the server ended before it had drained")
        return self._drain.report

    async def _run_drain(self, drain: Drain) -> None:
        if self._sessions is not None:
            self._sessions.drain = drain
        for source in self._sources:
            source.receiving.cancel(reason="the server drains")
        await self._stopped.wait()
        report = await drain.run(self._sessions or _Nobody())
        for source in self._sources:
            source.endpoint.close()
        drain.report = report
        self._ended.set()


class _Nobody:
    """The sessions of a server that has none."""

    def settle(self) -> None:
        pass

    async def say_goodbye(self) -> None:
        pass

    async def wait_empty(self) -> None:
        pass

    def cut(self) -> None:
        pass

    def cut_handshakes(self) -> None:
        pass


def _is_coroutine_function(handler: Callable[..., Any]) -> bool:
    if not callable(handler):
        raise TypeError(f"a handler is a coroutine function or a plain function, not {handler!r}")
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )
