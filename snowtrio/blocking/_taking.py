"""What comes one by one, taken by threads."""

from __future__ import annotations

import contextlib
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

import trio

from .._errors import PoolClosedError
from .._requests import Pushes, Replies
from ._bridge import Bridge
from ._hold import Hold

ReceiveT = TypeVar("ReceiveT")

_AT_A_TIME = 64


class Taking(Iterator[ReceiveT]):
    """An iterator whose next item comes from Trio. An interrupted thread loses none.

    Parameters:
        bridge: leads into Trio.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        # Items pass through here, so that one whose thread was interrupted is there for the next.
        self._taken: deque[ReceiveT] = deque()

    @abstractmethod
    async def _fetch(self) -> None:
        """Append the next item; in Trio."""

    def _take(self, timeout: float | None) -> ReceiveT:
        while True:
            try:
                return self._taken.popleft()
            except IndexError:
                self._bridge.call(self._fetch, timeout=timeout)


class BlockingReplies(Taking[ReceiveT]):
    """The replies to one request, as they come, the last one included: ``for reply in replies``.

    Each may take as long as the ``timeout`` of `BlockingRequestClient.stream` says; after a
    ``TimeoutError`` the next one can be waited for again.

    Parameters:
        bridge: leads into Trio.
        hold: holds the replies.
        replies: taken from there.
        timeout: seconds to wait for each.
    """

    def __init__(
        self,
        bridge: Bridge,
        hold: Hold[Replies[ReceiveT]],
        replies: Replies[ReceiveT],
        timeout: float | None,
    ) -> None:
        super().__init__(bridge)
        self._hold = hold
        self._replies = replies
        self._timeout = timeout

    async def _fetch(self) -> None:
        try:
            self._taken.append(await anext(self._replies))
        except StopAsyncIteration:
            raise trio.EndOfChannel("that was the last reply") from None
        # What is there already comes along: a thread that is woken once for each is slow.
        with contextlib.suppress(trio.WouldBlock):
            while len(self._taken) < _AT_A_TIME:
                self._taken.append(self._replies.receive_nowait())

    def __next__(self) -> ReceiveT:
        if self._hold.left:
            raise RuntimeError("take the replies within their with block")
        try:
            return self._take(self._timeout)
        except trio.EndOfChannel:
            raise StopIteration from None


class BlockingPushes(Taking[ReceiveT]):
    """What the server sent unasked: ``for message in client.pushes``.

    The iteration ends when the client is closed; that of a session's, when the session is left. Any
    number of threads may take; each message goes to one of them.

    Parameters:
        bridge: leads into Trio.
        pushes: taken from there.
    """

    def __init__(self, bridge: Bridge, pushes: Pushes[ReceiveT]) -> None:
        super().__init__(bridge)
        self._pushes = pushes
        self._last = threading.Lock()

    @property
    def received(self) -> int:
        """Messages that came."""
        return self._pushes.received

    @property
    def dropped(self) -> int:
        """Messages that were thrown away since nobody had taken those before them."""
        return self._pushes.dropped

    async def _fetch(self) -> None:
        self._taken.append(await self._pushes.receive())

    def receive(self, *, timeout: float | None = None) -> ReceiveT:
        """Return the next one. Interrupted, or out of time, it loses nothing.

        Parameters:
            timeout: seconds to wait; 0 returns what is there.

        Raises:
            TimeoutError: none came in time.
            trio.EndOfChannel: no more come.
        """
        try:
            return self._take(timeout)
        except PoolClosedError:
            return self._take_left()

    def _take_left(self) -> ReceiveT:
        """Return one of those that were there at the end; nothing in Trio uses them any more."""
        with self._last:
            try:
                return self._pushes.receive_nowait()
            except trio.WouldBlock:
                raise trio.EndOfChannel("no more messages come") from None

    def __next__(self) -> ReceiveT:
        try:
            return self.receive()
        except trio.EndOfChannel:
            raise StopIteration from None

    def each(self, *, timeout: float) -> Iterator[ReceiveT]:
        """Iterate as over this, and no further once none has come for `timeout` seconds."""
        while True:
            try:
                message = self.receive(timeout=timeout)
            except (TimeoutError, trio.EndOfChannel):
                return
            yield message
