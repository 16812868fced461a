"""Messages to frames."""

from __future__ import annotations

from collections.abc import Sequence

from ..._errors import LocalProtocolError, SendTooLargeError
from ..._side import Side
from .._close import MAX_REASON, Close, is_valid_code
from ._deflate import Deflater
from ._frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MASKED,
    MAX_CONTROL,
    PING,
    PONG,
    RSV1,
    TEXT,
    make_header,
)
from ._masking import Masks, apply_mask
from ._messages import Message, Outgoing, Part, Ping, Pong, Prepared

# The headers of short frames, which are most of them.
_TEXT = [make_header(FIN | TEXT, size) for size in range(126)]
_BINARY = [make_header(FIN | BINARY, size) for size in range(126)]

_masks = Masks()


class Encoder:
    """Makes frames of messages.

    Parameters:
        side: the end that we are.
        deflater: compresses messages, where that was agreed.
    """

    __slots__ = ("_compressing", "_deflater", "_masked", "_open", "_plain")

    def __init__(self, side: Side, deflater: Deflater | None) -> None:
        self._masked = MASKED if side is Side.CLIENT else 0
        self._deflater = deflater
        self._open: type[str] | type[bytes] | None = None
        """Of which kind the message is that is being sent part by part."""
        self._compressing = False
        self._plain = not self._masked and deflater is None
        """Whether a message's frame is a header and the message."""

    def encode(self, message: Outgoing) -> bytes:
        """Return the frame of a message, or of whatever else is sent.

        Raises:
            TypeError: it is nothing that can be sent.
            LocalProtocolError: it cannot be sent, or not now.
        """
        if self._plain:
            if type(message) is bytes:
                size = len(message)
                return (_BINARY[size] if size < 126 else make_header(FIN | BINARY, size)) + message
            if type(message) is str:
                try:
                    data = message.encode()
                except UnicodeEncodeError:
                    return self._encode_other(message)  # It says what is wrong.
                size = len(data)
                return (_TEXT[size] if size < 126 else make_header(FIN | TEXT, size)) + data
        return self._encode_other(message)

    def encode_batch(self, messages: Sequence[Outgoing]) -> bytes | None:
        """Return the frames of many messages, joined, where they are plain ones of a server."""
        if not self._plain:
            return None
        frames: list[bytes] = []
        for message in messages:
            if type(message) is bytes:
                data, first, headers = message, FIN | BINARY, _BINARY
            elif type(message) is str:
                try:
                    data, first, headers = message.encode(), FIN | TEXT, _TEXT
                except UnicodeEncodeError:
                    return None
            else:
                return None
            size = len(data)
            frames.append(headers[size] if size < 126 else make_header(first, size))
            frames.append(data)
        return b"".join(frames)

    def _encode_other(self, message: Outgoing) -> bytes:
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            return self._encode_data(message)
        if isinstance(message, Prepared):
            return self._encode_prepared(message)
        if isinstance(message, Part):
            return self._encode_part(message)
        if isinstance(message, Ping):
            return self._encode_control(PING, message.payload)
        if isinstance(message, Pong):
            return self._encode_control(PONG, message.payload)
        if isinstance(message, Close):  # pyright: ignore[reportUnnecessaryIsInstance]
            return self._encode_control(CLOSE, _closing(message))
        raise TypeError(f"a message is a str or bytes, not {type(message).__name__}")

    def _encode_control(self, opcode: int, payload: bytes) -> bytes:
        if len(payload) > MAX_CONTROL:
            raise SendTooLargeError(len(payload), MAX_CONTROL)
        return self._frame(FIN | opcode, payload)

    def _encode_data(self, message: str | bytes | bytearray | memoryview) -> bytes:
        self._check_none_open()
        first = FIN | (TEXT if isinstance(message, str) else BINARY)
        data = _as_bytes(message)
        deflater = self._deflater
        if deflater is not None and len(data) >= deflater.threshold:
            return self._frame(first | RSV1, deflater.compress(data, last=True))
        return self._frame(first, data)

    def _check_none_open(self) -> None:
        if self._open is not None:
            raise LocalProtocolError("another message is being sent part by part")

    def _frame(self, first: int, payload: bytes) -> bytes:
        header = make_header(first, len(payload), self._masked)
        if not self._masked:
            return header + payload
        mask = _masks.take()
        return b"".join((header, mask, apply_mask(payload, mask)))

    def _encode_prepared(self, prepared: Prepared) -> bytes:
        """Return the frame that all connections send that frame in the same way.

        It is compressed without looking back, so that it also is for those that do; they go on as
        if nothing had come before.
        """
        if self._masked:
            return self._encode_data(prepared.message)
        self._check_none_open()
        deflater = self._deflater
        way = None if deflater is None else deflater.way
        frame = prepared.frames.get(way)
        if frame is None:
            frame = prepared.frames[way] = self._prepare(prepared.message)
        if deflater is not None and frame[0] & RSV1:
            deflater.forget()
        return frame

    def _prepare(self, message: Message) -> bytes:
        first = FIN | (TEXT if isinstance(message, str) else BINARY)
        data = _as_bytes(message)
        deflater = self._deflater
        if deflater is not None and len(data) >= deflater.threshold:
            return self._frame(first | RSV1, deflater.compress_alone(data))
        return self._frame(first, data)

    def _encode_part(self, part: Part) -> bytes:
        kind: type[str] | type[bytes] = str if isinstance(part.data, str) else bytes
        data = _as_bytes(part.data)
        first = CONTINUATION
        if self._open is None:
            first = TEXT if kind is str else BINARY
            self._compressing = self._deflater is not None
            first |= RSV1 if self._compressing else 0
        elif kind is not self._open:
            raise LocalProtocolError("the parts of a message are all text, or all binary")
        if self._compressing and self._deflater is not None:
            data = self._deflater.compress(data, last=part.last)
        self._open = None if part.last else kind
        self._plain = part.last and not self._masked and self._deflater is None
        return self._frame(first | (FIN if part.last else 0), data)


def _as_bytes(data: str | bytes | bytearray | memoryview) -> bytes:
    if not isinstance(data, str):
        return bytes(data)
    try:
        return data.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text that has no UTF-8: {error}") from None


def _closing(close: Close) -> bytes:
    """Return what a close frame says; 1005 is a code that is not there."""
    if close.code == 1005:
        return b""
    if not is_valid_code(close.code):
        raise LocalProtocolError(f"the code {close.code} cannot be sent")
    reason = _as_bytes(close.reason)
    if len(reason) > MAX_REASON:
        raise SendTooLargeError(len(reason), MAX_REASON)
    return close.code.to_bytes(2, "big") + reason
