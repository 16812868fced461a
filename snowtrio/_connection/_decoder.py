"""Batches of messages out of the receive buffer, taken one by one.

Synchronous and without I/O. It gives a batch when it is asked for one, so a receiver that is slow
stops the decoding between two batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import SkippedMessageError

ReceiveT = TypeVar("ReceiveT")


class Decoder(Generic[ReceiveT]):
    """Asks the coder for messages, and for more only when there is more to look at.

    Parameters:
        coder: makes messages of bytes.
        buffer: what the handshake left over, and where `feed` puts what comes.
        size: the most messages in a batch.
    """

    __slots__ = (
        "_decoding",
        "_failure",
        "_fresh",
        "_max_weight",
        "_size",
        "_weigh",
        "buffer",
        "coder",
        "more",
    )

    def __init__(self, coder: Codec[Any, ReceiveT], buffer: ReceiveBuffer, size: int) -> None:
        self.coder = coder
        self.buffer = buffer
        self._size = size
        self._weigh: Callable[[ReceiveT], int] | None = None
        self._max_weight = 0
        self._fresh = self.more = bool(buffer)
        """Whether there may be more to have before anything is fed."""
        self._decoding: Iterator[ReceiveT] | None = None
        self._failure: Exception | None = None

    def bound(self, size: int, max_weight: int, weigh: Callable[[ReceiveT], int]) -> None:
        """Make batches smaller, where a few bytes can become large messages.

        Parameters:
            size: the most messages in a batch.
            max_weight: of a batch, which ends with the message that goes beyond it.
            weigh: says how large a message is.
        """
        self._size = min(self._size, size)
        self._weigh, self._max_weight = weigh, max_weight

    def feed(self, data: bytes) -> None:
        """Add what a read brought. Everything before it has been decoded, as far as it goes."""
        self.buffer.append(data)
        self._fresh = self.more = True

    def feed_eof(self) -> None:
        """Note that no more comes: the coder says what the bytes mean that are left."""
        self._decoding = iter(self.coder.decode_eof(self.buffer))
        self.more = True

    def switch(self, coder: Codec[Any, ReceiveT]) -> None:
        """Decode with another coder what the present one leaves."""
        self.coder = coder
        self.buffer.resume()
        self._fresh = self.more = True

    def next_batch(self) -> list[ReceiveT] | SkippedMessageError | None:
        """Return the next messages, or that some were thrown away; None when more has to come.

        None as well where the coder has stopped at a boundary (`ReceiveBuffer.pause`).

        Raises:
            Exception: what the coder raised, once all that came before it has been given.
        """
        while self._failure is None:
            if self._decoding is None:
                if not self._fresh or self.buffer.paused:
                    self.more = False
                    return None
                self._fresh = self.more = False
                messages: Iterable[ReceiveT] = self.coder.decode(self.buffer)
                if isinstance(messages, list) and len(messages) <= self._size:
                    if messages:
                        return messages
                    continue
                self.more = True
                self._decoding = iter(messages)
            if batch := self._pull(self._decoding):
                return batch
        failure, self._failure = self._failure, None
        if not isinstance(failure, SkippedMessageError):
            raise failure
        self._fresh = self.more = True  # The coder can go on behind what it threw away.
        return failure

    def _pull(self, decoding: Iterator[ReceiveT]) -> list[ReceiveT]:
        """Return as many messages as there are, up to a batch."""
        batch: list[ReceiveT] = []
        full = False
        try:
            if self._weigh is None:
                batch.extend(islice(decoding, self._size))
            else:
                full = self._pull_weighed(decoding, self._weigh, batch)
        except Exception as error:  # whatever a coder raises belongs to its connection
            self._failure = error
        if self._failure is not None or not (full or len(batch) >= self._size):
            self._decoding = None
            self.more = self._failure is not None
        return batch

    def _pull_weighed(
        self,
        decoding: Iterator[ReceiveT],
        weigh: Callable[[ReceiveT], int],
        batch: list[ReceiveT],
    ) -> bool:
        """Fill a batch up to a weight; say whether there may be more."""
        left = self._max_weight
        for message in decoding:
            batch.append(message)
            left -= weigh(message)
            if left <= 0 or len(batch) >= self._size:
                return True
        return False
