"""The fields that every response bears: ``Date``, made once a second, and ``Server``."""

from __future__ import annotations

import time
from email.utils import formatdate

from .._headers import write_field


class Stamp:
    """Remembers the fields of the second that it was last asked in.

    Parameters:
        server_name: for the ``Server`` field; None leaves it away.
    """

    def __init__(self, server_name: str | None = None) -> None:
        self._rest = (write_field("server", server_name),) if server_name is not None else ()
        self._second = 0
        self._fields: tuple[tuple[bytes, bytes], ...] = ()

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of this moment (RFC 9110 section 6.6.1)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._fields = ((b"date", formatdate(second, usegmt=True).encode()), *self._rest)
        return self._fields
