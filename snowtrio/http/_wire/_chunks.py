"""A body in chunks: where to stop reading it, and how much framing is believed."""

from __future__ import annotations

from .._errors import BadMessageError
from ._events import Fields
from ._limits import HeadLimits

# What comes is measured at every so many bytes of the body, counted from its first one.
_GRID = 16 * 1024

# Chunks of one byte have five of framing; these many, and a head's worth besides, are believed.
_OVERHEAD_PER_BYTE = 8

_EMPTY_LINE = b"\r\n\r\n"


class Chunks:
    """One body's bytes as they stand on the wire; the parser of them is somebody else's.

    Parameters:
        limits: trailers have those of heads, and so has what frames no byte of the body.
    """

    __slots__ = ("_last_size", "_limits", "_read", "_without")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._read = 0
        self._last_size = 0
        self._without = 0

    def find_stop(self, data: bytes, begun: int, at: int) -> int:
        """Return where to stop reading: where the body may end, or is to be measured.

        Parameters:
            data: what has come.
            begun: from where on it is of this body and was not read before this.
            at: up to where it has been read.

        What may be the first half of the body's end is left until the other half has come.
        """
        grid = at + _GRID - self._read % _GRID
        end = data.find(_EMPTY_LINE, max(begun, at - 3), grid)
        if end >= 0:
            return end + 4
        size = len(data)
        return min(grid, size - _count_half(data))

    def advance(self, count: int, body_size: int, trailers: Fields | None) -> None:
        """Count what has been read.

        Parameters:
            count: the bytes.
            body_size: how much of the body they, and those before, have brought.
            trailers: what has come behind the body if it has ended with them; None if it has not.

        Raises:
            BadMessageError: the trailers are larger, or more, than a head's fields may be, or there
                is more framing than can be meant well.
        """
        self._read += count
        if trailers is not None:
            self._check_trailers(trailers)
        elif self._read % _GRID:
            return
        limit = self._limits.max_head_size
        if self._read - body_size > limit + _OVERHEAD_PER_BYTE * body_size:
            raise BadMessageError(400, "the chunks are more framing than body")
        self._without = self._without + _GRID if body_size == self._last_size else 0
        self._last_size = body_size
        if self._without > limit and trailers is None:
            raise BadMessageError(431, "the trailers are too large")

    def _check_trailers(self, fields: Fields) -> None:
        if len(fields) > self._limits.max_fields:
            raise BadMessageError(431, "there are too many trailers")
        size = sum([len(name) + len(value) + 4 for name, value in fields])
        if size > self._limits.max_head_size:
            raise BadMessageError(431, "the trailers are too large")


def _count_half(data: bytes) -> int:
    """Return how many bytes at the end of data may be the beginning of the body's end.

    A whole empty line is not: the end's own comes right behind a line that is not empty.
    """
    if not data.endswith((b"\r", b"\n")) or data.endswith(_EMPTY_LINE):
        return 0
    if data.endswith(b"\r\n\r"):
        return 3
    if data.endswith(b"\n"):
        return 2 if data.endswith(b"\r\n") else 0
    return 1
