"""A response's body, its codings undone, piece by piece or whole."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator

import trio

from .._codings import BodyDecoder, choose_decoder
from .._errors import FetchError, ResponseTooLargeError
from .._wire import Fields, ResponseHead
from ._exchange import Exchange

_BEGINNING = 4096
_PATIENCE = 0.5


class Incoming:
    """The body of one response.

    Parameters:
        exchange: gives it as it stands on the wire.
        head: of the response.
        max_size: bytes of it that `read` returns, None for no bound.
        decode: whether to undo its codings.

    Raises:
        ContentCodingError: it is in a coding that is not known here.
    """

    def __init__(
        self, exchange: Exchange, head: ResponseHead, max_size: int | None, *, decode: bool
    ) -> None:
        self._exchange = exchange
        self._max_size = max_size
        self._whole = head.body
        self._length = head.content_length if head.body is None else len(head.body)
        self._decoding: Iterator[bytes] | None = None
        self._decoder: BodyDecoder | None = None
        self._decoded = False
        self._ended = False
        if decode and self._length != 0 and head.method != "HEAD":
            coding = b", ".join([value for name, value in head.fields if name == _CODING])
            if coding:
                self._decoder = choose_decoder(coding.decode("latin-1"))

    @property
    def trailers(self) -> Fields:
        """Fields behind the body."""
        return self._exchange.trailers

    def check(self) -> None:
        """Raise unless the connection is still this response's.

        Raises:
            RuntimeError: it was given back.
        """
        if self._exchange.over:
            raise RuntimeError("read a response within the block that gave it")

    async def receive(self) -> bytes:
        """Return the next piece, empty at the end. Cancelled, it loses nothing."""
        while not self._ended:
            if self._decoding is not None:
                piece = await self._decode()
            else:
                piece = await self._receive_coded()
            if piece:
                return piece
        return b""

    async def _decode(self) -> bytes | None:
        """Return what was decoded next: a checkpoint where much comes of little."""
        assert self._decoding is not None
        if self._decoded:
            await trio.lowlevel.checkpoint()
        piece = next(self._decoding, None)
        self._decoded = piece is not None
        if piece is None:
            self._decoding = None
        return piece

    async def _receive_coded(self) -> bytes:
        """Return a piece that needs no decoding, or have the next one decoded."""
        piece, self._whole = self._whole, None
        if piece is None:
            piece = await self._exchange.receive_piece()
        if piece is None:
            self._ended = True
            if self._decoder is not None:
                self._decoder.end()
            return b""
        if self._decoder is None:
            return piece
        self._decoding = self._decoder.decode(piece)
        return b""

    async def read(
        self, receive: Callable[[], Awaitable[bytes]] | None = None, max_size: int | None = None
    ) -> bytes:
        """Return all that is left.

        Parameters:
            receive: gives the pieces, within a deadline.
            max_size: bytes of it; by default that of this object.

        Raises:
            ResponseTooLargeError: it is larger.
        """
        limit = self._max_size if max_size is None else max_size
        if self._decoder is None:
            if limit is not None and self._length is not None and self._length > limit:
                raise ResponseTooLargeError(self._length, limit)
            if self._whole is not None and self._exchange.ended:
                whole, self._whole, self._ended = self._whole, None, True
                return whole
        receive = receive or self.receive
        pieces: list[bytes] = []
        size = 0
        while piece := await receive():
            size += len(piece)
            if limit is not None and size > limit:
                raise ResponseTooLargeError(size, limit)
            pieces.append(piece)
        return b"".join(pieces)


async def read_beginning(exchange: Exchange, head: ResponseHead) -> bytes:
    """Return the first bytes of a body that people may want to read: as many as come soon."""
    read = b""
    with trio.move_on_after(_PATIENCE), contextlib.suppress(FetchError):
        incoming = Incoming(exchange, head, None, decode=True)
        while len(read) < _BEGINNING and (piece := await incoming.receive()):
            read += piece
    return read[:_BEGINNING]


_CODING = b"content-encoding"
