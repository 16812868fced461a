"""Frames to messages.

What most reads bring, whole frames that are messages by themselves, is taken in one loop. Anything
else goes the long way: `_Frames` looks at one frame after the other and takes payloads as they
come, so that an invalid character is known when it is there, and a frame that announces more than
is allowed is refused by its header.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from ..._buffer import ReceiveBuffer
from ..._side import Side
from .._close import Close, is_valid_code
from .._errors import (
    AbnormalCloseError,
    WebSocketClosedError,
    WebSocketProtocolError,
    WebSocketTooLargeError,
)
from ._deflate import Inflater
from ._frames import BINARY, CLOSE, CONTINUATION, FIN, MAX_CONTROL, PING, PONG, RSV, RSV1, TEXT
from ._limits import WebSocketLimits
from ._masking import apply_mask
from ._messages import Incoming, Listener, Message, Piece

_new_utf8 = codecs.getincrementaldecoder("utf-8")


class Decoder:
    """Makes messages of frames.

    Parameters:
        side: the end that we are.
        limits: the bounds.
        listener: is told of everything that is no message.
        inflater: decompresses messages, where that was agreed.
        pieces: whether messages are given piece by piece, as they come.
    """

    def __init__(
        self,
        side: Side,
        limits: WebSocketLimits,
        listener: Listener,
        inflater: Inflater | None,
        *,
        pieces: bool,
    ) -> None:
        self._masked = side is Side.SERVER
        self._limits = limits
        self._listener = listener
        self._inflater = inflater
        self._pieces = pieces
        self._errors = "strict" if limits.validate_text else "replace"
        self._simple = inflater is None and not pieces
        # The message that has begun.
        self._opcode = CONTINUATION
        self._compressed = False
        self._size = 0
        self._gathered = bytearray()
        self._utf8 = _new_utf8(self._errors)
        # The frame that has begun.
        self._left = -1
        self._fin = False
        self._mask = b""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Incoming]:
        """Take what is there; see `Codec.decode`."""
        messages: list[Incoming] = []
        if self._simple and self._masked and self._left < 0 and not self._opcode:
            self._take_short(buffer, messages)
        if not buffer:
            return messages
        return chain(messages, self._take_long(buffer))

    def _take_short(self, buffer: ReceiveBuffer, messages: list[Incoming]) -> None:
        """Take whole, unfragmented, short frames from the front; leave everything from there on."""
        data = buffer.take_all()
        at, end = 0, len(data)
        limit = self._limits.max_message_size
        most = 125 if limit is None else min(125, limit)
        while at + 6 <= end:
            first, size = data[at], data[at + 1] - 128
            if not 0 <= size <= most or at + 6 + size > end:
                break
            payload = apply_mask(data[at + 6 : at + 6 + size], data[at + 2 : at + 6])
            if first == FIN | BINARY:
                messages.append(payload)
            elif first == FIN | TEXT:
                try:
                    messages.append(payload.decode())
                except UnicodeDecodeError:
                    break
            else:
                break
            at += 6 + size
        if at < end:
            buffer.append(data[at:])

    # The long way

    def _take_long(self, buffer: ReceiveBuffer) -> Iterator[Incoming]:
        try:
            while self._left >= 0 or self._begin_frame(buffer):
                if self._left < 0:
                    continue  # It was a control frame.
                yield from self._take_payload(buffer)
                if self._left:
                    return  # There is no more of it yet.
                self._left = -1
        except WebSocketProtocolError as error:
            buffer.take_all()
            self._listener.on_violation(error)
            raise

    def _begin_frame(self, buffer: ReceiveBuffer) -> bool:
        """Take a header, or a whole control frame; say whether there was one."""
        head = buffer.peek(14)
        if len(head) < 2:
            return False
        first, second = head[0], head[1]
        self._check_first(first, second)
        size, at = second & 0x7F, 2
        if first & 0x08:
            return self._take_control(first & 0x0F, size, buffer, head)
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(head[2:at], "big")
        if len(head) >= at:
            self._check_size(size)
        mask_size = 4 if self._masked else 0
        if len(head) < at + mask_size:
            return False
        self._mask = head[at : at + mask_size]
        buffer.shift(at + mask_size)
        if first & 0x0F:
            self._opcode, self._compressed = first & 0x0F, bool(first & RSV1)
        self._fin = bool(first & FIN)
        self._left = size
        self._size += 0 if self._compressed else size
        return True

    def _check_first(self, first: int, second: int) -> None:
        """Check what the first two bytes say (RFC 6455 section 5.2, 5.4, 5.5)."""
        opcode, reserved = first & 0x0F, first & RSV
        if reserved & ~RSV1 or (
            reserved and (self._inflater is None or opcode not in (TEXT, BINARY))
        ):
            raise WebSocketProtocolError("a reserved bit is set")
        if bool(second & 0x80) is not self._masked:
            said = "not masked" if self._masked else "masked"
            raise WebSocketProtocolError(f"a frame is {said}")
        if opcode in (CLOSE, PING, PONG):
            if not first & FIN:
                raise WebSocketProtocolError("a control frame is fragmented")
            if second & 0x7F > MAX_CONTROL:
                raise WebSocketProtocolError("a control frame is too long")
        elif opcode == CONTINUATION:
            if not self._opcode:
                raise WebSocketProtocolError("a continuation of nothing")
        elif opcode not in (TEXT, BINARY):
            raise WebSocketProtocolError(f"the opcode {opcode} is reserved")
        elif self._opcode:
            raise WebSocketProtocolError("a message begins inside another one")

    def _check_size(self, size: int) -> None:
        limit = self._limits.max_message_size
        if size >= 1 << 63:
            raise WebSocketProtocolError("a length has its first bit set")
        if limit is not None and not self._pieces and self._size + size > limit:
            raise WebSocketTooLargeError(self._size + size, limit)

    def _take_payload(self, buffer: ReceiveBuffer) -> Iterator[Incoming]:
        """Take what there is of a data frame's payload."""
        size = min(self._left, len(buffer))
        data = buffer.take(size)
        self._left -= size
        if self._mask:
            data = apply_mask(data, self._mask)
            turn = size % 4
            self._mask = self._mask[turn:] + self._mask[:turn]
        last = self._fin and not self._left
        if self._compressed:
            data = self._inflate(data, last=last)
        if self._pieces:
            yield from self._give_piece(data, last=last)
        else:
            yield from self._gather(data, last=last)
        if last:
            self._opcode, self._size = CONTINUATION, 0

    def _inflate(self, data: bytes, *, last: bool) -> bytes:
        assert self._inflater is not None
        limit = None if self._pieces else self._limits.max_message_size
        room = None if limit is None else limit - self._size
        out = self._inflater.decompress(data, room, limit, last=last)
        self._size += len(out)
        return out

    def _gather(self, data: bytes, *, last: bool) -> Iterator[Message]:
        if self._opcode == BINARY:
            if last and not self._gathered:
                yield data
                return
            self._gathered += data
            if last:
                yield self._take_gathered()
            return
        text = self._as_text(data, last=last)
        if last and not self._gathered:
            yield text
            return
        self._gathered += data
        if last:
            yield self._take_gathered().decode(errors=self._errors)

    def _take_gathered(self) -> bytes:
        whole, self._gathered = bytes(self._gathered), bytearray()
        return whole

    def _give_piece(self, data: bytes, *, last: bool) -> Iterator[Piece]:
        piece: Message = self._as_text(data, last=last) if self._opcode == TEXT else data
        if piece or last:
            yield Piece(piece, last)

    def _as_text(self, data: bytes, *, last: bool) -> str:
        try:
            return self._utf8.decode(data, last)
        except UnicodeDecodeError as error:
            raise WebSocketProtocolError(f"text is no UTF-8: {error.reason}", 1007) from None

    # Control frames

    def _take_control(self, opcode: int, size: int, buffer: ReceiveBuffer, head: bytes) -> bool:
        at = 6 if self._masked else 2
        if len(buffer) < at + size:
            return False
        payload = buffer.peek(size, at)
        buffer.shift(at + size)
        if self._masked:
            payload = apply_mask(payload, head[2:6])
        if opcode == PING:
            self._listener.on_ping(payload)
        elif opcode == PONG:
            self._listener.on_pong(payload)
        else:
            close = _read_close(payload)
            buffer.take_all()
            self._listener.on_close(close)
            raise WebSocketClosedError(close, None)
        return True


def _read_close(payload: bytes) -> Close:
    """Return what a close frame says (RFC 6455, section 5.5.1)."""
    if not payload:
        return Close(1005)
    if len(payload) == 1:
        raise WebSocketProtocolError("a close with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not is_valid_code(code):
        raise WebSocketProtocolError(f"a close with the invalid code {code}")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise WebSocketProtocolError("the reason of a close is no UTF-8", 1007) from None


def end_of_input() -> AbnormalCloseError:
    """Return what it means that the input ends without a close."""
    return AbnormalCloseError("the connection ended without a close (1006)")
