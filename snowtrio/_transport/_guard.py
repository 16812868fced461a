"""One task at a time."""

from __future__ import annotations

from types import TracebackType

import trio


class BusyGuard:
    """A context manager that refuses a second task, rather than let two share what one must own.

    Parameters:
        message: what the second task is told.
    """

    __slots__ = ("_message", "held")

    def __init__(self, message: str) -> None:
        self._message = message
        self.held = False

    def __enter__(self) -> None:
        if self.held:
            raise trio.BusyResourceError(self._message)
        self.held = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.held = False
