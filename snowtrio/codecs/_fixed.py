"""Messages that all have the same size."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from typing_extensions import Buffer

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import LocalProtocolError, SendTooLargeError
from ._bytes import as_bytes


@attrs.frozen
class FixedSizeCodec(Codec[bytes, bytes]):
    """Messages of bytes that all have the same size, with nothing between them.

    ::

        codec = FixedSizeCodec(5)
        codec.encode(b"hello")                        # b"hello"

    Parameters:
        size: bytes in a message.

    Raises:
        ValueError: the size is below 1.
    """

    size: int = attrs.field(validator=attrs.validators.ge(1))

    @property
    def max_message_size(self) -> int:
        """Bytes in a message: the size that all have."""
        return self.size

    def encode(self, message: Buffer) -> bytes:
        """Return the message's bytes.

        Parameters:
            message: anything bytes-like.

        Raises:
            LocalProtocolError: it has fewer bytes than `size`.
            SendTooLargeError: it has more.
        """
        data = as_bytes(message)
        if len(data) > self.size:
            raise SendTooLargeError(len(data), self.size)
        if len(data) < self.size:
            raise LocalProtocolError(f"a message has {self.size} bytes, not {len(data)}")
        return data

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        """Take every whole message."""
        size = self.size
        data = buffer.take(len(buffer) - len(buffer) % size)
        return [data[start : start + size] for start in range(0, len(data), size)]

    def decode_one(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        """Take the first message, if it is whole."""
        return [buffer.take(self.size)] if len(buffer) >= self.size else []
