"""What a connection has accepted and not yet handed over: messages beside their bytes.

Synchronous and without I/O. Messages gather in the *open* batch; the writer *seals* it and sends
its bytes, while the next one gathers. A message leaves when the kernel has its last byte, and until
then is kept, so that at the end every message can be told apart: handed over, in doubt, never
touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

SendT = TypeVar("SendT")

# One send call gets at most so many joined bytes: more gains nothing and copies more.
_GATHER = 256 * 1024


class Droppable(bytes):
    """The bytes of a message that may give way to a newer one: those of a broadcast.

    The mark is the type, so that messages which may not give way cost nothing.
    """

    __slots__ = ()


class Batch(Generic[SendT]):
    """Messages that leave together, with their bytes."""

    __slots__ = ("chunks", "in_hand", "messages", "size", "taken")

    def __init__(self) -> None:
        self.in_hand = 0
        """Bytes behind those taken that somebody is giving to the kernel just now."""
        # Lists, which are what appending is cheapest to; most batches leave in one piece.
        self.messages: list[SendT] | deque[SendT] = []
        self.chunks: list[bytes] | deque[bytes] = []
        self.size = 0
        """Bytes that the kernel does not have, once it is sealed."""
        self.taken = 0
        """How much of the first chunk the kernel has."""

    def gather(self) -> bytes | memoryview:
        """Return the next bytes to send, joined up to a bound."""
        chunks = self.chunks
        if len(chunks) == 1:
            data = chunks[0]
        elif self.size <= _GATHER:
            data = b"".join(chunks)
        else:
            data = b"".join(self._first_chunks())
        return memoryview(data)[self.taken :] if self.taken else data

    def _first_chunks(self) -> list[bytes]:
        size = 0
        first: list[bytes] = []
        for chunk in self.chunks:
            if first and size + len(chunk) > _GATHER:
                break
            first.append(chunk)
            size += len(chunk)
        return first

    def advance(self, size: int) -> int:
        """Note that the kernel took `size` bytes more; return how many messages that completed."""
        self.size -= size
        if not self.size:  # as it nearly always is
            completed = len(self.messages)
            self.messages.clear()
            self.chunks.clear()
            self.taken = 0
            return completed
        self.taken += size
        completed = 0
        messages, chunks = self._in_queues()
        # Messages without bytes are done when those before them are.
        while chunks and self.taken >= len(chunks[0]):
            self.taken -= len(chunks.popleft())
            messages.popleft()
            completed += 1
        return completed

    def _in_queues(self) -> tuple[deque[SendT], deque[bytes]]:
        """Make queues of the lists, now that they are emptied from the front."""
        if not isinstance(self.messages, deque):
            self.messages = deque(self.messages)
        if not isinstance(self.chunks, deque):
            self.chunks = deque(self.chunks)
        return self.messages, self.chunks

    def droppable(self) -> Iterator[tuple[int, int]]:
        """Yield the place and size of each message that may give way, the oldest first."""
        reached = -self.taken
        for place, chunk in enumerate(self.chunks):
            if type(chunk) is Droppable and reached >= self.in_hand:
                yield place, len(chunk)
            reached += len(chunk)

    def drop(self, place: int) -> None:
        """Forget a message that may give way."""
        self.size -= len(self.chunks[place])
        del self.messages[place], self.chunks[place]


class Outbox(Generic[SendT]):
    """The open batch, the sealed one, and the bounds over both.

    Parameters:
        max_messages: no room above so many messages.
        max_bytes: no room above so many bytes.
    """

    __slots__ = (
        "_open",
        "_peak",
        "_sealed",
        "count",
        "given_up",
        "max_bytes",
        "max_messages",
        "size",
    )

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.count = 0
        """Messages that the kernel does not have whole."""
        self.size = 0
        """Bytes that the kernel does not have."""
        self.given_up = 0
        """Messages that were in it when it was emptied."""
        self._peak = 0
        self._open: Batch[SendT] | None = None
        self._sealed: Batch[SendT] | None = None

    @property
    def peak(self) -> int:
        """The most messages there have been at a time."""
        return max(self._peak, self.count)

    @property
    def in_flight(self) -> bool:
        """Whether the writer has a batch in hand."""
        return self._sealed is not None

    def put(self, message: SendT, data: bytes, taken: int = 0) -> Batch[SendT] | None:
        """Add a message of which the kernel has `taken` bytes already.

        Returns the batch if it was opened for this message: the writer has to be told of it.
        """
        batch, opened = self._open, None
        if batch is None:
            batch = opened = self._open = Batch()
        if taken:  # Then nothing else is in it, though it may have been reopened.
            batch.taken = taken
            self.size -= taken
        batch.messages.append(message)
        batch.chunks.append(data)
        self.size += len(data)
        self.count += 1
        return opened

    def seal(self) -> Batch[SendT]:
        """Close the open batch and return it: what is put from now on gathers in the next."""
        assert self._open is not None
        assert self._sealed is None
        self._sealed, self._open = self._open, None
        self._sealed.size = self.size
        return self._sealed

    def reopen(self, batch: Batch[SendT]) -> None:
        """Let the batch that was sealed gather on, whatever is left of it."""
        assert self._open is None
        self._sealed, self._open = None, batch

    @property
    def gathering(self) -> bool:
        """Whether there is an open batch."""
        return self._open is not None

    def advance(self, size: int) -> int:
        """Note that the kernel took `size` bytes of the sealed batch; return messages completed."""
        assert self._sealed is not None
        completed = self._sealed.advance(size)
        if self.count > self._peak:
            self._peak = self.count
        self.count -= completed
        self.size -= size
        if not self._sealed.chunks:
            self._sealed = None
        return completed

    def make_way(self, size: int) -> list[tuple[int, int]]:
        """Drop the oldest messages that may give way, as many as one of `size` bytes takes.

        That is one at least, since somebody may be waiting for what room there is; afterwards
        there is room, or no more is held than before. Where so many cannot be had, none goes.

        Returns how many messages were before each, and how large it was.
        """
        victims: list[tuple[int, int]] = []
        freed = 0
        for place, length in self._droppable():
            victims.append((place, length))
            freed += length
            if freed >= size or self._would_fit(len(victims), freed):
                self._drop([place for place, _ in victims])
                self.size -= freed
                return victims
        return []

    def drop_all(self) -> list[tuple[int, int]]:
        """Drop all that may give way; return as `make_way`."""
        victims = list(self._droppable())
        self._drop([place for place, _ in victims])
        self.size -= sum(length for _, length in victims)
        return victims

    def _would_fit(self, fewer: int, less: int) -> bool:
        return self.count - fewer < self.max_messages and self.size - less < self.max_bytes

    def _droppable(self) -> Iterator[tuple[int, int]]:
        before = 0
        for batch in (self._sealed, self._open):
            if batch is not None:
                for place, length in batch.droppable():
                    yield before + place, length
                before += len(batch.messages)

    def _drop(self, places: list[int]) -> None:
        self._peak = self.peak
        self.count -= len(places)
        sealed = len(self._sealed.messages) if self._sealed is not None else 0
        for place in reversed(places):  # from the end, so that the places before it stay
            batch = self._sealed if place < sealed else self._open
            assert batch is not None
            batch.drop(place if place < sealed else place - sealed)

    def give_up(self, at_risk: int = 0) -> tuple[list[SendT], list[SendT]]:
        """Empty the outbox; return the messages in doubt and those never touched, each in order.

        Parameters:
            at_risk: bytes beyond those known to be taken that may have gone as well.
        """
        in_doubt: list[SendT] = []
        unsent: list[SendT] = []
        reached = at_risk
        for batch in (self._sealed, self._open):
            if batch is not None:
                reached += batch.taken
                for message, data in zip(batch.messages, batch.chunks, strict=True):
                    (in_doubt if reached > 0 else unsent).append(message)
                    reached -= len(data)
        self._open = self._sealed = None
        self._peak = self.peak
        self.given_up += self.count
        self.count = self.size = 0
        return in_doubt, unsent
