"""The receive buffer: bytes that came and were not taken yet.

One buffer serves a connection from its first byte to its last: the handshake reads from it, and
what the handshake did not take is where the decoder starts. A search remembers how far it came, so
that a frame which arrives byte by byte is looked at once, not once for each byte.
"""

from __future__ import annotations

# From here on it is cheaper to make a view of a part than to cut the part out and copy it again.
_LARGE = 4096


class ReceiveBuffer:
    """Bytes in the order in which they came, taken from the front.

    What one read brought is mostly taken whole, so it is kept as it is, and goes on as it is.
    Underneath is a ``bytearray`` only where a frame is left in parts: cutting from its front is
    cheap (the interpreter moves the start, not the bytes), and appending is amortised.
    """

    __slots__ = ("_data", "_needle", "_searched", "paused")

    def __init__(self, data: bytes = b"") -> None:
        self._data: bytes | bytearray = data
        self._needle: bytes = b""
        self._searched = 0
        self.paused = False
        """Whether a decoder has stopped at a boundary: see `pause`."""

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __repr__(self) -> str:
        return f"<ReceiveBuffer of {len(self._data)} bytes>"

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        if not self._data:
            self._data = bytes(data)  # copied only if it is something else
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)
            self._data += data

    def peek(self, size: int, offset: int = 0) -> bytes:
        """Return up to `size` bytes from `offset` on, and leave them where they are."""
        return _cut_out(self._data, offset, offset + size)

    def shift(self, size: int) -> None:
        """Drop the first `size` bytes and keep the rest.

        Raises:
            ValueError: there are not that many bytes; nothing was dropped.
        """
        if not 0 <= size <= len(self._data):
            raise ValueError(f"cannot shift {size} bytes: the buffer holds {len(self._data)}")
        if size == len(self._data):
            self._data = b""
            self._searched = 0
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        del self._data[:size]
        self._searched = max(0, self._searched - size)

    def take(self, size: int) -> bytes:
        """Return the first `size` bytes and drop them.

        Raises:
            ValueError: there are not that many bytes; nothing was taken.
        """
        taken = _cut_out(self._data, 0, size)
        self.shift(size)
        return taken

    def take_all(self) -> bytes:
        """Return everything and leave the buffer empty."""
        data, self._data, self._searched = self._data, b"", 0
        return data if isinstance(data, bytes) else bytes(data)

    def cut(self, size: int) -> bytes:
        """Return what stands behind the first `size` bytes and drop it; `append` puts it back."""
        rest = _cut_out(self._data, size, len(self._data))
        if rest:
            self._data = self._data[:size]
            self._searched = min(self._searched, size)
        return rest

    def find(self, delimiter: bytes) -> int:
        """Return where `delimiter` first stands, or -1; no byte is searched twice."""
        if delimiter != self._needle:
            self._needle, self._searched = delimiter, 0
        index = self._data.find(delimiter, self._searched)
        if index == -1:
            # A delimiter may be cut in two by a read: its first bytes must be looked at again.
            self._searched = max(0, len(self._data) - len(delimiter) + 1)
        else:
            self._searched = index
        return index

    def take_until(self, delimiter: bytes) -> bytes | None:
        """Return what stands before `delimiter` and drop both, or None if it has not come."""
        index = self.find(delimiter)
        if index == -1:
            return None
        taken = _cut_out(self._data, 0, index)
        self.shift(index + len(delimiter))
        return taken

    def take_through_last(self, delimiter: bytes) -> bytes:
        """Return all up to and including the last `delimiter`, or nothing if there is none.

        What a decoder of many small frames wants: one cut for all that a read brought. Not for a
        delimiter that can overlap itself, as ``--`` does in ``---``: the last one from the right is
        not where frames end that are counted from the left.
        """
        data = self._data
        if isinstance(data, bytes) and data.endswith(delimiter):
            self._data, self._searched = b"", 0
            return data
        if self.find(delimiter) == -1:
            return b""
        return self.take(data.rindex(delimiter) + len(delimiter))

    def pause(self) -> None:
        """Say that the bytes from here on belong to another codec.

        For a decoder whose last message changes the protocol: it calls this, gives that message and
        returns. The connection then decodes nothing until ``connection.switch(codec)``; it goes on
        reading up to ``receive_size``, so that the peer's end shows.
        """
        self.paused = True

    def resume(self) -> None:
        """Let decoding go on; ``connection.switch`` calls it."""
        self.paused = False


def _cut_out(data: bytes | bytearray, start: int, end: int) -> bytes:
    if isinstance(data, bytes):
        return data[start:end]
    if end - start < _LARGE:
        return bytes(data[start:end])
    with memoryview(data) as view:
        return bytes(view[start:end])
