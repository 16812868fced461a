"""What becomes of something in Trio, for a thread that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from .._errors import PoolClosedError

T = TypeVar("T")


class Outcome(Generic[T]):
    """A value or an error, told once in Trio and waited for by one thread."""

    __slots__ = ("_error", "_told", "_value", "done", "succeeded")

    def __init__(self) -> None:
        self.done = False
        self.succeeded = False
        self._value: T | None = None
        self._error: BaseException | None = None
        # Cheaper by far than a threading.Event; a signal interrupts it likewise.
        self._told = threading.Lock()
        self._told.acquire()

    def succeed(self, value: T) -> None:
        """Tell the value."""
        self._value = value
        self.succeeded = True
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Tell an error, to be raised."""
        self._error = error
        self._tell()

    def _tell(self) -> None:
        self.done = True
        self._told.release()

    def wait(self) -> None:
        """Block until it is told. Interrupted, it can be called again."""
        if not self.done:
            self._told.acquire()

    def result(self) -> T:
        """Return the value, or raise the error; it has been told."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # Its traceback has this frame, and so this object.
        return self._value  # type: ignore[return-value]  # it is there when there is no error


class Call(Outcome[T]):
    """A call that a thread waits for.

    Parameters:
        function: called, and its result awaited, in a task of its own.
    """

    __slots__ = ("_function", "_scope", "begun")

    def __init__(self, function: Callable[[], Awaitable[T]]) -> None:
        super().__init__()
        self.begun = False
        self._function = function
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Call, and tell what came of it: the whole life of its task."""
        with self._scope:
            try:
                value = await self._function()
            except trio.Cancelled:
                self.fail(PoolClosedError("the call was cancelled"))
                raise
            # What the user's own code raises there belongs to the caller, be it a SystemExit.
            except BaseException as error:
                self.fail(error)
            else:
                self.succeed(value)

    def abandon(self) -> None:
        """Have it cancelled: its thread wants it no more."""
        if self.begun:
            self._scope.cancel(reason="the calling thread was interrupted")
        else:
            self.fail(PoolClosedError("the call was cancelled"))
