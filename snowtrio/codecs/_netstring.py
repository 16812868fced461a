"""Netstrings."""

from __future__ import annotations

import re

import attrs
from typing_extensions import Buffer, override

from .._buffer import ReceiveBuffer
from .._errors import ReceiveTooLargeError, RemoteProtocolError, SendTooLargeError
from ._bytes import as_bytes
from ._prefixed import Prefixed


@attrs.frozen
class NetstringCodec(Prefixed):
    """Messages of bytes as netstrings: the length in decimal digits, a colon, the bytes, a comma.

    ::

        codec = NetstringCodec()
        codec.encode(b"hello")                        # b"5:hello,"

    Strict: a length has no leading zeros and no more digits than ``max_message_size``.

    Parameters:
        max_message_size: bytes in a message. Default 1 MiB.

    Raises:
        ValueError: the limit is below 1.
    """

    max_message_size: int = attrs.field(
        default=1024 * 1024, validator=attrs.validators.ge(1), kw_only=True
    )
    _digits: int = attrs.field(init=False, repr=False, eq=False)
    _header: re.Pattern[bytes] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        digits = len(str(self.max_message_size))
        header = re.compile(b"(0|[1-9][0-9]{0,%d}):" % (digits - 1))
        object.__setattr__(self, "_digits", digits)
        object.__setattr__(self, "_header", header)

    def encode(self, message: Buffer) -> bytes:
        """Return the message as a netstring.

        Parameters:
            message: anything bytes-like.

        Raises:
            SendTooLargeError: it is above ``max_message_size``.
        """
        data = as_bytes(message)
        if len(data) > self.max_message_size:
            raise SendTooLargeError(len(data), self.max_message_size)
        return b"%d:%b," % (len(data), data)

    @override
    def _is_whole(self, buffer: ReceiveBuffer) -> bool:
        digits, colon, _ = buffer.peek(self._digits + 1).partition(b":")
        if not (digits or colon):
            return False
        size = self._parse(digits)
        if size > self.max_message_size:
            raise ReceiveTooLargeError(size, self.max_message_size)
        comma = len(digits) + 1 + size
        if not colon or len(buffer) <= comma:
            return False
        if buffer.peek(1, comma) != b",":
            raise RemoteProtocolError("a netstring does not end with a comma")
        return True

    def _parse(self, digits: bytes) -> int:
        """Return the length that `digits` say, or say as far as they have come."""
        if not digits.isdigit() or (digits[0] == ord("0") and len(digits) > 1):
            raise RemoteProtocolError(f"{digits!r} is not the length of a netstring")
        return int(digits)

    @override
    def _take_whole(self, buffer: ReceiveBuffer) -> list[bytes]:
        data = buffer.peek(len(buffer))
        messages: list[bytes] = []
        start = 0
        while header := self._header.match(data, start):
            size = int(header[1])
            comma = header.end() + size
            if data[comma : comma + 1] != b"," or size > self.max_message_size:
                break
            messages.append(data[header.end() : comma])
            start = comma + 1
        buffer.shift(start)
        return messages

    @override
    def _take_first(self, buffer: ReceiveBuffer) -> bytes:
        digits = buffer.peek(self._digits + 1).partition(b":")[0]
        buffer.shift(len(digits) + 1)
        message = buffer.take(int(digits))
        buffer.shift(1)
        return message
