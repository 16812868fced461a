"""Messages that are received piece by piece (row W15)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, cast

import trio

from .._errors import WebSocketTooLargeError
from .._wire import Message, Piece
from ._conversation import Conversation

NextPiece: TypeAlias = Callable[[], Awaitable[Piece]]


class MessageReader(AsyncIterator[Message]):
    """The pieces of a message, as they come; `WebSocket.receive_stream` gives one.

    Iterating ends with the message. One that is left before is thrown away up to its end by whoever
    receives next. Cancelled, it loses nothing.
    """

    def __init__(self, first: Piece, next_piece: NextPiece | None) -> None:
        """Begin with the first piece.

        Parameters:
            first: what has come of it.
            next_piece: waits for more; None where the message is complete.
        """
        self.is_text = isinstance(first.data, str)
        """Whether the pieces are ``str``."""
        self._first: Piece | None = first
        self._next_piece = next_piece
        self._ended = False

    async def __anext__(self) -> Message:
        """Return the next piece.

        Raises:
            WebSocketClosedError: the peer closed within the message; iterating raises this, too.
            RuntimeError: somebody has received the next message meanwhile.
        """
        while not self._ended:
            piece, self._first = self._first, None
            if piece is None:
                assert self._next_piece is not None
                piece = await self._next_piece()
            self._ended = piece.last
            if piece.data:
                return piece.data
        raise StopAsyncIteration


class PieceReceiver:
    """Makes messages of pieces, for those who want whole ones, and hands out the pieces.

    Parameters:
        conversation: with its connection, which gives pieces.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._receive = cast("NextPiece", conversation.connection.receive)
        self._limit = conversation.limits.max_message_size
        self._gathered: list[Piece] = []
        """What has come of a message that nobody has got yet."""
        self._size = 0
        self._reader: MessageReader | None = None
        """Who has the message that has begun."""
        self._within = False
        """Whether its end has not come."""

    async def receive(self) -> Message:
        """Return the next whole message; as `WebSocket.receive`."""
        await self._finish_last()
        while not (self._gathered and self._gathered[-1].last):
            self._gather(await self._receive())
        message, self._gathered, self._size = _joined(self._gathered), [], 0
        return message

    def _gather(self, piece: Piece) -> None:
        self._gathered.append(piece)
        self._size += _bytes_of(piece)
        if self._limit is not None and self._size > self._limit:
            error = WebSocketTooLargeError(self._size, self._limit)
            self._conversation.fail(error)
            raise error

    async def receive_stream(self) -> MessageReader:
        """Return the next message as its pieces come; as `WebSocket.receive_stream`."""
        await self._finish_last()
        if not self._gathered:
            self._gathered.append(await self._receive())
        # A receiver of whole messages may have been cancelled within this one.
        first = Piece(_joined(self._gathered), self._gathered[-1].last)
        self._gathered, self._size = [], 0
        self._within = not first.last
        reader = MessageReader(first, lambda: self._next_of(reader))
        self._reader = reader
        return reader

    async def _next_of(self, reader: MessageReader) -> Piece:
        if reader is not self._reader:
            raise RuntimeError("the next message has been received meanwhile")
        piece = await self._receive()
        self._within = not piece.last
        return piece

    async def _finish_last(self) -> None:
        """Throw away what is left of a message that its reader has left."""
        self._reader = None
        while self._within:
            self._within = not (await self._receive()).last

    def __aiter__(self) -> PieceReceiver:
        """Iterate over whole messages."""
        return self

    async def __anext__(self) -> Message:
        """Return the next whole message."""
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


def _joined(pieces: list[Piece]) -> Message:
    if isinstance(pieces[0].data, str):
        return "".join(cast("str", piece.data) for piece in pieces)
    return b"".join(cast("bytes", piece.data) for piece in pieces)


def _bytes_of(piece: Piece) -> int:
    data = piece.data
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
