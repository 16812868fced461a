"""All sessions of a server: who gets one, what goes to which, and when they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeAlias, TypeVar, cast

import attrs
import trio

from .._codec import Codec
from .._connection import Cause
from .._errors import RemoteProtocolError, SkippedMessageError
from .._protocol import is_departure
from .._supervisor import LOOKS, Drain, IdleWatch, Refusal
from . import _messages
from ._datagram import Datagram, InternetAddress
from ._endpoint import UDPEndpoint
from ._limits import UDPServerLimits
from ._mailbox import Held, Mailbox
from ._session import UDPSession

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

SessionHandler: TypeAlias = Callable[[UDPSession[SendT, ReceiveT]], Awaitable[None]]
Admit: TypeAlias = Callable[[Datagram[ReceiveT]], SendT | bool | None]
"""Decides on the first datagram of an address: True gives it a session, None or False nothing, and
anything else is a message that is sent back, without a session."""


@attrs.define(eq=False)
class Member(Generic[SendT, ReceiveT]):
    """A session, and what its server knows of it."""

    session: UDPSession[SendT, ReceiveT]
    mailbox: Mailbox[ReceiveT]
    home: dict[InternetAddress, Any]
    """The sessions of its endpoint, by address."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    @property
    def activity(self) -> tuple[int, int]:
        """What changes with every datagram."""
        counts = self.session.statistics()
        return counts.received + counts.dropped, counts.sent


class Sessions(Generic[SendT, ReceiveT]):
    """Gives datagrams to sessions, each of which is a task.

    Parameters:
        handler: called once a session.
        admit: asked before there is one; None admits everybody.
        coder: makes messages of datagrams, None to leave them.
        limits: the bounds; they can be replaced.
        start_soon: starts a task.
        failed: told what a handler, or the codec, raised. What it raises in turn ends the server.
    """

    def __init__(
        self,
        handler: SessionHandler[SendT, ReceiveT],
        admit: Admit[ReceiveT, SendT] | None,
        coder: Codec[SendT, ReceiveT] | None,
        limits: UDPServerLimits,
        *,
        start_soon: Callable[..., None],
        failed: Callable[[object, Exception], None],
    ) -> None:
        self.limits = limits
        self.held = Held()
        self.members: dict[Member[SendT, ReceiveT], None] = {}
        self.refused: Counter[Refusal] = Counter()
        self.ended: Counter[Cause] = Counter()
        self.peak = self.opened = self.not_admitted = self.undecodable = 0
        self.drain: Drain | None = None
        """Told what becomes of each session, once it has begun."""
        self._handler = handler
        self._admit = admit
        self._coder = coder
        self._start_soon = start_soon
        self._failed = failed
        self._hosts: Counter[str] = Counter()
        self._empty = trio.lowlevel.ParkingLot()

    # Datagrams

    def deliver(
        self,
        endpoint: UDPEndpoint,
        home: dict[InternetAddress, Member[SendT, ReceiveT]],
        datagrams: list[Datagram],
    ) -> None:
        """Give each datagram to its session, or to a new one. Does not wait.

        Parameters:
            endpoint: where they came.
            home: its sessions.
            datagrams: what came.
        """
        for datagram in datagrams:
            data, sender = datagram
            member = home.get(sender)
            try:
                if self._coder is not None:
                    message = _messages.decode(self._coder, data)
                else:
                    message = cast("ReceiveT", data)
                if member is None:
                    member = self._welcome(endpoint, home, Datagram(message, sender))
            except (RemoteProtocolError, SkippedMessageError):
                self.undecodable += 1
                if member is not None:
                    member.mailbox.undecodable += 1
            except Exception as error:
                self._failed(sender, error)
            else:
                if member is not None:
                    member.mailbox.put(message, len(data))

    def _welcome(
        self,
        endpoint: UDPEndpoint,
        home: dict[InternetAddress, Member[SendT, ReceiveT]],
        datagram: Datagram[ReceiveT],
    ) -> Member[SendT, ReceiveT] | None:
        """Return a new session for an address, if it gets one."""
        sender = datagram.sender
        if not sender[1]:  # Who writes no port on a datagram wants no answer (RFC 768).
            self.not_admitted += 1
            return None
        refusal = self._refusal(sender[0])
        if refusal is not None:
            self.refused[refusal] += 1
            return None
        answer = self._admit(datagram) if self._admit is not None else True
        if answer is not True:
            self.not_admitted += 1
            if answer is not None and answer is not False:
                self._send_back(endpoint, answer, sender)
            return None
        mailbox = Mailbox[ReceiveT](self.limits, self.held)
        session = UDPSession(endpoint, sender, self._coder, mailbox)
        member = home[sender] = Member(session, mailbox, home)
        self.members[member] = None
        self._hosts[sender[0]] += 1
        self.opened += 1
        self.peak = max(self.peak, len(self.members))
        self._start_soon(self._attend, member)
        return member

    def _send_back(self, endpoint: UDPEndpoint, message: SendT, sender: InternetAddress) -> None:
        coder = self._coder
        data = cast("bytes", message) if coder is None else coder.encode(message)
        try:
            endpoint.send_nowait(data, sender)
        except (trio.WouldBlock, OSError):
            self.held.dropped += 1

    def _refusal(self, host: str) -> Refusal | None:
        limits = self.limits
        if len(self.members) >= limits.max_sessions:
            return Refusal.FULL
        most = limits.max_sessions_per_host
        if most is not None and self._hosts[host] >= most:
            return Refusal.PEER
        return None

    # The life of a session

    async def _attend(self, member: Member[SendT, ReceiveT]) -> None:
        cause, failure = Cause.CANCELLED, None
        try:
            with member.scope:
                await self._handler(member.session)
            cause = Cause.DONE
        except Exception as error:
            if is_departure(error):
                cause = Cause.DONE
            else:
                cause, failure = Cause.HANDLER_ERROR, error
        finally:
            self._forget(member, cause)
        if failure is not None:
            self._failed(member.session, failure)

    def _forget(self, member: Member[SendT, ReceiveT], cause: Cause) -> None:
        mailbox, session = member.mailbox, member.session
        mailbox.end(cause)
        mailbox.discard()
        del member.home[session.peer_address]
        del self.members[member]
        host = session.peer_address[0]
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
        assert mailbox.cause is not None
        self.ended[mailbox.cause] += 1
        if self.drain is not None:
            self.drain.note(session.peer_address, mailbox.cause, 0)
        if not self.members:
            self._empty.unpark_all()

    async def watch_idle(self) -> None:
        """End sessions in which nothing moves, until cancelled."""
        watch = IdleWatch[Member[SendT, ReceiveT]]()
        while True:
            timeout = self.limits.idle_timeout
            # A timeout that is set while there is none is seen within a minute.
            await trio.sleep(timeout / LOOKS if timeout is not None else 60)
            if timeout is None:
                continue
            for member in watch.look([(each, each.activity) for each in self.members]):
                self._end(member, Cause.IDLE)

    def _end(self, member: Member[SendT, ReceiveT], cause: Cause) -> None:
        if not member.mailbox.ended:
            member.mailbox.end(cause)
            member.scope.deadline = trio.current_time() + self.limits.end_timeout

    # All of them, as a drain asks for it

    def settle(self) -> None:
        """Leave them as they are; they have no hook for it."""

    async def say_goodbye(self) -> None:
        """Let handlers see the end behind what has come."""
        for member in self.members:
            member.mailbox.end()

    async def wait_empty(self) -> None:
        """Wait until there is no session."""
        while self.members:
            await self._empty.park()

    def cut(self) -> None:
        """Cancel all handlers."""
        for member in self.members:
            member.mailbox.end(Cause.DROPPED)
            member.scope.cancel(reason="the server has cut this session")

    def cut_handshakes(self) -> None:
        """There are none."""
