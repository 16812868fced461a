"""A request's body, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable


class BodyPieces(AsyncIterator[bytes]):
    """Not an async generator: one that is left in the middle would have to be closed.

    Parameters:
        content: the whole body where that is there: the only piece.
        receive: gives the next piece, where it is not, and None at the end.
    """

    __slots__ = ("_content", "_receive")

    def __init__(
        self, content: bytes | None, receive: Callable[[], Awaitable[bytes | None]]
    ) -> None:
        self._content = content
        self._receive = receive

    async def __anext__(self) -> bytes:
        if self._content is None:
            piece = await self._receive()
        else:
            piece, self._content = self._content, b""
        if not piece:
            raise StopAsyncIteration
        return piece
