"""Ciphertext that was made and not taken yet, beside the plaintext that it stands for."""

from __future__ import annotations

from collections import deque


class Ciphertext:
    """What one TLS connection has still to send, in order.

    Plaintext counts as sent when the last byte of its record has gone: of less the peer can read
    nothing. Synchronous and without I/O.
    """

    __slots__ = ("_begin", "_data", "_frozen", "_records", "_taken", "owed")

    def __init__(self) -> None:
        self.owed = 0
        """Bytes of plaintext in it that their sender will offer again, and count then."""
        self._data = b""
        self._taken = 0
        self._begin = 0
        # Where each record ends in the data, and how much plaintext it has.
        self._records: deque[tuple[int, int]] = deque()
        self._frozen = 0

    def __bool__(self) -> bool:
        return self._taken < len(self._data)

    def put(self, data: bytes, plaintext: int) -> None:
        """Add a record, with whatever TLS itself had to say before it.

        Parameters:
            data: ciphertext.
            plaintext: how many bytes of its sender's it holds, 0 where they are nobody's.
        """
        if self._taken:
            taken, self._taken = self._taken, 0
            self._data = self._data[taken:]
            self._begin -= taken  # Below 0 where a part of the first record has gone.
            self._records = deque((end - taken, size) for end, size in self._records)
        if plaintext:
            self._frozen = 0
        self._data += data
        self._records.append((len(self._data), plaintext))
        self.owed += plaintext

    def view(self) -> memoryview:
        """Return what has to be sent."""
        return memoryview(self._data)[self._taken :]

    def advance(self, taken: int) -> int:
        """Note that `taken` bytes more have gone; return how much plaintext that completed."""
        self._taken += taken
        completed = 0
        while self._records and self._records[0][0] <= self._taken:
            self._begin, size = self._records.popleft()
            completed += size
        self.owed -= completed
        return completed

    def at_risk(self, beyond: int) -> int:
        """Return how much plaintext of its present sender stands in records that went in part.

        Parameters:
            beyond: bytes that may have gone as well, though nobody said so.
        """
        reached = self._taken + beyond
        begin, risk = self._begin, self._frozen
        for end, size in self._records:
            if begin >= reached:
                break
            risk += size
            begin = end
        return risk

    def disown(self, beyond: int) -> None:
        """Note that the sender has given up: what is left still goes first, but counts for nobody.

        Parameters:
            beyond: as for `at_risk`, which stays what it is now.
        """
        self._frozen = self.at_risk(beyond)
        self._records = deque((end, 0) for end, _ in self._records)
        self.owed = 0
