"""What has come through TLS and was not taken yet: records, plaintext, and how it ended."""

from __future__ import annotations

import ssl
import sys

import trio

from .._errors import TruncatedError

RECORD = 16 * 1024
"""The most plaintext that a record of TLS has."""

# TLS gets its input in pieces: it keeps the memory of the largest it ever had.
_PIECE = RECORD + 512


class Plaintext:
    """The receiving half of one TLS connection, without I/O.

    Parameters:
        tls: decrypts.
        incoming: where it takes ciphertext from.
    """

    __slots__ = ("_incoming", "_next", "_rest", "_tls")

    def __init__(self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO) -> None:
        self._tls = tls
        self._incoming = incoming
        self._next: bytes | Exception | None = None
        self._rest: memoryview | None = None

    @property
    def ended(self) -> bool:
        """Whether it is known what comes behind all plaintext: the end, or an error."""
        return self._next is not None

    @property
    def ready(self) -> bool:
        """Whether `take` has something to look at that nobody below knows of."""
        return (
            self._next is not None
            or self._rest is not None
            or self._incoming.pending > 0
            or self._tls.pending() > 0
        )

    def feed(self, data: bytes) -> None:
        """Add what came, ``b""`` at the end of input; `take` must have returned None before."""
        if not data:
            self._incoming.write_eof()
        elif len(data) <= _PIECE:
            self._incoming.write(data)
        else:
            self._rest = memoryview(data)
            self._feed_rest()

    def _feed_rest(self) -> bool:
        """Give TLS the next piece; return whether there was one."""
        if self._rest is None:
            return False
        self._incoming.write(self._rest[:_PIECE])
        self._rest = self._rest[_PIECE:] if len(self._rest) > _PIECE else None
        return True

    def take(self, most: int = sys.maxsize) -> bytes | None:
        """Return plaintext, ``b""`` at its end, None when more ciphertext has to come.

        Raises:
            TruncatedError: the input ended without a closing alert.
            trio.BrokenResourceError: it is no valid TLS; all that came before has been returned.
        """
        if self._next is not None:
            return self._end()
        data = self._read(most)
        if data is None:
            return self._end() if self.ended else None
        if len(data) == most or not (self._incoming.pending or self._rest):
            return data  # As it nearly always is: one record.
        chunks = [data]
        most -= len(data)
        while most and (data := self._read_on(most)) is not None:
            chunks.append(data)
            most -= len(data)
        return b"".join(chunks)

    def _read_on(self, most: int) -> bytes | None:
        """Read if there is any point in it: that TLS finds nothing is dear."""
        return self._read(most) if self._incoming.pending or self._feed_rest() else None

    def _read(self, most: int) -> bytes | None:
        """Read from at most one record; None where there is nothing, or no more."""
        try:
            data = self._tls.read(min(most, RECORD))
        except ssl.SSLWantReadError:
            return self._read(most) if self._feed_rest() else None
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLEOFError as error:
            self._next = TruncatedError("peer ended the TLS connection without a closing alert")
            self._next.__cause__ = error
            return None
        except ssl.SSLError as error:
            self._next = broken(error)
            return None
        if not data:
            self._next = b""
        return data or None

    def _end(self) -> bytes:
        if isinstance(self._next, Exception):
            raise self._next
        return b""


def broken(error: ssl.SSLError) -> trio.BrokenResourceError:
    """Return Trio's error for what TLS says is wrong."""
    result = trio.BrokenResourceError(str(error))
    result.__cause__ = error
    return result
