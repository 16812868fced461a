"""Messages with a binary length before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
from typing_extensions import Buffer, override

from .._buffer import ReceiveBuffer
from .._errors import (
    LocalProtocolError,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
)
from ._bytes import as_bytes
from ._prefixed import Prefixed

# Of so large a message there is no second copy, as part of all that has come, to be made.
_LARGE = 16 * 1024


@attrs.frozen
class LengthPrefixCodec(Prefixed):
    r"""Messages of bytes, each with its length before it.

    ::

        codec = LengthPrefixCodec(2)
        codec.encode(b"hello")                        # b"\0\5hello"

    The frame, in the order of its bytes::

        offset bytes | length field, width bytes | body
        size of the body = number in the field + adjustment
                           - (offset + width, with includes_header)

    **The message is the frame without its length field**: the bytes before the field, then the
    body. With `offset` 0, the default, that is the body. So a frame of a type byte, a length of two
    bytes and the body is ``LengthPrefixCodec(2, offset=1)``, and its message is the type byte and
    the body. Header fields that stand behind the length field are the beginning of the body; where
    the number does not count them, `adjustment` does.

    Parameters:
        width: bytes in the length field, 1 to 8. Default 4.
        byteorder: ``"big"`` or ``"little"``. Default ``"big"``. The number is unsigned.
        offset: bytes of the frame before the length field. Default 0.
        adjustment: what to add to the number to get the size of the body. Default 0.
        includes_header: whether the number counts the length field and what stands before it.
            Default False.
        max_message_size: bytes in a message. Default 1 MiB. What the field can say bounds it too.

    Raises:
        ValueError: an argument is out of its range, or they leave no message that could be sent.
    """

    width: int = attrs.field(default=4, validator=[attrs.validators.ge(1), attrs.validators.le(8)])
    byteorder: Literal["big", "little"] = "big"
    offset: int = attrs.field(default=0, validator=attrs.validators.ge(0), kw_only=True)
    adjustment: int = attrs.field(default=0, kw_only=True)
    includes_header: bool = attrs.field(default=False, kw_only=True)
    max_message_size: int = attrs.field(
        default=1024 * 1024, validator=attrs.validators.ge(1), kw_only=True
    )
    # The size of a message is the number in its field and this.
    _added: int = attrs.field(init=False, repr=False, eq=False)
    _smallest: int = attrs.field(init=False, repr=False, eq=False)
    _largest: int = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.byteorder not in ("big", "little"):
            raise ValueError(f"byteorder must be 'big' or 'little', not {self.byteorder!r}")
        added = self.offset + self.adjustment
        if self.includes_header:
            added -= self.offset + self.width
        smallest = max(self.offset, added)
        largest = min(self.max_message_size, 256**self.width - 1 + added)
        if smallest > largest:
            raise ValueError(
                f"no message fits: the smallest has {smallest} bytes, the largest {largest}"
            )
        object.__setattr__(self, "_added", added)
        object.__setattr__(self, "_smallest", smallest)
        object.__setattr__(self, "_largest", largest)

    def encode(self, message: Buffer) -> bytes:
        """Return the frame of a message.

        Parameters:
            message: anything bytes-like.

        Raises:
            LocalProtocolError: it is smaller than any that `offset` and `adjustment` allow.
            SendTooLargeError: it is above ``max_message_size``, or above what the field can say.
        """
        data = as_bytes(message)
        size = len(data)
        if size > self._largest:
            raise SendTooLargeError(size, self._largest)
        if size < self._smallest:
            raise LocalProtocolError(f"a message has {self._smallest} bytes at least, not {size}")
        field = (size - self._added).to_bytes(self.width, self.byteorder)
        return data[: self.offset] + field + data[self.offset :] if self.offset else field + data

    def encode_batch(self, messages: Sequence[Buffer]) -> bytes | None:
        """Return the frames of messages if all can be sent."""
        if self.offset or set(map(type, messages)) != {bytes}:
            return None
        sizes = list(map(len, messages))  # type: ignore[arg-type]
        if max(sizes) > self._largest or min(sizes) < self._smallest:
            return None
        added, width, order = self._added, self.width, self.byteorder
        parts: list[Buffer] = []
        for size, message in zip(sizes, messages, strict=True):
            parts += ((size - added).to_bytes(width, order), message)
        return b"".join(parts)

    @override
    def _is_whole(self, buffer: ReceiveBuffer) -> bool:
        field = buffer.peek(self.width, self.offset)
        if len(field) < self.width:
            return False
        size = int.from_bytes(field, self.byteorder) + self._added
        if size < self.offset:
            raise RemoteProtocolError(f"the length field leaves {size - self.offset} bytes of body")
        if size > self._largest:
            raise ReceiveTooLargeError(size, self._largest)
        return len(buffer) >= self.width + size

    @override
    def _take_whole(self, buffer: ReceiveBuffer) -> list[bytes]:
        width, offset, order, added = self.width, self.offset, self.byteorder, self._added
        size = int.from_bytes(buffer.peek(width, offset), order) + added
        if size >= _LARGE and not offset:
            large = buffer.peek(size, width)
            buffer.shift(width + size)
            return [large]
        data = buffer.peek(len(buffer))
        messages: list[bytes] = []
        start = 0
        while (body := start + offset + width) <= len(data):
            size = int.from_bytes(data[body - width : body], order) + added
            end = start + width + size
            if end > len(data) or not offset <= size <= self._largest:
                break
            message = data[body:end]
            messages.append(data[start : start + offset] + message if offset else message)
            start = end
        buffer.shift(start)
        return messages

    @override
    def _take_first(self, buffer: ReceiveBuffer) -> bytes:
        width, offset = self.width, self.offset
        size = int.from_bytes(buffer.peek(width, offset), self.byteorder) + self._added
        before = buffer.take(offset)
        buffer.shift(width)
        return before + buffer.take(size - offset)
