"""The body of a response that comes from a file, while it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

from .._opened import OpenedFile

PIECE = 256 * 1024
"""What is read at a time."""
PART = 1024 * 1024
"""What the kernel is asked to send at a time."""

Plan: TypeAlias = Sequence["bytes | range"]
"""What a body is made of: bytes that stand between parts, and places in a file."""


class FileBody:
    """Bytes of a file, or of parts of it, and what stands between them.

    It can be iterated over once, as any body; or sent, where the connection sends files itself.

    Parameters:
        file: becomes this object's own.
        plan: what to send.
    """

    def __init__(self, file: OpenedFile, plan: Plan) -> None:
        self._file = file
        self._plan = plan
        self._pieces: AsyncGenerator[bytes, None] | None = None

    async def aclose(self) -> None:
        """Close the file, and what iterates over it; idempotent."""
        if self._pieces is not None:
            await self._pieces.aclose()
        self._file.close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body piece by piece; raises `OSError` where the file has become shorter."""
        self._pieces = self._read()
        return self._pieces

    async def _read(self) -> AsyncGenerator[bytes, None]:
        for step in self._plan:
            if isinstance(step, bytes):
                yield step
                continue
            offset = step.start
            while offset < step.stop:
                piece = await self._file.read(min(PIECE, step.stop - offset), offset)
                offset += len(piece)
                yield piece

    async def send(
        self,
        send_piece: Callable[[bytes], Awaitable[None]],
        send_file: Callable[[int, int, int], Awaitable[None]],
    ) -> bool:
        """Send the body; return False, and do nothing, where it is to be read instead.

        That is so where it cannot be told what of the file is in memory: while a file is sent that
        has to come from a disk, the whole program waits.

        Parameters:
            send_piece: sends bytes.
            send_file: sends bytes of a descriptor, from an offset, so many.
        """
        if self._file.waits:
            return False
        for step in self._plan:
            if isinstance(step, bytes):
                await send_piece(step)
                continue
            for offset in range(step.start, step.stop, PART):
                size = min(PART, step.stop - offset)
                await self._file.bring_to_memory(size, offset)
                await send_file(self._file.descriptor, offset, size)
        return True
