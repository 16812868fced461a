"""A context manager in Trio that a thread holds open."""

from __future__ import annotations

import contextlib
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

import trio

from .._errors import PoolClosedError
from ._bridge import Bridge

T = TypeVar("T")


class Hold(Generic[T]):
    """Enters and leaves a context manager from a thread; both happen in one task in Trio.

    A block that raises has the manager cancelled. It is left early where the bridge ends early.

    Parameters:
        bridge: leads into Trio.
        manager: entered there.
        timeout: seconds that entering it may take.
    """

    def __init__(
        self, bridge: Bridge, manager: AbstractAsyncContextManager[T], timeout: float | None
    ) -> None:
        self._bridge = bridge
        self._manager = manager
        self._timeout = timeout
        self._scope = trio.CancelScope()
        self._entered = trio.Event()
        self._leaving = trio.Event()
        self._gone = trio.Event()
        self.left = False
        """Whether the block has been left."""
        self._value: list[T] = []
        self._error: BaseException | None = None

    # In a thread

    def __enter__(self) -> T:
        try:
            self._bridge.call(self._enter, timeout=self._timeout)
        except BaseException:
            # An interrupt may come when it has been entered already.
            self._bridge.tell(self._scope.cancel)
            raise
        return self._value[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
    ) -> None:
        self.left = True
        # The end of the bridge has been its end too; and in a forked child it is the parent's.
        with contextlib.suppress(PoolClosedError):
            if not self._bridge.forked:
                self._bridge.call(partial(self._leave, cut=kind is not None))

    # In Trio

    async def _enter(self) -> None:
        self._bridge.start_task(self._run)
        try:
            await self._entered.wait()
        except trio.Cancelled:
            self._scope.cancel(reason="the calling thread has given up")
            raise
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
