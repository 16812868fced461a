"""Messages out of the receive buffer one at a time, with everything behind them left in it.

Synchronous and without I/O. What a connection wants of a codec is whole batches, so codecs decode
ahead. A handshake wants one message: the bytes behind it may belong to another codec.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from ._buffer import ReceiveBuffer
from ._codec import Codec
from ._errors import RemoteProtocolError

ReceiveT = TypeVar("ReceiveT")

# So many bytes are shown to a coder one at a time before other tasks run.
STEP = 1024


class SingleMessages(Generic[ReceiveT]):
    """Asks the coder for one message at a time.

    A coder that has no `Codec.decode_one` is shown the bytes one by one. It gives a message as soon
    as its last byte is there, so what it has not been shown is what stands behind the message. What
    it has seen stays in front of it, for it may remember how far it has looked.

    Parameters:
        codec: makes messages of bytes, as it stands.
        buffer: where the bytes are. Outside of the methods all of them are in it.
    """

    __slots__ = ("_buffer", "_ending", "_failure", "_seen", "codec", "more")

    def __init__(self, codec: Codec[Any, ReceiveT], buffer: ReceiveBuffer) -> None:
        self.codec = codec
        self.more = False
        """Whether there are bytes left that the coder has not been shown: call `take` again."""
        self._buffer = buffer
        self._seen = 0
        self._failure: Exception | None = None
        self._ending: Iterator[ReceiveT] | None = None

    def take(self) -> list[ReceiveT]:
        """Return the next message, alone; nothing if it has not come, or if there is `more`.

        Raises:
            RemoteProtocolError: the bytes break the protocol; or the coder makes several messages
                of one frame, which cannot be taken alone.
            SkippedMessageError: the coder threw something away, and can be asked again.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self.more = False
        try:
            messages = self.codec.decode_one(self._buffer)
            return self._take_byte_by_byte() if messages is None else list(messages)
        finally:
            # What a pause keeps for another codec is left here anyway.
            self._buffer.resume()

    def take_at_eof(self) -> list[ReceiveT]:
        """Return the next message at the end of input, nothing when there is none.

        Raises:
            IncompleteFrameError: the input ended inside a frame.
        """
        if self._ending is None:
            self._ending = iter(self.codec.decode_eof(self._buffer))
        return [message for message, _ in zip(self._ending, (None,), strict=False)]

    def _take_byte_by_byte(self) -> list[ReceiveT]:
        buffer, shown = self._buffer, 0
        rest = buffer.cut(self._seen)
        try:
            for shown in range(1, min(len(rest), STEP) + 1):
                buffer.append(rest[shown - 1 : shown])
                if messages := self._decode():
                    return messages
            return []
        finally:
            self._seen = len(buffer)
            self.more = shown < len(rest)
            if self.more:
                buffer.append(rest[shown:])

    def _decode(self) -> list[ReceiveT]:
        messages: list[ReceiveT] = []
        try:
            # To its end, also behind the message: the coder may have something to note there.
            messages.extend(self.codec.decode(self._buffer))
        except Exception as error:
            if not messages:
                raise
            self._failure = error
        if len(messages) > 1:
            raise RemoteProtocolError(f"{len(messages)} messages came in a frame, in place of one")
        return messages
