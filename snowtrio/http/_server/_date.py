"""The ``Date`` field, made once a second."""

from __future__ import annotations

import time
from email.utils import formatdate


class Dates:
    """Remembers the field of the second that it was last asked in."""

    def __init__(self) -> None:
        self._second = 0
        self._field = (b"date", b"")

    def field(self) -> tuple[bytes, bytes]:
        """Return the field of this moment (RFC 9110 section 6.6.1)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._field = (b"date", formatdate(second, usegmt=True).encode())
        return self._field
