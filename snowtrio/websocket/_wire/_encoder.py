"""Messages to frames."""

from __future__ import annotations

from ..._errors import LocalProtocolError
from ..._side import Side
from .._close import Close
from ._deflate import Deflater
from ._frames import BINARY, CLOSE, CONTINUATION, FIN, MASKED, PING, PONG, RSV1, TEXT, make_header
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

    __slots__ = ("_compressing", "_deflater", "_masked", "_open")

    def __init__(self, side: Side, deflater: Deflater | None) -> None:
        self._masked = MASKED if side is Side.CLIENT else 0
        self._deflater = deflater
        self._open: type[str] | type[bytes] | None = None
        """Of which kind the message is that is being sent part by part."""
        self._compressing = False

    def encode(self, message: Outgoing) -> bytes:
        """Return the frame of a message, or of whatever else is sent.

        Raises:
            TypeError: it is nothing that can be sent.
            LocalProtocolError: it cannot be sent now.
        """
        if type(message) is str:
            data = message.encode()
            if self._masked or self._deflater is not None:
                return self._encode_data(TEXT, data)
            size = len(data)
            return (_TEXT[size] if size < 126 else make_header(FIN | TEXT, size)) + data
        if type(message) is bytes:
            if self._masked or self._deflater is not None:
                return self._encode_data(BINARY, message)
            size = len(message)
            return (_BINARY[size] if size < 126 else make_header(FIN | BINARY, size)) + message
        return self._encode_other(message)

    def _encode_other(self, message: Outgoing) -> bytes:
        if isinstance(message, Prepared):
            return self._encode_prepared(message)
        if isinstance(message, Part):
            return self._encode_part(message)
        if isinstance(message, Ping):
            return self._frame(FIN | PING, message.payload)
        if isinstance(message, Pong):
            return self._frame(FIN | PONG, message.payload)
        if isinstance(message, Close):
            return self._frame(FIN | CLOSE, _closing(message))
        if isinstance(message, str):
            return self._encode_data(TEXT, message.encode())
        if isinstance(message, (bytes, bytearray, memoryview)):
            return self._encode_data(BINARY, bytes(message))
        raise TypeError(f"a message is a str or bytes, not {type(message).__name__}")

    def _encode_data(self, opcode: int, data: bytes) -> bytes:
        deflater = self._deflater
        if deflater is not None and deflater.wants(len(data)):
            return self._frame(FIN | RSV1 | opcode, deflater.compress(data, last=True))
        return self._frame(FIN | opcode, data)

    def _frame(self, first: int, payload: bytes) -> bytes:
        header = make_header(first, len(payload), self._masked)
        if not self._masked:
            return header + payload
        mask = _masks.take()
        return header + mask + apply_mask(payload, mask)

    def _encode_prepared(self, prepared: Prepared) -> bytes:
        if self._masked or (self._deflater is not None and self._deflater.remembers):
            return self.encode(prepared.message)
        way = None if self._deflater is None else self._deflater.way
        if way not in prepared.frames:
            prepared.frames[way] = self.encode(prepared.message)
        return prepared.frames[way]

    def _encode_part(self, part: Part) -> bytes:
        kind: type[str] | type[bytes] = str if isinstance(part.data, str) else bytes
        if self._open is not None and kind is not self._open:
            raise LocalProtocolError("the parts of a message are all text, or all binary")
        first = CONTINUATION
        if self._open is None:
            first = TEXT if kind is str else BINARY
            self._compressing = self._deflater is not None
            first |= RSV1 if self._compressing else 0
        data = _as_bytes(part.data)
        if self._compressing and self._deflater is not None:
            data = self._deflater.compress(data, last=part.last)
        self._open = None if part.last else kind
        return self._frame(first | (FIN if part.last else 0), data)


def _as_bytes(data: Message) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def _closing(close: Close) -> bytes:
    if close.code == 1005:
        return b""
    return close.code.to_bytes(2, "big") + close.reason.encode()
