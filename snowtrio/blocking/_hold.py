"""A context manager in Trio that a thread holds open."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Generic, TypeVar

import trio

from .._errors import PoolClosedError
from ._bridge import Bridge

T = TypeVar("T")


class Hold(Generic[T]):
    """Enters and leaves a context manager from a thread; both happen in one task in Trio.

    It is left early where the bridge ends early.

    Parameters:
        bridge: leads into Trio.
        manager: entered there.
        timeout: seconds that entering it may take.
    """

    def __init__(
        self, bridge: Bridge, manager: AbstractAsyncContextManager[T], timeout: float | None
    ) -> None:
        self.left = False
        """Whether the thread has left it."""
        self._bridge = bridge
        self._manager = manager
        self._timeout = timeout
        self._scope = trio.CancelScope()
        self._entered = trio.Event()
        self._leaving = trio.Event()
        self._gone = trio.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None

    # In a thread

    @contextmanager
    def held(self) -> Generator[T, None, None]:
        """Hold it for a block; one that raises has the manager cancelled."""
        try:
            self._bridge.call(self._enter, timeout=self._timeout)
            try:
                yield self._value[0]
            except BaseException:
                self._end(cut=True)
                raise
            self._end(cut=False)
        finally:
            self.left = True
            # It may be about to be entered, or, interrupted, not have been told to end.
            self._bridge.tell(self._scope.cancel)

    def _end(self, *, cut: bool) -> None:
        self.left = True
        # The end of the bridge has been its end too; and in a forked child it is the parent's.
        with contextlib.suppress(PoolClosedError):
            if not self._bridge.forked:
                self._bridge.call(partial(self._leave, cut=cut))

    # In Trio

    async def _enter(self) -> None:
        self._bridge.start_task(self._run)
        await self._entered.wait()
        self._raise()

    async def _leave(self, *, cut: bool) -> None:
        if cut:
            self._scope.cancel(reason="the block raised")
        self._leaving.set()
        await self._gone.wait()
        self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _run(self) -> None:
        self._bridge.at_end.add(self._leaving.set)
        try:
            with self._scope:
                async with self._manager as value:
                    self._value.append(value)
                    self._entered.set()
                    await self._leaving.wait()
        except trio.Cancelled:
            raise
        except BaseException as error:
            self._error = error
        finally:
            self._bridge.at_end.discard(self._leaving.set)
            self._entered.set()
            self._gone.set()
