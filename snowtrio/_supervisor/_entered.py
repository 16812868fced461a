"""Objects that run something of theirs while a block lasts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self


class EnteredOnce(ABC):
    """An async context manager that is written in one piece, and entered once at most."""

    _running: AbstractAsyncContextManager[None] | None = None

    @abstractmethod
    def _run(self) -> AbstractAsyncContextManager[None]:
        """Return what goes on around the block: an ``asynccontextmanager``."""

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError(f"a {type(self).__name__} is entered once")
        self._running = self._run()
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._running is not None
        return await self._running.__aexit__(kind, error, traceback)
