"""Bytes as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
from typing_extensions import Buffer

from .._buffer import ReceiveBuffer
from .._codec import Codec
from ._bytes import as_bytes


@attrs.frozen
class RawCodec(Codec[bytes, bytes]):
    """No frames: what one read brings is one message.

    ::

        codec = RawCodec()
        codec.encode(b"hello")                        # b"hello"

    The bytes arrive whole and in order. Where one message ends and the next begins is chance: what
    was sent in one may come in several, and what was sent in several in one.

    Parameters:
        max_message_size: bytes in a message that is received; a read that brings more is delivered
            in several. Default 64 KiB. A message that is sent may have any size.

    Raises:
        ValueError: the limit is below 1.
    """

    max_message_size: int = attrs.field(
        default=64 * 1024, validator=attrs.validators.ge(1), kw_only=True
    )

    def encode(self, message: Buffer) -> bytes:
        """Return the message's bytes.

        Parameters:
            message: anything bytes-like; an empty one sends nothing.
        """
        return as_bytes(message)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        """Take all that is there."""
        if len(buffer) > self.max_message_size:
            return self._take_pieces(buffer)
        return (buffer.take_all(),) if buffer else ()

    def decode_one(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        """Take what is there, up to ``max_message_size``."""
        return [buffer.take(min(len(buffer), self.max_message_size))] if buffer else []

    def _take_pieces(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer:
            yield buffer.take(min(len(buffer), self.max_message_size))
