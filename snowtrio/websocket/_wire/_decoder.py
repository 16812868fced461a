"""Frames to messages.

What most reads bring, whole frames that are messages by themselves, is taken together (`_whole`).
Anything else goes the long way: one frame after the other, its payload taken as it comes, so that
an invalid character is known when it is there, and a frame that announces more than is allowed is
refused by its header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from ..._buffer import ReceiveBuffer
from ..._side import Side
from .._close import Close, is_valid_code
from .._errors import AbnormalCloseError, WebSocketClosedError, WebSocketProtocolError
from ._assembly import Assembly
from ._deflate import Inflater
from ._frames import BINARY, CLOSE, CONTINUATION, FIN, MAX_CONTROL, PING, PONG, RSV, RSV1, TEXT
from ._limits import WebSocketLimits
from ._masking import apply_mask
from ._messages import Incoming, Listener
from ._whole import take_many, take_one

# The largest frame that is taken together with others, in bytes: its size takes two bytes.
_MOST = 65535


class Decoder:
    """Makes messages of frames.

    Parameters:
        side: the end that we are.
        limits: the bounds.
        listener: is told of everything that is no message.
        inflater: decompresses messages, where that was agreed.
        pieces: whether messages are given piece by piece, as they come.
    """

    __slots__ = (
        "_assembly",
        "_ended",
        "_fin",
        "_inflater",
        "_left",
        "_limits",
        "_listener",
        "_mask",
        "_masked",
        "_most",
        "_pieces",
        "_simple",
    )

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
        limit = limits.max_message_size
        self._most = _MOST if limit is None else min(_MOST, limit)
        self._listener = listener
        self._inflater = inflater
        self._pieces = pieces
        self._simple = not pieces
        """Whether the next frame can be taken with others: nothing has begun."""
        self._ended = False
        """Whether the peer has closed, or broken the protocol."""
        self._assembly: Assembly | None = None
        """The message that has begun."""
        # The frame that has begun: how much of its payload has not come, or -1 for none.
        self._left = -1
        self._fin = False
        self._mask = b""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Incoming]:
        """Take what is there; see `Codec.decode`."""
        if not self._simple:
            return self._take_long(buffer)
        messages = self._take_whole(buffer)
        return chain(messages, self._take_long(buffer)) if buffer else messages

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[Incoming]:
        """Say that the peer left without a close.

        Raises:
            AbnormalCloseError: it has not closed.
        """
        if self._ended:
            return ()
        inside = ", inside a message" if buffer or self._left >= 0 or self._assembly else ""
        buffer.take_all()
        raise AbnormalCloseError(f"the connection ended without a close (1006){inside}")

    def _take_whole(self, buffer: ReceiveBuffer) -> list[Incoming]:
        """Take whole messages from the front, and leave everything from there on."""
        data = buffer.take_all()
        if self._masked:
            message = take_one(data, self._most)
            if message is not None:
                return [message]
        messages, taken = take_many(data, self._most, masked=self._masked)
        if taken < len(data):
            buffer.append(data[taken:])
        return messages

    # The long way

    def _take_long(self, buffer: ReceiveBuffer) -> Iterator[Incoming]:
        if self._ended:
            buffer.take_all()
            return
        looked = self._pieces
        self._simple = False
        try:
            while self._left >= 0 or self._begin_frame(buffer):
                if self._left < 0:
                    continue  # It was a control frame.
                yield from self._take_payload(buffer)
                if self._left > 0:
                    return  # There is no more of it yet.
                self._left = -1
                if self._assembly is None and not looked:
                    # Once a read: what is left is copied each time.
                    looked = True
                    yield from self._take_whole(buffer)
        except (WebSocketProtocolError, WebSocketClosedError) as error:
            self._end(error, buffer)
            raise
        self._simple = self._assembly is None and not self._pieces

    def _end(
        self, error: WebSocketProtocolError | WebSocketClosedError, buffer: ReceiveBuffer
    ) -> None:
        buffer.take_all()
        self._ended = True
        self._assembly = None
        if isinstance(error, WebSocketProtocolError):
            self._listener.on_violation(error)
        elif error.received is not None:
            self._listener.on_close(error.received)

    def _begin_frame(self, buffer: ReceiveBuffer) -> bool:
        """Take a header, or a whole control frame; say whether there was one."""
        head = buffer.peek(14)
        if head:
            self._check_first(head[0])
        if len(head) < 2:
            return False
        self._check_second(head[0], head[1])
        if head[0] & 0x08:
            return self._take_control(head, buffer)
        first, size, at = head[0], head[1] & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(head[2:at], "big")
        if len(head) < at:
            return False
        _check_size(size, at)
        assembly = self._assembly or self._new_assembly(first)
        assembly.announce(size)
        mask_size = 4 if self._masked else 0
        if len(head) < at + mask_size:
            return False
        self._assembly = assembly
        self._listener.unfinished = True
        self._mask = head[at : at + mask_size]
        buffer.shift(at + mask_size)
        self._fin = bool(first & FIN)
        self._left = size
        return True

    def _check_first(self, first: int) -> None:
        """Check what the first byte says (RFC 6455, sections 5.2, 5.4 and 5.5)."""
        opcode, reserved = first & 0x0F, first & RSV
        if reserved and (
            reserved != RSV1 or self._inflater is None or opcode not in (TEXT, BINARY)
        ):
            raise WebSocketProtocolError("a reserved bit is set")
        if opcode in (CLOSE, PING, PONG):
            if not first & FIN:
                raise WebSocketProtocolError("a control frame is fragmented")
        elif opcode == CONTINUATION:
            if self._assembly is None:
                raise WebSocketProtocolError("a continuation of nothing")
        elif opcode not in (TEXT, BINARY):
            raise WebSocketProtocolError(f"the opcode {opcode} is reserved")
        elif self._assembly is not None:
            raise WebSocketProtocolError("a message begins inside another one")

    def _check_second(self, first: int, second: int) -> None:
        if bool(second & 0x80) is not self._masked:
            raise WebSocketProtocolError(f"a frame is {'not ' if self._masked else ''}masked")
        if first & 0x08 and second & 0x7F > MAX_CONTROL:
            raise WebSocketProtocolError("a control frame is too long")

    def _new_assembly(self, first: int) -> Assembly:
        inflater = self._inflater if first & RSV1 else None
        return Assembly(first & 0x0F, self._limits, inflater, pieces=self._pieces)

    def _take_payload(self, buffer: ReceiveBuffer) -> Iterator[Incoming]:
        """Take what there is of a data frame's payload."""
        assert self._assembly is not None
        size = min(self._left, len(buffer))
        data = buffer.take(size)
        self._left -= size
        if self._masked:
            data = apply_mask(data, self._mask)
            turn = size % 4
            self._mask = self._mask[turn:] + self._mask[:turn]
        last = self._fin and not self._left
        assembly = self._assembly
        if last:
            self._assembly = None
            self._listener.unfinished = False
        yield from assembly.take(data, last=last)

    def _take_control(self, head: bytes, buffer: ReceiveBuffer) -> bool:
        at, size = 6 if self._masked else 2, head[1] & 0x7F
        if len(buffer) < at + size:
            return False
        payload = buffer.peek(size, at)
        buffer.shift(at + size)
        if self._masked:
            payload = apply_mask(payload, head[2:6])
        opcode = head[0] & 0x0F
        if opcode == PING:
            self._listener.on_ping(payload)
        elif opcode == PONG:
            self._listener.on_pong(payload)
        else:
            raise WebSocketClosedError(_read_close(payload), None)
        return True


def _check_size(size: int, at: int) -> None:
    """Check the size of a data frame, whose header takes `at` bytes with it."""
    if size >= 1 << 63:
        raise WebSocketProtocolError("a size has its first bit set")
    if at > 2 and size < (126 if at == 4 else 65536):
        raise WebSocketProtocolError("a size takes more bytes than it needs")


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
