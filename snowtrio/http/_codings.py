"""What ``Content-Encoding`` did to a body, undone piece by piece (row Z10). Pure.

No decoder holds more than a piece of what it makes, whatever it is given: a bomb is refused when it
has cost as much as any body of the same bound. What is cut short, or has something behind its end,
is an error: half a document must not be taken for a whole one.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from ._errors import ContentCodingError, ResponseTooLargeError

# Bytes of a decoded piece, about.
PIECE = 64 * 1024

# zlib returns what it has not used as a copy, once for each piece or gzip member that it makes, so
# it is given little at a time: a slice full of tiny members is copied some hundred times at most.
_SLICE = 16 * 1024

# Each coding holds a window, and multiplies what a bomb makes the next one work.
_MAX_CODINGS = 4

# RFC 9659: what a server may expect of whoever decodes.
_ZSTD_WINDOW_LOG = 23


class Coding(ABC):
    """Undoes one coding of one body."""

    @abstractmethod
    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what a part of the body comes to, in pieces. Run it to its end.

        Raises:
            ContentCodingError: the data is not in this coding, or stands behind its end.
        """

    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the body may end here."""


class Deflated(Coding):
    """gzip, of one or several members, or deflate, with zlib's head as the standard has it or raw.

    Parameters:
        gzip: whether it is gzip.
    """

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._head = b""
        self._inflating = zlib.decompressobj(31) if gzip else None
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what a part of the body comes to."""
        if self._inflating is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            self._inflating = zlib.decompressobj(15 if _has_zlib_head(data) else -15)
        self._begun = self._begun or bool(data)
        for start in range(0, len(data), _SLICE):
            yield from self._decode_slice(data[start : start + _SLICE])

    def _decode_slice(self, data: bytes) -> Iterator[bytes]:
        inflating = self._inflating
        assert inflating is not None
        more = True
        while data or more:
            if inflating.eof:
                if not data:
                    return
                if not self._gzip:
                    raise ContentCodingError("there is something behind the end of the body")
                inflating = self._inflating = zlib.decompressobj(31)
            try:
                piece = inflating.decompress(data, PIECE)
            except zlib.error as error:
                raise ContentCodingError(f"the body is not what its coding says: {error}") from None
            # With all data taken in, a full piece may still not be all that there is.
            more = len(piece) == PIECE
            data = inflating.unused_data if inflating.eof else inflating.unconsumed_tail
            if piece:
                yield piece

    def is_whole(self) -> bool:
        """Whether the body may end here."""
        if self._inflating is None:
            return not self._head
        return self._inflating.eof or not self._begun


def _has_zlib_head(data: bytes) -> bool:
    """Whether deflated data begins as RFC 1950 has it; some servers send it without."""
    return data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0


class Zstandard(Coding):
    """zstd, of one or several frames, by the standard library of Python 3.14 or its backport.

    Parameters:
        module: ``compression.zstd`` or ``backports.zstd``.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._decompressor: Any = self._make()
        self._begun = False

    def _make(self) -> Any:
        options = {self._module.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        return self._module.ZstdDecompressor(options=options)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what a part of the body comes to."""
        self._begun = self._begun or bool(data)
        for start in range(0, len(data), _SLICE):
            yield from self._decode_slice(data[start : start + _SLICE])

    def _decode_slice(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._decompressor.eof or self._decompressor.needs_input):
            if self._decompressor.eof:
                self._decompressor = self._make()
            try:
                piece = self._decompressor.decompress(data, PIECE)
            except self._module.ZstdError as error:
                raise ContentCodingError(f"the body is not what its coding says: {error}") from None
            data = self._decompressor.unused_data if self._decompressor.eof else b""
            if piece:
                yield piece

    def is_whole(self) -> bool:
        """Whether the body may end here."""
        return self._decompressor.eof or not self._begun


class Brotli(Coding):
    """Brotli, by Google's package from 1.2 on, the first that gives a piece at a time.

    Parameters:
        module: ``brotli``.
    """

    def __init__(self, module: Any) -> None:
        self._error = module.error
        self._decompressor: Any = module.Decompressor()
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what a part of the body comes to."""
        self._begun = self._begun or bool(data)
        more = bool(data)
        while more:
            try:
                piece = self._decompressor.process(data, output_buffer_limit=PIECE)
            except self._error as error:
                raise ContentCodingError(f"the body is not what its coding says: {error}") from None
            data = b""
            # It may stand before its end with all data taken in and given.
            more = not self._decompressor.is_finished() and (
                bool(piece) or not self._decompressor.can_accept_more_data()
            )
            if piece:
                yield piece

    def is_whole(self) -> bool:
        """Whether the body may end here."""
        return self._decompressor.is_finished() or not self._begun


class BodyDecoder:
    """Undoes all codings of one body, within a bound.

    Parameters:
        codings: in the order in which they are undone.
        max_size: bytes that may come of it; None is no bound.
    """

    def __init__(self, codings: list[Coding], max_size: int | None) -> None:
        self._codings = codings
        self._max_size = max_size
        self.size = 0
        """Bytes that have come of it."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what a part of the body comes to, in pieces of some 64 KiB. Run it to its end.

        Of several codings come empty pieces as well, where much work came to nothing.

        Raises:
            ContentCodingError: it is not what ``Content-Encoding`` says.
            ResponseTooLargeError: more has come of it than `max_size`; that was not given.
        """
        for piece in self._undo(data, 0):
            self.size += len(piece)
            if self._max_size is not None and self.size > self._max_size:
                raise ResponseTooLargeError(self.size, self._max_size)
            yield piece

    def _undo(self, data: bytes, done: int) -> Iterator[bytes]:
        """Undo the codings after the first so many."""
        if done == len(self._codings):
            yield data
            return
        for piece in self._codings[done].decode(data):
            yield from self._undo(piece, done + 1)
            if done + 1 < len(self._codings):
                yield b""  # However little comes of a piece in between, the caller has its turn.

    def end(self) -> None:
        """Note that the body has ended.

        Raises:
            ContentCodingError: it is cut short.
        """
        if not all(coding.is_whole() for coding in self._codings):
            raise ContentCodingError("the body is cut short")


def choose_decoder(content_encoding: str, max_size: int | None = None) -> BodyDecoder | None:
    """Return what undoes the codings of a body, None where there is nothing to undo.

    Parameters:
        content_encoding: the value of the field; of several fields, all with commas between them.
        max_size: bytes that may come of the body; None is no bound.

    Raises:
        ContentCodingError: one of them is not known here, or there are more than any body needs.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return None
    if len(names) > _MAX_CODINGS:
        raise ContentCodingError(f"the body has been coded {len(names)} times")
    unknown = [name for name in names if name not in _CODINGS]
    if unknown:
        raise ContentCodingError(f"the content coding {unknown[0]!r} is not known here")
    return BodyDecoder([_CODINGS[name]() for name in reversed(names)], max_size)


def _find_more() -> dict[str, Callable[[], Coding]]:
    """Return the codings for which a library is installed."""
    found: dict[str, Callable[[], Coding]] = {}
    brotli = _find_module("brotli")
    if hasattr(getattr(brotli, "Decompressor", None), "can_accept_more_data"):
        found["br"] = lambda: Brotli(brotli)
    zstd = _find_module("compression.zstd") or _find_module("backports.zstd")
    if zstd is not None:
        found["zstd"] = lambda: Zstandard(zstd)
    return found


def _find_module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


_MORE = _find_more()
_CODINGS: dict[str, Callable[[], Coding]] = {
    "gzip": lambda: Deflated(gzip=True),
    "x-gzip": lambda: Deflated(gzip=True),
    "deflate": lambda: Deflated(gzip=False),
    **_MORE,
}

ACCEPT_ENCODING = ", ".join(("gzip", "deflate", *_MORE))
"""The value of ``Accept-Encoding`` that says what can be undone here."""
